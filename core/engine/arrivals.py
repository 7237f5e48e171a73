"""When each order of a recorded run reached the venue: a replay sends its orders to arrive then.

Latency on a node is not one number: a disk that is slow for once, a busy machine, a venue far away. A replay with
one latency for all orders meets other books than the run did, and blames the strategy for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from core.domain.money import ZERO


def strategy_key(strategy_id: str, first: int = 0) -> str:
    """Return ``Class#n`` of an engine strategy id that counts from `first`: two runs name the same strategy so."""
    name, _, number = strategy_id.rpartition("-")
    return f"{name}#{int(number) - first}" if number.isdigit() else strategy_id


class Place(NamedTuple):
    """A place in a node's stream of news: after the market data of a moment, and when that was by the clock."""

    after_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Known:
    """When a node knew of a fill or of the end of an order.

    Attributes
    ----------
    booked, heard : Place
        When gate and ledger had it, when its strategy was told.
    filled : Decimal
        Shares of the order that were filled then, this fill included.
    price, quantity, fee, role
        The fill.
    """

    booked: Place
    heard: Place
    filled: Decimal = ZERO
    price: Decimal = ZERO
    quantity: Decimal = ZERO
    fee: Decimal = ZERO
    role: str = ""


class Made(NamedTuple):
    """A fill that the engine of a replay made."""

    ts_ns: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    role: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Pairs of a strategy that a node turned into dollars while it ran."""

    strategy: str
    instrument_ids: tuple[str, ...]
    quantity: Decimal
    place: Place


@dataclass(slots=True)
class Arrival:
    """One order of the recorded run.

    Attributes
    ----------
    strategy : str
        Class and place of the strategy (``Momentum#0``).
    decided_ns, arrived_ns, canceled_ns : int
        When the strategy decided, when the venue had it, when its cancel reached the venue (0 = never).
    unsent : bool
        Whether it was held back on its last steps.
    fills : tuple of Known
        When the node knew of its fills, in their order; of some it may not be on record.
    end : Known, optional
        When the node knew of its end, other than by fills.
    ended : str
        How it ended.
    quantity, price
        Its terms; another order is never told what came of this one before the engine made it.
    """

    strategy: str
    instrument_id: str
    side: str
    decided_ns: int
    arrived_ns: int
    canceled_ns: int = 0
    unsent: bool = False
    fills: tuple[Known, ...] = ()
    end: Known | None = None
    ended: str = ""
    quantity: Decimal = ZERO
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How the strategies of a recorded run were stopped.

    Attributes
    ----------
    seen_ns : int
        Moment of the last market data that they saw.
    stopped_ns : int
        When it was: no order left any more. Until then they heard of their orders and their timers ran.
    keeps_orders : bool
        Whether what rested was left at the venue.
    """

    seen_ns: int
    stopped_ns: int
    keeps_orders: bool = False


@dataclass(slots=True)
class Arrivals:
    """Arrivals of a recorded run, taken one by one as the replay decides the same orders.

    Parameters
    ----------
    recorded : iterable of Arrival
    usual_ns : int
        Latency of an order (or cancel) that the recorded run did not have.
    window_ns : int
        How far apart the two decisions of one order may be.

    Attributes
    ----------
    foretold : bool
        Whether news may be told as recorded before the engine of the replay has made it (live runs).
    made : dict
        What the engine has made of the orders of which something was, by order id.
    late : set of str
        Orders of the replay of which something could not be told when the node had heard it, or is not on record.
    """

    recorded: Iterable[Arrival]
    usual_ns: int
    window_ns: int
    foretold: bool = False
    made: dict[str, list[Made]] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    _waiting: dict[tuple[str, str, str], list[Arrival]] = field(default_factory=dict)
    _of: dict[str, Arrival] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the arrivals by what an order of the replay is compared by."""
        for one in sorted(self.recorded, key=lambda a: a.decided_ns):
            if one.arrived_ns or one.unsent:
                key = (one.strategy, one.instrument_id, one.side)
                self._waiting.setdefault(key, []).append(one)

    def of_order(
        self, client_order_id: str, strategy: str, instrument_id: str, side: str, now_ns: int
    ) -> int | None:
        """Return when an order that is decided now arrives, nanoseconds since 1970 UTC; None: it did not leave."""
        waiting = self._waiting.get((strategy, instrument_id, side), [])
        near = min(waiting, key=lambda a: abs(a.decided_ns - now_ns), default=None)
        if near is None or abs(near.decided_ns - now_ns) > self.window_ns:
            return now_ns + self.usual_ns
        # Orders come in the order of time: what lies before this one was not decided again.
        del waiting[: waiting.index(near) + 1]
        self._of[client_order_id] = near
        return None if near.unsent else max(near.arrived_ns, now_ns)

    def arrived_ns(self, client_order_id: str, decided_ns: int) -> int:
        """Return when an order of the replay arrived, once it has."""
        found = self._of.get(client_order_id)
        return decided_ns + self.usual_ns if found is None else max(found.arrived_ns, decided_ns)

    def recorded_of(self, client_order_id: str) -> Arrival | None:
        """Return the recorded order that an order of the replay is; None when the run did not have it."""
        return self._of.get(client_order_id)

    def fill_of(self, client_order_id: str, filled: Decimal) -> Known | None:
        """Return when the node knew that so much of an order is filled; None when it did not."""
        found = self._of.get(client_order_id)
        fills = () if found is None else found.fills
        return next((known for known in fills if known.filled >= filled), None)

    def end_of(self, client_order_id: str) -> Known | None:
        """Return when the node knew that an order had ended other than by fills; None when it did not."""
        found = self._of.get(client_order_id)
        return None if found is None else found.end

    def is_withdrawn(self, client_order_id: str) -> bool:
        """Return whether a stopping node took this order off the book; one that the run did not have is taken too."""
        found = self._of.get(client_order_id)
        return found is None or found.canceled_ns != 0

    def of_cancel(self, client_order_id: str, now_ns: int) -> int:
        """Return when a cancel that is decided now arrives: never before its order."""
        found = self._of.get(client_order_id)
        if found is None:
            return now_ns + self.usual_ns
        at_ns = found.canceled_ns if found.canceled_ns >= now_ns else now_ns + self.usual_ns
        return max(at_ns, found.arrived_ns + 1)
