"""The arbitrage breaker: its errors count, its cool-down ends, its day begins anew, markets are barred."""

from __future__ import annotations

import pytest

from core.domain.fees import Side
from core.risk import Code, load_profile
from core.risk.breaker import BreakerState, CircuitBreaker
from core.risk.units import attos_down
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import K2YES, KYES, PYES, D, Desk

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
NOON = 20_000 * DAY + DAY // 2
EQUITY = attos_down(D(100))


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(load_profile(), [])


def trip(breaker: CircuitBreaker, now_ns: int = NOON) -> None:
    for n in range(3):
        breaker.error(f"O-{n}", "rejected", now_ns)


def test_three_errors_in_a_row_open_it_and_the_cool_down_ends(breaker: CircuitBreaker):
    breaker.error("O-1", "rejected", NOON)
    breaker.error("O-2", "timeout", NOON)
    assert breaker.state is BreakerState.CLOSED
    breaker.error("O-3", "rejected", NOON)
    assert breaker.state is BreakerState.OPEN
    assert "open until" in breaker.refuses("M", NOON + 300 * SECOND - 1)
    assert breaker.refuses("M", NOON + 300 * SECOND) == ""
    assert breaker.state is BreakerState.PROBING


def test_a_success_starts_the_count_again(breaker: CircuitBreaker):
    for _ in range(5):
        breaker.error("O", "rejected", NOON)
        breaker.error("O", "rejected", NOON)
        breaker.success("O", NOON)
    assert breaker.state is BreakerState.CLOSED


def test_one_probe_at_a_time_and_its_result_decides(breaker: CircuitBreaker):
    trip(breaker)
    later = NOON + 301 * SECOND
    assert breaker.refuses("M", later) == ""
    breaker.approved("P-1")
    assert "probing" in breaker.refuses("M", later)
    breaker.error("P-1", "rejected", later)
    assert breaker.state is BreakerState.OPEN, "one failed probe is enough"
    later += 301 * SECOND
    assert breaker.refuses("M", later) == ""
    breaker.approved("P-2")
    breaker.success("P-2", later)
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_tells_nothing_makes_way_for_another(breaker: CircuitBreaker):
    trip(breaker)
    later = NOON + 301 * SECOND
    breaker.refuses("M", later)
    breaker.approved("P-1")
    breaker.neither("P-1")
    assert breaker.refuses("M", later) == ""


def test_a_daily_loss_opens_it_until_midnight_and_the_next_day_starts_at_zero(
    breaker: CircuitBreaker,
):
    breaker.result(attos_down(D("-2.9")), EQUITY, NOON)
    assert breaker.refuses("M", NOON) == ""
    breaker.result(attos_down(D("-0.1")), EQUITY, NOON)
    midnight = NOON + DAY // 2
    assert breaker.refuses("M", midnight - 1)
    assert breaker.refuses("M", midnight) == ""
    breaker.approved("P")
    breaker.success("P", midnight)
    breaker.result(attos_down(D("-2.9")), EQUITY, midnight)
    assert breaker.refuses("M", midnight) == "", "a day's loss is not a lifetime's loss"


def test_profit_pays_for_loss_within_the_day(breaker: CircuitBreaker):
    breaker.result(attos_down(D(5)), EQUITY, NOON)
    breaker.result(attos_down(D(-7)), EQUITY, NOON)
    assert breaker.state is BreakerState.CLOSED


def test_unequal_legs_bar_their_market_for_a_while(breaker: CircuitBreaker):
    breaker.mismatch("M", NOON)
    breaker.mismatch("M", NOON)
    breaker.matched("M")
    breaker.mismatch("M", NOON)
    breaker.mismatch("M", NOON)
    assert breaker.refuses("M", NOON) == ""
    breaker.mismatch("M", NOON)
    assert "barred" in breaker.refuses("M", NOON + 300 * SECOND - 1)
    assert breaker.refuses("OTHER", NOON) == ""
    assert breaker.refuses("M", NOON + 300 * SECOND) == ""


