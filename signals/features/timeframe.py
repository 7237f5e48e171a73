"""Higher bars from base bars: only whole, gap-free higher bars count, and only once closed."""

from __future__ import annotations

import polars as pl

BAR_COLUMNS = ("open", "high", "low", "close", "volume")


class BarAggregator:
    """Build bars of `every` base bars, aligned to the UTC epoch."""

    __slots__ = ("_bar", "_count", "_every", "_interval_ns", "_names")

    def __init__(self, interval_ns: int, every: int) -> None:
        self._interval_ns, self._every = interval_ns, every
        self._bar: dict[str, float] = {}
        self._count = 0

    def update(self, ts_ns: int, row: dict[str, float]) -> dict[str, float] | None:
        """
        Take a base bar that closed at `ts_ns`; return the higher bar if this one closed it.

        Returns
        -------
        dict or None
            The higher bar with `ts_ns` of its close, or None when it is not whole.
        """
        span = self._interval_ns * self._every
        if (ts_ns - self._interval_ns) % span == 0:
            self._bar, self._count = dict(row), 1
        elif self._count:
            bar = self._bar
            if "high" in bar:
                bar["high"] = max(bar["high"], row["high"])
            if "low" in bar:
                bar["low"] = min(bar["low"], row["low"])
            if "volume" in bar:
                bar["volume"] += row["volume"]
            if "close" in bar:
                bar["close"] = row["close"]
            self._count += 1
        if ts_ns % span == 0 and self._count == self._every:
            self._count = 0
            return {**self._bar, "ts_ns": float(ts_ns)}
        return None


def aggregate(frame: pl.DataFrame, interval_ns: int, every: int) -> pl.DataFrame:
    """
    Return the whole higher bars of a frame of base bars, with `ts_ns` of their close.

    Parameters
    ----------
    frame
        Base bars, `ts_ns` = close time, rising.
    """
    span = interval_ns * every
    have = [c for c in BAR_COLUMNS if c in frame.columns]
    how = {
        "open": pl.col("open").first(),
        "high": pl.col("high").max(),
        "low": pl.col("low").min(),
        "close": pl.col("close").last(),
        "volume": pl.col("volume").sum(),
    }
    slot = ((pl.col("ts_ns") - interval_ns) // span).alias("slot")
    grouped = frame.group_by(slot, maintain_order=True).agg(
        [*(how[c] for c in have), pl.len().alias("count")]
    )
    whole = grouped.filter(pl.col("count") == every)
    return whole.with_columns(((pl.col("slot") + 1) * span).alias("ts_ns")).select("ts_ns", *have)
