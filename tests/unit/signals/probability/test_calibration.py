"""Calibrators undo a known distortion, stay monotone, and are dropped where they do not help."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from signals.probability import calibration as c
from signals.probability.scores import brier_score, log_loss


def overconfident(n, seed):
    random = np.random.default_rng(seed)
    truth = random.uniform(0.02, 0.98, n)
    y = (random.uniform(0, 1, n) < truth).astype(float)
    raw = np.array([c.sigmoid(2.0 * c.logit(p) + 0.3) for p in truth])
    return truth, raw, y


@pytest.mark.parametrize("fit", [c.fit_platt, c.fit_isotonic])
def test_calibration_recovers_most_of_what_overconfidence_lost(fit):
    _, raw_fit, y_fit = overconfident(2000, 1)
    truth, raw, y = overconfident(2000, 2)
    calibrated = c.apply(fit(raw_fit, y_fit), raw)
    lost = brier_score(raw, y) - brier_score(truth, y)
    assert brier_score(calibrated, y) - brier_score(truth, y) < 0.25 * lost


def test_platt_recovers_the_inverse_of_the_distortion():
    _, raw, y = overconfident(20_000, 3)
    fitted = c.fit_platt(raw, y)
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.intercept == pytest.approx(-0.15, abs=0.06)


def test_isotonic_agrees_with_scikit_learn_before_shrinkage():
    from sklearn.isotonic import IsotonicRegression

    _, raw, y = overconfident(1500, 4)
    ours = c.apply(c.fit_isotonic(raw, y), raw)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(raw, y).predict(raw)
    assert np.abs(ours - theirs).mean() < 0.03


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.lists(st.floats(0, 1), min_size=2, max_size=10),
)
def test_every_calibrator_keeps_order_and_range(sample, probes):
    p, y = (np.array(v, dtype=float) for v in zip(*sample, strict=True))
    for fitted in (c.fit_platt(p, y), c.fit_isotonic(p, y)):
        out = c.apply(fitted, sorted(probes))
        assert ((out >= 0) & (out <= 1)).all()
        if getattr(fitted, "slope", 1.0) >= 0:
            assert (np.diff(out) >= -1e-12).all()


def test_a_separated_sample_does_not_become_certain():
    p, y = np.array([0.2] * 5 + [0.8] * 5), np.array([0.0] * 5 + [1.0] * 5)
    for fitted in (c.fit_platt(p, y), c.fit_isotonic(p, y)):
        assert fitted(0.2) > 0.005 and fitted(0.8) < 0.995


def test_identity_stays_where_the_forecast_is_already_calibrated():
    random = np.random.default_rng(5)
    truth = random.uniform(0.05, 0.95, 800)
    y = (random.uniform(0, 1, 800) < truth).astype(float)
    kept, losses = c.choose_calibrator((truth[:60], y[:60]), (truth[60:], y[60:]))
    assert kept.kind == "identity"
    assert losses["identity"] < losses["isotonic"]


def test_many_rows_of_few_events_do_not_bend_a_forecast():
    truth, raw, y = overconfident(3000, 8)
    few = np.arange(1500) % 3
    kept, _losses = c.choose_calibrator((raw[:1500], y[:1500]), (raw[1500:], y[1500:]))
    assert kept.kind != "identity"
    by_luck = np.where(few == 0, 1.0, 0.0)
    kept, _ = c.choose_calibrator((truth[:1500], by_luck), (truth[1500:], by_luck), few)
    assert kept.kind == "identity"


def test_the_choice_is_made_on_the_later_split_only():
    _, raw, y = overconfident(3000, 6)
    kept, losses = c.choose_calibrator((raw[:1500], y[:1500]), (raw[1500:], y[1500:]))
    assert losses[kept.kind] < losses["identity"]
    assert log_loss(c.apply(kept, raw[1500:]), y[1500:]) == pytest.approx(losses[kept.kind])


def test_a_calibrator_survives_json_and_a_broken_table_does_not():
    adapter = TypeAdapter(c.Calibrator)
    for fitted in (
        c.Identity(),
        c.Platt(slope=0.7, intercept=0.1),
        c.Isotonic(x=(0.1, 0.5), y=(0.2, 0.4)),
    ):
        assert adapter.validate_json(adapter.dump_json(fitted)) == fitted
    for broken in (
        {"x": (0.5, 0.1), "y": (0.1, 0.2)},
        {"x": (0.1, 0.5), "y": (0.4, 0.2)},
        {"x": (0.1,), "y": (0.1, 0.2)},
    ):
        with pytest.raises(ValidationError):
            c.Isotonic(**broken)
