"""The gate's state is a projection: folding a run's rows gives the same book as living through it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from core.domain.errors import LedgerCorrupt, MarketError
from core.domain.fees import Side
from core.ledger.kinds import (
    AccountState,
    FillVoided,
    Halted,
    OrderAbsent,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderIntended,
    OrderModified,
    OrderModifyRejected,
    OrderModifyRequested,
    OrderRejected,
    OrderUnknown,
    PositionsMerged,
    PositionsSplit,
    RandomDraw,
    Resumed,
    Settled,
    Transferred,
    VerdictGiven,
)
from core.ledger.registry import Payload
from core.risk import Gate, MarketView, TradingState, load_profile
from core.risk.projection import rebuild
from tests.unit.core.risk.world import K2YES, KYES, PNO, PYES, D, Desk, market, venues

Rows = list[tuple[int, Payload]]


def fresh() -> Gate:
    gate = Gate(venues(), load_profile("research"), key=b"k" * 32)
    for strategy in ("S1", "S2"):
        gate.on_strategy(strategy)
    for made in (market("KALSHI", "K1", "E1"), market("KALSHI", "K2", "E1")):
        gate.on_market(made)
    gate.on_market(market("POLYMARKET", "P1", "E2", min_size=D(5)))
    return gate


class Recorder(Desk):
    """A desk that writes the rows a node writes."""

    def __init__(self) -> None:
        super().__init__(fresh())
        self.rows: Rows = []

    def row(self, payload: Payload, ts_ns: int = 10) -> None:
        self.rows.append((ts_ns, payload))

    def cash(self, venue: str, amount: str) -> None:
        self.gate.on_cash(venue, D(amount))
        total = D(amount)
        self.row(AccountState(venue=venue, currency="USD", total=total, free=total, locked=D(0)))

    def open(self, iid: str, side: str, quantity: str, price: str | None, **more: object) -> str:
        answer = self.send(iid, side, quantity, price, **more)
        self.row(VerdictGiven.of(answer.verdict()))
        intent = answer.intent
        if answer.approved:
            self.gate.redeem(answer, 10)
            self.row(OrderIntended.of(intent))
        return intent.client_order_id

    def filled(
        self, cid: str, trade: str, quantity: str, price: str, fee: str, provisional: bool = False
    ) -> OrderFilled:
        order = self.gate.book.orders.get(cid) or self.gate.book.finished[cid]
        self.gate.on_fill(cid, trade, D(quantity), D(price), D(fee), 10, provisional=provisional)
        row = OrderFilled(
            client_order_id=cid, venue_order_id="v", trade_id=trade, strategy_id=order.strategy_id,
            venue=order.rules.venue.code, instrument_id=order.rules.instrument_id,
            side=Side.BUY if order.buy else Side.SELL, quantity=D(quantity), price=D(price),
            fee=D(fee), currency="USD", provisional=provisional,
        )  # fmt: skip
        self.row(row)
        return row


def picture(gate: Gate) -> dict[str, object]:
    """Everything of a gate's book that decides later answers."""
    book = gate.book
    plain = {
        name: getattr(book, name)
        for name in vars(book)
        if name not in {"orders", "finished", "trades", "provisional"}
    }
    plain["orders"] = {
        cid: (o.state, o.buy, o.terms, o.filled, o.fee_paid, o.reserved)
        for cid, o in book.orders.items()
    }
    plain["provisional"] = sorted(book.provisional)
    plain["holds"] = {k: h.state for k, h in gate.holds.sources.items()}
    plain["streaks"] = gate.governor.streaks
    return plain


def test_folding_the_rows_of_a_run_rebuilds_the_book():
    run = Recorder()
    gate = run.gate
    run.cash("KALSHI", "100")
    run.cash("POLYMARKET", "100")
    a = run.open(KYES, "BUY", "10", "0.40")
    gate.on_working(a)
    run.row(OrderAccepted(client_order_id=a))
    run.filled(a, "t1", "4", "0.39", "0.06")
    b = run.open(K2YES, "BUY", "10", None, ask=D("0.30"))
    run.filled(b, "t2", "3", "0.31", "0.05")
    gate.on_unknown(b)
    run.row(OrderUnknown(client_order_id=b))
    run.open(KYES, "BUY", "100000", "0.40")  # refused: a verdict without an intent
    c = run.open(PYES, "BUY", "20", "0.45")
    provisional = run.filled(c, "t3", "12", "0.45", "0.01", provisional=True)
    run.filled(c, "t4", "8", "0.45", "0", provisional=True)
    gate.on_fill_voided("t4", 10)
    run.row(FillVoided(client_order_id=c, trade_id="t4", venue="POLYMARKET", reason="failed"))
    gate.on_confirmed("t3")
    run.row(msgspec.structs.replace(provisional, provisional=False))  # the same trade, now final
    e = run.open(KYES, "SELL", "2", "0.50")
    run.filled(e, "t5", "2", "0.50", "0.02")
    f = run.open(KYES, "BUY", "1", "0.20")
    gate.on_done(f)
    run.row(OrderCanceled(client_order_id=f))
    g = run.open(KYES, "BUY", "2", "0.20")
    gate.on_done(g, rejected=True)
    run.row(OrderRejected(client_order_id=g))
    gate.on_split("S1", "P1", D(5))
    run.row(_pair(PositionsSplit, "5", cost=D(5)))
    gate.on_merge("S1", "P1", D(2))
    run.row(_pair(PositionsMerged, "2", proceeds=D(2)))
    gate.on_transfer("KALSHI", D(7))
    run.row(Transferred(venue="KALSHI", currency="USD", amount=D(7)))
    gate.on_settlement(K2YES, D(1))
    run.row(
        Settled(venue="KALSHI", instrument_id=K2YES, payout=D(1), quantity=D(3), currency="USD")
    )
    gate.on_hold("operator", TradingState.REDUCE_ONLY, "x", 10)
    run.row(Halted(level="REDUCE_ONLY", source="operator", reason="x"))
    run.row(RandomDraw(stream="s", seed=1, index=0, value="1"))

    again = rebuild(fresh(), run.rows)
    assert picture(again) == picture(gate)
    for desk in (run, Desk(again)):
        desk.count = 900
        assert desk.send(PYES, "SELL", "5", "0.45").approved
        assert desk.send(KYES, "BUY", "1", "0.45", now_ns=11).code == "REDUCE_ONLY"


