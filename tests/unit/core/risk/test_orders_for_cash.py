"""Orders that spend dollars: more shares at a better price are no anomaly, more dollars are."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.polymarket.fees import PolymarketFeeBook
from core.domain.clock import ns_from_iso
from core.domain.decision import TimeInForce
from core.domain.fees import FeeFill, FeeSchedule, Role, Side
from core.domain.market import MarketStatus
from core.risk import Gate, VenueRules
from core.risk.states import TradingState
from tests.unit.core.risk.world import D, Desk, market, venues

PYES = "P1-YES.POLYMARKET"
CURVE = FeeSchedule("POLYMARKET", rate=D("0.05"), exponent=D(1), kind="curve")
NOW = 1_790_000_000_000_000_000


@pytest.fixture
def desk():
    fees = PolymarketFeeBook()
    gate = Gate([venues()[0], VenueRules("POLYMARKET", fees, cash_fees=fees)])
    gate.on_market(market("POLYMARKET", "P1", "E2", fees=CURVE, status=MarketStatus.ACTIVE))
    gate.on_cash("POLYMARKET", D(1000))
    gate.on_strategy("S1")
    return Desk(gate)


def bought(desk, tif=TimeInForce.IOC):
    from core.risk import MarketView

    intent = desk.intent(PYES, "BUY", "8", "0.43", tif=tif, ts_ns=NOW)
    approved = desk.gate.review(intent, MarketView(NOW, D("0.41"), D("0.42")))
    desk.gate.redeem(approved, NOW)
    return intent.client_order_id


def anomalies(gate):
    return [e.subject for e in gate._events if e.machine == "anomaly"]


def test_more_shares_for_the_same_dollars_keep_trading_running(desk):
    cid = bought(desk)
    assert desk.gate.on_fill(cid, "t1", D("8.07"), D("0.42"), D("0.09830"))
    assert cid in desk.gate.book.orders, "dollars are left, so it is still reserved"
    assert desk.gate.on_fill(cid, "t2", D("0.11"), D("0.42"), D("0.00134"))
    desk.gate.on_done(cid)
    assert anomalies(desk.gate) == []
    assert desk.gate.holds.state is TradingState.RUNNING
    assert desk.gate.position("S1", PYES) == D("8.18")
    assert desk.gate.free_cash("POLYMARKET") == desk.gate.cash("POLYMARKET")
    assert not desk.gate.book.orders


def test_more_dollars_than_approved_are_an_overfill(desk):
    cid = bought(desk)
    desk.gate.on_fill(cid, "t1", D("8.30"), D("0.42"), D(0))
    assert "OVERFILL" in anomalies(desk.gate)
    assert desk.gate.holds.state is TradingState.REDUCE_ONLY


def test_a_resting_order_is_still_counted_in_shares(desk):
    cid = bought(desk, TimeInForce.GTC)
    desk.gate.on_fill(cid, "t1", D("8.07"), D("0.42"), D(0))
    assert "OVERFILL" in anomalies(desk.gate)


@given(
    limit=st.integers(1, 99),
    better=st.integers(0, 98),
    lots=st.integers(100, 100_000),
    exponent=st.sampled_from(["0.5", "1", "1.5", "2"]),
)
def test_the_fee_of_spent_dollars_is_bounded_at_every_better_price(limit, better, lots, exponent):
    fees = PolymarketFeeBook()
    schedule = FeeSchedule("POLYMARKET", rate=D("0.07"), exponent=D(exponent), kind="curve")
    price, at = Decimal(limit) / 100, Decimal(max(1, limit - better)) / 100
    asked = Decimal(lots) / 100
    got = asked * price / at
    paid = fees.charge(schedule, FeeFill("o", Side.BUY, Role.TAKER, at, got, NOW)).fee
    assert paid <= fees.worst_case_of_cash(schedule, price, asked, NOW)


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC])
@pytest.mark.parametrize("fees_begin_later", [False, True])
def test_what_an_author_sizes_by_is_what_the_gate_reserves(desk, tif, fees_begin_later):
    from core.risk import MarketView

    now = ns_from_iso("2026-03-05") if fees_begin_later else NOW
    resting = tif is TimeInForce.GTC
    intent = desk.intent(PYES, "BUY", "8", "0.43", tif=tif, ts_ns=now)
    approved = desk.gate.review(intent, MarketView(now, D("0.41"), D("0.42")))
    values = {c.name: c.value for c in approved.checks}
    assert desk.gate.worst_cost(PYES, D("0.43"), D(8), now, resting=resting) == D(values["order"])


def test_after_a_change_of_fees_an_order_for_dollars_is_reserved_by_its_dollars(desk):
    from core.risk import MarketView

    # At 0.9 a dollar pays little per share asked for, and up to ten times as much where it buys more.
    intent = desk.intent(PYES, "BUY", "10", "0.90", tif=TimeInForce.IOC, ts_ns=NOW)
    approved = desk.gate.review(intent, MarketView(NOW, D("0.88"), D("0.89")))
    desk.gate.redeem(approved, NOW)
    dearer = FeeSchedule("POLYMARKET", rate=D("0.07"), exponent=D(1), kind="curve")
    desk.gate.on_market(market("POLYMARKET", "P1", "E2", fees=dearer, status=MarketStatus.ACTIVE))
    fees = PolymarketFeeBook()
    worst = fees.worst_case_of_cash(dearer, D("0.90"), D(10), NOW)
    assert worst > fees.worst_case(dearer, D("0.90"), D(10), NOW), (
        "shares alone would be too little"
    )
    spent = desk.gate.cash("POLYMARKET") - desk.gate.free_cash("POLYMARKET")
    assert spent == D("9.00") + worst
