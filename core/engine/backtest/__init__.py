"""Backtest: a spec in, a result out.

>>> from core.engine.backtest import BacktestSpec, run_backtest
>>> result = run_backtest(BacktestSpec(strategy="strategies.base_predictor:BasePredictor", catalog="sample"))
... # doctest: +SKIP
"""

from __future__ import annotations

from core.engine.backtest.spec import BacktestSpec, Progress
from core.engine.results import RunResult

__all__ = ["BacktestSpec", "Progress", "RunResult", "run_backtest"]


def run_backtest(spec: BacktestSpec, progress: Progress | None = None) -> RunResult:
    """Run `spec` and return its result; see `core.engine.backtest.run.run_backtest`."""
    from core.engine.backtest.run import run_backtest as run  # the engine loads when a run starts

    return run(spec, progress)
