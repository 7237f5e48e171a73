"""The promotion gate: evidence or no change, and always a reason."""

import numpy as np
import pytest

from signals.errors import ForecastInputError
from signals.promotion import Windows, decide, event_pnl, sharpe


def world(n=2000, events=500, seed=0, noise=0.8):
    random = np.random.default_rng(seed)
    truth = random.uniform(0.05, 0.95, n)
    outcome = (random.uniform(0, 1, n) < truth).astype(float)
    z = np.log(truth / (1 - truth)) + random.normal(0, noise, n)
    price = 1 / (1 + np.exp(-z))
    t = np.arange(n, dtype=np.int64)
    return truth, Windows(price, outcome, np.arange(n) % events, t, t + 1)


def test_a_truly_better_challenger_replaces_the_market():
    truth, windows = world()
    row = decide(("market price", windows.price), ("truth", truth), windows, now_ns=1)
    assert row.promoted
    assert row.brier_gain_high < 0 and row.sharpe_challenger > 0
    assert "replaces" in row.sentence and "Brier better" in row.sentence


def test_an_equal_challenger_changes_nothing_and_the_row_says_why():
    _, windows = world()
    row = decide(("a", windows.price), ("b", windows.price), windows, now_ns=1)
    assert not row.promoted
    assert any("Brier" in r for r in row.reasons) and any("risk-adjusted" in r for r in row.reasons)


def test_a_better_brier_score_alone_is_not_enough():
    _truth, windows = world(noise=0.05)
    bad = np.clip(windows.price + 0.1, 0, 1)
    careful = 0.9 * windows.price + 0.1 * windows.outcome.mean()
    row = decide(("biased", bad), ("careful", careful), windows, now_ns=1)
    assert row.brier_gain_high < 0 or not row.promoted
    assert row.sharpe_challenger <= 0 or row.promoted
    assert not row.promoted


def test_few_events_never_promote():
    truth, windows = world(events=20)
    row = decide(("m", windows.price), ("truth", truth), windows, now_ns=1)
    assert not row.promoted and "only 20 events" in row.sentence


def test_profit_is_what_the_rule_says_to_the_cent():
    t = np.arange(3, dtype=np.int64)
    windows = Windows(np.array([0.5, 0.5, 0.5]), np.array([1.0, 1.0, 0.0]), t, t, t)
    pnl = event_pnl(np.array([0.6, 0.4, 0.52]), windows, cost=0.02, edge=0.03)
    assert pnl == pytest.approx([0.48, -0.52, 0.0])
    assert sharpe([0.0, 0.0]) == 0.0


def test_forecasts_of_other_windows_are_refused():
    _, windows = world()
    with pytest.raises(ForecastInputError):
        decide(("a", windows.price[:-1]), ("b", windows.price), windows, now_ns=1)
