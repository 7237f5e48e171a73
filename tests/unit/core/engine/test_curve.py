"""What a run keeps for its report: forecasts joined to results, the curve and prices in bounded size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.engine.curve import EquitySampler, PriceSampler
from tests.unit.core.engine.rig import D, run
from tests.unit.core.engine.test_backtest_run import YES, Trader, catalog


def test_forecasts_are_joined_to_market_and_outcome(tmp_path: Path) -> None:
    result = run(catalog(tmp_path / "c"), Trader)
    row = result.forecasts[0]
    assert (row.probability, row.outcome, row.market_id, row.event_id) == (0.45, 1.0, "M", "E-M")
    assert row.market_price == pytest.approx(0.40)


def test_curve_and_prices_are_sampled_in_bounded_size(tmp_path: Path) -> None:
    result = run(catalog(tmp_path / "c"), Trader)
    curve = result.equity
    assert 100 < len(curve.ts_ns) <= 20_000
    assert np.all(np.diff(curve.ts_ns) > 0)
    np.testing.assert_allclose(curve.equity, curve.cash + curve.exposure)
    assert curve.equity[0] == 100.0
    assert curve.equity[-1] == pytest.approx(float(result.final_equity))
    (prices,) = result.prices
    assert prices.instrument_id == YES
    assert np.nanmax(prices.bid) < 0.41


def test_the_curve_stays_within_its_limit_whatever_comes() -> None:
    sampler, prices = EquitySampler(limit=100), PriceSampler("i", limit=50)
    for n in range(10_000):
        sampler.add(n, n * 10**18, n * 10**18)
        prices.add(n, D(n), None)
    sampler.add(10_000, 5 * 10**18, 5 * 10**18, keep=True)
    curve = sampler.curve()
    assert len(curve.ts_ns) <= 101
    assert curve.ts_ns[0] == 0
    assert curve.ts_ns[-1] == 10_000
    assert np.all(np.diff(curve.ts_ns) > 0)
    assert len(prices.series().ts_ns) <= 50
