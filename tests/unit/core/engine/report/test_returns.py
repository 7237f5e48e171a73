"""Drawdown, Sharpe, Sortino and exposure against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.clock import NS_PER_DAY
from core.engine.report.returns import (
    daily_returns,
    exposure,
    max_drawdown,
    sharpe,
    sharpe_error,
    sortino,
)
from tests.unit.core.engine.report.samples import START, curve


def test_the_deepest_drawdown_carries_its_dates_and_its_recovery():
    path = [(0, 100), (1, 120), (2, 90), (3, 110), (4, 120), (5, 114)]
    fall = max_drawdown(curve(path), 100.0)
    assert fall.fraction == pytest.approx(0.25)
    assert fall.amount == pytest.approx(30)
    assert fall.peak_ns == START + NS_PER_DAY
    assert fall.trough_ns == START + 2 * NS_PER_DAY
    assert fall.recovered_ns == START + 4 * NS_PER_DAY


def test_the_starting_capital_is_the_first_peak():
    fall = max_drawdown(curve([(1, 80), (2, 95)]), 100.0)
    assert fall.fraction == pytest.approx(0.20)
    assert fall.recovered_ns is None


def test_a_curve_that_never_falls_has_no_drawdown():
    assert max_drawdown(curve([(0, 100), (1, 101), (2, 101)]), 100.0) is None
    assert max_drawdown(curve([]), 100.0) is None


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60))
def test_the_drawdown_equals_the_worst_pair_found_by_looking_at_all_pairs(values):
    fall = max_drawdown(curve(list(enumerate(values))), 100.0)
    path = [100.0, *values]
    worst = max(
        (path[i] - path[j]) / path[i] for i in range(len(path)) for j in range(i, len(path))
    )
    assert (fall.fraction if fall else 0.0) == pytest.approx(worst, abs=1e-9)


def test_daily_returns_carry_the_last_value_over_days_without_a_point():
    days = daily_returns(curve([(0.5, 110), (2.5, 99)]), 100.0, START, START + 4 * NS_PER_DAY)
    assert days.equity.tolist() == [110, 110, 99, 99]
    assert days.simple.tolist() == pytest.approx([0.1, 0.0, -0.1, 0.0])
    assert days.ts_ns.tolist() == [START + d * NS_PER_DAY for d in (1, 2, 3, 4)]


def test_a_part_of_a_day_counts_as_a_day_and_ends_with_the_run():
    end = START + int(1.25 * NS_PER_DAY)
    days = daily_returns(curve([(1.1, 105)]), 100.0, START, end)
    assert days.ts_ns.tolist() == [START + NS_PER_DAY, end]
    assert days.pnl.tolist() == [0, 5]


def test_sharpe_and_sortino_use_365_days_and_match_the_formula():
    r = np.array([0.01, -0.02, 0.03, 0.0])
    assert sharpe(r) == pytest.approx(0.005 / np.std(r, ddof=1) * math.sqrt(365))
    assert sortino(r) == pytest.approx(0.005 / math.sqrt(0.0004 / 4) * math.sqrt(365))


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01], [0.0, 0.0, 0.0]])
def test_sharpe_is_none_and_never_infinite_without_days_or_variance(returns):
    assert sharpe(np.array(returns)) is None


def test_sortino_is_none_without_a_losing_day():
    assert sortino(np.array([0.01, 0.02, 0.0])) is None
    assert sortino(np.array([-0.01])) is None


def test_ratios_are_none_once_equity_reached_zero():
    days = daily_returns(curve([(0.5, 0.0), (1.5, 0.0)]), 100.0, START, START + 3 * NS_PER_DAY)
    assert sharpe(days.simple) is None
    assert sortino(days.simple) is None


def test_the_standard_error_shrinks_with_the_root_of_the_days():
    assert sharpe_error(0.0, 365) == pytest.approx(1.0)
    assert sharpe_error(0.0, 4 * 365) == pytest.approx(0.5)


def test_exposure_is_weighted_by_time_and_not_by_points():
    points = [(0, 100), (1, 100), (1.5, 100), (4, 100)]
    held, mean, peak = exposure(
        curve(points, exposure=[0, 50, 0, 0]), START, START + 5 * NS_PER_DAY
    )
    assert held == pytest.approx(0.1)
    assert mean == pytest.approx(0.05)
    assert peak == pytest.approx(0.5)
    assert exposure(curve([]), START, START + 1) == (0.0, 0.0, 0.0)
