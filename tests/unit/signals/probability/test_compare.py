"""Tests of difference: right size under the null, power under a real gap, whole events resampled."""

import numpy as np
import pytest

from signals.errors import ForecastInputError
from signals.probability import (
    bootstrap_interval,
    conformalize,
    diebold_mariano,
    mean_interval,
    skill_against,
)


def test_diebold_mariano_matches_an_ols_mean_with_hac_errors():
    import statsmodels.api as sm

    random = np.random.default_rng(0)
    d = random.normal(0.1, 1, 300)
    d[1:] += 0.5 * d[:-1]
    ours = diebold_mariano(d, np.zeros(300), lags=4)
    fit = sm.OLS(d, np.ones(300)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": False}
    )
    assert ours.statistic == pytest.approx(fit.tvalues[0] * np.sqrt(299 / 300), rel=1e-9)


def test_diebold_mariano_rejects_rarely_under_the_null():
    random = np.random.default_rng(1)
    hits = sum(
        diebold_mariano(random.normal(0, 1, 200), random.normal(0, 1, 200)).p_value < 0.05
        for _ in range(150)
    )
    assert hits < 19


def test_identical_forecasts_show_no_difference():
    same = diebold_mariano(np.ones(10), np.ones(10))
    assert same.statistic == 0 and same.p_value == 1


@pytest.mark.parametrize(("a", "b"), [([1.0] * 3, [1.0] * 3), ([1.0] * 9, [1.0] * 8)])
def test_too_few_or_uneven_losses_are_refused(a, b):
    with pytest.raises(ForecastInputError):
        diebold_mariano(a, b)


def test_rows_of_one_event_widen_the_interval():
    random = np.random.default_rng(2)
    values = np.repeat(random.normal(0, 1, 40), 25)
    by_row = mean_interval(values, np.arange(1000))
    by_event = mean_interval(values, np.repeat(np.arange(40), 25))
    assert by_event.high - by_event.low > 3 * (by_row.high - by_row.low)


def test_the_fast_mean_interval_equals_the_general_bootstrap():
    random = np.random.default_rng(3)
    values, events = random.normal(0, 1, 300), random.integers(0, 50, 300)
    slow = bootstrap_interval(lambda r: float(values[r].mean()), events, draws=500, seed=4)
    fast = mean_interval(values, events, draws=500, seed=4)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high))


def test_skill_is_claimed_only_when_both_intervals_leave_zero():
    random = np.random.default_rng(4)
    truth = random.uniform(0.05, 0.95, 3000)
    y = (random.uniform(0, 1, 3000) < truth).astype(float)
    events = np.arange(3000)
    base = np.full(3000, 0.5)
    assert skill_against(truth, base, y, events).verdict == "better"
    assert skill_against(base, truth, y, events).verdict == "worse"
    noisy = np.clip(truth + random.normal(0, 0.001, 3000), 0, 1)
    assert skill_against(noisy, truth, y, events).verdict == "no evidence"


def test_conformal_intervals_reach_their_coverage_on_new_rows():
    random = np.random.default_rng(5)
    y, new = random.normal(0, 3, (400, 2)), random.normal(0, 3, (4000, 2))
    band = conformalize(y, np.full((400, 2), -1.0), np.full((400, 2), 1.0), 0.1)
    low, high = band.apply(np.full((4000, 2), -1.0), np.full((4000, 2), 1.0))
    assert 0.87 < np.mean((new >= low) & (new <= high)) < 0.93


def test_conformal_refuses_a_promise_it_cannot_keep():
    with pytest.raises(ForecastInputError):
        conformalize(np.zeros((18, 1)), np.zeros((18, 1)), np.zeros((18, 1)), 0.05)
