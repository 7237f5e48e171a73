"""The indicator conventions of NautilusTrader and our own, repeated against TA-Lib on real bars."""

import numpy as np
import polars as pl
import pytest
import talib
from nautilus_trader import indicators as nautilus

from signals.indicators import AverageDirectionalIndex, SuperTrend


@pytest.fixture(scope="module")
def bars(shared_data):
    frame = pl.read_parquet(shared_data / "crypto_ohlcv/btcusdt_1h_binance.parquet").head(2000)
    return {k: frame[k].to_numpy().astype(float) for k in ("high", "low", "close", "volume")}


def run(indicator, columns, read):
    out = []
    for row in zip(*columns, strict=True):
        indicator.update_raw(*row)
        out.append(read(indicator) if indicator.initialized else np.nan)
    return np.array(out)


W = nautilus.MovingAverageType.Wilder
E = nautilus.MovingAverageType.Exponential
HLC = ("high", "low", "close")
C = ("close",)


# (name, indicator, inputs, reader, TA-Lib value, first row from which they must agree)
CASES = [
    (
        "sma",
        lambda: nautilus.SimpleMovingAverage(20),
        C,
        lambda i: i.value,
        lambda b: talib.SMA(b["close"], 20),
        20,
    ),
    (
        "ema",
        lambda: nautilus.ExponentialMovingAverage(20),
        C,
        lambda i: i.value,
        lambda b: talib.EMA(b["close"], 20),
        20,
    ),
    (
        "rsi",
        lambda: nautilus.RelativeStrengthIndex(14, W),
        C,
        lambda i: i.value,
        lambda b: talib.RSI(b["close"], 14),
        14,
    ),
    (
        "macd",
        lambda: nautilus.MovingAverageConvergenceDivergence(12, 26, 9, E),
        C,
        lambda i: i.value,
        lambda b: talib.MACD(b["close"])[0],
        300,
    ),
    (
        "macd_signal",
        lambda: nautilus.MovingAverageConvergenceDivergence(12, 26, 9, E),
        C,
        lambda i: i.signal,
        lambda b: talib.MACD(b["close"])[1],
        300,
    ),
    (
        "macd_histogram",
        lambda: nautilus.MovingAverageConvergenceDivergence(12, 26, 9, E),
        C,
        lambda i: i.histogram,
        lambda b: talib.MACD(b["close"])[2],
        300,
    ),
    (
        "atr",
        lambda: nautilus.AverageTrueRange(14, W),
        HLC,
        lambda i: i.value,
        lambda b: talib.ATR(b["high"], b["low"], b["close"], 14),
        300,
    ),
    (
        "bollinger_upper",
        lambda: nautilus.BollingerBands(20, 2.0),
        C,
        lambda i: i.upper,
        lambda b: talib.BBANDS(b["close"], 20, 2, 2)[0],
        20,
    ),
    (
        "bollinger_lower",
        lambda: nautilus.BollingerBands(20, 2.0),
        C,
        lambda i: i.lower,
        lambda b: talib.BBANDS(b["close"], 20, 2, 2)[2],
        20,
    ),
    (
        "stochastic_k",
        lambda: nautilus.Stochastics(14, 3),
        HLC,
        lambda i: i.value_k,
        lambda b: talib.STOCHF(b["high"], b["low"], b["close"], 14, 3)[0],
        20,
    ),
    (
        "stochastic_d",
        lambda: nautilus.Stochastics(14, 3),
        HLC,
        lambda i: i.value_d,
        lambda b: talib.STOCHF(b["high"], b["low"], b["close"], 14, 3)[1],
        20,
    ),
    (
        "obv",
        lambda: nautilus.OnBalanceVolume(),
        ("close", "volume"),
        lambda i: i.value,
        lambda b: talib.OBV(b["close"], b["volume"]) - b["volume"][0],
        1,
    ),
    (
        "adx",
        lambda: AverageDirectionalIndex(14),
        HLC,
        lambda i: i.value,
        lambda b: talib.ADX(b["high"], b["low"], b["close"], 14),
        27,
    ),
    (
        "plus_di",
        lambda: AverageDirectionalIndex(14),
        HLC,
        lambda i: i.plus_di,
        lambda b: talib.PLUS_DI(b["high"], b["low"], b["close"], 14),
        27,
    ),
    (
        "minus_di",
        lambda: AverageDirectionalIndex(14),
        HLC,
        lambda i: i.minus_di,
        lambda b: talib.MINUS_DI(b["high"], b["low"], b["close"], 14),
        27,
    ),
    (
        "supertrend",
        lambda: SuperTrend(10, 3.0),
        HLC,
        lambda i: i.value,
        lambda b: talib.SUPERTREND(b["high"], b["low"], b["close"], 10, 3.0)[0],
        300,
    ),
    (
        "supertrend_side",
        lambda: SuperTrend(10, 3.0),
        HLC,
        lambda i: i.direction,
        lambda b: talib.SUPERTREND(b["high"], b["low"], b["close"], 10, 3.0)[1],
        300,
    ),
]


@pytest.mark.parametrize(
    ("name", "make", "inputs", "read", "oracle", "start"), CASES, ids=[c[0] for c in CASES]
)
def test_it_agrees_with_ta_lib_on_real_bars(bars, name, make, inputs, read, oracle, start):
    ours = run(make(), [bars[c] for c in inputs], read)
    np.testing.assert_allclose(ours[start:], oracle(bars)[start:], rtol=2e-7, atol=1e-7)


def test_adx_and_its_first_value_start_where_ta_lib_starts(bars):
    ours = run(AverageDirectionalIndex(14), [bars[c] for c in HLC], lambda i: i.value)
    theirs = talib.ADX(bars["high"], bars["low"], bars["close"], 14)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))


def test_ichimoku_is_the_middle_of_its_ranges(bars):
    h, low, c = bars["high"], bars["low"], bars["close"]
    cloud = nautilus.IchimokuCloud(9, 26, 52, 26)
    for row in zip(h, low, c, strict=True):
        cloud.update_raw(*row)

    def middle(n, back=0):
        end = len(h) - back
        return (h[end - n : end].max() + low[end - n : end].min()) / 2

    assert cloud.tenkan_sen == middle(9)
    assert cloud.kijun_sen == middle(26)
    # A span shown today was computed 25 bars ago: the displacement of 26 counts today.
    assert cloud.senkou_span_a == pytest.approx((middle(9, 25) + middle(26, 25)) / 2)
    assert cloud.senkou_span_b == pytest.approx(middle(52, 25))


def test_a_flat_market_has_no_direction_and_no_division_by_zero():
    adx, trend = AverageDirectionalIndex(5), SuperTrend(5)
    for _ in range(50):
        adx.update_raw(100.0, 100.0, 100.0)
        trend.update_raw(100.0, 100.0, 100.0)
    assert (adx.plus_di, adx.minus_di) == (0.0, 0.0)
    assert trend.value == 100.0
