"""Walk-forward splits in time: purged, embargoed, and never splitting one event over two sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from signals.errors import ForecastInputError

Rows = NDArray[np.intp]
Nanos = NDArray[np.int64]


class SplitSpec(BaseModel):
    """
    How history is cut into folds.

    Each fold reads, in time order: train | validation (early stopping) | calibration | test.
    `embargo_ns` is the dead time left before each later part; `mode` keeps all earlier history
    (expanding) or only the last `train_fraction` of the whole span (rolling).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(default=4, ge=1)
    test_fraction: float = Field(default=0.5, gt=0.0, lt=1.0)
    validation_fraction: float = Field(default=0.1, ge=0.0, lt=0.5)
    calibration_fraction: float = Field(default=0.2, ge=0.0, lt=0.5)
    embargo_ns: int = Field(default=0, ge=0)
    mode: Literal["expanding", "rolling"] = "expanding"
    train_fraction: float = Field(default=0.5, gt=0.0, lt=1.0)


@dataclass(frozen=True)
class Fold:
    """Row indices of one fold; the parts are disjoint and each earlier than the next."""

    index: int
    train: Rows
    validation: Rows
    calibration: Rows
    test: Rows
    test_start_ns: int
    test_end_ns: int


def walk_forward(
    decided_ns: ArrayLike,
    label_end_ns: ArrayLike,
    spec: SplitSpec,
    events: ArrayLike | None = None,
) -> list[Fold]:
    """
    Cut rows into walk-forward folds.

    Parameters
    ----------
    decided_ns
        Time at which the forecast of each row would have been made, shape [N].
    label_end_ns
        Time at which its outcome is fully known, shape [N], not before `decided_ns`.
    spec
        Sizes and embargo. Test windows split the last `test_fraction` of the span by row count.
    events
        Event id per row: an event that reaches a later part is removed from all earlier ones.

    Notes
    -----
    Purge: a row stays in an earlier part only if its label ended at least `embargo_ns` before
    the first decision of every later part (Lopez de Prado 2018, chapter 7).

    Raises
    ------
    ForecastInputError
        On mismatched inputs, or when a fold is left without training or test rows.
    """
    start = np.asarray(decided_ns, dtype=np.int64)
    end = np.asarray(label_end_ns, dtype=np.int64)
    _check(start, end)
    codes = None if events is None else np.unique(np.asarray(events), return_inverse=True)[1]
    ordered = np.sort(start)
    n = start.size
    first = int(n * (1.0 - spec.test_fraction))
    cuts = [
        int(ordered[min(first + round(k * (n - first) / spec.folds), n - 1)])
        for k in range(spec.folds)
    ]
    bounds = [*cuts, int(ordered[-1]) + 1]
    return [
        _fold(k, start, end, codes, spec, (bounds[k], bounds[k + 1])) for k in range(spec.folds)
    ]


def _fold(
    index: int,
    start: Nanos,
    end: Nanos,
    codes: NDArray[np.intp] | None,
    spec: SplitSpec,
    window: tuple[int, int],
) -> Fold:
    opens, closes = window
    test = np.flatnonzero((start >= opens) & (start < closes))
    past = np.flatnonzero(start < opens)
    if spec.mode == "rolling" and past.size:
        span = int(start.max() - start.min())
        past = past[start[past] >= opens - int(span * spec.train_fraction)]
    past = past[np.argsort(start[past], kind="stable")]
    calibrate_from, validate_from = (
        _cut(start, past, fraction)
        for fraction in (
            spec.calibration_fraction,
            spec.calibration_fraction + spec.validation_fraction,
        )
    )
    calibration = past[start[past] >= calibrate_from]
    validation = past[(start[past] >= validate_from) & (start[past] < calibrate_from)]
    train = past[start[past] < min(validate_from, calibrate_from)]
    parts = purge([train, validation, calibration, test], start, end, spec.embargo_ns, codes)
    if not parts[0].size or not parts[3].size:
        raise ForecastInputError(
            f"fold {index} has no rows left to train or test on",
            seen=f"train {parts[0].size}, test {parts[3].size} of {start.size} rows",
            mend="fewer folds, a smaller embargo, or a longer history",
        )
    return Fold(index, parts[0], parts[1], parts[2], parts[3], opens, closes)


def _cut(start: Nanos, past: Rows, fraction: float) -> int:
    """Time from which the last `fraction` of the past rows begin (never, for fraction 0)."""
    if fraction <= 0.0 or past.size == 0:
        return int(np.iinfo(np.int64).max)
    return int(start[past[min(int(past.size * (1.0 - fraction)), past.size - 1)]])


def purge(
    parts: list[Rows],
    start: Nanos,
    end: Nanos,
    embargo_ns: int,
    codes: NDArray[np.intp] | None = None,
) -> list[Rows]:
    """Drop from each part the rows whose label or event reaches into any later part."""
    kept: list[Rows] = []
    for i, rows in enumerate(parts):
        for later in (p for p in parts[i + 1 :] if p.size):
            rows = rows[end[rows] + embargo_ns <= start[later].min()]
            if codes is not None:
                rows = rows[~np.isin(codes[rows], codes[later])]
        kept.append(np.sort(rows))
    return kept


def _check(start: Nanos, end: Nanos) -> None:
    if start.ndim != 1 or start.shape != end.shape or start.size < 2:
        raise ForecastInputError(
            "decision and label times must be two vectors of one length",
            seen=f"shapes {start.shape} and {end.shape}",
            mend="pass both times for every row",
        )
    if (end < start).any():
        raise ForecastInputError(
            "a label ends before its forecast was made",
            seen=f"{int((end < start).sum())} rows",
            mend="drop rows after resolution",
        )
