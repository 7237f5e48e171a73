"""The same features row by row, with a ring of the last rows that a model reads as its window."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from signals.errors import FeatureMismatch, HistoryGap, NotFinite, ShortHistory, StaleHistory
from signals.features.registry import Stream
from signals.features.spec import FeatureSet
from signals.features.timeframe import BarAggregator


class FeatureStream:
    """
    Feature state of one instrument.

    Parameters
    ----------
    features
        What to compute.
    lookback
        Rows a window holds.

    Notes
    -----
    Bad input never reaches the state: a refused row leaves it as it was, except that a gap
    resets everything, because every recursive value behind it would be wrong for a while.
    """

    def __init__(self, features: FeatureSet, lookback: int) -> None:
        self.features, self.lookback = features, lookback
        self.reset()

    def reset(self) -> None:
        """Forget all history."""
        self._streams: list[Stream] = [
            f.definition.stream(f.settings) for f in self.features.features
        ]
        self._inputs = [f.inputs for f in self.features.features]
        self._every = [f.every for f in self.features.features]
        self._aggregators = {
            every: BarAggregator(self.features.interval_ns, every)
            for every in sorted(set(self._every) - {0})
        }
        # Twice the lookback, written twice: any window is one contiguous slice.
        self._ring = np.full((2 * self.lookback, len(self._streams)), np.nan)
        self._rows = 0
        self._usable = 0
        self._undefined = False
        self._last_ns = -1
        self._values = [math.nan] * len(self._streams)

    @property
    def rows(self) -> int:
        """Rows taken since the last reset."""
        return self._rows

    @property
    def last_ns(self) -> int:
        """Time of the newest row, -1 before the first."""
        return self._last_ns

    def push(self, ts_ns: int, row: Mapping[str, float]) -> None:
        """
        Take the next row.

        Parameters
        ----------
        ts_ns
            Time at which the row is known (bar close), UTC nanoseconds.
        row
            Values of at least `features.inputs`.

        Raises
        ------
        FeatureMismatch, NotFinite, HistoryGap
            The row is refused. After a gap, the row begins a new history.
        """
        self._check(ts_ns, row)
        fresh = {every: a.update(ts_ns, dict(row)) for every, a in self._aggregators.items()}
        for i, stream in enumerate(self._streams):
            source: Mapping[str, float] | None = (
                row if not self._every[i] else fresh[self._every[i]]
            )
            if source is not None:
                values = [
                    float(ts_ns) if name == "ts_ns" else float(source[name])
                    for name in self._inputs[i]
                ]
                self._values[i] = stream.update(*values)
        self._rows += 1
        self._last_ns = ts_ns
        slot = self._rows % self.lookback
        self._ring[slot] = self._ring[slot + self.lookback] = self._values
        warm = self._rows >= self.features.warmup
        finite = all(map(math.isfinite, self._values))
        self._usable = self._usable + 1 if warm and finite else 0
        self._undefined = warm and not finite

    def window(self, now_ns: int, max_age_ns: int) -> NDArray[np.float64]:
        """
        Return the last `lookback` rows, oldest first, shape [lookback, features].

        Raises
        ------
        NotFinite
            A feature could not be computed at the newest row.
        ShortHistory
            Fewer usable rows than `lookback` since the warm-up or such a row.
        StaleHistory
            The newest row is older than `max_age_ns`, or later than `now_ns`.
        """
        if self._undefined:
            values = zip(self.features.names, self._values, strict=True)
            raise NotFinite(
                "a feature cannot be computed at the newest row",
                seen=", ".join(f"{n} = {v}" for n, v in values if not math.isfinite(v)),
                mend="wait: a whole new window is needed from the next good row on",
            )
        if self._usable < self.lookback:
            raise ShortHistory(
                "too little usable history for a forecast",
                seen=f"{self._usable} of {self.lookback} rows, warm-up {self.features.warmup}",
                mend="wait, or load history before the start",
            )
        age = now_ns - self._last_ns
        if not 0 <= age <= max_age_ns:
            raise StaleHistory(
                "the newest row is too old, or from the future",
                seen=f"{age} ns, allowed 0..{max_age_ns}",
                mend="check the feed",
            )
        end = self._rows % self.lookback + self.lookback
        return self._ring[end - self.lookback + 1 : end + 1].copy()

    def _check(self, ts_ns: int, row: Mapping[str, float]) -> None:
        for name in self.features.inputs:
            if name == "ts_ns":
                continue
            if name not in row:
                raise FeatureMismatch("the row lacks a column", seen=name, mend="feed all inputs")
            if not math.isfinite(row[name]):
                raise NotFinite(
                    f"column {name} is not a finite number", seen=row[name], mend="row refused"
                )
        if self._last_ns < 0:
            return
        step = ts_ns - self._last_ns
        if step <= 0:
            raise HistoryGap(
                "the row is not newer than the last one", seen=f"step {step} ns", mend="row refused"
            )
        if self.features.interval_ns and step != self.features.interval_ns:
            self.reset()
            self.push(ts_ns, row)
            raise HistoryGap(
                "rows are missing: history starts again here",
                seen=f"step {step} ns, expected {self.features.interval_ns}",
                mend="backfill the gap and replay it",
            )
