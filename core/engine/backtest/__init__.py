"""Backtest: a spec in, a result out."""

from __future__ import annotations

from core.engine.backtest.spec import BacktestSpec, Progress
from core.engine.results import RunResult

__all__ = ["BacktestSpec", "Progress", "run_backtest"]


def run_backtest(spec: BacktestSpec, progress: Progress | None = None) -> RunResult:
    """Run `spec` and return its result.

    Raises
    ------
    BetaError
        `UsageError` for an unknown strategy, market or parameter, `MissingData` when the period holds
        no data, `StrategyError` when the strategy raised.
    """
    raise NotImplementedError