def _pair(kind, quantity: str, **money: Decimal) -> Payload:
    return kind(
        venue="POLYMARKET",
        instrument_ids=(PYES, PNO),
        quantity=D(quantity),
        currency="USD",
        strategy_id="S1",
        **money,
    )


def test_a_modification_and_a_proven_absence_are_folded():
    run = Recorder()
    run.cash("KALSHI", "100")
    a = run.open(KYES, "BUY", "10", "0.40")
    run.gate.on_working(a)
    run.row(OrderAccepted(client_order_id=a))
    order = run.gate.book.orders[a]
    intent = run.intent(KYES, "BUY", "10", "0.40", client_order_id=a)
    view = MarketView(10, D("0.45"), D("0.45"))
    change = run.gate.review_change(a, D(12), D("0.45"), intent, view)
    assert change.approved, change
    run.gate.redeem(change, 10)
    run.row(OrderModifyRequested(client_order_id=a, quantity=D(12), price=D("0.45")))
    assert picture(rebuild(fresh(), run.rows)) == picture(run.gate), "the worse terms are reserved"
    run.gate.adopt_change(a, D(12), D("0.45"), 10)
    run.row(OrderModified(client_order_id=a, quantity=D(12), price=D("0.45")))
    assert order.quantity == 12 * 10**9
    b = run.open(KYES, "BUY", "3", "0.40")
    run.gate.on_unknown(b)
    run.row(OrderUnknown(client_order_id=b))
    run.gate.on_done(b)
    run.row(OrderAbsent(client_order_id=b))
    assert picture(rebuild(fresh(), run.rows)) == picture(run.gate)


def test_a_refused_modification_leaves_the_old_terms():
    run = Recorder()
    run.cash("KALSHI", "100")
    a = run.open(KYES, "BUY", "10", "0.40")
    run.gate.on_working(a)
    run.row(OrderAccepted(client_order_id=a))
    before = picture(run.gate)
    run.row(OrderModifyRequested(client_order_id=a, quantity=D(12), price=D("0.45")))
    assert rebuild(fresh(), run.rows).exposure() > run.gate.exposure()
    run.row(OrderModifyRejected(client_order_id=a, reason="too late"))
    assert picture(rebuild(fresh(), run.rows)) == before


def test_what_the_venue_holds_counts_also_where_something_else_was_asked_for():
    rows = Recorder()
    rows.cash("KALSHI", "100")
    a = rows.open(KYES, "BUY", "10", "0.40")
    rows.gate.on_working(a)
    rows.row(OrderAccepted(client_order_id=a))
    rows.row(OrderModifyRequested(client_order_id=a, quantity=D(12), price=D("0.45")))
    rows.row(OrderModified(client_order_id=a, quantity=D(11), price=D("0.44")))
    order = rebuild(fresh(), rows.rows).book.orders[a]
    assert (order.quantity, order.price) == (11 * 10**9, 440_000_000)


def test_a_halt_and_its_end_are_folded():
    rows: Rows = [
        (1, Halted(level="REDUCING", source="ledger", reason="slow")),
        (2, Halted(level="HALTED", source="operator", reason="x")),
    ]
    gate = rebuild(fresh(), rows)
    assert gate.holds.state is TradingState.HALTED
    assert rebuild(fresh(), [*rows, (3, Resumed(source="operator", reason=""))]).holds.sources == {}


def test_rows_that_contradict_the_book_are_refused():
    lost = OrderFilled(
        client_order_id="X", venue_order_id="v", trade_id="t", strategy_id="S1", venue="KALSHI",
        instrument_id="NOWHERE", side=Side.BUY, quantity=D(1), price=D("0.4"), fee=D(0), currency="USD",
    )  # fmt: skip
    with pytest.raises(MarketError):
        rebuild(fresh(), [(1, lost)])
    with pytest.raises(LedgerCorrupt):
        rebuild(fresh(), [(1, PositionsMerged(
            venue="KALSHI", instrument_ids=("NOWHERE",), quantity=D(1), proceeds=D(1), currency="USD",
        ))])  # fmt: skip
