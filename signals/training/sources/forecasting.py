"""Public forecasting benchmarks: ETTh1 with its 12/4/4-month borders, and M4 Hourly."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from signals.probability.distribution import seasonal_scale
from signals.training.samples import WindowSamples, windows
from signals.training.sources.base import Borders, Raw, Unfitted, recording

HOUR_NS = 3_600_000_000_000
MONTH_ROWS = 30 * 24
ETT_COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
M4_SEASON = 24
M4_HORIZON = 48


class Ett:
    """
    ETTh1 or ETTh2: hourly, z-scored by the training months, one sample per window and column.

    Options: ``file`` ("ETTh1"), ``columns`` (all seven: each column is a series of its own, the
    channel-independent reading of the multivariate task), ``lookback``, ``horizon``.
    """

    labels: tuple[str, str] | None = None
    season = 24
    borders = Borders(12 * MONTH_ROWS, 16 * MONTH_ROWS, 20 * MONTH_ROWS)

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read the CSV."""
        path = recording(root, f"forecast_benchmarks/{options.get('file', 'ETTh1')}.csv.gz")
        frame = pl.read_csv(gzip.decompress(path.read_bytes()), try_parse_dates=True)
        return {
            "ett": frame.with_columns(pl.col("date").dt.epoch("ns").alias("ts_ns")).drop("date")
        }

    def build(self, raw: Raw, options: Mapping[str, Any]) -> WindowSamples:
        """Cut windows out of every column."""
        frame = raw["ett"].head(self.borders.test_end)
        times = frame["ts_ns"].to_numpy()
        series = []
        for name in options.get("columns", ETT_COLUMNS):
            values = frame[name].to_numpy().astype(np.float64)
            past = values[: self.borders.train_end]
            series.append(((values - past.mean()) / past.std()).astype(np.float32)[:, None])
        return windows(
            series, [times] * len(series), int(options["lookback"]), int(options["horizon"])
        )

    def fitted_until_ns(self, raw: Raw) -> int:
        """Mean and deviation come from the training months, as in the papers."""
        return int(raw["ett"]["ts_ns"][self.borders.train_end - 1])

    def parts(self, samples: WindowSamples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of training, validation and test: by where the *target* lies, as the papers do."""
        offset = samples.event * self.borders.test_end
        first = samples.start - offset + samples.lookback
        last = first + samples.horizon
        b = self.borders
        train = np.flatnonzero(last <= b.train_end)
        validation = np.flatnonzero((first >= b.train_end) & (last <= b.validation_end))
        test = np.flatnonzero((first >= b.validation_end) & (last <= b.test_end))
        return train, validation, test


class M4Hourly(Unfitted):
    """
    M4 Hourly: 414 series, season 24, horizon 48, in their own units.

    With the option ``held_out`` the last 48 training hours stand for the test hours, which are
    then never read: settings are compared there.
    """

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read both files as long frames; the hidden test part carries no time of its own."""
        train = self._read(recording(root, "forecast_benchmarks/M4-Hourly-train.csv.gz"))
        if options.get("held_out"):
            test = [v[-M4_HORIZON:] for v in train]
            train = [v[:-M4_HORIZON] for v in train]
        else:
            test = self._read(recording(root, "forecast_benchmarks/M4-Hourly-test.csv.gz"))
        long = pl.concat(
            [
                pl.DataFrame({"series": i, "ts_ns": np.arange(len(v)) * HOUR_NS, "value": v})
                for i, v in enumerate(train)
            ]
        )
        return {"train": long, "test": pl.DataFrame({"value": [v.tolist() for v in test]})}

    @staticmethod
    def _read(path: Path) -> list[np.ndarray]:
        with gzip.open(path, "rt") as lines:
            rows = list(csv.reader(lines))[1:]
        return [np.array([float(v) for v in row[1:] if v != ""]) for row in rows]

    def series(self, raw: Raw) -> list[np.ndarray]:
        """Training part of each series."""
        parts = raw["train"].partition_by("series", maintain_order=True)
        return [p["value"].to_numpy() for p in parts]

    def levels(self, raw: Raw) -> np.ndarray:
        """Mean size over the last 200 training hours of each series, [414]."""
        return np.array([float(np.abs(s[-200:]).mean()) for s in self.series(raw)])

    def scales(self, raw: Raw) -> np.ndarray:
        """MASE denominators, [414]."""
        return np.array([seasonal_scale(s, M4_SEASON) for s in self.series(raw)])

    def build(self, raw: Raw, options: Mapping[str, Any]) -> WindowSamples:
        """Cut all training windows; errors weigh as `weigh` says (see `ModelTable`)."""
        series, levels, scales = self.series(raw), self.levels(raw), self.scales(raw)
        times = [np.arange(len(s), dtype=np.int64) * HOUR_NS for s in series]
        power = {"seasonal": 1.0, "balanced": 0.5, "level": 0.0}[options.get("weigh", "seasonal")]
        return windows(
            [s.astype(np.float32)[:, None] for s in series],
            times,
            int(options["lookback"]),
            int(options["horizon"]),
            scales=[
                float(v * max(c / v, 1e-3) ** power) for c, v in zip(scales, levels, strict=True)
            ],
        )
