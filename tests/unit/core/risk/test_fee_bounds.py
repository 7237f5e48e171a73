"""Fees are bounded for both sides, and for rules that change while an order rests."""

from __future__ import annotations

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.rules import CENTICENT_FROM_NS
from adapters.polymarket.fees import PolymarketFeeBook
from core.domain.clock import NS_PER_DAY, ns_from_iso
from core.domain.decision import TimeInForce
from core.domain.fees import FeeFill, FeeSchedule, Role, Side
from core.domain.grid import TickGrid
from core.domain.market import Market
from core.risk import Gate, VenueRules, load_profile
from core.risk.states import TradingState
from tests.unit.core.risk.world import D, Desk, QuadraticFees, market

IID = "P1-YES.POLYMARKET"
CRYPTO = FeeSchedule("POLYMARKET", category="crypto")
#: On this day every crypto market began to pay fees; on the next the curve became another one.
FEES_BEGIN, CURVE_CHANGES = ns_from_iso("2026-03-06"), ns_from_iso("2026-03-30")
KALSHI_MAKER = FeeSchedule("KALSHI", kind="quadratic_with_maker_fees")
VENUES = {
    "kalshi": (KalshiFeeBook, KALSHI_MAKER, ns_from_iso("2026-08-01")),
    "kalshi before subpennies": (KalshiFeeBook, KALSHI_MAKER, ns_from_iso("2026-01-01")),
    "polymarket": (PolymarketFeeBook, CRYPTO, ns_from_iso("2026-08-01")),
    "polymarket squared": (PolymarketFeeBook, CRYPTO, ns_from_iso("2026-03-10")),
}
pieces = st.lists(
    st.tuples(st.integers(1, 3_000), st.integers(0, 10_000), st.sampled_from(list(Role))),
    min_size=1,
    max_size=12,
)


def listed(fees: FeeSchedule) -> Market:
    return market("POLYMARKET", "P1", "E2", fees=fees, grid=TickGrid.uniform(D("0.01")))


def desk_at(schedule: FeeSchedule = CRYPTO, fees: object = None) -> Desk:
    rules = VenueRules("POLYMARKET", fees or PolymarketFeeBook())  # type: ignore[arg-type]
    gate = Gate([rules], load_profile("research"), key=b"k" * 32)
    gate.on_strategy("S1")
    gate.on_market(listed(schedule))
    gate.on_cash("POLYMARKET", D(1_000))
    return Desk(gate)


def send(desk: Desk, now_ns: int, side: str = "BUY", price: str = "0.50", **more: object) -> str:
    answer = desk.send(IID, side, "100", price, now_ns=now_ns, ts_ns=now_ns, **more)
    assert answer.approved, answer
    desk.gate.redeem(answer, now_ns)
    desk.gate.on_working(answer.intent.client_order_id, now_ns)
    return str(answer.intent.client_order_id)


def fee_at(ts_ns: int, schedule: FeeSchedule = CRYPTO) -> Decimal:
    one = FeeFill("o", Side.BUY, Role.TAKER, D("0.5"), D(100), ts_ns)
    return PolymarketFeeBook().charge(schedule, one).fee


def anomalies(desk: Desk) -> list[str]:
    return [e.subject for e in desk.gate.drain() if e.machine == "anomaly"]


@pytest.mark.parametrize("venue", VENUES)
@given(limit=st.integers(1, 99), parts=pieces)
def test_a_sale_never_needs_more_cash_than_is_reserved_for_it(venue, limit, parts):
    book_type, schedule, ts_ns = VENUES[venue]
    at, book = D(limit) / 100, book_type()
    fees = proceeds = size = D(0)
    for lots, spot, role in parts:
        price = min(D("0.9999"), at + (1 - at) * spot / 10_000)
        quantity = D(lots) / 100
        fees += book.charge(schedule, FeeFill("o", Side.SELL, role, price, quantity, ts_ns)).fee
        proceeds += price * quantity
        size += quantity
    reserved = max(D(0), book.worst_case(schedule, at, size, ts_ns) - at * size)
    assert fees - proceeds <= reserved
    assert fees <= book.worst_case(schedule, at, size, ts_ns, Side.SELL)


def test_an_order_that_rests_reserves_the_worst_rule_that_begins_in_its_life():
    for tif, expire, later in (
        (TimeInForce.GTC, 0, True),
        (TimeInForce.GTD, FEES_BEGIN + 1, True),
        (TimeInForce.GTD, FEES_BEGIN - 1, False),
        (TimeInForce.IOC, 0, False),
    ):
        desk = desk_at()
        cid = send(desk, FEES_BEGIN - NS_PER_DAY, tif=tif, expire_ns=expire)
        bound = D(desk.gate.book.orders[cid].fee_bound) / 10**18
        assert (bound >= fee_at(FEES_BEGIN)) is later
        assert later or bound == 0


HOUR = 3_600 * 10**9
moments = st.sampled_from([FEES_BEGIN, CURVE_CHANGES]).flatmap(
    lambda start: st.integers(start - HOUR, start + HOUR)
)


@given(
    st.lists(
        st.tuples(
            moments,
            st.sampled_from([0, HOUR, 40 * NS_PER_DAY]) | st.integers(0, HOUR),
            st.just(50),
            st.sampled_from(list(Side)),
        ),
        max_size=12,
    )
)
def test_a_remembered_bound_is_the_one_worked_out_anew(asked):
    gate, fresh = desk_at().gate, desk_at().gate
    for now, life, cents, side in asked:
        terms = (cents * 10**7, cents * 10**9, now, now + life if life else 0, side)
        fresh._fee_bounds.clear()
        assert gate.fee_bound(gate.rules[IID], *terms) == fresh.fee_bound(fresh.rules[IID], *terms)


