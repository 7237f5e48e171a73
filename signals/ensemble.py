"""Combine probability forecasts: equal log-odds, exponential weights, stacking; the mean is the bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signals.errors import ForecastInputError
from signals.probability.bootstrap import Interval, mean_interval
from signals.probability.calibration import EPSILON
from signals.probability.scores import log_losses

Floats = NDArray[np.float64]
Method = Literal["mean_log_odds", "exponential_weights", "stacking"]


def log_odds(probabilities: ArrayLike) -> Floats:
    """Log-odds with probabilities kept 1e-6 away from 0 and 1."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), EPSILON, 1.0 - EPSILON)
    return np.log(p) - np.log1p(-p)


def combine(probabilities: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """
    Weighted mean in log-odds (logarithmic opinion pool).

    Parameters
    ----------
    probabilities
        Shape [N, K], K forecasters.
    weights
        Shape [K] or [N, K]; equal when not given. They need not sum to one: stacking may
        sharpen or soften the pool.
    """
    z = log_odds(probabilities)
    w = np.full(z.shape[1], 1.0 / z.shape[1]) if weights is None else np.asarray(weights)
    pooled = (z * w).sum(axis=1)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(pooled, -40.0, 40.0))))


def exponential_weights(
    probabilities: ArrayLike, outcomes: ArrayLike, known_before: ArrayLike, eta: float = 1.0
) -> Floats:
    """
    Weights per row from past log losses only (Vovk's aggregating weights, shape [N, K]).

    Parameters
    ----------
    probabilities, outcomes
        Shape [N, K] and [N], rows in time order of the forecast.
    known_before
        Shape [N]: how many of the first rows had resolved when row i was forecast (<= i). The
        weight of row i uses those alone, so that no unresolved outcome leaks in.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(outcomes, dtype=np.float64)
    known = np.asarray(known_before, dtype=np.int64)
    if (known > np.arange(known.size)).any():
        raise ForecastInputError(
            "a weight would read the outcome of its own or a later row",
            seen=f"known_before {known[:5]}",
            mend="count only rows resolved before the forecast",
        )
    losses = np.column_stack([log_losses(p[:, k], y) for k in range(p.shape[1])])
    total = np.vstack([np.zeros(p.shape[1]), np.cumsum(losses, axis=0)])[known]
    score = -eta * (total - total.min(axis=1, keepdims=True))
    weights = np.exp(score)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def stacking_weights(probabilities: ArrayLike, outcomes: ArrayLike, ridge: float = 0.01) -> Floats:
    """
    Non-negative weights in log-odds that minimise log loss, pulled towards the plain mean.

    Fit on out-of-fold forecasts only. Projected gradient descent with a fixed step from the
    Lipschitz bound, so the result is deterministic.
    """
    z = log_odds(probabilities)
    y = np.asarray(outcomes, dtype=np.float64)
    n, k = z.shape
    prior = np.full(k, 1.0 / k)
    weights = prior.copy()
    step = 1.0 / (0.25 * float(np.linalg.norm(z, 2)) ** 2 / n + ridge)
    for _ in range(2000):
        q = 1.0 / (1.0 + np.exp(-np.clip(z @ weights, -40.0, 40.0)))
        gradient = z.T @ (q - y) / n + ridge * (weights - prior)
        updated = np.maximum(weights - step * gradient, 0.0)
        if float(np.abs(updated - weights).max()) < 1e-9:
            break
        weights = updated
    return np.asarray(weights)


@dataclass(frozen=True)
class EnsembleChoice:
    """The kept method, its weights ([K]; None for the running weights) and the reasons."""

    method: Method
    weights: tuple[float, ...] | None
    gain: dict[Method, Interval]

    def predict(self, probabilities: ArrayLike) -> Floats:
        """Combine forecasts of shape [N, K] with the kept weights."""
        return combine(probabilities, self.weights)


def choose_ensemble(
    fit: tuple[ArrayLike, ArrayLike],
    select: tuple[ArrayLike, ArrayLike],
    events: ArrayLike,
    *,
    seed: int = 0,
) -> EnsembleChoice:
    """
    Fit stacking and exponential weights on `fit`; keep one only if it beats the plain mean.

    "Beats" means that the event-bootstrap interval of the log-loss difference on the later
    `select` rows lies wholly below zero. Otherwise the plain mean in log-odds stays.

    Parameters
    ----------
    fit, select
        Forecasts [N, K] and outcomes [N]; `select` later than `fit`.
    events
        Event id of each row of `select`.
    """
    p_fit, y_fit = (np.asarray(v, dtype=np.float64) for v in fit)
    p_sel, y_sel = (np.asarray(v, dtype=np.float64) for v in select)
    k = p_fit.shape[1]
    final = exponential_weights(
        np.vstack([p_fit, p_fit[-1:]]),
        np.append(y_fit, 0.0),
        np.append(np.zeros(len(y_fit)), len(y_fit)),
    )[-1]
    candidates: dict[Method, Floats] = {
        "exponential_weights": final,
        "stacking": stacking_weights(p_fit, y_fit),
    }
    base = log_losses(combine(p_sel), y_sel)
    gain: dict[Method, Interval] = {
        name: mean_interval(log_losses(combine(p_sel, w), y_sel) - base, events, seed=seed)
        for name, w in candidates.items()
    }
    winners = [name for name in candidates if gain[name].high < 0.0]
    if not winners:
        return EnsembleChoice("mean_log_odds", tuple(np.full(k, 1.0 / k)), gain)
    best = min(winners, key=lambda name: gain[name].value)
    return EnsembleChoice(best, tuple(float(v) for v in candidates[best]), gain)
