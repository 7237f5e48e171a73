"""Scores of quantile and interval forecasts: pinball, CRPS, coverage, MSIS, MASE, sMAPE, OWA."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signals.errors import ForecastInputError

Floats = NDArray[np.float64]


def pinball_loss(actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """
    Mean pinball loss (Koenker and Bassett 1978), in the units of `actual`.

    Parameters
    ----------
    actual
        Shape [...].
    quantiles
        Shape [..., Q], one forecast per level.
    levels
        Shape [Q], each strictly between 0 and 1.
    """
    y, q, tau = _shaped(actual, quantiles, levels)
    error = y[..., None] - q
    return float(np.mean(np.maximum(tau * error, (tau - 1.0) * error)))


def crps_quantiles(actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """
    CRPS approximated from quantiles: twice the pinball loss integrated over the levels.

    The integral is the trapezoid over the given levels, with the outer levels extended to
    0 and 1 (Gneiting and Ranjan 2011). Nine deciles underestimate the tails; say so with it.
    """
    y, q, tau = _shaped(actual, quantiles, levels)
    error = y[..., None] - q
    loss = np.maximum(tau * error, (tau - 1.0) * error).reshape(-1, tau.size).mean(axis=0)
    edges = np.concatenate([[0.0], (tau[1:] + tau[:-1]) / 2.0, [1.0]])
    return float(2.0 * np.sum(loss * np.diff(edges)))


def coverage(actual: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of actual values inside the closed interval."""
    y, low, high = (np.asarray(v, dtype=np.float64) for v in (actual, lower, upper))
    return float(np.mean((y >= low) & (y <= high)))


def msis(
    actual: ArrayLike, lower: ArrayLike, upper: ArrayLike, scale: ArrayLike, alpha: float = 0.05
) -> float:
    """
    Mean scaled interval score of the M4 competition; lower is better.

    Parameters
    ----------
    actual, lower, upper
        Shape [N, H].
    scale
        Shape [N]: in-sample seasonal naive MAE of each series (see :func:`seasonal_scale`).
    alpha
        1 - nominal coverage.
    """
    y, low, high = (np.asarray(v, dtype=np.float64) for v in (actual, lower, upper))
    width = high - low
    miss = np.where(y < low, low - y, 0.0) + np.where(y > high, y - high, 0.0)
    per_series = (width + 2.0 / alpha * miss).mean(axis=-1)
    return float(np.mean(per_series / np.asarray(scale, dtype=np.float64)))


def seasonal_scale(history: ArrayLike, season: int) -> float:
    """In-sample mean absolute seasonal difference: the denominator of MASE and MSIS."""
    x = np.asarray(history, dtype=np.float64)
    return float(np.mean(np.abs(x[season:] - x[:-season])))


def mase(actual: ArrayLike, forecast: ArrayLike, scale: ArrayLike) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006) over series of shape [N, H]."""
    y, f = np.asarray(actual, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    return float(np.mean(np.abs(y - f).mean(axis=-1) / np.asarray(scale, dtype=np.float64)))


def smape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Symmetric MAPE in per cent, as M4 defines it: 200 |y - f| / (|y| + |f|)."""
    y, f = np.asarray(actual, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    return float(np.mean(200.0 * np.abs(y - f) / (np.abs(y) + np.abs(f))))


def owa(smape_value: float, mase_value: float, smape_naive2: float, mase_naive2: float) -> float:
    """Overall weighted average of M4: the mean of both errors relative to Naive2."""
    return 0.5 * (smape_value / smape_naive2 + mase_value / mase_naive2)


def _shaped(
    actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    y = np.asarray(actual, dtype=np.float64)
    q = np.asarray(quantiles, dtype=np.float64)
    tau = np.asarray(levels, dtype=np.float64)
    if q.shape != (*y.shape, tau.size):
        raise ForecastInputError(
            "quantiles must add one axis of levels to the actual values",
            seen=f"actual {y.shape}, quantiles {q.shape}, levels {tau.shape}",
            mend="pass quantiles of shape actual.shape + (levels,)",
        )
    if tau.min() <= 0.0 or tau.max() >= 1.0 or (np.diff(tau) <= 0).any():
        raise ForecastInputError(
            "quantile levels must rise strictly inside (0, 1)",
            seen=str(tau),
            mend="for example 0.1, 0.5, 0.9",
        )
    return y, q, tau
