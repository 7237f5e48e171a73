"""Indicator features of bars: thin states around the indicator classes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from nautilus_trader import indicators as nautilus

from signals.features.registry import Kind, Settings, Stream, columns, memory, register
from signals.indicators import AverageDirectionalIndex, SuperTrend

WILDER = nautilus.MovingAverageType.Wilder
EXPONENTIAL = nautilus.MovingAverageType.Exponential


class Indicator:
    """Feed an indicator and read one of its numbers, as NaN until it is initialised."""

    __slots__ = ("_feed", "_indicator", "_last", "_read")

    def __init__(self, indicator: Any, read: Callable[[Any, float], float]) -> None:
        self._indicator = indicator
        self._feed = indicator.update_raw
        self._read = read

    def update(self, *values: float) -> float:
        """Feed the row; the last input (close, or volume for OBV) reaches the reader too."""
        self._feed(*values)
        if not self._indicator.initialized:
            return math.nan
        return self._read(self._indicator, values[-1])


def _add(
    name: str,
    inputs: tuple[str, ...],
    defaults: dict[str, float],
    rows: Callable[[Settings], float],
    make: Callable[[Settings], Any],
    read: Callable[[Any, float], float],
) -> None:
    def stream(settings: Settings) -> Stream:
        return Indicator(make(settings), read)

    register(name, Kind(columns(*inputs), defaults, memory(rows), stream))


def _forget(period: float) -> float:
    """Rows until an exponential mean of this span forgets its seed to 1e-6 of its size."""
    return math.ceil(math.log(1e-6) / math.log(1.0 - 2.0 / (period + 1.0)))


def _forget_wilder(period: float) -> float:
    return math.ceil(math.log(1e-6) / math.log(1.0 - 1.0 / period))


def _period(s: Settings) -> int:
    return int(s["period"])


def _attribute_over_close(name: str) -> Callable[[Any, float], float]:
    return lambda indicator, close: float(getattr(indicator, name)) / close


def _attribute_of_100(name: str) -> Callable[[Any, float], float]:
    return lambda indicator, _: float(getattr(indicator, name)) / 100.0


HLC = ("high", "low", "close")
_add(
    "sma_ratio",
    ("close",),
    {"period": 20},
    lambda s: s["period"],
    lambda s: nautilus.SimpleMovingAverage(_period(s)),
    lambda i, c: c / i.value - 1.0,
)
_add(
    "ema_ratio",
    ("close",),
    {"period": 20},
    lambda s: _forget(s["period"]),
    lambda s: nautilus.ExponentialMovingAverage(_period(s)),
    lambda i, c: c / i.value - 1.0,
)
_add(
    "rsi",
    ("close",),
    {"period": 14},
    lambda s: _forget_wilder(s["period"]) + 1,
    lambda s: nautilus.RelativeStrengthIndex(_period(s), WILDER),
    lambda i, _: i.value / 100.0,
)


def _macd(s: Settings) -> Any:
    return nautilus.MovingAverageConvergenceDivergence(
        int(s["fast"]), int(s["slow"]), int(s["signal"]), EXPONENTIAL
    )


_MACD = {"fast": 12.0, "slow": 26.0, "signal": 9.0}
for _name, _attribute in (
    ("macd", "value"),
    ("macd_signal", "signal"),
    ("macd_histogram", "histogram"),
):
    _add(
        _name,
        ("close",),
        _MACD,
        lambda s: _forget(s["slow"]) + _forget(s["signal"]),
        _macd,
        _attribute_over_close(_attribute),
    )
_add(
    "atr_ratio",
    HLC,
    {"period": 14},
    lambda s: _forget_wilder(s["period"]) + 1,
    lambda s: nautilus.AverageTrueRange(_period(s), WILDER),
    lambda i, c: i.value / c,
)
_add(
    "bollinger_position",
    ("close",),
    {"period": 20, "width": 2.0},
    lambda s: s["period"],
    lambda s: nautilus.BollingerBands(_period(s), s["width"]),
    lambda i, c: (c - i.middle) / (i.upper - i.middle) if i.upper > i.middle else 0.0,
)
_add(
    "bollinger_width",
    ("close",),
    {"period": 20, "width": 2.0},
    lambda s: s["period"],
    lambda s: nautilus.BollingerBands(_period(s), s["width"]),
    lambda i, _: (i.upper - i.lower) / i.middle,
)
for _name, _attribute in (("stochastic_k", "value_k"), ("stochastic_d", "value_d")):
    _add(
        _name,
        HLC,
        {"period": 14, "smooth": 3},
        lambda s: s["period"] + s["smooth"],
        lambda s: nautilus.Stochastics(_period(s), int(s["smooth"])),
        _attribute_of_100(_attribute),
    )


class OnBalanceVolumeSlope:
    """Change of OBV over `period` bars per traded volume: OBV itself has no level to compare."""

    __slots__ = ("_obv", "_ring", "_volume")

    def __init__(self, period: int) -> None:
        self._obv = nautilus.OnBalanceVolume()
        self._ring: deque[tuple[float, float]] = deque(maxlen=period + 1)
        self._volume = 0.0

    def update(self, *values: float) -> float:
        """Take close and volume."""
        self._obv.update_raw(values[0], values[1])
        self._volume += values[1]
        ring = self._ring
        ring.append((self._obv.value, self._volume))
        if len(ring) < (ring.maxlen or 0):
            return math.nan
        traded = ring[-1][1] - ring[0][1]
        return (ring[-1][0] - ring[0][0]) / traded if traded > 0 else 0.0


register(
    "obv_slope",
    Kind(
        columns("close", "volume"),
        {"period": 20},
        memory(lambda s: s["period"] + 1),
        lambda s: OnBalanceVolumeSlope(_period(s)),
    ),
)
_add(
    "adx",
    HLC,
    {"period": 14},
    lambda s: 2 * _forget_wilder(s["period"]) + 1,
    lambda s: AverageDirectionalIndex(_period(s)),
    lambda i, _: i.value / 100.0,
)
_add(
    "di_difference",
    HLC,
    {"period": 14},
    lambda s: 2 * _forget_wilder(s["period"]) + 1,
    lambda s: AverageDirectionalIndex(_period(s)),
    lambda i, _: (i.plus_di - i.minus_di) / 100.0,
)
_SUPERTREND = {"period": 10.0, "multiplier": 3.0}
_add(
    "supertrend_gap",
    HLC,
    _SUPERTREND,
    lambda s: 20 * s["period"] + _forget_wilder(s["period"]),
    lambda s: SuperTrend(_period(s), s["multiplier"]),
    lambda i, c: c / i.value - 1.0,
)
_add(
    "supertrend_side",
    HLC,
    _SUPERTREND,
    lambda s: 20 * s["period"] + _forget_wilder(s["period"]),
    lambda s: SuperTrend(_period(s), s["multiplier"]),
    lambda i, _: float(i.direction),
)


def _ichimoku(s: Settings) -> Any:
    return nautilus.IchimokuCloud(
        int(s["tenkan"]), int(s["kijun"]), int(s["senkou"]), int(s["displacement"])
    )


_ICHIMOKU = {"tenkan": 9.0, "kijun": 26.0, "senkou": 52.0, "displacement": 26.0}
_add(
    "ichimoku_cross",
    HLC,
    _ICHIMOKU,
    lambda s: s["senkou"] + s["displacement"],
    _ichimoku,
    lambda i, c: (i.tenkan_sen - i.kijun_sen) / c if i.has_kijun else math.nan,
)
_add(
    "ichimoku_cloud",
    HLC,
    _ICHIMOKU,
    lambda s: s["senkou"] + s["displacement"],
    _ichimoku,
    lambda i, c: (
        c / ((i.senkou_span_a + i.senkou_span_b) / 2.0) - 1.0 if i.has_senkou_b else math.nan
    ),
)
