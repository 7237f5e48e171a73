"""The score table of probability forecasts: every forecaster and horizon against the market price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signals.probability.bootstrap import Interval, bootstrap_interval, mean_interval
from signals.probability.compare import diebold_mariano, skill_against
from signals.probability.scores import (
    brier_score,
    expected_calibration_error,
    log_loss,
    log_losses,
    murphy,
)

Floats = NDArray[np.float64]
ECE_BINS = 10


@dataclass(frozen=True)
class Forecasts:
    """Out-of-sample forecasts of all folds, row by row, each array [N]."""

    outcome: Floats
    price: Floats
    event: NDArray[np.int64]
    horizon: NDArray[np.str_]
    decided_ns: NDArray[np.int64]
    fold: NDArray[np.int64]
    by_name: dict[str, Floats]


@dataclass(frozen=True)
class ScoreRow:
    """
    Scores of one forecaster at one horizon.

    `brier_gain` and `log_loss_gain` are differences to the market price on the same rows
    (negative is better) with their 95 % event-bootstrap intervals.
    """

    forecaster: str
    horizon: str
    rows: int
    events: int
    brier: float
    brier_low: float
    brier_high: float
    log_loss: float
    ece: Interval
    reliability: float
    resolution: float
    brier_gain: Interval | None
    log_loss_gain: Interval | None
    dm_p_value: float | None
    verdict: str


def score_table(forecasts: Forecasts, horizons: tuple[str, ...] = ()) -> list[ScoreRow]:
    """Score the market and every forecaster over all rows and at each asked horizon."""
    rows = []
    for horizon in ("all", *horizons):
        mine = (
            np.ones(forecasts.outcome.size, dtype=bool)
            if horizon == "all"
            else forecasts.horizon == horizon
        )
        if mine.sum() < 8:
            continue
        rows.append(_row(forecasts, "market", forecasts.price, horizon, mine))
        rows += [_row(forecasts, n, p, horizon, mine) for n, p in forecasts.by_name.items()]
    return rows


def _row(
    forecasts: Forecasts, name: str, values: Floats, horizon: str, mine: NDArray[np.bool_]
) -> ScoreRow:
    p, y, event = values[mine], forecasts.outcome[mine], forecasts.event[mine]
    price = forecasts.price[mine]
    brier = mean_interval((p - y) ** 2, event)
    parts = murphy(p, y, ECE_BINS)
    reference = name == "market"
    skill = None if reference else skill_against(p, price, y, event)
    return ScoreRow(
        forecaster=name,
        horizon=horizon,
        rows=int(p.size),
        events=int(np.unique(event).size),
        brier=brier_score(p, y),
        brier_low=brier.low,
        brier_high=brier.high,
        log_loss=log_loss(p, y),
        ece=bootstrap_interval(
            lambda r: expected_calibration_error(p[r], y[r], ECE_BINS), event, draws=200
        ),
        reliability=parts.reliability,
        resolution=parts.resolution,
        brier_gain=skill.brier if skill else None,
        log_loss_gain=skill.log_loss if skill else None,
        dm_p_value=None if reference else _dm(forecasts, p, price, mine),
        verdict=skill.verdict if skill else "",
    )


def _dm(forecasts: Forecasts, p: Floats, price: Floats, mine: NDArray[np.bool_]) -> float | None:
    """Diebold-Mariano on event means of the log loss, events in time order."""
    y, event, when = (
        forecasts.outcome[mine],
        forecasts.event[mine],
        forecasts.decided_ns[mine],
    )
    codes = np.unique(event, return_inverse=True)[1]
    count = np.bincount(codes)
    if count.size < 8:
        return None
    order = np.argsort(np.bincount(codes, weights=when / 1e18) / count, kind="stable")
    ours = np.bincount(codes, weights=log_losses(p, y)) / count
    theirs = np.bincount(codes, weights=log_losses(price, y)) / count
    return diebold_mariano(ours[order], theirs[order]).p_value
