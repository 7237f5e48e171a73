"""Orders of a run in one shape, whether they come from a node's ledger or from a backtest's result."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from core.domain.errors import MissingData, UsageError
from core.domain.money import ZERO
from core.engine.arrivals import Arrivals, Ending, Known, Merge, Place, strategy_key
from core.engine.live.journal import HALTED, NOT_ON_DISK
from core.engine.orders import LIQUIDITY_TAKEN
from core.engine.parity.tape import Moved, Received
from core.engine.results import RunResult
from core.ledger import kinds
from core.ledger.kinds.orders import OrderAbsent, OrderEvent, OrderUnknown
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of an order."""

    ts_ns: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    role: str


@dataclass(slots=True)
class ComparedOrder:
    """One order that was sent.

    Attributes
    ----------
    strategy : str
        Class name and place among the strategies of the run (``Momentum#0``): ids differ between engines.
    ts_ns : int
        When the strategy decided.
    arrival_ns : int
        When the venue had it, also to refuse it; 0 = never.
    heard_ns : int
        When a live venue's answer came: it had the order some time between the decision and this; 0 on paper.
    unsent : bool
        Whether a halt, a stop or the ledger held it back on its last steps.
    canceled_ns : int
        When it was taken off the book before it was filled; 0 = it was not.
    expire_ns, ended_ns : int
        When it was to end, and when the recorded run heard that it had ended without being filled; 0 = never.
    known : list of Known
        When the node knew of its fills, where that is on record.
    end : Known, optional
        When the node knew of its end.
    as_heard : bool
        In a replay: whether everything of it was told when the node had heard it.
    """

    order_id: str
    strategy: str
    instrument_id: str
    side: str
    quantity: Decimal
    price: Decimal | None
    tif: str
    post_only: bool
    ts_ns: int
    arrival_ns: int = 0
    canceled_ns: int = 0
    expire_ns: int = 0
    ended_ns: int = 0
    status: str = ""
    code: str = ""
    unknown: bool = False
    unsent: bool = False
    heard_ns: int = 0
    fills: list[Execution] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    end: Known | None = None
    as_heard: bool = False

    @property
    def filled(self) -> Decimal:
        """Shares executed."""
        return sum((f.quantity for f in self.fills), ZERO)

    @property
    def fee(self) -> Decimal:
        """Dollars of fee."""
        return sum((f.fee for f in self.fills), ZERO)

    def prices(self) -> dict[Decimal, Decimal]:
        """Return shares by price."""
        out: dict[Decimal, Decimal] = {}
        for fill in self.fills:
            out[fill.price] = out.get(fill.price, ZERO) + fill.quantity
        return out


@dataclass(slots=True)
class RunOrders:
    """What a run asked for and got.

    Attributes
    ----------
    refusals : Counter
        Refusals of the gate by code.
    halts : list of int
        Times at which trading was halted or reduced.
    ending : Ending, optional
        When its strategies were stopped; None for a run that was killed, or from before that was recorded.
    settled : dict
        Payout by instrument.
    foreign : int
        Executions that belong to no order of this run.
    merged : bool
        Whether a pair became a dollar.
    merges : list of Merge
        Pairs of one owner that did, and when.
    """

    orders: list[ComparedOrder] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    halts: list[int] = field(default_factory=list)
    settled: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    foreign: int = 0
    merged: bool = False
    merges: list[Merge] = field(default_factory=list)
    ended_ns: int = 0
    ending: Ending | None = None


def find_run(directory: Path, run_id: str = "") -> str:
    """Return the id of a paper or live run in a ledger: the named one, else the newest.

    Raises
    ------
    UsageError, MissingData
        If there is no such run, or none at all.
    """
    runs = [r for r in LedgerReader(directory).runs() if r.mode in ("paper", "live")]
    if not runs:
        raise MissingData("no paper or live run in this ledger", directory, "beta paper")
    if not run_id:
        return runs[-1].run_id
    if run_id not in {r.run_id for r in runs}:
        raise UsageError("no such paper or live run", run_id, f"newest: {runs[-1].run_id}")
    return run_id


