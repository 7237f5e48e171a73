"""The window model agrees with simulation and with its own limits."""

import math
import random

import pytest

from strategies.window_model import (
    RealisedVolatility,
    TrailingMean,
    prob_above,
    prob_between,
    remaining_variance,
)

S = 10**9


def test_at_the_money_is_a_coin_toss():
    assert prob_above(100.0, 100.0, 1e-4, 600, 60) == pytest.approx(0.5, abs=0.002)


def test_the_probability_is_monotone_in_spot_and_ends_at_certainty():
    values = [prob_above(s, 100.0, 1e-4, 300, 60) for s in (99.0, 99.9, 100.0, 100.1, 101.0)]
    assert values == sorted(values)
    assert prob_above(101.0, 100.0, 1e-4, 0.0, 60, known_mean=101.0) == 1.0
    assert prob_above(99.0, 100.0, 1e-4, 0.0, 60, known_mean=99.0) == 0.0


def test_the_variance_is_continuous_where_the_averaging_begins():
    before = remaining_variance(1e-4, 60.0000001, 60)
    inside = remaining_variance(1e-4, 59.9999999, 60)
    assert before == pytest.approx(inside, rel=1e-6)


@pytest.mark.parametrize("seconds", [300, 30])
def test_the_formula_agrees_with_simulated_paths(seconds):
    rng = random.Random(7)
    sigma, w, n = 1e-4, 60, 4000
    strike, spot, known = 100.01, 100.0, 100.0
    hits = 0
    for _ in range(n):
        x, total, count = math.log(spot), 0.0, 0
        for second in range(seconds):
            x += rng.gauss(0.0, sigma)
            if seconds - second <= w:
                total += math.exp(x)
                count += 1
        average = total / count
        if seconds < w:
            done = (w - seconds) / w
            average = done * known + (1 - done) * average
        hits += average >= strike
    model = prob_above(spot, strike, sigma, seconds, w, known if seconds < w else None)
    error = math.sqrt(model * (1 - model) / n)
    assert abs(hits / n - model) < 4 * error + 0.01


def test_realised_volatility_recovers_the_volatility_of_its_input():
    rng = random.Random(3)
    vol, price = RealisedVolatility(half_life_s=3600, step_s=5), 100.0
    for i in range(5000):
        price *= math.exp(rng.gauss(0.0, 2e-4))
        vol.update(price, i * 10**9)
    assert vol.per_sqrt_s == pytest.approx(2e-4, rel=0.15)


def test_a_hole_in_the_data_is_not_a_return():
    vol = RealisedVolatility(step_s=1)
    for i in range(30):
        vol.update(100.0, i * 10**9)
    vol.update(150.0, 10_000 * 10**9)
    assert vol.per_sqrt_s == 0.0


def test_what_is_known_of_the_average_moves_the_expectation():
    above = prob_above(100.1, 100.0, 1e-4, 20.0, 60, known_mean=99.8)
    assert above < 0.01 < 0.99 < prob_above(100.1, 100.0, 1e-4, 20.0, 60)
    told = {"spot": 100.1, "sigma_per_sqrt_s": 1e-4, "seconds_left": 20.0, "known_mean": 99.8}
    assert prob_between(99.8, 100.0, **told) > 0.99


def test_the_mean_weights_each_price_by_the_time_it_was_in_force():
    mean = TrailingMean(60.0)
    for ts, price in ((0, 100.0), (30, 110.0), (31, 100.0), (50, 200.0)):
        mean.update(price, ts * S)
    assert mean.since(20 * S, 60 * S) == pytest.approx((10 * 100 + 110 + 19 * 100 + 10 * 200) / 40)
    assert mean.since(0, 20 * S) is None, "the past is not asked for"
    assert mean.since(60 * S, 60 * S) is None


def test_the_mean_of_many_prices_is_theirs_in_bounded_memory():
    rng, mean, prices = random.Random(5), TrailingMean(60.0), []
    for tick in range(200_000):
        price = 100.0 + rng.random()
        prices.append(price)
        mean.update(price, tick * S // 100)
    assert len(mean._marks) <= 63
    end = len(prices)
    for seconds in (60, 45.5, 0.3):
        ticks = int(seconds * 100)
        have = mean.since((end - ticks) * S // 100, end * S // 100)
        assert have == pytest.approx(sum(prices[-ticks:]) / ticks, abs=0.2 if ticks < 100 else 0.01)


def test_the_mean_of_an_average_that_began_before_the_first_price_or_a_stepped_clock_is_unknown():
    mean = TrailingMean(60.0)
    assert mean.since(0, S) is None
    mean.update(100.0, 10 * S)
    assert mean.since(9 * S, 20 * S) is None
    assert mean.since(10 * S, 20 * S) == 100.0
    mean.update(90.0, 5 * S)
    assert mean.since(4 * S, 8 * S) is None and mean.since(5 * S, 8 * S) == 90.0
