"""Conformal prediction intervals: finite-sample coverage without assuming a distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from signals.errors import ForecastInputError


@dataclass(frozen=True)
class ConformalBand:
    """Widening of a quantile interval, one number per horizon step (same units as the target)."""

    widen: tuple[float, ...]
    alpha: float

    def apply(self, lower: ArrayLike, upper: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the widened interval; shapes [..., H]. A crossed interval collapses to its middle."""
        w = np.asarray(self.widen)
        low, high = np.asarray(lower) - w, np.asarray(upper) + w
        middle = (low + high) / 2.0
        return np.minimum(low, middle), np.maximum(high, middle)


def conformalize(
    actual: ArrayLike, lower: ArrayLike, upper: ArrayLike, alpha: float
) -> ConformalBand:
    """
    Fit conformalized quantile regression (Romano, Patterson and Candes 2019) per horizon step.

    Parameters
    ----------
    actual, lower, upper
        Shape [N, H], from a calibration split that training never saw.
    alpha
        1 - wanted coverage.

    Raises
    ------
    ForecastInputError
        If N is too small for the wanted coverage to be guaranteed: N < ceil(1 / alpha) - 1.
    """
    y, low, high = (np.atleast_2d(np.asarray(v, dtype=np.float64)) for v in (actual, lower, upper))
    n = y.shape[0]
    rank = math.ceil((n + 1) * (1.0 - alpha))
    if rank > n:
        raise ForecastInputError(
            "too few calibration rows for the wanted coverage",
            seen=f"{n} rows for alpha {alpha}",
            mend=f"use at least {math.ceil(1.0 / alpha) - 1} rows or a larger alpha",
        )
    scores = np.sort(np.maximum(low - y, y - high), axis=0)
    return ConformalBand(tuple(float(v) for v in scores[rank - 1]), alpha)
