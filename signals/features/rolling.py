"""Returns, volatility, regimes and the clock: features of a rolling window of rows."""

from __future__ import annotations

import itertools
import math
from collections import deque

import numpy as np
import polars as pl

from signals.features.registry import Kind, Settings, columns, memory, register


def _n(s: Settings) -> int:
    return int(s["period"])


class Lagged:
    """Log change over `period` rows."""

    __slots__ = ("_ring",)

    def __init__(self, period: int) -> None:
        self._ring: deque[float] = deque(maxlen=period + 1)

    def update(self, *values: float) -> float:
        """Take one price."""
        ring = self._ring
        ring.append(values[0])
        if len(ring) < (ring.maxlen or 0):
            return math.nan
        return math.log(ring[-1] / ring[0])


class Deviation:
    """Sample standard deviation of one-row log returns over `period` rows, two-pass."""

    __slots__ = ("_count", "_last", "_ring")

    def __init__(self, period: int) -> None:
        self._ring = np.zeros(period)
        self._count = 0
        self._last = math.nan

    def update(self, *values: float) -> float:
        """Take one price."""
        price = values[0]
        if not math.isnan(self._last):
            self._ring[self._count % self._ring.size] = math.log(price / self._last)
            self._count += 1
        self._last = price
        if self._count < self._ring.size:
            return math.nan
        return float(self._ring.std(ddof=1))


class VolatilityRegime:
    """1 calm, 2 normal, 3 wild: short against long realised volatility."""

    __slots__ = ("_long", "_low", "_short", "_wild")

    def __init__(self, s: Settings) -> None:
        self._short, self._long = Deviation(int(s["short"])), Deviation(int(s["long"]))
        self._low, self._wild = s["calm_below"], s["wild_above"]

    def update(self, *values: float) -> float:
        """Take one price."""
        short, long = self._short.update(*values), self._long.update(*values)
        if math.isnan(long):
            return math.nan
        ratio = short / long if long > 0 else 1.0
        return 1.0 if ratio < self._low else 3.0 if ratio > self._wild else 2.0


class TrendRegime:
    """-1 down, 0 sideways, 1 up: Kaufman's efficiency ratio with the sign of the move."""

    __slots__ = ("_ring", "_threshold")

    def __init__(self, s: Settings) -> None:
        self._ring: deque[float] = deque(maxlen=_n(s) + 1)
        self._threshold = s["threshold"]

    def update(self, *values: float) -> float:
        """Take one price."""
        ring = self._ring
        ring.append(values[0])
        if len(ring) < (ring.maxlen or 0):
            return math.nan
        prices = list(ring)
        path = math.fsum(abs(b - a) for a, b in itertools.pairwise(prices))
        move = prices[-1] - prices[0]
        if path <= 0 or abs(move) / path < self._threshold:
            return 0.0
        return math.copysign(1.0, move)


class ClockWave:
    """Sine (phase 0) or cosine (phase 1) of the position in a period of the UTC clock."""

    __slots__ = ("_period_ns", "_shift")

    def __init__(self, s: Settings) -> None:
        self._period_ns = s["hours"] * 3.6e12
        self._shift = s["phase"] * math.pi / 2.0

    def update(self, *values: float) -> float:
        """Take the row's time in nanoseconds."""
        return math.sin(
            2.0 * math.pi * (values[0] % self._period_ns) / self._period_ns + self._shift
        )


def _log_return(s: Settings) -> pl.Expr:
    return (pl.col("close") / pl.col("close").shift(_n(s))).log()


def _realized_volatility(s: Settings) -> pl.Expr:
    return (pl.col("close") / pl.col("close").shift(1)).log().rolling_std(_n(s))


def _volatility_regime(s: Settings) -> pl.Expr:
    returns = (pl.col("close") / pl.col("close").shift(1)).log()
    short, long = returns.rolling_std(int(s["short"])), returns.rolling_std(int(s["long"]))
    ratio = pl.when(long > 0).then(short / long).otherwise(pl.when(long == 0).then(1.0))
    return (
        pl.when(ratio < s["calm_below"])
        .then(1.0)
        .when(ratio > s["wild_above"])
        .then(3.0)
        .when(ratio.is_not_null())
        .then(2.0)
    )


def _trend_regime(s: Settings) -> pl.Expr:
    move = pl.col("close") - pl.col("close").shift(_n(s))
    path = pl.col("close").diff().abs().rolling_sum(_n(s))
    return (
        pl.when(path.is_null())
        .then(None)
        .when((path <= 0) | (move.abs() / path < s["threshold"]))
        .then(0.0)
        .otherwise(move.sign())
    )


def _clock_wave(s: Settings) -> pl.Expr:
    period = s["hours"] * 3.6e12
    place = (pl.col("ts_ns").cast(pl.Float64) % period) / period
    return (2.0 * math.pi * place + s["phase"] * math.pi / 2.0).sin()


register(
    "log_return",
    Kind(
        columns("close"),
        {"period": 1},
        memory(lambda s: s["period"] + 1),
        lambda s: Lagged(_n(s)),
        _log_return,
    ),
)
register(
    "realized_volatility",
    Kind(
        columns("close"),
        {"period": 60},
        memory(lambda s: s["period"] + 1),
        lambda s: Deviation(_n(s)),
        _realized_volatility,
    ),
)
register(
    "volatility_regime",
    Kind(
        columns("close"),
        {"short": 24, "long": 168, "calm_below": 0.7, "wild_above": 1.5},
        memory(lambda s: s["long"] + 1),
        VolatilityRegime,
        _volatility_regime,
    ),
)
register(
    "trend_regime",
    Kind(
        columns("close"),
        {"period": 24, "threshold": 0.3},
        memory(lambda s: s["period"] + 1),
        TrendRegime,
        _trend_regime,
    ),
)
register(
    "clock_wave",
    Kind(columns("ts_ns"), {"hours": 24, "phase": 0}, memory(lambda _: 1), ClockWave, _clock_wave),
)
