"""Bootstrap intervals that resample whole events, because rows of one event are not independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signals.errors import ForecastInputError

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Interval:
    """A point estimate with its percentile bootstrap interval."""

    value: float
    low: float
    high: float
    level: float


def bootstrap_interval(
    statistic: Callable[[Rows], float],
    events: ArrayLike,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """
    Percentile interval of `statistic(rows)` under resampling of events with replacement.

    Parameters
    ----------
    statistic
        Function of row indices, for example a difference of two mean scores.
    events
        Event id of every row, shape [N]; all rows of an event are drawn together.
    """
    codes = np.unique(np.asarray(events), return_inverse=True)[1].ravel()
    if codes.size == 0:
        raise ForecastInputError(
            "no rows to resample", seen="0 rows", mend="score at least one resolved market"
        )
    groups = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    random = np.random.default_rng(seed)
    values = np.empty(draws)
    for i in range(draws):
        chosen = random.integers(0, len(groups), len(groups))
        values[i] = statistic(np.concatenate([groups[g] for g in chosen]))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return Interval(statistic(np.arange(codes.size)), float(low), float(high), level)


def mean_interval(
    values: ArrayLike, events: ArrayLike, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """
    Event-bootstrap interval of a mean, from event sums only (fast for many rows).

    Each draw is the ratio of resampled event sums to resampled event counts.
    """
    v = np.asarray(values, dtype=np.float64)
    codes = np.unique(np.asarray(events), return_inverse=True)[1].ravel()
    if v.shape != codes.shape or v.size == 0:
        raise ForecastInputError(
            "values and events must be two vectors of one length",
            seen=f"shapes {v.shape} and {codes.shape}",
            mend="pass the event id of every row",
        )
    sums, counts = np.bincount(codes, weights=v), np.bincount(codes)
    random = np.random.default_rng(seed)
    means = np.empty(draws)
    for i in range(draws):
        chosen = random.integers(0, sums.size, sums.size)
        means[i] = sums[chosen].sum() / counts[chosen].sum()
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(float(v.mean()), float(low), float(high), level)
