"""Training samples: sliding windows over series, and rows of resolved markets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from signals.errors import TrainingError

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Samples:
    """
    Inputs, targets and times of N samples; the base of both kinds.

    Attributes
    ----------
    decided_ns, label_end_ns
        When the forecast would have been made and when its target is fully known, [N].
    event
        Event id of every sample, [N]; samples of one event never sit on both sides of a split.
    """

    decided_ns: NDArray[np.int64]
    label_end_ns: NDArray[np.int64]
    event: NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return int(self.decided_ns.size)

    def take(self, rows: Rows) -> tuple[Floats, Floats]:
        """Return inputs [B, T, F] and targets [B, H] of the rows."""
        raise NotImplementedError

    def scale(self, rows: Rows) -> Floats | None:
        """Return the error scale of each row, [B], or None when all count alike."""
        return None


@dataclass(frozen=True)
class WindowSamples(Samples):
    """
    Windows of `lookback` rows and the next `horizon` values of one column.

    Attributes
    ----------
    flat
        All series one after another, [sum of lengths, F].
    start
        First row of each window in `flat`, [N].
    error_scale
        Scale of the series of each window, [N], or empty.
    """

    flat: Floats
    start: NDArray[np.int64]
    lookback: int
    horizon: int
    target: int = 0
    error_scale: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float32))

    def take(self, rows: Rows) -> tuple[Floats, Floats]:
        """Gather windows and targets."""
        first = self.start[rows][:, None]
        x = self.flat[first + np.arange(self.lookback)]
        y = self.flat[first + self.lookback + np.arange(self.horizon), self.target]
        return x, y

    def shorter(self, lookback: int) -> WindowSamples:
        """Return the same samples with only the newest `lookback` rows of each window."""
        if lookback == self.lookback:
            return self
        start = self.start + self.lookback - lookback
        return replace(self, start=start, lookback=lookback)

    def scale(self, rows: Rows) -> Floats | None:
        """Return the error scale of each row."""
        return self.error_scale[rows] if self.error_scale.size else None


@dataclass(frozen=True)
class MarketSamples(Samples):
    """
    Feature windows at a decision time of a market, with the price then and the outcome.

    Attributes
    ----------
    x
        [N, T, F].
    outcome
        1 if the market resolved YES, else 0, [N].
    price
        Market probability at the same moment, [N]; the climatology where there is no market.
    horizon
        Label of the distance to resolution, [N], for reports.
    group
        Specialist key of each sample, [N] (symbol, category).
    """

    x: Floats
    outcome: NDArray[np.float64]
    price: NDArray[np.float64]
    horizon: NDArray[np.str_]
    group: NDArray[np.str_]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse values no model may see."""
        if not (np.isfinite(self.x).all() and np.isfinite(self.price).all()):
            raise TrainingError(
                "samples hold NaN or infinity",
                seen=f"{int((~np.isfinite(self.x)).sum())} values",
                mend="drop those rows where the samples are built",
            )

    @property
    def market_column(self) -> int:
        """Column of the market's log-odds, -1 without a market."""
        return self.names.index("market_log_odds") if "market_log_odds" in self.names else -1

    def shorter(self, lookback: int) -> MarketSamples:
        """Return the same samples with only the newest `lookback` rows of each window."""
        return self if lookback == self.x.shape[1] else replace(self, x=self.x[:, -lookback:])

    def take(self, rows: Rows) -> tuple[Floats, Floats]:
        """Return windows and outcomes."""
        return self.x[rows], self.outcome[rows, None].astype(np.float32)


def windows(
    series: list[Floats],
    times_ns: list[NDArray[np.int64]],
    lookback: int,
    horizon: int,
    *,
    stride: int = 1,
    target: int = 0,
    scales: list[float] | None = None,
) -> WindowSamples:
    """
    Cut every window that fits out of each series.

    Parameters
    ----------
    series, times_ns
        Arrays [T, F] and the time at which each row is known.
    scales
        Error scale per series, for example the seasonal naive error.
    """
    starts, decided, ends, events, scale = [], [], [], [], []
    offset = 0
    for i, (values, times) in enumerate(zip(series, times_ns, strict=True)):
        if not np.isfinite(values).all():
            raise TrainingError(
                f"series {i} holds NaN or infinity",
                seen=f"{int((~np.isfinite(values)).sum())} values",
                mend="cut the series at the break",
            )
        first = np.arange(0, len(values) - lookback - horizon + 1, stride)
        starts.append(first + offset)
        decided.append(times[first + lookback - 1])
        ends.append(times[first + lookback + horizon - 1])
        events.append(np.full(first.size, i))
        if scales is not None:
            scale.append(np.full(first.size, scales[i], dtype=np.float32))
        offset += len(values)
    return WindowSamples(
        decided_ns=np.concatenate(decided).astype(np.int64),
        label_end_ns=np.concatenate(ends).astype(np.int64),
        event=np.concatenate(events).astype(np.int64),
        flat=np.concatenate(series).astype(np.float32),
        start=np.concatenate(starts).astype(np.int64),
        lookback=lookback,
        horizon=horizon,
        target=target,
        error_scale=np.concatenate(scale) if scale else np.empty(0, dtype=np.float32),
    )
