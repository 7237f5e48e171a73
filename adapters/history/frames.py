"""Raw files to arrays: required columns, exact ticks, times in nanoseconds, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from core.domain.errors import CorruptData, MissingData

Floats = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: A float this close to a tick is that tick; decimal text of up to 15 digits survives the round trip.
_TICK_TOLERANCE = 1e-6


def read_frame(
    folder: Path, name: str, columns: Mapping[str, pl.DataType | type[pl.DataType]]
) -> pl.DataFrame:
    """Return `columns` of ``folder/name`` (``.parquet`` or ``.csv``, the first that exists).

    Raises
    ------
    MissingData
        If there is no such file.
    CorruptData
        If it cannot be read or lacks a column; the message names the file and the columns it has.
    """
    path = next(
        (p for p in (folder / f"{name}.parquet", folder / f"{name}.csv") if p.is_file()), None
    )
    if path is None:
        raise MissingData("file of the set is missing", folder / f"{name}.parquet", "check --from")
    try:
        if path.suffix == ".csv":
            frame = pl.read_csv(path, infer_schema=False)
        else:
            frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as exc:
        raise CorruptData(
            "file of the set cannot be read", f"{path}: {exc}", "fetch the set again"
        ) from exc
    absent = [c for c in columns if c not in frame.columns]
    if absent:
        raise CorruptData(
            f"{path.name} lacks columns {', '.join(absent)}",
            f"it has {', '.join(frame.columns)}",
            "see docs/data.md for the format",
        )
    return frame.select(
        [_cast(pl.col(name), frame.schema[name], kind) for name, kind in columns.items()]
    )


def _cast(column: pl.Expr, have: pl.DataType, want: pl.DataType | type[pl.DataType]) -> pl.Expr:
    if have == pl.String and want in (pl.Datetime, pl.Datetime("us", "UTC")):
        return column.str.to_datetime(time_zone="UTC", strict=False).dt.cast_time_unit("us")
    if want == pl.Datetime:
        return column
    return column.cast(want, strict=False)  # what does not parse becomes null and is reported


def ticks_of(values: Floats, precision: int) -> tuple[Int64, Mask, Mask]:
    """Return ``(ticks, not_a_number, off_precision)`` of `values` at `precision` decimals.

    Ticks of rows that are not a number are 0.
    """
    wrong = ~np.isfinite(values)
    scaled = np.where(wrong, 0.0, values) * 10.0**precision
    rounded = np.rint(scaled)
    off = np.abs(scaled - rounded) > np.maximum(_TICK_TOLERANCE, np.abs(scaled) * 1e-12)
    return rounded.astype(np.int64), wrong, off


def floats(frame: pl.DataFrame, column: str) -> Floats:
    """Return a column as float64 with null as NaN."""
    return frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)


def nanoseconds(frame: pl.DataFrame, column: str) -> tuple[Int64, Mask]:
    """Return ``(ns since 1970, missing)`` of a time column; naive times are UTC."""
    epoch = frame[column].dt.epoch("ns")
    return epoch.fill_null(0).to_numpy().astype(np.int64), epoch.is_null().to_numpy()
