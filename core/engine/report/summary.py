"""A run in figures: everything the terminal, the page and `--json` show comes from one `Summary`."""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.report.benchmarks import Benchmark, benchmarks
from core.engine.report.calibration import ForecastScores, score_forecasts
from core.engine.report.cautions import Caution, cautions
from core.engine.report.returns import DailyReturns, daily_returns
from core.engine.report.tables import (
    ExitRow,
    FeeRow,
    RefusalRow,
    StrategyRow,
    exits_of,
    fees_of,
    refusals_of,
    strategies_of,
)
from core.engine.report.totals import Totals, totals_of
from core.engine.report.trades import Trade, closed_trades
from core.engine.results import MarketRow, RunResult


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of one run."""

    result: RunResult
    totals: Totals
    scores: ForecastScores | None
    benchmarks: tuple[Benchmark, ...]
    markets: tuple[MarketRow, ...]
    exits: tuple[ExitRow, ...]
    fees: tuple[FeeRow, ...]
    strategies: tuple[StrategyRow, ...]
    refusals: tuple[RefusalRow, ...]
    trades: tuple[Trade, ...]
    daily: DailyReturns
    cautions: tuple[Caution, ...]


def summarise(result: RunResult) -> Summary:
    """Return every figure of `result`; pure, no clock, no file."""
    header = result.header
    trades = closed_trades(result.fills, result.merges)
    daily = daily_returns(result.equity, float(header.capital), header.start_ns, header.end_ns)
    totals = totals_of(result, trades, daily)
    scores = score_forecasts(result.forecasts, header.seed)
    return Summary(
        result=result,
        totals=totals,
        scores=scores,
        benchmarks=benchmarks(result, totals.pnl),
        markets=tuple(
            sorted([m for m in result.markets if m.fills], key=lambda m: (-abs(m.pnl), m.market_id))
        ),
        exits=exits_of(trades),
        fees=fees_of(result.fills),
        strategies=strategies_of(result.fills, trades),
        refusals=refusals_of(result.orders),
        trades=tuple(trades),
        daily=daily,
        cautions=cautions(result, totals, scores),
    )
