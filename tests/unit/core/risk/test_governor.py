"""Governors: the day's loss, the drawdown, losing streaks, stop-outs, volatility, postures, phases."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.risk import Code, Posture, TradingState, load_profile
from core.risk.limits import Limits
from core.risk.phases import FundPhase
from core.risk.states import POSTURE_TRANSITIONS, Trigger
from core.risk.units import attos_down
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import K2YES, KYES, PYES, D, Desk

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
NOON = 20_000 * DAY + 12 * HOUR


def governed(**changes: str) -> Limits:
    """No limits on exposure or rate, the governors of the $100 profile."""
    base = load_profile("research").changed(
        {
            "governors.soft_drawdown": "0.025",
            "governors.drawdown": "0.05",
            "governors.daily_loss": "0.05",
            "breaker.daily_loss": "0.05",
            "governors.consecutive_losses": "3",
        }
    )
    return base.changed({k.replace("__", "."): v for k, v in changes.items()})


@pytest.fixture
def desk(make_desk) -> Desk:
    """Equity 200 on two venues at noon, holding 100 shares at 0.40: 240 altogether."""
    desk = make_desk(limits=governed())
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_time(NOON)
    return desk


def mark(desk: Desk, price: str, now_ns: int) -> None:
    desk.gate.on_mark(KYES, D(price) - D("0.01"), D(price) + D("0.01"))
    desk.gate.on_time(now_ns)


def buy(desk: Desk, now_ns: int, iid: str = K2YES, **more):
    return desk.send(iid, "BUY", "5", "0.40", now_ns=now_ns, **more)


def test_a_daily_loss_leaves_only_sales_until_the_next_day(make_desk):
    # 5 % of 240 is 12: with a wide drawdown limit only the daily loss speaks
    desk = make_desk(limits=governed(governors__drawdown="1", governors__soft_drawdown="1"))
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_time(NOON)
    mark(desk, "0.29", NOON + MINUTE)
    assert buy(desk, NOON + MINUTE).approved, "lost 11"
    mark(desk, "0.28", NOON + 2 * MINUTE)
    refused(buy(desk, NOON + 2 * MINUTE), Code.REDUCE_ONLY)
    assert desk.send(KYES, "SELL", "1", "0.28", now_ns=NOON + 2 * MINUTE).approved
    mark(desk, "0.35", NOON + 3 * MINUTE)
    refused(buy(desk, NOON + 3 * MINUTE), Code.REDUCE_ONLY)
    midnight = NOON + 12 * HOUR
    refused(buy(desk, midnight - 1), Code.REDUCE_ONLY)
    assert buy(desk, midnight).approved, "a new day (UTC) begins"
    assert desk.gate.holds.state is TradingState.RUNNING


def test_the_next_day_is_judged_from_its_own_start(make_desk):
    desk = make_desk(limits=governed(governors__drawdown="1", governors__soft_drawdown="1"))
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_time(NOON)
    mark(desk, "0.30", NOON + MINUTE)
    desk.gate.on_time(NOON + 12 * HOUR)
    mark(desk, "0.20", NOON + 13 * HOUR)
    assert buy(desk, NOON + 13 * HOUR).approved, "10 yesterday and 10 today: neither is 5 %"
    mark(desk, "0.17", NOON + 14 * HOUR)
    refused(buy(desk, NOON + 14 * HOUR), Code.REDUCE_ONLY)


def test_a_drawdown_liquidates_then_halts_until_the_operator_resumes(desk: Desk):
    gate = desk.gate
    mark(desk, "0.50", NOON + HOUR)
    mark(desk, "0.37", NOON + 2 * HOUR)
    assert gate.holds.state is TradingState.LIQUIDATING, "13 from 250 in a day"
    assert gate.governor.posture is Posture.HALT
    refused(buy(desk, NOON + 2 * HOUR), Code.REDUCE_ONLY)
    out = desk.send(KYES, "SELL", "100", "0.37", now_ns=NOON + 2 * HOUR)
    assert out.approved, "liquidation gets out"
    desk.fill(out.intent.client_order_id, "100", "0.37")
    gate.on_time(NOON + 2 * HOUR + 1)
    assert gate.holds.state is TradingState.HALTED
    refused(buy(desk, NOON + 30 * HOUR), Code.HALTED)
    gate.governor.resume(NOON + 40 * HOUR)
    assert gate.holds.state is TradingState.RUNNING
    assert gate.governor.posture is Posture.DEFENSIVE
    assert buy(desk, NOON + 40 * HOUR).approved


def test_a_fall_outside_the_window_is_no_drawdown(make_desk):
    desk = make_desk(limits=governed(governors__daily_loss="1", governors__soft_drawdown="0.05"))
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_time(NOON)
    for day in range(8):
        mark(desk, f"0.{40 - 2 * day:02d}", NOON + day * DAY + 1)
    assert desk.gate.holds.state is TradingState.RUNNING, "14 in a week, 2 a day"
    mark(desk, "0.10", NOON + 8 * DAY)
    assert desk.gate.holds.state is TradingState.LIQUIDATING


def test_deposits_and_withdrawals_are_neither_profit_nor_loss(desk: Desk):
    gate = desk.gate
    gate.on_transfer("KALSHI", D(-80))
    gate.on_time(NOON + MINUTE)
    assert gate.holds.state is TradingState.RUNNING
    gate.on_transfer("KALSHI", D(80))
    gate.on_time(NOON + 2 * MINUTE)
    gate.on_cash("KALSHI", D(88))
    gate.on_time(NOON + 3 * MINUTE)
    assert gate.holds.state is TradingState.LIQUIDATING, "missing money is a loss"


def test_three_losing_round_trips_pause_the_strategy_and_the_pause_ends(desk: Desk):
    gate = desk.gate
    for n in range(3):
        now = NOON + n * MINUTE
        order = desk.send(PYES, "BUY", "5", "0.40", now_ns=now).intent.client_order_id
        desk.fill(order, "5", "0.40", ts_ns=now)
        order = desk.send(PYES, "SELL", "5", "0.39", now_ns=now).intent.client_order_id
        desk.fill(order, "2", "0.39", ts_ns=now)
        desk.fill(order, "3", "0.39", ts_ns=now)
    last = NOON + 2 * MINUTE
    refused(desk.send(PYES, "BUY", "5", "0.40", now_ns=last), Code.COOL_DOWN)
    assert buy(desk, last, strategy_id="S2").approved, "other strategies go on"
    refused(desk.send(PYES, "BUY", "5", "0.40", now_ns=last + HOUR - 1), Code.COOL_DOWN)
    assert desk.send(PYES, "BUY", "5", "0.40", now_ns=last + HOUR).approved
    assert gate.governor.posture is Posture.BALANCED


def test_a_win_ends_the_streak_and_several_fills_are_one_round_trip(desk: Desk):
    def trip(price: str) -> None:
        order = desk.send(PYES, "BUY", "5", "0.40", now_ns=NOON).intent.client_order_id
        desk.fill(order, "5", "0.40")
        order = desk.send(PYES, "SELL", "5", price, now_ns=NOON).intent.client_order_id
        for part in ("1", "1", "3"):
            desk.fill(order, part, price)

    for price in ("0.39", "0.39", "0.41", "0.39", "0.39"):
        trip(price)
    assert not desk.gate.governor.paused_until
    trip("0.39")
    assert "S1" in desk.gate.governor.paused_until


def test_the_losing_leg_of_an_arbitrage_is_not_a_losing_trade(desk: Desk):
    gate = desk.gate
    for n in range(4):
        from tests.unit.core.risk.world import market

        gate.on_market(market("POLYMARKET", f"P{n}0", f"EV{n}"))
        for side in ("YES", "NO"):
            desk.hold(f"P{n}0-{side}.POLYMARKET", "10", "0.45")
        gate.on_settlement(f"P{n}0-NO.POLYMARKET", D(0))
        gate.on_settlement(f"P{n}0-YES.POLYMARKET", D(1))
    assert not gate.governor.streaks
    assert not gate.governor.paused_until


def test_a_stop_out_bars_the_market_for_a_while(desk: Desk):
    order = desk.send(KYES, "SELL", "10", "0.39", now_ns=NOON, reason="stop: 1 cent").intent
    desk.fill(order.client_order_id, "10", "0.39", ts_ns=NOON)
    refused(desk.send(KYES, "BUY", "5", "0.40", now_ns=NOON + 1), Code.COOL_DOWN)
    assert buy(desk, NOON + 1).approved, "other markets are open"
    assert desk.send(KYES, "BUY", "5", "0.40", now_ns=NOON + 30 * MINUTE).approved


def test_volatility_halves_the_limits_and_gives_them_back(make_desk):
    desk = make_desk(limits=load_profile())
    gate = desk.gate
    two = 2_000_000_000
    assert gate.room("S1", KYES) == 4
    gate.governor.volatility("K1", two - 1, 1)
    assert gate.room("S1", KYES) == 4
    gate.governor.volatility("K1", two, 1)
    assert gate.room("S1", KYES) == 2
    assert gate.room("S1", PYES) == 4
    gate.governor.volatility("K1", 1_600_000_000, 1)
    assert gate.room("S1", KYES) == 2, "not in between"
    gate.governor.volatility("K1", 1_500_000_000, 1)
    assert gate.room("S1", KYES) == 4
    gate.governor.volatility("*", two, 1)
    assert gate.room("S1", PYES) == 2
    assert gate.factor(PYES) == D("0.5")


def test_postures_step_down_on_breaches_and_up_again_after_a_calm_day(desk: Desk):
    gate = desk.gate
    mark(desk, "0.33", NOON + HOUR)
    assert gate.governor.posture is Posture.BALANCED, "7 of 240 is past the soft limit"
    assert gate.factor(KYES) == D("0.75")
    mark(desk, "0.335", NOON + 2 * HOUR)
    mark(desk, "0.33", NOON + 3 * HOUR)
    assert gate.governor.posture is Posture.BALANCED, "the same fall counts once"
    mark(desk, "0.39", NOON + 4 * HOUR)
    mark(desk, "0.33", NOON + 5 * HOUR)
    assert gate.governor.posture is Posture.DEFENSIVE
    mark(desk, "0.39", NOON + 6 * HOUR)
    gate.on_time(NOON + 28 * HOUR)
    assert gate.governor.posture is Posture.DEFENSIVE
    gate.on_time(NOON + 30 * HOUR)
    assert gate.governor.posture is Posture.BALANCED
    gate.on_time(NOON + 54 * HOUR)
    assert gate.governor.posture is Posture.AGGRESSIVE


def test_a_third_breach_stops_buying_until_the_operator_resumes(desk: Desk):
    for n in range(3):
        mark(desk, "0.33", NOON + (2 * n + 1) * MINUTE)
        mark(desk, "0.40", NOON + (2 * n + 2) * MINUTE)
    assert desk.gate.governor.posture is Posture.HALT
    refused(buy(desk, NOON + HOUR), Code.REDUCE_ONLY)
    refused(buy(desk, NOON + 100 * HOUR), Code.REDUCE_ONLY)
    desk.gate.governor.resume(NOON + 100 * HOUR)
    assert buy(desk, NOON + 100 * HOUR).approved


def test_the_posture_table_only_goes_down_by_breach_and_leaves_a_halt_by_the_operator_alone():
    order = list(Posture)
    for (before, trigger), after in POSTURE_TRANSITIONS.items():
        down = order.index(after) > order.index(before)
        assert down is (trigger in (Trigger.BREACH, Trigger.KILL))
    leaving = {t for (p, t) in POSTURE_TRANSITIONS if p is Posture.HALT}
    assert leaving == {Trigger.RESUME}


def test_a_clock_that_steps_back_over_midnight_does_not_forgive_the_day(make_desk):
    desk = make_desk(limits=governed(governors__drawdown="1", governors__soft_drawdown="1"))
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_time(NOON)
    mark(desk, "0.20", NOON + MINUTE)
    desk.gate.on_time(NOON - DAY)
    assert desk.gate.holds.state is TradingState.REDUCE_ONLY


# -- marks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bid", "ask", "value"),
    [
        ("0.50", "0.52", "0.51"),
        ("0.45", "0.55", "0.50"),
        ("0.01", "0.99", "0.40"),
        (None, None, "0.40"),
        (None, "0.99", "0.40"),
        (None, "0.02", "0.02"),
        ("0.80", None, "0.80"),
        ("0.05", None, "0.05"),
        ("0.60", "0.99", "0.60"),
        ("0.01", "0.30", "0.30"),
        ("0.60", "0.50", "0.40"),
    ],
)
def test_a_wide_book_only_bounds_the_value(make_desk, bid, ask, value):
    desk = make_desk()
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_mark(KYES, bid and D(bid), ask and D(ask))
    assert desk.gate.equity() == 200 + 100 * D(value)


# -- phases ---------------------------------------------------------------------------------------


def test_the_fund_grows_through_its_phases_and_a_small_loss_does_not_throw_it_back():
    fund = FundPhase(load_profile().phases)

    def at(usd: str) -> str:
        fund.observe(attos_down(Decimal(usd)))
        return fund.phase.name

    assert [at(x) for x in ("50", "99.99", "100", "81", "79.99", "1000", "9999", "10000", "8000")] == [
        "BOOTSTRAP", "BOOTSTRAP", "GROWTH", "GROWTH", "BOOTSTRAP", "SCALE", "SCALE", "MATURE", "MATURE",
    ]  # fmt: skip
    assert at("7999") == "SCALE"
    assert at("1") == "BOOTSTRAP"


def test_a_family_starts_only_in_a_phase_that_allows_it(make_desk):
    desk = make_desk(limits=load_profile(), cash="40")
    desk.gate.on_strategy("SCALPER", "scalping")
    desk.gate.on_strategy("ARB", "arbitrage")
    refused(desk.send(KYES, "BUY", "1", "0.40", strategy_id="SCALPER"), Code.PHASE)
    assert desk.send(KYES, "BUY", "1", "0.40", strategy_id="ARB").approved
    desk.gate.on_transfer("KALSHI", D(1000))
    assert desk.send(KYES, "BUY", "2", "0.40", strategy_id="SCALPER").approved


def test_a_mature_fund_uses_half_its_limits(make_desk):
    desk = make_desk(limits=load_profile().changed({"exposure.order_usd": "1000"}), cash="10000")
    desk.gate.on_time(1)
    assert desk.gate.room("S1", KYES) == 200


@pytest.mark.parametrize(
    ("bid", "ask", "worth"),
    [("0.19", "0.21", "10"), ("0.10", "0.60", "5"), ("0.20", None, "10"), (None, "0.25", "12.5")],
)
def test_what_a_holding_lost_before_this_process_is_not_lost_again(
    make_desk, bid: str | None, ask: str | None, worth: str
):
    desk = make_desk(limits=governed())
    desk.gate.on_position(
        "S", KYES, D(50), D("0.60")
    )  # bought a week ago for 30, a tenth of it left
    desk.gate.on_time(NOON)
    desk.gate.on_mark(KYES, *(None if p is None else D(p) for p in (bid, ask)))
    desk.gate.on_time(NOON + SECOND)
    assert desk.gate.equity() == 200 + D(worth)
    assert desk.gate.holds.state is TradingState.RUNNING
    mark(desk, "0.01", NOON + MINUTE)
    lost = D(worth) - D("0.5")
    assert desk.gate.governor.losses(desk.gate.book.transferred)[0][1] == attos_down(lost)


def test_a_gain_from_before_this_process_is_no_cushion_of_the_day(make_desk):
    desk = make_desk(limits=governed(governors__drawdown="1", governors__soft_drawdown="1"))
    desk.gate.on_position("S", KYES, D(100), D("0.30"))
    desk.gate.on_time(NOON)
    mark(desk, "0.60", NOON + SECOND)
    mark(desk, "0.45", NOON + MINUTE)
    refused(buy(desk, NOON + MINUTE), Code.REDUCE_ONLY)


def test_a_holding_that_is_gone_before_its_first_price_leaves_nothing_behind(make_desk):
    desk = make_desk(limits=governed())
    desk.gate.on_position("S", KYES, D(10), D("0.60"))
    desk.gate.on_settlement(KYES, D(1), NOON)
    assert not desk.gate.book.unseen
