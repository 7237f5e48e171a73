"""Probability that a crypto window settles above its strike, from spot, time and volatility.

Spot is taken as a driftless log-normal walk. A window settles on the average of the index over its last
`averaging_s` seconds, so the variance that is left at time ``t`` before close ``T`` is

- ``sigma^2 * (T - w - t + w / 3)`` before the averaging window of length ``w`` begins, and
- ``sigma^2 * (T - t)^3 / (3 * w^2)`` inside it, about the average that is already known.

(Variance of the mean of a Brownian path over an interval; any text on Asian options.)
All floats: this is a model. What reaches an order is rounded to Decimal by the strategy.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function at `x`."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def remaining_variance(sigma_per_sqrt_s: float, seconds_left: float, averaging_s: float) -> float:
    """Return the variance of the log settlement value given what is known now."""
    var = sigma_per_sqrt_s**2
    if averaging_s <= 0:
        return var * max(seconds_left, 0.0)
    if seconds_left >= averaging_s:
        return var * (seconds_left - averaging_s + averaging_s / 3.0)
    return var * max(seconds_left, 0.0) ** 3 / (3.0 * averaging_s**2)


def prob_above(
    spot: float,
    strike: float,
    sigma_per_sqrt_s: float,
    seconds_left: float,
    averaging_s: float = 60.0,
    known_mean: float | None = None,
) -> float:
    """Return P(settlement >= strike).

    Parameters
    ----------
    spot, strike : float
        Same unit, both positive.
    sigma_per_sqrt_s : float
        Volatility of log returns per square root of a second.
    known_mean : float, optional
        Mean of the index so far, once inside the averaging window.
    """
    if not (spot > 0 and strike > 0):
        raise ValueError(f"spot and strike must be positive, got {spot} and {strike}")
    variance = remaining_variance(sigma_per_sqrt_s, seconds_left, averaging_s)
    expected = spot
    if known_mean is not None and averaging_s > 0 and seconds_left < averaging_s:
        done = (averaging_s - max(seconds_left, 0.0)) / averaging_s
        expected = done * known_mean + (1.0 - done) * spot
    if variance <= 0.0:
        return 1.0 if expected >= strike else 0.0
    deviation = math.sqrt(variance)
    return normal_cdf((math.log(expected / strike) - 0.5 * variance) / deviation)


@dataclass(slots=True)
class TrailingMean:
    """Mean of a price over the time since a moment, each price in force until the next.

    Parameters
    ----------
    keep_s : float
        How far back a moment may lie.
    points : int
        Moments remembered in that time; between two of them the mean is taken as even.
    """

    keep_s: float = 60.0
    points: int = 60
    _price: float = 0.0
    _ts_ns: int = 0
    _sum: float = 0.0
    _marks: deque[tuple[int, float]] = field(default_factory=deque)

    def update(self, price: float, ts_ns: int) -> None:
        """Take a price at `ts_ns`; a clock that steps back begins anew."""
        if ts_ns < self._ts_ns or not self._marks:
            self._marks.clear()
            self._sum = 0.0
        else:
            self._sum += self._price * (ts_ns - self._ts_ns) / 1e9
        self._price, self._ts_ns = price, ts_ns
        marks, keep_ns = self._marks, int(self.keep_s * 1e9)
        if not marks or ts_ns - marks[-1][0] >= keep_ns // self.points:
            marks.append((ts_ns, self._sum))
            while len(marks) > 1 and marks[1][0] <= ts_ns - keep_ns:
                marks.popleft()

    def since(self, begin_ns: int, now_ns: int) -> float | None:
        """Return the mean from `begin_ns` to `now_ns`; None when no price was known at its beginning."""
        marks = self._marks
        if not marks or not marks[0][0] <= begin_ns < now_ns or now_ns < self._ts_ns:
            return None
        total = self._sum + self._price * (now_ns - self._ts_ns) / 1e9
        before, after = marks[0], (now_ns, total)
        for mark in marks:
            if mark[0] > begin_ns:
                after = mark
                break
            before = mark
        part = (begin_ns - before[0]) / (after[0] - before[0])
        gone = before[1] + part * (after[1] - before[1])
        return (total - gone) / ((now_ns - begin_ns) / 1e9)


def prob_between(
    low: float,
    high: float,
    *,
    spot: float,
    sigma_per_sqrt_s: float,
    seconds_left: float,
    averaging_s: float = 60.0,
    known_mean: float | None = None,
) -> float:
    """Return P(low <= settlement < high) with the arguments of `prob_above`."""
    above_low, above_high = (
        prob_above(spot, strike, sigma_per_sqrt_s, seconds_left, averaging_s, known_mean)
        for strike in (low, high)
    )
    return max(above_low - above_high, 0.0)


@dataclass(slots=True)
class RealisedVolatility:
    """Exponentially weighted volatility of log returns sampled at a fixed step.

    Ticks arrive irregularly; one return per `step_s` seconds is used, so that bid-ask bounce between
    ticks a few milliseconds apart does not pass for volatility.

    Parameters
    ----------
    half_life_s : float
        Time after which an observation counts half.
    step_s : float
        Sampling step, seconds.
    """

    half_life_s: float = 600.0
    step_s: float = 5.0
    samples: int = 0
    _variance_per_s: float = 0.0
    _last_price: float = 0.0
    _last_s: float = 0.0

    def update(self, price: float, ts_ns: int) -> None:
        """Take a price at `ts_ns`; ignored until a step has passed since the last sample."""
        now_s = ts_ns / 1e9
        if price <= 0 or not math.isfinite(price):
            return
        if self._last_price == 0.0:
            self._last_price, self._last_s = price, now_s
            return
        gap = now_s - self._last_s
        if gap < self.step_s:
            return
        if gap <= 20 * self.step_s:  # across a hole in the data nothing is known
            rate = math.log(price / self._last_price) ** 2 / gap
            weight = 1.0 - 0.5 ** (gap / self.half_life_s)
            if self.samples < 20:  # plain mean until there is something to weight
                weight = max(weight, 1.0 / (self.samples + 1))
            self._variance_per_s += weight * (rate - self._variance_per_s)
            self.samples += 1
        self._last_price, self._last_s = price, now_s

    @property
    def per_sqrt_s(self) -> float | None:
        """Volatility per square root of a second; None before 20 samples."""
        return math.sqrt(self._variance_per_s) if self.samples >= 20 else None
