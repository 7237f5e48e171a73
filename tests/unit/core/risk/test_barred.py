"""What a strategy is told before it asks: the gate's own answer, without an order, a row or a reservation."""

from __future__ import annotations

import pytest

from core.domain.market import MarketStatus
from core.risk import Code, load_profile
from core.risk.states import TradingState
from core.risk.units import attos_down
from tests.unit.core.risk.world import K2YES, KYES, PYES, D, Desk

SECOND = 1_000_000_000
NOON = 20_000 * 86_400 * SECOND + 43_200 * SECOND


def test_nothing_bars_a_strategy_that_may_buy(desk: Desk):
    before = desk.gate.free_cash("KALSHI")
    for _ in range(100):
        assert desk.gate.why_barred("S1", KYES, 10) is None
    assert desk.gate.free_cash("KALSHI") == before
    assert not desk.gate.book.orders
    assert not desk.gate.book.known
    assert desk.send(KYES, "BUY", "1", "0.40").approved, "asking is no order: the rate is untouched"


def test_a_cool_down_is_told_with_its_end_and_is_over_then(make_desk):
    desk = make_desk(limits=load_profile("usd100"))
    desk.gate.on_time(NOON)
    for _ in range(3):
        desk.gate.governor.trade_closed("S1", -attos_down(D(1)), NOON)
    told = desk.gate.why_barred("S1", KYES, NOON + SECOND)
    assert told is not None
    assert told.code == Code.COOL_DOWN
    assert told.until_ns == NOON + 3600 * SECOND
    refusal = desk.send(KYES, "BUY", "1", "0.40", now_ns=NOON + SECOND)
    assert refusal.code == told.code, "the gate would have said the same"
    assert desk.gate.why_barred("S1", KYES, told.until_ns) is None


def test_a_stop_out_bars_its_market_alone(desk: Desk):
    desk.gate.on_time(NOON)
    desk.gate.governor.stopped_out("S1", "K1", NOON)
    told = desk.gate.why_barred("S1", KYES, NOON)
    assert told is not None
    assert (told.code, told.until_ns) == (Code.COOL_DOWN, NOON + 1800 * SECOND)
    assert desk.gate.why_barred("S1", K2YES, NOON) is None


def test_the_breaker_is_told_with_its_end(make_desk):
    desk = make_desk(limits=load_profile("usd100"))
    desk.gate.on_strategy("A1", family="arbitrage")
    for n in range(3):
        desk.gate.breaker.error(f"O{n}", "rejected", NOON)
    told = desk.gate.why_barred("A1", PYES, NOON)
    assert told is not None
    assert (told.code, told.until_ns) == (Code.BREAKER_OPEN, NOON + 300 * SECOND)
    assert desk.gate.why_barred("A1", PYES, NOON + 300 * SECOND) is None, "it probes"


@pytest.mark.parametrize(
    ("bar", "code"),
    [
        (lambda g: g.holds.put("operator", TradingState.HALTED, "test", 10), Code.HALTED),
        (lambda g: g.holds.put("operator", TradingState.REDUCE_ONLY, "test", 10), Code.REDUCE_ONLY),
        (lambda g: g.on_status("K1", MarketStatus.PAUSED), Code.MARKET_CLOSED),
    ],
)
def test_halts_and_closed_markets_bar_without_a_known_end(desk: Desk, bar, code):
    bar(desk.gate)
    told = desk.gate.why_barred("S1", KYES, 10)
    assert told is not None
    assert (told.code, told.until_ns) == (code, 0)
    assert desk.send(KYES, "BUY", "1", "0.40").code == code


def test_an_unknown_name_is_barred(desk: Desk):
    unknown = desk.gate.why_barred("S1", "nothing", 10)
    assert unknown is not None
    assert unknown.code == Code.UNKNOWN_INSTRUMENT
    stranger = desk.gate.why_barred("nobody", KYES, 10)
    assert stranger is not None
    assert stranger.code == Code.UNKNOWN_STRATEGY
