"""Risk limits of a run: a profile by name, a file, or limits as they are."""

from __future__ import annotations

from core.engine.backtest.spec import BacktestSpec
from core.risk.limits import Limits, load_profile


def limits_of(spec: BacktestSpec) -> Limits:
    """Return the risk limits of a run."""
    return spec.limits if isinstance(spec.limits, Limits) else load_profile(str(spec.limits))
