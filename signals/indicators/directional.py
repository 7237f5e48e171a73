"""Average Directional Index: how strong a trend is, whatever its direction (Wilder 1978)."""

from __future__ import annotations

import math


class AverageDirectionalIndex:
    """
    ADX with its +DI and -DI lines, in per cent, one bar at a time.

    Seeding as in TA-Lib: the first averages are sums over `period` bars, the first ADX is the
    mean of `period` DX values; afterwards Wilder smoothing with weight 1 / period.
    """

    def __init__(self, period: int = 14) -> None:
        self.period = period
        self.reset()

    def reset(self) -> None:
        """Forget all bars."""
        self._previous: tuple[float, float, float] | None = None
        self._bars = 0
        self._range = self._plus = self._minus = 0.0
        self._dx_sum, self._dx_count = 0.0, 0
        self.plus_di = self.minus_di = self.value = math.nan

    @property
    def initialized(self) -> bool:
        """Whether `value` is a number: after 2 * period bars."""
        return not math.isnan(self.value)

    def update_raw(self, high: float, low: float, close: float) -> None:
        """Take the next bar, prices in quote currency."""
        if self._previous is None:
            self._previous = (high, low, close)
            return
        last_high, last_low, last_close = self._previous
        self._previous = (high, low, close)
        up, down = high - last_high, last_low - low
        plus = up if up > down and up > 0 else 0.0
        minus = down if down > up and down > 0 else 0.0
        true_range = max(high - low, abs(high - last_close), abs(low - last_close))
        self._bars += 1
        n = self.period
        if self._bars < n:
            self._plus += plus
            self._minus += minus
            self._range += true_range
            return
        self._plus += plus - self._plus / n
        self._minus += minus - self._minus / n
        self._range += true_range - self._range / n
        self._update_lines()

    def _update_lines(self) -> None:
        if self._range <= 0.0:
            # No movement at all: no direction. TA-Lib reports 0 here too.
            self.plus_di = self.minus_di = 0.0
        else:
            self.plus_di = 100.0 * self._plus / self._range
            self.minus_di = 100.0 * self._minus / self._range
        total = self.plus_di + self.minus_di
        if total <= 0.0:
            return
        dx = 100.0 * abs(self.plus_di - self.minus_di) / total
        if self._dx_count < self.period:
            self._dx_sum += dx
            self._dx_count += 1
            if self._dx_count == self.period:
                self.value = self._dx_sum / self.period
        else:
            self.value = (self.value * (self.period - 1) + dx) / self.period
