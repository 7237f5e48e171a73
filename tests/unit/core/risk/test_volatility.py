"""The volatility governor hears what prices really did: present against usual, exact and on a fixed step."""

from __future__ import annotations

import itertools
import math
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.clock import NS_PER_SECOND
from core.risk.limits import Limits
from core.risk.units import NANO
from core.risk.volatility import SLOW, STEP_NS, WARM, Volatility
from tests.unit.core.risk.world import KNO, KYES, D, Desk, world

TICK = NANO // 100


def looks(prices: list[int], unit: int = NANO) -> list[int | None]:
    meter = Volatility()
    return [meter.look(p, unit, TICK) for p in prices]


def walk(steps: list[int], start: int = NANO // 2) -> list[int]:
    prices = [start]
    for step in steps:
        prices.append(min(99 * TICK, max(TICK, prices[-1] + step)))
    return prices


def test_nothing_is_told_before_enough_was_seen():
    told = looks(walk([TICK, -TICK] * WARM))
    assert told[:WARM] == [None] * WARM
    assert told[WARM] is not None


def test_steady_moves_of_any_size_are_usual():
    for size in (1, 3, 10):
        last = looks(walk([size * TICK, -size * TICK] * SLOW))[-1]
        assert last is not None
        assert abs(last - NANO) < NANO // 100


def test_a_burst_is_seen_and_ends():
    calm, burst = [TICK, -TICK] * 150, [8 * TICK, -8 * TICK] * 10
    told = looks(walk(calm + burst + calm))
    assert max(x or 0 for x in told[len(calm) : len(calm) + 21]) > 2 * NANO
    assert (told[-1] or 0) < 1_500_000_000


def test_one_tick_after_a_long_quiet_is_no_volatility():
    told = looks(walk([0] * 500 + [TICK] + [0] * 5))
    assert max(x or 0 for x in told) <= NANO


def test_the_ratio_is_the_root_of_two_averages_as_floats_would_say():
    rng = random.Random(5)
    steps = [rng.randrange(-6, 7) * TICK for _ in range(600)]
    prices = walk(steps)
    fast = slow = 0.0
    told = looks(prices)
    for n, (a, b) in enumerate(itertools.pairwise(prices), start=1):
        square = ((b - a) / NANO) ** 2
        fast += (square - fast) / min(n, 15)
        slow += (square - slow) / min(n, SLOW)
        if told[n] is not None and slow > 0.01**2 / 15:
            assert told[n] / NANO == pytest.approx(math.sqrt(fast / slow), rel=1e-6)  # type: ignore[operator]


@given(st.lists(st.integers(1, 99), max_size=200))
def test_any_prices_give_a_ratio_that_is_no_negative_number(cents: list[int]):
    assert all(r is None or r >= 0 for r in looks([c * TICK for c in cents]))


def feed(desk: Desk, moves: list[int], now_ns: int, iid: str = KYES, cents: int = 50) -> int:
    for move in moves:
        cents += move
        now_ns += STEP_NS
        bid, ask = D(cents) / 100, D(cents + 1) / 100
        desk.gate.on_price(iid, bid, ask, now_ns)
    return now_ns


def test_a_volatile_market_has_half_its_limits_on_both_sides_until_it_calms():
    desk = Desk(world(Limits(), "1000"))
    now = feed(desk, [1, -1] * 100, 0)
    assert desk.gate.factor(KYES) == desk.gate.factor(KNO) == 1
    now = feed(desk, [9, -9] * 6, now)
    assert desk.gate.factor(KYES) == desk.gate.factor(KNO) == D("0.5")
    assert desk.gate.factor("K2-YES.KALSHI") == 1
    (risen,) = [e for e in desk.gate.drain() if e.machine == "volatility"]
    assert (risen.subject, risen.after) == ("K1", "HIGH")
    feed(desk, [1, -1] * 150, now)
    assert desk.gate.factor(KYES) == 1


def test_a_purchase_is_judged_by_the_halved_limit():
    desk = Desk(world(Limits(), "1000"))
    calm = feed(desk, [1, -1] * 100, 0)
    now = feed(desk, [9, -9] * 6, calm)
    room = desk.gate.room("S1", KYES)
    assert room == desk.gate.room("S1", "K2-YES.KALSHI") / 2
    answer = desk.send(KYES, "BUY", "60", "0.50", now_ns=now)
    assert answer.code == "ORDER_LIMIT"  # type: ignore[union-attr]
    assert desk.send("K2-YES.KALSHI", "BUY", "60", "0.50", now_ns=now).approved


def test_a_book_that_is_wide_one_sided_crossed_or_no_number_tells_nothing():
    gate = world()
    for bid, ask in (
        (None, D("0.5")), (D("0.5"), None), (D("0.1"), D("0.9")), (D("0.6"), D("0.5")),
        (Decimal("NaN"), D("0.5")), (Decimal("sNaN"), Decimal("sNaN")),
    ):  # fmt: skip
        gate.on_price(KYES, bid, ask, NS_PER_SECOND)
    assert gate.volatility._watched == {}
    gate.on_price("nowhere", D("0.5"), D("0.51"), NS_PER_SECOND)


def test_a_settled_market_is_volatile_no_more():
    desk = Desk(world(Limits(), "1000"))
    now = feed(desk, [9, -9] * 6, feed(desk, [1, -1] * 100, 0))
    desk.gate.on_settlement(KYES, D(1), now)
    assert desk.gate.governor.volatile == set()
    assert desk.gate.volatility._watched == {}
