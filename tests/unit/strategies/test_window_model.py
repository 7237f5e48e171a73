"""The window model agrees with simulation and with its own limits."""

import math
import random

import pytest

from strategies.window_model import RealisedVolatility, prob_above, remaining_variance


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
