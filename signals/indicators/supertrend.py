"""SuperTrend: a trailing stop of ATR width around the bar middle, and the side it is on."""

from __future__ import annotations

import math

from nautilus_trader.indicators import AverageTrueRange, MovingAverageType


class SuperTrend:
    """
    SuperTrend line and direction (Seban 2008), one bar at a time.

    `value` is the line in quote currency, `direction` is 1 (price above the line) or -1. The
    ATR is Wilder's; bands only ever tighten while the close stays inside them.
    """

    def __init__(self, period: int = 10, multiplier: float = 3.0) -> None:
        self.period, self.multiplier = period, multiplier
        self.reset()

    def reset(self) -> None:
        """Forget all bars."""
        self._atr = AverageTrueRange(self.period, MovingAverageType.Wilder)
        self._upper = self._lower = math.nan
        self._close = math.nan
        self.direction = 0
        self.value = math.nan

    @property
    def initialized(self) -> bool:
        """Whether `value` is a number."""
        return self.direction != 0

    def update_raw(self, high: float, low: float, close: float) -> None:
        """Take the next bar, prices in quote currency."""
        self._atr.update_raw(high, low, close)
        previous, self._close = self._close, close
        if not self._atr.initialized:
            return
        middle, width = (high + low) / 2.0, self.multiplier * self._atr.value
        upper, lower = middle + width, middle - width
        if self.direction == 0:
            self.direction = 1 if close >= middle else -1
        else:
            if not (upper < self._upper or previous > self._upper):
                upper = self._upper
            if not (lower > self._lower or previous < self._lower):
                lower = self._lower
            if self.direction == 1 and close < lower:
                self.direction = -1
            elif self.direction == -1 and close > upper:
                self.direction = 1
        self._upper, self._lower = upper, lower
        self.value = lower if self.direction == 1 else upper