def started_of(directory: Path, run_id: str) -> tuple[kinds.RunStarted, dict[str, Any]]:
    """Return the first row of a run and its configuration.

    Raises
    ------
    MissingData
        If the run was started by a version that kept no configuration.
    """
    for row in LedgerReader(directory).rows(Selection(run=run_id, kinds=("run.started",))):
        started = row.decoded()
        if isinstance(started, kinds.RunStarted) and started.config:
            return started, json.loads(started.config)
    raise MissingData("the run's configuration is not in its first row", run_id, "run it again")


def has_heard(directory: Path, run_id: str) -> bool:
    """Return whether it is on record when the strategies of a run heard of their orders."""
    rows = LedgerReader(directory).rows(Selection(run=run_id, kinds=("news.heard",)))
    return next(iter(rows), None) is not None


def recorded(
    directory: Path,
    run_id: str,
    own_clock: bool = False,
    received: Received | None = None,
    moved: Moved = lambda iid, start, end: True,
) -> RunOrders:
    """Return the orders of a node's run from its ledger.

    Parameters
    ----------
    own_clock : bool
        The venue's clock is the node's (paper): its times of arrival are exact. Otherwise an order arrived when
        the node heard of it, or earlier, as `received` says.
    received : callable, optional
        Where in the recorded news the venue's own time of an order lies (`Tape.received`, `Tape.followed`).
    moved : callable
        Whether an instrument's book or trades moved between two moments.
    """
    fold = _Fold(own_clock, received)
    for row in LedgerReader(directory).rows(Selection(run=run_id)):
        fold.take(row.ts_event, row.decoded(), row.seq, row.parent_seqs)
    orders = fold.out.orders
    orders.sort(key=lambda o: o.ts_ns)
    if own_clock:
        return fold.out
    for order in orders if received is None else ():
        _not_after_it_was_known(order, moved)
    _after_what_was_known(orders)
    return fold.out


def _after_what_was_known(orders: list[ComparedOrder]) -> None:
    """Let no order arrive before another one of its instrument that its strategy knew to be filled when it decided.

    The venue's times have whole milliseconds, and what is sold must have been bought.
    """
    on_the_way: dict[str, list[ComparedOrder]] = {}
    for order in orders:
        if not order.arrival_ns:
            continue
        others = on_the_way.setdefault(order.instrument_id, [])
        others[:] = [other for other in others if other.arrival_ns > order.ts_ns]
        for other in others:
            if any(k.booked.after_ns < order.ts_ns for k in other.known):
                order.arrival_ns = max(order.arrival_ns, other.arrival_ns + 1)
        others.append(order)


def _not_after_it_was_known(order: ComparedOrder, moved: Moved) -> None:
    """Let an order arrive before the market data that its strategy was handed when its fill or end was booked already.

    A live node is told of it by another way than of the market, and hands news on later than it receives it. Where the
    order's own book did not move in between, it meets the same book at the earlier moment.
    """
    known = [k.booked.after_ns for k in (*order.known, *((order.end,) if order.end else ()))]
    first = min(known, default=0)
    if order.ts_ns <= first < order.arrival_ns and not moved(
        order.instrument_id, first, order.arrival_ns
    ):
        order.arrival_ns = first


