"""Forecast scores against the market: pairing, exclusions, intervals, bins."""

from __future__ import annotations

import numpy as np
import pytest

from core.engine.report.calibration import edge_interval, score_forecasts, wilson
from tests.unit.core.engine.report.samples import forecast


def test_brier_and_log_loss_are_paired_with_the_market_at_the_same_moment():
    scores = score_forecasts([forecast(0.8, 0.6, 1.0), forecast(0.3, 0.5, 0.0, event="E2")])
    assert scores.brier == pytest.approx((0.04 + 0.09) / 2)
    assert scores.brier_market == pytest.approx((0.16 + 0.25) / 2)
    assert scores.brier_edge == pytest.approx(0.205 - 0.065)
    assert scores.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)


def test_what_cannot_be_scored_is_counted_and_left_out():
    scores = score_forecasts(
        [
            forecast(0.8, 0.6, 1.0),
            forecast(0.8, 0.6, None),
            forecast(0.8, None, 1.0),
            forecast(0.8, 0.6, 0.5),
            forecast(0.8, float("nan"), 0.0),
        ]
    )
    assert (scores.recorded, scores.paired, scores.unresolved) == (5, 1, 1)
    assert (scores.unpriced, scores.fractional) == (2, 1)


def test_no_forecast_is_none_and_no_pair_is_none_inside():
    assert score_forecasts([]) is None
    scores = score_forecasts([forecast(0.8, 0.6, None)])
    assert scores.brier is None
    assert scores.edge_low is None
    assert scores.bins == ()


def test_one_event_gives_no_interval_because_its_forecasts_share_one_outcome():
    scores = score_forecasts([forecast(0.8, 0.6, 1.0) for _ in range(50)])
    assert scores.clusters == 1
    assert scores.edge_low is None


def test_the_interval_is_the_same_for_the_same_seed_and_holds_the_mean():
    rng = np.random.default_rng(1)
    edge, cluster = rng.normal(0.01, 0.1, 500), rng.integers(0, 50, 500)
    first = edge_interval(edge, cluster, 50, seed=3)
    assert first == edge_interval(edge, cluster, 50, seed=3)
    assert first[0] < edge.mean() < first[1]


def test_copying_every_forecast_of_an_event_does_not_narrow_the_interval():
    rng = np.random.default_rng(2)
    edge = rng.normal(0, 0.1, 40)
    cluster = np.arange(40)
    once = edge_interval(edge, cluster, 40, seed=0)
    often = edge_interval(np.repeat(edge, 20), np.repeat(cluster, 20), 40, seed=0)
    assert often == pytest.approx(once)


def test_wilson_matches_the_published_example():
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_certain_forecast_falls_into_the_last_bin():
    scores = score_forecasts([forecast(1.0, 0.9, 1.0), forecast(0.0, 0.1, 0.0)])
    assert [(b.low, b.high, b.count) for b in scores.bins] == [(0.0, 0.1, 1), (0.9, 1.0, 1)]
    assert np.isfinite(scores.log_loss)
