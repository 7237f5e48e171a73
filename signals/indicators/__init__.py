"""Indicators: NautilusTrader's where they are right, ADX and SuperTrend of our own.

Conventions, measured on nautilus_trader 2.0.0rc7 against TA-Lib 0.8.2 (the tests repeat it):

===========  ==========================================================  =====================
indicator    how it is called                                            agreement with TA-Lib
===========  ==========================================================  =====================
SMA, EMA     ``update_raw(close)``                                       equal
RSI          Wilder, range 0..100                                        equal
MACD         exponential, signal and histogram included                  equal after warm-up
ATR          Wilder                                                      equal after warm-up
Bollinger    ``update_raw(close)``, population deviation                 equal
Stochastic   %K over the range, %D simple mean of 3 (STOCHF)             equal
OBV          ``update_raw(close, volume)``, starts at 0, not at volume   equal less first volume
ADX          own; TA-Lib seeding                                         equal
SuperTrend   own; Wilder ATR                                             equal after warm-up
Ichimoku     spans shown ``displacement`` bars ahead, that bar included  not in TA-Lib
===========  ==========================================================  =====================

Every indicator swallows NaN without a word, so callers check for finite input first.
"""

from signals.indicators.directional import AverageDirectionalIndex
from signals.indicators.supertrend import SuperTrend

__all__ = ["AverageDirectionalIndex", "SuperTrend"]
