"""Spot prices of the sample: driftless walks with a volatility that changes from day to day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adapters.sample.draws import Draws, Floats
from adapters.sample.schedule import DAY_S, DAYS, START_NS
from core.domain.clock import NS_PER_SECOND
from core.engine.catalog import BarColumns, CatalogWriter, Pair, TradeColumns

STEP_S = 5
STEPS_PER_DAY = DAY_S // STEP_S


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin to generate; `vol_per_step` in millionths of the price per 5 seconds."""

    pair: Pair
    price: float
    vol_per_step: int
    volume: int


COINS = (
    Coin(Pair("BTCUSDT.BINANCE", "BTC", "USDT"), 84_000.0, 190, 40),
    Coin(Pair("ETHUSDT.BINANCE", "ETH", "USDT"), 3_100.0, 250, 600),
    Coin(Pair("SOLUSDT.BINANCE", "SOL", "USDT"), 150.0, 330, 9_000),
)
#: Volatility of a day relative to the base, per cent.
_REGIMES = (70, 85, 100, 100, 115, 150)


@dataclass(frozen=True, slots=True)
class Walk:
    """The price every 5 seconds and the relative volatility of each step."""

    price: Floats
    vol: Floats


def walk(coin: Coin, draws: Draws) -> Walk:
    """Return the path of a coin over the whole period."""
    regimes = draws.child(1).integers(0, len(_REGIMES), DAYS)
    daily = np.array([_REGIMES[r] for r in regimes.tolist()], dtype=np.int64)
    vol = np.repeat(daily * coin.vol_per_step, STEPS_PER_DAY) / 1e8
    moves = vol * draws.child(2).normals(DAYS * STEPS_PER_DAY)
    return Walk(coin.price * np.cumprod(1.0 + moves), vol)


def write_bars(writer: CatalogWriter, coin: Coin, path: Walk, draws: Draws) -> None:
    """Write hourly and daily bars; a bar is dated to its close."""
    cents = np.rint(path.price * 100.0).astype(np.int64)
    for name, length_s in (("1-HOUR", 3600), ("1-DAY", DAY_S)):
        per = length_s // STEP_S
        table = cents.reshape(-1, per)
        n = len(table)
        volume = draws.child(length_s).integers(coin.volume // 2, coin.volume * 2, n) * (
            length_s // 3600
        )
        bars = BarColumns(
            ts_event=START_NS + np.arange(1, n + 1, dtype=np.int64) * length_s * NS_PER_SECOND,
            price_precision=coin.pair.price_precision,
            size_precision=coin.pair.size_precision,
            open=table[:, 0].copy(),
            high=table.max(axis=1),
            low=table.min(axis=1),
            close=table[:, -1].copy(),
            volume=volume * 10**coin.pair.size_precision,
        )
        writer.bars(f"{coin.pair.instrument_id}-{name}-LAST-EXTERNAL", bars)


def write_ticks(writer: CatalogWriter, coin: Coin, path: Walk, steps: np.ndarray) -> None:
    """Write the price at these steps as small trades, the spot reference of the windows."""
    size = max(1, 10**coin.pair.size_precision // 1000)
    writer.trades(
        coin.pair.instrument_id,
        TradeColumns(
            ts_event=START_NS + (steps + 1) * STEP_S * NS_PER_SECOND,  # the close of the step
            price_precision=coin.pair.price_precision,
            size_precision=coin.pair.size_precision,
            price=np.rint(path.price[steps] * 100.0).astype(np.int64),
            size=np.full(len(steps), size, dtype=np.int64),
            aggressor=np.zeros(len(steps), dtype=np.uint8),
        ),
    )
