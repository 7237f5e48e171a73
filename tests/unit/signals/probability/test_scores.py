"""Scores agree with scikit-learn and scoringrules, and refuse what means nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.errors import ForecastInputError
from signals.probability import scores
from signals.probability.distribution import (
    coverage,
    crps_quantiles,
    mase,
    msis,
    owa,
    pinball_loss,
    seasonal_scale,
    smape,
)

rows = st.lists(
    st.tuples(st.floats(0, 1).map(lambda v: round(v, 3)), st.booleans()), min_size=1, max_size=60
)


@given(rows, st.integers(1, 20))
def test_the_murphy_parts_add_up_to_the_brier_score(sample, bins):
    p, y = (np.array(v, dtype=float) for v in zip(*sample, strict=True))
    parts = scores.murphy(p, y, bins)
    assert parts.brier == pytest.approx(scores.brier_score(p, y), abs=1e-12)
    assert parts.reliability >= 0 and parts.resolution >= -1e-15


@given(rows, st.integers(1, 20))
def test_bins_hold_every_row_once_and_never_tear_equal_forecasts(sample, bins):
    p = np.array([v for v, _ in sample])
    groups = scores.equal_mass_bins(p, bins)
    assert sorted(np.concatenate(groups).tolist()) == list(range(p.size))
    for a, b in itertools.pairwise(groups):
        assert p[a].max() < p[b].min()


def test_brier_and_log_loss_agree_with_scikit_learn():
    from sklearn.metrics import brier_score_loss
    from sklearn.metrics import log_loss as sk_log_loss

    random = np.random.default_rng(1)
    p, y = random.uniform(0.01, 0.99, 500), random.integers(0, 2, 500)
    assert scores.brier_score(p, y) == pytest.approx(brier_score_loss(y, p))
    assert scores.log_loss(p, y) == pytest.approx(sk_log_loss(y, p))


def test_a_certain_wrong_forecast_costs_the_clip_and_not_infinity():
    assert scores.log_loss([1.0], [0]) == pytest.approx(-np.log(1e-4))


@pytest.mark.parametrize(
    ("p", "y"),
    [([], []), ([0.5], [0, 1]), ([np.nan], [1]), ([1.2], [1]), ([0.5], [0.5]), ([[0.5]], [[1]])],
)
def test_meaningless_input_is_refused(p, y):
    with pytest.raises(ForecastInputError):
        scores.brier_score(p, y)


def test_a_perfect_forecaster_still_shows_calibration_error_from_chance():
    random = np.random.default_rng(7)
    p = random.uniform(0, 1, 2000)
    y = random.uniform(0, 1, 2000) < p
    assert 0.01 < scores.expected_calibration_error(p, y) < 0.06


def test_crps_from_quantiles_tends_to_the_gaussian_closed_form():
    import scoringrules
    from scipy.stats import norm

    random = np.random.default_rng(2)
    y = random.normal(0, 1, 4000)
    levels = np.arange(1, 200) / 200
    q = np.tile(norm.ppf(levels), (y.size, 1))
    closed = scoringrules.crps_normal(y, 0.0, 1.0).mean()
    assert crps_quantiles(y, q, levels) == pytest.approx(closed, rel=0.01)


def test_pinball_of_the_median_is_half_the_absolute_error():
    y, q = np.array([1.0, 2.0]), np.array([[0.0], [4.0]])
    assert pinball_loss(y, q, [0.5]) == pytest.approx(0.75)
    with pytest.raises(ForecastInputError):
        pinball_loss(y, q, [0.5, 0.9])
    with pytest.raises(ForecastInputError):
        pinball_loss(y, q, [1.0])


def test_interval_scores_follow_their_definitions():
    assert coverage([1, 2, 3], [0, 2, 4], [2, 2, 5]) == pytest.approx(2 / 3)
    # Width 2; one miss of 1 at alpha 0.05 costs 40: (2 + 2 + 40) / 2 over scale 2.
    assert msis([[0.0, 3.0]], [[-1.0, 0.0]], [[1.0, 2.0]], [2.0]) == pytest.approx(11.0)
    assert seasonal_scale([1, 2, 3, 5], 1) == pytest.approx(4 / 3)
    assert mase([[1.0, 2.0]], [[2.0, 2.0]], [0.5]) == pytest.approx(1.0)
    assert smape([[1.0]], [[3.0]]) == pytest.approx(100.0)
    assert owa(10, 2, 20, 4) == pytest.approx(0.5)