class _Fold:
    """Rows to orders. `own_clock`, `received`: see `recorded`."""

    ENDS: ClassVar[dict[type[OrderEvent], str]] = {
        kinds.OrderRejected: "REJECTED",
        kinds.OrderDenied: "DENIED",
        kinds.OrderCanceled: "CANCELED",
        kinds.OrderExpired: "EXPIRED",
        OrderAbsent: "ABSENT",
    }

    def __init__(self, own_clock: bool, received: Received | None) -> None:
        self.own_clock, self.received = own_clock, received
        self.out = RunOrders()
        self._by_id: dict[str, ComparedOrder] = {}
        self._decided: dict[str, int] = {}
        self._voided: dict[str, ComparedOrder] = {}
        self._trades: dict[str, Execution] = {}
        self._news: dict[int, Callable[[int, Place], None]] = {}

    def take(self, ts_ns: int, row: Any, seq: int, parents: tuple[int, ...]) -> None:
        """Take one row."""
        if isinstance(row, kinds.NewsHeard):
            self._heard(ts_ns, row, parents)
        elif isinstance(row, kinds.VerdictGiven):
            if row.approved:
                self._decided[row.client_order_id] = ts_ns
            else:
                self.out.refusals[row.code] += 1
        elif isinstance(row, kinds.OrderIntended):
            self._intended(ts_ns, row)
        elif isinstance(row, kinds.OrderFilled):
            self._filled(ts_ns, row, seq)
        elif isinstance(row, kinds.orders.FillVoided):
            self._void(row)
        elif isinstance(row, OrderEvent):
            self._event(ts_ns, row, seq)
        elif isinstance(row, kinds.Halted):
            self.out.halts.append(ts_ns)
        elif isinstance(row, kinds.Settled):
            self.out.settled[row.instrument_id] = (row.payout, row.quantity)
        elif isinstance(row, kinds.PositionsMerged):
            self._merged(ts_ns, row, seq)
        elif isinstance(row, kinds.RunStopping):
            self.out.ending = Ending(row.seen_ns, ts_ns, row.keeps_orders)
        elif isinstance(row, kinds.RunEnded):
            self.out.ended_ns = ts_ns

    def _when(self, order: ComparedOrder, row: Any, ts_ns: int) -> int:
        """Return when the venue took, refused or cancelled an order."""
        if row.venue_ns and self.received is not None:
            first = order.arrival_ns + 1 if order.arrival_ns else order.ts_ns
            return self.received(order.instrument_id, row.venue_ns, first, ts_ns)
        return int(row.venue_ns) if row.venue_ns and self.own_clock else ts_ns

    def _intended(self, ts_ns: int, row: kinds.OrderIntended) -> None:
        order = ComparedOrder(
            row.client_order_id,
            strategy_key(row.strategy_id, 1),
            row.instrument_id,
            row.side.value,
            row.quantity,
            row.price,
            row.tif,
            row.post_only,
            self._decided.get(row.client_order_id, ts_ns),
            expire_ns=row.expire_ns,
        )
        self._by_id[row.client_order_id] = order
        self.out.orders.append(order)

    def _heard(self, ts_ns: int, row: kinds.NewsHeard, parents: tuple[int, ...]) -> None:
        """Take when something was booked and heard: the row that it is about is the parent."""
        for seq in parents:
            if (note := self._news.pop(seq, None)) is not None:
                note(row.booked_after_ns, Place(row.heard_after_ns, ts_ns))

    def _merged(self, ts_ns: int, row: kinds.PositionsMerged, seq: int) -> None:
        self.out.merged = True
        if len(row.instrument_ids) < 2:
            return  # netted against another owner's: the venue does that, in the replay too
        merges, at, owner = self.out.merges, len(self.out.merges), strategy_key(row.strategy_id, 1)
        ids, quantity = row.instrument_ids, row.quantity
        merges.append(Merge(owner, ids, quantity, Place(ts_ns, ts_ns)))

        def note(booked_after_ns: int, heard: Place) -> None:
            merges[at] = Merge(owner, ids, quantity, Place(booked_after_ns, ts_ns))

        self._news[seq] = note

    def _filled(self, ts_ns: int, row: kinds.OrderFilled, seq: int) -> None:
        order = self._by_id.get(row.client_order_id)
        if order is None:
            self.out.foreign += 1
            return
        fill = Execution(ts_ns, row.price, row.quantity, row.fee, row.liquidity)
        order.fills.append(fill)
        self._trades[row.trade_id] = fill
        so_far = order.filled

        def note(booked_after_ns: int, heard: Place) -> None:
            booked = Place(booked_after_ns, ts_ns)
            told = row.price, row.quantity, row.fee, row.liquidity
            order.known.append(Known(booked, heard, so_far, *told))

        self._news[seq] = note
        if order.filled >= order.quantity:
            order.status = "FILLED"

    def _void(self, row: Any) -> None:
        order, fill = self._by_id.get(row.client_order_id), self._trades.get(row.trade_id)
        if order is not None and fill in order.fills:
            order.fills.remove(fill)
            order.status, order.code = "VOIDED", row.reason

    def _event(self, ts_ns: int, row: OrderEvent, seq: int) -> None:
        order = self._by_id.get(row.client_order_id)
        if order is None:
            return
        if isinstance(row, kinds.OrderAccepted):
            order.arrival_ns = order.arrival_ns or self._when(order, row, ts_ns)
            order.heard_ns = 0 if self.own_clock else order.heard_ns or ts_ns
        elif isinstance(row, kinds.OrderRejected):
            order.unsent = row.reason.startswith((HALTED, NOT_ON_DISK))
            if not order.unsent:
                order.arrival_ns = order.arrival_ns or self._when(order, row, ts_ns)
        elif isinstance(row, kinds.OrderDenied):
            order.unsent = True
        elif isinstance(row, kinds.OrderCanceled):
            order.canceled_ns = self._when(order, row, ts_ns)
        elif isinstance(row, OrderUnknown):
            order.unknown = True
        for kind, status in self.ENDS.items():
            if isinstance(row, kind):
                order.status, order.code, order.ended_ns = status, row.reason, ts_ns
                self._news[seq] = partial(self._end_known, order, ts_ns)

    @staticmethod
    def _end_known(order: ComparedOrder, ts_ns: int, booked_after_ns: int, heard: Place) -> None:
        order.end = Known(Place(booked_after_ns, ts_ns), heard)


