"""Is one forecaster better than another: Diebold-Mariano with HAC errors, and skill by event."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from signals.errors import ForecastInputError
from signals.probability.bootstrap import Interval, mean_interval
from signals.probability.scores import checked, log_losses


@dataclass(frozen=True)
class DieboldMariano:
    """Mean loss difference (first minus second), its statistic and two-sided p-value."""

    difference: float
    statistic: float
    p_value: float
    lags: int


def diebold_mariano(
    losses: ArrayLike, reference_losses: ArrayLike, horizon: int = 1, lags: int | None = None
) -> DieboldMariano:
    """
    Test equal accuracy of two forecasts in time order (Diebold and Mariano 1995).

    The long-run variance is Newey-West with a Bartlett kernel, and the statistic carries the
    small-sample factor of Harvey, Leybourne and Newbold (1997). A negative difference favours
    the first forecaster.

    Parameters
    ----------
    losses, reference_losses
        Loss per time step, shape [T].
    horizon
        Steps ahead of the forecast: errors overlap over `horizon - 1` lags.
    lags
        Overrides the default max(horizon - 1, floor(4 (T / 100)^(2/9))).
    """
    a = np.asarray(losses, dtype=np.float64)
    b = np.asarray(reference_losses, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size < 8:
        raise ForecastInputError(
            "Diebold-Mariano needs two loss vectors of one length, at least 8 steps",
            seen=f"shapes {a.shape} and {b.shape}",
            mend="score both forecasters on the same steps",
        )
    d = a - b
    n = d.size
    k = lags if lags is not None else max(horizon - 1, math.floor(4 * (n / 100) ** (2 / 9)))
    k = min(k, n - 2)
    centred = d - d.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, k + 1):
        variance += 2 * (1 - lag / (k + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    if variance <= 0.0:
        equal = not d.any()
        return DieboldMariano(
            float(d.mean()), 0.0 if equal else math.copysign(math.inf, d.mean()), float(equal), k
        )
    factor = math.sqrt(max(n + 1 - 2 * horizon + horizon * (horizon - 1) / n, 1.0) / n)
    statistic = factor * float(d.mean()) / math.sqrt(variance / n)
    return DieboldMariano(float(d.mean()), statistic, _two_sided_t(statistic, n - 1), k)


def _two_sided_t(statistic: float, degrees: int) -> float:
    from scipy.stats import t  # heavy: only where a test is asked for

    return float(2.0 * t.sf(abs(statistic), degrees))


@dataclass(frozen=True)
class Skill:
    """Loss difference to a reference on the same rows; negative means better than it."""

    brier: Interval
    log_loss: Interval

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `no evidence`: both scores must agree on the side of zero."""
        if self.brier.high < 0 and self.log_loss.high < 0:
            return "better"
        if self.brier.low > 0 and self.log_loss.low > 0:
            return "worse"
        return "no evidence"


def skill_against(
    probabilities: ArrayLike,
    reference: ArrayLike,
    outcomes: ArrayLike,
    events: ArrayLike,
    **bootstrap: Any,
) -> Skill:
    """Compare with a reference (the market price) by event bootstrap of both loss differences."""
    p, y = checked(probabilities, outcomes)
    r, _ = checked(reference, outcomes)
    return Skill(
        brier=mean_interval((p - y) ** 2 - (r - y) ** 2, events, **bootstrap),
        log_loss=mean_interval(log_losses(p, y) - log_losses(r, y), events, **bootstrap),
    )