def test_a_fill_after_the_rule_has_changed_is_no_anomaly():
    desk = desk_at()
    cid = send(desk, FEES_BEGIN - NS_PER_DAY)
    assert desk.fill(cid, "100", "0.50", str(fee_at(CURVE_CHANGES)), ts_ns=CURVE_CHANGES)
    assert anomalies(desk) == []
    assert desk.gate.holds.state is TradingState.RUNNING


def test_a_market_whose_fees_rise_reserves_more_for_what_already_rests():
    desk = desk_at()
    now = CURVE_CHANGES + NS_PER_DAY
    cid = send(desk, now)
    order = desk.gate.book.orders[cid]
    before, free = order.fee_bound, desk.gate.free_cash("POLYMARKET")
    dearer = FeeSchedule("POLYMARKET", kind="curve", rate=D("0.20"))
    desk.gate.on_market(listed(dearer))
    assert order.fee_bound > before
    assert desk.gate.free_cash("POLYMARKET") < free
    assert desk.fill(cid, "100", "0.50", str(fee_at(now, dearer)), ts_ns=now)
    assert anomalies(desk) == []


def test_a_change_under_way_keeps_the_dearer_fees_whatever_the_venue_answers():
    for accepted in (True, False):
        desk = desk_at()
        now = CURVE_CHANGES + NS_PER_DAY
        cid = send(desk, now)
        order = desk.gate.book.orders[cid]
        intent = order.approval.intent if order.approval else desk.intent(IID, "BUY", "100", "0.50")
        base = replace(intent, client_order_id=cid, tif=TimeInForce.GTC)
        answer = desk.gate.review_change(cid, D(120), D("0.50"), base, view_at(now))
        assert answer.approved
        dearer = FeeSchedule("POLYMARKET", kind="curve", rate=D("0.20"))
        desk.gate.on_market(listed(dearer))
        if accepted:
            desk.gate.adopt_change(cid, D(120), D("0.50"), now)
        else:
            desk.gate.on_modify_rejected(cid, now)
        assert D(order.fee_bound) / 10**18 >= fee_at(now, dearer)


def view_at(now_ns: int):
    from core.risk import MarketView

    return MarketView(now_ns, D("0.50"), D("0.50"))


class Surprising(QuadraticFees):
    """A venue whose rule changes at a time that nobody announced."""

    def worst_case(self, schedule, price, quantity, ts_ns, side=Side.BUY):
        rate = 1 if ts_ns < CURVE_CHANGES else 3
        return rate * super().worst_case(schedule, price, quantity, ts_ns, side)


def test_a_rule_that_nobody_announced_is_told_but_does_not_stop_trading():
    desk = desk_at(fees=Surprising())
    cid = send(desk, FEES_BEGIN)
    assert desk.fill(cid, "100", "0.50", "5.25", ts_ns=CURVE_CHANGES)
    assert anomalies(desk) == ["FEE_RULE_CHANGED"]
    assert desk.gate.holds.state is TradingState.RUNNING


@pytest.mark.parametrize(("side", "fee"), [("BUY", "1.81"), ("SELL", "1.81")])
def test_a_fee_above_what_any_rule_allows_stops_buying(side: str, fee: str):
    desk = desk_at()
    now = ns_from_iso("2026-08-01")
    desk.gate.on_position("S1", IID, D(100), D("0.50"))
    cid = send(desk, now, side)
    assert desk.fill(cid, "100", "0.50", fee, ts_ns=now)
    assert anomalies(desk) == ["FEE_ABOVE_BOUND"]
    assert desk.gate.holds.state is TradingState.REDUCE_ONLY


def test_a_sale_below_one_half_may_be_charged_what_a_better_price_costs():
    desk = desk_at()
    now = ns_from_iso("2026-08-01")
    desk.gate.on_position("S1", IID, D(100), D("0.50"))
    cid = send(desk, now, "SELL", "0.10")
    assert desk.fill(cid, "100", "0.50", str(fee_at(now)), ts_ns=now)
    assert anomalies(desk) == []


def test_the_venues_name_when_their_rules_begin():
    assert CENTICENT_FROM_NS in KalshiFeeBook().rule_starts_ns
    assert CURVE_CHANGES in PolymarketFeeBook().rule_starts_ns
    for book in (KalshiFeeBook(), PolymarketFeeBook()):
        assert list(book.rule_starts_ns) == sorted(book.rule_starts_ns)


def test_what_an_author_sizes_by_counts_the_rules_that_begin_while_an_order_rests() -> None:
    gate, before = desk_at().gate, FEES_BEGIN - NS_PER_DAY
    now = gate.worst_cost(IID, D("0.5"), D(100), before)
    rests = gate.worst_cost(IID, D("0.5"), D(100), before, resting=True)
    starts = [t for t in PolymarketFeeBook().rule_starts_ns if t > before]
    assert now == D(50)
    assert rests == D(50) + max(
        PolymarketFeeBook().worst_case(CRYPTO, D("0.5"), D(100), t) for t in (before, *starts)
    )
    assert rests >= D(50) + fee_at(FEES_BEGIN)