def test_the_operator_can_close_it(breaker: CircuitBreaker):
    trip(breaker)
    breaker.mismatch("M", NOON)
    breaker.reset(NOON + 1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.refuses("M", NOON + 1) == ""


# -- inside the gate ------------------------------------------------------------------------------


@pytest.fixture
def desk(make_desk) -> Desk:
    desk = make_desk(
        limits=load_profile("research").changed(
            {"breaker.errors": "2", "breaker.market": "0.1", "breaker.total": "0.2"}
        )
    )
    for name in ("ARB", "ARB2"):
        desk.gate.on_strategy(name, "arbitrage")
    return desk


def send(desk: Desk, iid: str = KYES, quantity: str = "1", now_ns: int = NOON, **more):
    more = {"strategy_id": "ARB"} | more
    return desk.send(iid, "BUY", quantity, "0.40", now_ns=now_ns, **more)


def test_rejections_and_unknown_fates_of_arbitrage_orders_open_the_breaker(desk: Desk):
    gate = desk.gate
    first = send(desk)
    gate.redeem(first, NOON)
    gate.on_done(first.intent.client_order_id, NOON, rejected=True)
    second = send(desk, quantity="2")
    gate.redeem(second, NOON)
    gate.on_unknown(second.intent.client_order_id, NOON)
    refused(send(desk, quantity="3"), Code.BREAKER_OPEN)
    assert send(desk, strategy_id="S1").approved, "only the family is stopped"
    gate.on_done(second.intent.client_order_id, NOON)
    assert send(desk, quantity="3", now_ns=NOON + 300 * SECOND).approved


def test_other_strategies_errors_are_not_the_breakers(desk: Desk):
    for n in range(4):
        order = send(desk, strategy_id="S1", quantity=f"{n + 1}")
        desk.gate.redeem(order, NOON)
        desk.gate.on_done(order.intent.client_order_id, NOON, rejected=True)
    assert send(desk).approved


def test_the_first_order_in_a_market_counts_against_the_markets_limit_too(desk: Desk):
    refused(send(desk, quantity="60"), Code.BREAKER_LIMIT)  # 24 dollars of 20
    assert send(desk, quantity="40").approved


def test_the_total_is_that_of_the_family(desk: Desk):
    assert send(desk, KYES, "45").approved
    assert send(desk, PYES, "45", strategy_id="ARB2").approved
    refused(send(desk, K2YES, "20"), Code.BREAKER_LIMIT)
    assert send(desk, K2YES, "20", strategy_id="S1").approved


def test_losses_from_unwinding_reach_the_breaker(make_desk):
    desk = make_desk(limits=load_profile("research").changed({"breaker.daily_loss": "0.01"}))
    desk.gate.on_strategy("ARB", "arbitrage")
    desk.hold(PYES, "20", "0.50", strategy="ARB")
    out = desk.send(PYES, "SELL", "20", "0.38", now_ns=NOON, strategy_id="ARB").intent
    desk.fill(out.client_order_id, "20", "0.38", ts_ns=NOON)
    refused(send(desk), Code.BREAKER_OPEN)


def legs(desk: Desk, missing: tuple[str, ...] = (), now_ns: int = NOON, **more) -> None:
    strategy = more.pop("strategy_id", "ARB")
    desk.gate.on_legs(strategy, ("K1", "K2"), missing, now_ns, **more)


def test_failed_attempts_count_although_each_order_was_taken(desk: Desk):
    for n in range(2):
        order = send(desk, quantity=f"{n + 1}")
        desk.gate.redeem(order, NOON)
        desk.gate.on_working(order.intent.client_order_id, NOON)  # a success of the order
        legs(desk, ("K2",))
    refused(send(desk, quantity="9"), Code.BREAKER_OPEN)
    assert send(desk, quantity="9", now_ns=NOON + 300 * SECOND).approved


def test_a_whole_attempt_ends_the_row(desk: Desk):
    legs(desk, ("K2",))
    legs(desk)
    legs(desk, ("K2",))
    assert send(desk).approved


def test_waiting_pairs_bar_their_market_but_do_not_open_the_breaker(make_desk):
    desk = make_desk(limits=load_profile("research").changed({"breaker.mismatches": "2"}))
    desk.gate.on_strategy("ARB", "arbitrage")
    for _ in range(2):
        legs(desk, ("K1",), attempt=False)
    refused(send(desk), Code.BREAKER_OPEN)
    assert send(desk, K2YES).approved
    assert send(desk, now_ns=NOON + 300 * SECOND).approved


def test_equal_legs_start_the_markets_count_again(make_desk):
    desk = make_desk(limits=load_profile("research").changed({"breaker.mismatches": "2"}))
    desk.gate.on_strategy("ARB", "arbitrage")
    for missing in (("K1",), (), ("K1",)):
        legs(desk, missing, attempt=False)
    assert send(desk).approved


def test_legs_of_other_families_are_not_the_breakers(desk: Desk):
    for _ in range(9):
        legs(desk, ("K1",), strategy_id="S1")
    assert send(desk).approved


def test_shares_that_came_or_went_without_us_are_mismatches_where_arbitrage_holds(make_desk):
    desk = make_desk(limits=load_profile("research").changed({"breaker.mismatches": "2"}))
    desk.gate.on_strategy("ARB", "arbitrage")
    desk.hold(KYES, "5", strategy="ARB")
    fill = ("X", D(1), D("0.40"), D(0), NOON)
    desk.gate.on_fill("not-ours", *fill, instrument_id=KYES, side=Side.BUY)
    assert desk.gate.breaker.mismatches == {"K1": 1}
    desk.gate.on_fill_voided("X", NOON)
    assert desk.gate.breaker.refuses("K1", NOON)
    assert not desk.gate.breaker.refuses("P1", NOON)
    desk.gate.on_fill("other", "Y", *fill[1:], instrument_id=PYES, side=Side.BUY)
    assert desk.gate.breaker.mismatches == {}, "nobody arbitrages there"


def test_the_first_cool_down_after_an_operators_resume_ends_in_its_own_time(
    breaker: CircuitBreaker,
):
    breaker.result(-attos_down(D(4)), EQUITY, NOON)
    assert "open until" in breaker.refuses("M", NOON + 3_600 * SECOND), "until the next day"
    breaker.reset(NOON + 1)
    trip(breaker, NOON + SECOND)
    assert breaker.refuses("M", NOON + 302 * SECOND) == ""
    assert breaker.state is BreakerState.PROBING
