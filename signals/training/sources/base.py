"""A source turns raw recordings into samples by a pure function, so that guards can re-run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from core.domain.errors import MissingData
from signals.training.samples import Samples

Raw = dict[str, pl.DataFrame]


class Source(Protocol):
    """
    One kind of data.

    `load` reads files into frames. A frame with a `ts_ns` column holds observations, known at
    that time; any other frame holds facts that no feature reads (labels, strikes, close times).
    `build` makes samples from frames alone: no clock, no file, no random number. `labels` names
    the frame and the column that hold the outcomes, if they are no observations.
    """

    labels: tuple[str, str] | None

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read the recordings below `root`."""
        ...

    def build(self, raw: Raw, options: Mapping[str, Any]) -> Samples:
        """Make the samples."""
        ...

    def fitted_until_ns(self, raw: Raw) -> int:
        """Until when constants inside `build` are fitted (a training mean); 0 without any."""
        ...


class Unfitted:
    """A source without fitted constants."""

    labels: tuple[str, str] | None = None

    def fitted_until_ns(self, raw: Raw) -> int:
        """Return 0: every sample is checked by the future permutation."""
        return 0


@dataclass(frozen=True)
class Borders:
    """Fixed borders of a published protocol, as row numbers of the series; ends are exclusive."""

    train_end: int
    validation_end: int
    test_end: int
    context: dict[str, str] = field(default_factory=dict)


def recording(root: Path, name: str) -> Path:
    """Return the path of a recording, or say how to get it."""
    path = root / name
    if not path.exists():
        raise MissingData(
            f"the recording {name} is not there",
            seen=str(path),
            mend="beta train CONFIG --data FOLDER, with the recordings in FOLDER",
        )
    return path


def redraw_after(frame: pl.DataFrame, cut_ns: int, seed: int = 0) -> pl.DataFrame:
    """
    Draw the observations after a time anew from themselves, leaving their times where they are.

    Rows are drawn with replacement: a permutation would leave every mean and deviation as it was,
    and constants fitted on all data would pass unseen.
    """
    if "ts_ns" not in frame.columns:
        return frame
    names = ("series", "slug", "ticker", "market_id", "instrument_id", "symbol")
    keys = [c for c in names if c in frame.columns]
    late = np.flatnonzero(frame["ts_ns"].to_numpy() > cut_ns)
    rows = np.arange(frame.height)
    rows[late] = np.random.default_rng(seed).choice(late, late.size) if late.size else late
    values = [c for c in frame.columns if c not in ("ts_ns", *keys)]
    return frame.with_columns(frame[rows.tolist()].select(values))


def flip_labels(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Turn every outcome of a column into its opposite: yes and no, true and false, 1 and 0."""
    values = pl.col(column)
    if frame[column].dtype == pl.String:
        other = values.replace({"yes": "no", "no": "yes"})
    elif frame[column].dtype == pl.Boolean:
        other = ~values
    else:
        other = pl.when((values == 0) | (values == 1)).then(1 - values).otherwise(values)
    return frame.with_columns(other.alias(column))
