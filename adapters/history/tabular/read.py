"""Read a user's table as text columns, and turn them into times and ticks with every bad cell reported."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from adapters.history.frames import ticks_of
from adapters.history.issues import Fate, Issue, IssueLog
from core.domain.errors import CorruptData, MissingData
from core.engine.catalog.replay import Int64, Mask

#: Digits of an integer time: seconds, milliseconds, microseconds, nanoseconds since 1970.
_UNITS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}


def read_text(path: Path, issues: IssueLog) -> pl.DataFrame:
    """Return a CSV or Parquet file as text columns with a ``row`` column of 0-based data rows.

    Lines with another number of fields than the header are reported and left out.

    Raises
    ------
    MissingData, CorruptData
        If the file is absent, or is no table at all.
    """
    if not path.is_file():
        raise MissingData("no such file", path, "give a .csv or .parquet file with --from")
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            exact = [
                pl.col(n).dt.epoch("ns") if isinstance(t, pl.Datetime) else pl.col(n)
                for n, t in frame.schema.items()
            ]
            return frame.select(e.cast(pl.String) for e in exact).with_row_index("row")
        try:
            frame = pl.read_csv(path, infer_schema=False)
        except pl.exceptions.ComputeError:
            return _read_ragged(path, issues)
        return frame.with_row_index("row")
    except pl.exceptions.NoDataError as exc:
        raise MissingData("the table is empty", path, "--from another file") from exc
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as exc:
        raise CorruptData(
            "the table cannot be read", f"{path}: {exc}", "write it again as CSV or Parquet"
        ) from exc


def _read_ragged(path: Path, issues: IssueLog) -> pl.DataFrame:
    """Read a CSV line by line, leaving out lines of another length."""
    with path.open(newline="", errors="replace") as file:
        lines = list(csv.reader(file))
    header, rows, numbers = lines[0], [], []
    for number, fields in enumerate(lines[1:]):
        if len(fields) == len(header):
            rows.append(fields)
            numbers.append(number)
        elif fields:
            issues.add(
                Issue.RAGGED,
                Fate.DROPPED,
                file=path.name,
                row=number,
                seen=f"{len(fields)} fields, header has {len(header)}",
            )
    columns = {name: [row[i] or None for row in rows] for i, name in enumerate(header)}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String))
    return frame.with_columns(pl.Series("row", numbers, dtype=pl.UInt32))


def require(frame: pl.DataFrame, names: Sequence[str], path: Path, fmt: str) -> None:
    """Raise `CorruptData` unless `frame` has all columns of the format."""
    absent = [n for n in names if n not in frame.columns]
    if absent:
        have = ", ".join(c for c in frame.columns if c != "row")
        raise CorruptData(
            f"{path.name} lacks columns {', '.join(absent)} of format {fmt}",
            f"it has {have}",
            "see docs/data.md, section Your own tables",
        )


def times(column: pl.Series) -> tuple[Int64, Mask]:
    """Return ``(ns since 1970, wrong)`` of ISO 8601 texts or integers of 10, 13, 16 or 19 digits.

    Naive times are UTC.
    """
    text = column.fill_null("").str.strip_chars()
    whole = text.str.contains(r"^\d{10}$|^\d{13}$|^\d{16}$|^\d{19}$")
    out = np.zeros(len(text), dtype=np.int64)
    is_whole = whole.to_numpy()
    if is_whole.any():
        number = text.filter(whole).cast(pl.Int64).to_numpy()
        digits = text.filter(whole).str.len_chars().to_numpy()
        out[is_whole] = number * np.array([_UNITS[d] for d in digits.tolist()], dtype=np.int64)
    stamps = text.filter(~whole)
    if len(stamps):
        parsed = _parse_iso(stamps)
        out[~is_whole] = parsed.fill_null(-1).to_numpy()
    return np.maximum(out, 0), out <= 0


def _parse_iso(text: pl.Series) -> pl.Series:
    clean = text.str.replace(" ", "T").str.replace("Z$", "+00:00")
    aware = clean.str.contains(r"[+-]\d\d:?\d\d$")
    full = pl.select(pl.when(aware).then(clean).otherwise(clean + "+00:00").alias("t")).to_series()
    full = full.str.replace(r"^(\d{4}-\d\d-\d\d)\+", "${1}T00:00:00+")
    return full.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="ns", strict=False).dt.epoch(
        "ns"
    )


def numbers(column: pl.Series, precision: int) -> tuple[Int64, Mask, Mask, Mask]:
    """Return ``(ticks, empty, not_a_number, off_precision)`` of a text column."""
    empty = (column.fill_null("").str.strip_chars() == "").to_numpy()
    values = column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    ticks, wrong, off = ticks_of(values.astype(np.float64), precision)
    return ticks, empty, wrong & ~empty, off & ~wrong
