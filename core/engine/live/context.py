"""What the node shares with the client of one venue: gate, ledger, port, halts and numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core.domain.clock import NS_PER_SECOND
from core.domain.errors import HaltedError, LedgerError
from core.domain.faultpoints import point
from core.engine.journal import Causes
from core.engine.live.journal import OrderJournal
from core.engine.live.memory import Leftover
from core.engine.live.netting import Shares
from core.engine.live.passage import Passage
from core.engine.live.port import VenuePort
from core.ledger import Ledger
from core.ledger.kinds import PROCESS_SCOPE, Halted
from core.risk.gate import Gate
from core.risk.states import TradingState

#: Owner of orders and positions that none of our strategies asked for.
EXTERNAL = "EXTERNAL"
#: Who stopped trading when no operator and no limit did.
NODE = "node"
#: Clocks of venue and machine differ.
RESUME_MARGIN_NS = 600 * NS_PER_SECOND
LOOKBACK_NS = 3600 * NS_PER_SECOND


@dataclass(slots=True)
class LiveContext:
    """Everything a `VenueClient` needs and does not own.

    Attributes
    ----------
    provider : callable
        Makes the instrument provider of the client (one each).
    owners : mapping
        Client order id to strategy id of earlier runs, from the ledger: who owns what is found at start.
    instrument_owners : mapping
        Instrument id to the strategy that claims it.
    known_trades : set of str
        Trade ids the ledger already holds; they are not written twice.
    provisional, markets : mapping
        Trade ids of earlier runs that the venue had not made final, and client order ids, to client order ids and markets.
    adopted : set of str, optional
        Trades that the gate's cash and holdings include since the start; None = the gate was not filled from the venue.
    shares : Shares, optional
        The ledger's by owner; fed with every fill that the start writes.
    resolved : set of str
        Instruments that have been paid out; they are never reported as positions again.
    halted : callable
        Returns why trading is halted, or an empty string.
    on_halt, on_link, reached : callable
        Stop trading; note a broken or restored link; named fault point.
    now_ns : callable
        The time of a row that no message brings.
    own_halt : str
        Why the node itself stopped trading first.
    ack_wait_s : float
        How long a cancel waits for the answer to its order.
    absent_after_s, absent_proofs
        An unknown order is proven absent after this time and this many certain look-ups in a row.
    cache : callable
        Returns the engine's whole cache, which can drop orders; None before the engine has started.
    tell, forget : callable
        Hand news of an order that the engine no longer has to its strategy; told of each order that it drops.
    closed_grace_s : float
        How long the engine keeps an order that has ended and whose fills are final (`ClosedOrders`).
    lookback_ns : int
        How far back reads go after a break.
    leftovers : mapping
        Orders of earlier runs without an end in the ledger.
    causes, last_rows
        Rows that later ones name: of the run so far, and the newest of each order of earlier runs.
    passage : Passage
        Pairs on their way to dollars by calls of this node's.
    resume_ns : int
        Until the start is reconciled reads go back to here: the oldest of these orders. Set to 0 then.
    """

    port: VenuePort
    gate: Gate
    ledger: Ledger
    currency: str
    provider: Callable[[], Any]
    owners: Mapping[str, str] = field(default_factory=dict)
    instrument_owners: Mapping[str, str] = field(default_factory=dict)
    known_trades: set[str] = field(default_factory=set)
    provisional: dict[str, str] = field(default_factory=dict)
    markets: Mapping[str, str] = field(default_factory=dict)
    adopted: set[str] | None = None
    shares: Shares | None = None
    resolved: set[str] = field(default_factory=set)
    halted: Callable[[], str] = lambda: ""
    on_halt: Callable[[str], None] = lambda reason: None
    on_link: Callable[[str, bool], None] = lambda venue, up: None
    reached: Callable[[str], None] = point
    now_ns: Callable[[], int] = time.time_ns
    own_halt: str = ""
    tell: Callable[[Any], None] = lambda event: None
    forget: Callable[[str], None] = lambda client_order_id: None
    cache: Callable[[], Any] = lambda: None
    commission: Callable[[str, Decimal, Decimal], Decimal] | None = None
    ack_wait_s: float = 10.0
    absent_after_s: float = 3.0
    absent_proofs: int = 3
    closed_grace_s: float = 300.0
    lookback_ns: int = LOOKBACK_NS
    leftovers: Mapping[str, Leftover] = field(default_factory=dict)
    resume_ns: int = 0
    causes: Causes = field(default_factory=Causes)
    last_rows: Mapping[str, int] = field(default_factory=dict)
    passage: Passage = field(default_factory=Passage)

    def journal(self, clock: Callable[[], int]) -> OrderJournal:
        """Return the order journal of this venue."""
        port, causes = self.port, self.causes
        return OrderJournal(self.ledger, clock, port.venue, self.currency, causes, self.last_rows)

    def check_mode(self, now_ns: int) -> None:
        """Raise `HaltedError` when nothing may leave. Exits pass the gate's own reduce-only rule first."""
        why = self.halted()
        if why:
            raise HaltedError("trading is halted", why, "beta risk resume")

    def owner_of(self, instrument_id: str, client_order_id: str = "") -> str:
        """Return the strategy that owns an order of an earlier run, else the one that claims the instrument."""
        return self.owners.get(client_order_id) or self.instrument_owners.get(
            instrument_id, EXTERNAL
        )

    def halt(self, reason: str, *seen: int) -> None:
        """Stop trading, and write the first reason as a row that names `seen`, the rows behind it.

        Nothing leaves any more once `on_halt` has returned; the row comes after that.
        """
        self.on_halt(reason)
        if self.own_halt:
            return
        self.own_halt = reason
        row = Halted(
            level=str(TradingState.HALTED), source=NODE, reason=reason, scope=PROCESS_SCOPE
        )
        with suppress(
            LedgerError
        ):  # a ledger that failed has told so, with the row it writes when it can
            self.ledger.append(row, ts_event=self.now_ns(), parents=seen or self.causes.of_money())

    def link(self, venue: str, up: bool) -> None:
        """Note that private news flows, or not."""
        self.on_link(venue, up)

    def since_ns(self, now_ns: int) -> int:
        """Return the time from which to read again after a break."""
        back = now_ns - self.lookback_ns
        return min(back, self.resume_ns - RESUME_MARGIN_NS) if self.resume_ns else back
