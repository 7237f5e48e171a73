"""On the sample, each strategy's closed trades, markets and fees add up to its account, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.sample.build import build_sample
from console.strategy_lookup import import_string
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.report import summarise

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalogs") / "sample"
    build_sample(path)
    return path


@pytest.mark.parametrize(
    "name", ["polymarket_arb", "base_predictor", "kalshi_event", "crypto_momentum"]
)
def test_trades_markets_and_fees_add_up_to_the_account(sample, name):
    result = run_backtest(BacktestSpec(strategy=import_string(name), catalog=sample))
    summary = summarise(result)
    totals = summary.totals
    assert totals.fills > 0
    assert result.header.synthetic
    # Sizes are chosen by what the gate says is left: none is above a limit, and none is asked for while barred.
    refused = {o.code for o in result.orders if o.status == "REFUSED"}
    assert not {c for c in refused if c.endswith("_LIMIT")} | (
        refused & {"COOL_DOWN", "BREAKER_OPEN"}
    )
    assert sum((m.pnl for m in summary.markets), Decimal(0)) == totals.pnl
    assert sum((f.fees for f in summary.fees), Decimal(0)) == totals.fees
    still_open = sum((m.open_value for m in summary.markets), Decimal(0))
    if not still_open:
        assert sum((t.pnl for t in summary.trades), Decimal(0)) == totals.pnl
        assert sum(t.fills for t in summary.trades) == len(result.fills)
    assert float(totals.final_equity) == pytest.approx(result.equity.equity[-1], abs=1e-6)
