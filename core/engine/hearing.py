"""In a replay of a node's run: own news reaches gate and strategies when it did there, not when the market made it.

On a node a fill is booked by the gate when the venue has told it, and its strategy hears of it some time later; market data
comes in between. The engine fills the order of a replay at the venue's moment, as it must, since later orders meet what is left
of the book. But what it says then waits here until the recorded node knew it: after the same market data. News that the
run did not have is told at once, and so is news that the run had earlier than the replay can have it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from core.domain.money import ZERO
from core.engine.arrivals import Arrivals, Place
from core.engine.fees import Charged
from core.engine.guard import guarded
from core.engine.units import exact

if TYPE_CHECKING:
    from decimal import Decimal

    from core.engine.journal import OrderRecord
    from core.engine.order_events import AnsweringStrategy
    from core.engine.orders import SendingStrategy
    from core.engine.session import Session

#: News of orders that is held back: fills, and what ends an order.
KINDS = ("filled", "canceled", "expired", "rejected", "denied")


@dataclass(order=True, slots=True)
class _Held:
    place: Place
    number: int
    act: Callable[[], None] = field(compare=False)
    order_id: str = field(compare=False, default="")


@dataclass(slots=True, eq=False)
class _Order:
    """How far news of one order is: what the gate has booked ahead, and the last places in the two queues."""

    filled: Decimal = ZERO
    charged: deque[Charged] = field(default_factory=deque)
    booked: Place | None = None
    heard: Place | None = None


class OwnNews:
    """News of own orders that waits for the moment at which the recorded node knew it.

    Parameters
    ----------
    arrivals : Arrivals
        The recorded orders, with the places of their news.

    Attributes
    ----------
    alert : callable
        Asks to be called back (`until`) at a time; set by the feed.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.alert: Callable[[int], None] = lambda at_ns: None
        self.now_ns: Callable[[], int] = lambda: 0
        self._held: list[_Held] = []
        self._orders: dict[str, _Order] = {}
        self._hears: dict[int, dict[str, Callable[[Any], None]]] = {}
        self._count = self._handed_ns = 0
        self._over = False

    # -- the engine's side ------------------------------------------------------------------
    def install(self, strategy: Any) -> None:
        """Stand between the engine and one strategy."""
        hears = self._hears[id(strategy)] = {
            kind: guarded(getattr(strategy, f"on_order_{kind}"), strategy.fail) for kind in KINDS
        }
        strategy.on_order_filled = partial(self._filled, strategy, hears["filled"])
        for kind in KINDS[1:]:
            setattr(strategy, f"on_order_{kind}", partial(self._ended, strategy, hears[kind]))

    def hears(self, strategy: Any) -> dict[str, Callable[[Any], None]]:
        """Return a strategy's own callbacks by kind of news."""
        return self._hears[id(strategy)]

    def expect(self, strategy: Any, record: OrderRecord) -> None:
        """Note that a recorded order was decided again."""

    def is_foretold(self, client_order_id: str) -> bool:
        """Return whether something of an order was told before the engine made it."""
        return False

    def reported(self, client_order_id: str, fills: int) -> int:
        """Return how many fills the engine has told of an order whose strategy knows `fills`."""
        return fills

    def ahead(self, session: Session, code: str) -> Decimal:
        """Return dollars that the gate has at a venue and the engine has not."""
        return ZERO

    def filled(self, client_order_id: str) -> Decimal:
        """Return how many shares of an order gate and strategy have been told of, or will be."""
        order = self._orders.get(client_order_id)
        return ZERO if order is None else order.filled

    def took(self, client_order_id: str, fills: int, filled: Decimal, charged: Charged) -> str:
        """Note a fill that the gate books ahead of its strategy; return the name of the trade."""
        order = self._orders.setdefault(client_order_id, _Order())
        order.filled = max(order.filled, filled)
        order.charged.append(charged)
        return f"{client_order_id}#{fills + len(order.charged)}"

    def _filled(self, strategy: AnsweringStrategy, hear: Callable[[Any], None], event: Any) -> None:
        cid = event.client_order_id.value
        record = strategy.session.journal.orders.get(cid)
        if self._over or record is None:
            hear(event)
            return
        order = self._orders.setdefault(cid, _Order())
        order.filled += exact(event.last_qty)
        known = self._arrivals.fill_of(cid, order.filled)
        book = partial(self._book, strategy, record, event)
        self._wait(cid, "booked", None if known is None else known.booked, book)
        self._wait(cid, "heard", None if known is None else known.heard, partial(hear, event))

    def _book(self, strategy: AnsweringStrategy, record: OrderRecord, event: Any) -> None:
        """Let the gate have a fill before its strategy."""
        cid = event.client_order_id.value
        waiting = self._orders[cid].charged
        trade_id = f"{cid}#{record.fills + len(waiting) + 1}"
        waiting.append(strategy._bt_booked(record, trade_id, event.ts_event))

    def charged(self, client_order_id: str) -> Charged | None:
        """Return what the gate has booked of the fill that is told now; None when it has not."""
        order = self._orders.get(client_order_id)
        return order.charged.popleft() if order is not None and order.charged else None

    def _ended(self, strategy: AnsweringStrategy, hear: Callable[[Any], None], event: Any) -> None:
        cid = event.client_order_id.value
        if self._over or strategy.session.journal.orders.get(cid) is None:
            hear(event)
        else:
            self.end(strategy, cid, partial(hear, event))

    def end(
        self, strategy: SendingStrategy, client_order_id: str, tell: Callable[[], None]
    ) -> None:
        """Let gate and strategy know the end of an order when the node knew it."""
        known, gate = self._arrivals.end_of(client_order_id), strategy.session.gate
        done = partial(gate.on_done, client_order_id)
        self._wait(client_order_id, "booked", None if known is None else known.booked, done)
        self._wait(client_order_id, "heard", None if known is None else known.heard, tell)

    # -- waiting ----------------------------------------------------------------------------
    def _wait(
        self, client_order_id: str, queue: str, place: Place | None, act: Callable[[], Any]
    ) -> None:
        """Act at a place, and never before what was to happen first to the same order."""
        order = self._orders.setdefault(client_order_id, _Order())
        before: Place | None = getattr(order, queue)
        if queue == "heard" and order.booked is not None:
            before = order.booked if before is None else max(before, order.booked)
        if place is None or place.after_ns < self._handed_ns:
            self._arrivals.late.add(client_order_id)
            place = None
        if before is not None and (place is None or place < before):
            place = before
        setattr(order, queue, place)
        if place is None or place.after_ns < self._handed_ns:
            act()
        else:
            self.hold(place, act, client_order_id)

    def hold(self, place: Place, act: Callable[[], Any], order_id: str = "") -> None:
        """Act once the market data of a place has been handed on: at its time, or before any later data."""
        self._count += 1
        heapq.heappush(self._held, _Held(place, self._count, act, order_id))
        self.alert(max(place.at_ns, place.after_ns, self.now_ns() + 1))

    # -- the feed's side --------------------------------------------------------------------
    def before(self, ts_ns: int) -> None:
        """Tell what the node knew before it handed on the market data of this moment."""
        while self._held and self._held[0].place.after_ns < ts_ns:
            heapq.heappop(self._held).act()
        if ts_ns > self._handed_ns:
            self._handed_ns = ts_ns

    def release(self, concerns: Callable[[str], bool]) -> None:
        """Tell what is held of some orders: their instrument is about to be paid out, and the engine has filled them."""
        told = sorted(h for h in self._held if h.order_id and concerns(h.order_id))
        self._held = [h for h in self._held if h not in told]
        heapq.heapify(self._held)
        for one in told:
            self._arrivals.late.add(one.order_id)
            one.act()

    def until(self, now_ns: int) -> None:
        """Tell what the node knew by this time."""
        while self._held and max(self._held[0].place) <= now_ns:
            heapq.heappop(self._held).act()

    def flush(self) -> None:
        """Tell everything: the recording has ended."""
        self._over = True
        while self._held:
            heapq.heappop(self._held).act()
