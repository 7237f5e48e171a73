"""Risk and return from the equity curve: drawdown, Sharpe, Sortino, exposure.

Sampling is one equity value a UTC day (the last one known at midnight, and the last of the run), and
returns are annualised with 365 days, because prediction markets and crypto trade every day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain.clock import NS_PER_DAY
from core.engine.results import EquityCurve

DAYS_PER_YEAR = 365
#: Stated in every report, so that nobody compares it with a 252-day figure.
SAMPLING = "daily equity at UTC midnight, 365 days a year, risk-free rate 0"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak.

    Attributes
    ----------
    fraction : float
        Fall over the peak, 0 to 1 (more than 1 when equity went below zero).
    amount : float
        Dollars.
    peak_ns, trough_ns : int
        When the peak and the trough were.
    recovered_ns : int, optional
        When the peak was reached again; None: not within the run.
    """

    fraction: float
    amount: float
    peak_ns: int
    trough_ns: int
    recovered_ns: int | None


@dataclass(frozen=True, slots=True)
class DailyReturns:
    """Equity at day ends and what follows from it.

    Attributes
    ----------
    ts_ns : int64[d]
        Ends of the days (UTC midnights, the last one the end of the run).
    equity, pnl, simple : float64[d]
        Dollars at the day's end, change in dollars, change over the day's start.
    """

    ts_ns: NDArray[np.int64]
    equity: Floats
    pnl: Floats
    simple: Floats


def max_drawdown(curve: EquityCurve, capital: float) -> Drawdown | None:
    """Return the deepest drawdown of the curve, or None when equity never fell below a peak.

    The starting capital counts as the first peak.
    """
    if curve.ts_ns.size == 0:
        return None
    ts = np.concatenate([curve.ts_ns[:1], curve.ts_ns])
    equity = np.concatenate([[capital], curve.equity])
    peaks = np.maximum.accumulate(equity)
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.where(peaks > 0, (peaks - equity) / peaks, 0.0)
    trough = int(np.argmax(fall))
    if fall[trough] <= 1e-12:
        return None
    peak = int(np.flatnonzero(equity[: trough + 1] >= peaks[trough])[-1])
    later = np.flatnonzero(equity[trough:] >= peaks[trough])
    return Drawdown(
        fraction=float(fall[trough]),
        amount=float(peaks[trough] - equity[trough]),
        peak_ns=int(ts[peak]),
        trough_ns=int(ts[trough]),
        recovered_ns=int(ts[trough + int(later[0])]) if later.size else None,
    )


def daily_returns(curve: EquityCurve, capital: float, start_ns: int, end_ns: int) -> DailyReturns:
    """Return equity at each UTC midnight inside the run and at its end, with the day's changes.

    Days without a point carry the last value on: idle money counts as idle.
    """
    first = start_ns // NS_PER_DAY + 1
    ends = np.arange(first, max(first, -(-end_ns // NS_PER_DAY)), dtype=np.int64) * NS_PER_DAY
    ends = np.append(ends[ends < end_ns], max(end_ns, start_ns)).astype(np.int64)
    index = np.searchsorted(curve.ts_ns, ends, side="right") - 1
    if curve.ts_ns.size:
        equity = np.where(index >= 0, curve.equity[np.maximum(index, 0)], capital)
    else:
        equity = np.full(ends.size, capital)
    before = np.concatenate([[capital], equity[:-1]])
    pnl = equity - before
    with np.errstate(divide="ignore", invalid="ignore"):
        simple = np.where(before > 0, pnl / before, np.nan)
    return DailyReturns(ends, equity, pnl, simple)


def sharpe(returns: Floats) -> float | None:
    """Annualised mean over standard deviation (Sharpe 1994), sample deviation with n - 1.

    None with fewer than 2 days, without variance, or when equity reached zero.
    """
    if returns.size < 2 or not np.isfinite(returns).all():
        return None
    deviation = float(np.std(returns, ddof=1))
    if deviation < 1e-12:
        return None
    return float(np.mean(returns)) / deviation * math.sqrt(DAYS_PER_YEAR)


def sharpe_error(ratio: float, days: int) -> float:
    """Annualised standard error of a Sharpe ratio under independent returns (Lo 2002, eq. 9)."""
    daily = ratio / math.sqrt(DAYS_PER_YEAR)
    return math.sqrt((1.0 + 0.5 * daily * daily) / days) * math.sqrt(DAYS_PER_YEAR)


def sortino(returns: Floats) -> float | None:
    """Annualised mean over downside deviation below 0, over all days (Sortino and Price 1994).

    None with fewer than 2 days, without a losing day, or when equity reached zero.
    """
    if returns.size < 2 or not np.isfinite(returns).all():
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    if downside < 1e-12:
        return None
    return float(np.mean(returns)) / downside * math.sqrt(DAYS_PER_YEAR)


def exposure(curve: EquityCurve, start_ns: int, end_ns: int) -> tuple[float, float, float]:
    """Return the share of time with an open position, and mean and peak exposure over equity.

    Returns
    -------
    tuple of float
        Fraction of the run's time, time-weighted mean fraction of equity, peak fraction of equity.
    """
    span = end_ns - start_ns
    if curve.ts_ns.size == 0 or span <= 0:
        return 0.0, 0.0, 0.0
    ts = np.clip(curve.ts_ns, start_ns, end_ns)
    lasting = np.diff(np.append(ts, end_ns)).astype(np.float64)
    open_value = curve.exposure
    held = open_value > 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(curve.equity > 0, open_value / curve.equity, np.where(held, 1.0, 0.0))
    return (
        float(lasting[held].sum() / span),
        float((share * lasting).sum() / span),
        float(share.max()),
    )
