"""Ensembles: the plain mean is the bar, and no weight reads an outcome of its own future."""

import numpy as np
import pytest

from signals import ensemble
from signals.errors import ForecastInputError
from signals.probability.scores import log_loss


def experts(n, seed, bias=(0.0, 0.0, 0.0), noise=(0.5, 0.5, 0.5)):
    random = np.random.default_rng(seed)
    z = random.normal(0, 1.2, n)
    y = (random.uniform(0, 1, n) < 1 / (1 + np.exp(-z))).astype(float)
    votes = z[:, None] + np.array(bias) + random.normal(0, 1, (n, len(noise))) * np.array(noise)
    return 1 / (1 + np.exp(-votes)), y


def test_the_mean_in_log_odds_beats_each_equal_expert():
    p, y = experts(4000, 1)
    assert log_loss(ensemble.combine(p), y) < min(log_loss(p[:, k], y) for k in range(3))


def test_stacking_finds_the_only_good_expert_and_is_kept():
    p_fit, y_fit = experts(3000, 2, noise=(0.1, 4.0, 4.0))
    p_sel, y_sel = experts(3000, 3, noise=(0.1, 4.0, 4.0))
    choice = ensemble.choose_ensemble((p_fit, y_fit), (p_sel, y_sel), np.arange(3000))
    assert choice.method != "mean_log_odds"
    assert log_loss(choice.predict(p_sel), y_sel) < log_loss(ensemble.combine(p_sel), y_sel)


def test_without_a_gain_the_plain_mean_stays():
    p_fit, y_fit = experts(200, 4)
    p_sel, y_sel = experts(200, 5)
    choice = ensemble.choose_ensemble((p_fit, y_fit), (p_sel, y_sel), np.arange(200))
    assert choice.method == "mean_log_odds"
    assert choice.weights == pytest.approx((1 / 3,) * 3)


def test_running_weights_do_not_move_when_unresolved_outcomes_change():
    p, y = experts(100, 6)
    known = np.maximum(np.arange(100) - 10, 0)
    changed = y.copy()
    changed[60:] = 1 - changed[60:]
    before = ensemble.exponential_weights(p, y, known)
    after = ensemble.exponential_weights(p, changed, known)
    assert np.array_equal(before[:71], after[:71])
    assert not np.array_equal(before[71:], after[71:])


def test_a_weight_that_would_see_its_own_outcome_is_refused():
    p, y = experts(10, 7)
    with pytest.raises(ForecastInputError):
        ensemble.exponential_weights(p, y, np.arange(10) + 1)


def test_stacking_weights_are_never_negative():
    p, y = experts(500, 8, bias=(0.0, -2.0, 2.0))
    p[:, 1] = 1 - p[:, 1]
    assert (ensemble.stacking_weights(p, y) >= 0).all()
