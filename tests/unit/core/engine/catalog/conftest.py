"""Small catalogs for tests: one binary market with books, quotes, trades and a settlement."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Event, Market, Outcome
from core.engine.catalog import (
    F_LAST,
    BarColumns,
    BookAction,
    BookSide,
    CatalogWriter,
    DeltaColumns,
    Pair,
    QuoteColumns,
    TradeColumns,
)

T0 = 1_780_000_000_000_000_000
S = 1_000_000_000
YES, NO = "KXTEST-26-YES.KALSHI", "KXTEST-26-NO.KALSHI"
BAR = "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"
PAIR = Pair("BTCUSDT.BINANCE", "BTC", "USDT")


def make_market(**changes: object) -> Market:
    base = {
        "venue": "KALSHI",
        "market_id": "KXTEST-26",
        "question": "Will it test?",
        "outcomes": (Outcome(YES, "Yes", "yes"), Outcome(NO, "No", "no")),
        "grid": TickGrid.uniform(Decimal("0.01")),
        "fees": FeeSchedule("KALSHI", kind="quadratic"),
        "event_id": "KXTEST",
        "close_ns": T0 + 100 * S,
        "strike": Decimal("80807.66"),
        "info": {"note": "ü"},
    }
    return Market(**{**base, **changes})  # type: ignore[arg-type]


def make_deltas(n: int = 4, start: int = T0) -> DeltaColumns:
    """A snapshot of one bid and one ask, then alternating updates of the bid."""
    price = np.full(n, 4000, dtype=np.int64)
    price[1] = 4200
    side = np.full(n, BookSide.BUY, dtype=np.uint8)
    side[1] = BookSide.SELL
    action = np.full(n, BookAction.UPDATE, dtype=np.uint8)
    action[:2] = BookAction.ADD
    flags = np.full(n, F_LAST, dtype=np.uint8)
    flags[0] = 0
    ts = start + np.maximum(np.arange(n, dtype=np.int64) - 1, 0) * S
    size = 1000 + 100 * np.arange(n, dtype=np.int64)
    return DeltaColumns(
        ts_event=ts,
        action=action,
        side=side,
        price=price,
        size=size,
        flags=flags,
        sequence=np.arange(n, dtype=np.uint64),
    )


def make_quotes(n: int = 3, start: int = T0, **changes: object) -> QuoteColumns:
    ones = np.ones(n, dtype=np.int64)
    base = {
        "ts_event": start + np.arange(n, dtype=np.int64) * S,
        "bid": 4000 * ones,
        "ask": 4100 * ones,
        "bid_size": 2500 * ones,
        "ask_size": 2500 * ones,
    }
    return QuoteColumns(**{**base, **changes})  # type: ignore[arg-type]


def make_trades(n: int = 3, start: int = T0) -> TradeColumns:
    return TradeColumns(
        ts_event=start + np.arange(n, dtype=np.int64) * S,
        price=np.full(n, 4100, dtype=np.int64),
        size=np.full(n, 1050, dtype=np.int64),
        aggressor=np.array([1, 2, 0] * n, dtype=np.uint8)[:n],
        trade_id=[f"t{i}" for i in range(n)],
    )


def make_bars(n: int = 3, start: int = T0) -> BarColumns:
    price = 11_000_000 + np.arange(n, dtype=np.int64)
    return BarColumns(
        ts_event=start + np.arange(n, dtype=np.int64) * 3600 * S,
        price_precision=2,
        size_precision=6,
        open=price,
        high=price + 50,
        low=price - 50,
        close=price + 10,
        volume=np.full(n, 39_217_808_800_000, dtype=np.int64),
    )


@pytest.fixture
def small_catalog(tmp_path: Path) -> Path:
    path = tmp_path / "small"
    with CatalogWriter(path, name="small", source="a test") as writer:
        writer.markets([make_market()])
        writer.events([Event("KALSHI", "KXTEST", "Test", ("KXTEST-26",))])
        writer.pairs([PAIR])
        writer.deltas(YES, make_deltas())
        writer.quotes(NO, make_quotes())
        writer.trades(YES, make_trades())
        writer.bars(BAR, make_bars())
        writer.statuses(YES, [(T0, "TRADING", ""), (T0 + 50 * S, "CLOSE", "close time")])
        writer.closes(YES, T0 + 60 * S, Decimal(1))
        writer.closes(NO, T0 + 60 * S, Decimal(0))
    return path