def replayed(
    result: RunResult, arrivals: Arrivals | None = None, ending: Ending | None = None
) -> RunOrders:
    """Return the orders of a backtest, which arrived as `arrivals` say or after its latency.

    What its strategies asked for after `ending` was not sent, in the recorded run and here.
    """
    out = RunOrders()
    by_id: dict[str, ComparedOrder] = {}
    latency_ns = round(result.header.latency_ms * 1_000_000)
    for row in result.orders:
        if ending is not None and row.ts_ns > ending.stopped_ns:
            continue
        if row.status == "REFUSED" and row.code != LIQUIDITY_TAKEN:
            out.refusals[row.code] += 1
            continue
        order = ComparedOrder(
            row.order_id,
            strategy_key(row.strategy_id, 0),
            row.instrument_id,
            row.side,
            row.quantity,
            row.price,
            row.tif,
            False,
            row.ts_ns,
            row.ts_ns + latency_ns
            if arrivals is None
            else arrivals.arrived_ns(row.order_id, row.ts_ns),
            # What a venue would have answered: nothing is left of what we took before.
            status="CANCELED" if row.code == LIQUIDITY_TAKEN else row.status,
            code=row.code,
            as_heard=arrivals is not None and row.order_id not in arrivals.late,
        )
        by_id[row.order_id] = order
        out.orders.append(order)
    made = {} if arrivals is None else arrivals.made
    for order_id, fills in made.items():
        if order_id in by_id:
            by_id[order_id].fills += [Execution(*fill) for fill in fills]
    for fill in result.fills:
        found = by_id.get(fill.order_id)
        if found is not None and fill.order_id not in made:
            found.fills.append(
                Execution(fill.ts_ns, fill.price, fill.quantity, fill.fee, fill.role)
            )
    out.settled = {s.instrument_id: (s.payout, s.quantity) for s in result.settlements}
    out.orders.sort(key=lambda o: o.ts_ns)
    return out
