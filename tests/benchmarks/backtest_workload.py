"""The workload of the backtest benchmarks: a seeded book, and one strategy logic written for both engines.

100,000 records of one Kalshi-like market: 90 % book changes of 19 levels a side, 10 % trades. The logic looks
at the top of book at every book change, and every 37th time (about 2,400 times) sends an order: in turns an IOC buy at the ask,
a resting bid at the best bid (cancelled when the next one comes), an IOC sale of what is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.engine.catalog import (
    F_LAST,
    F_SNAPSHOT,
    CatalogWriter,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
)

START_NS = 1_780_000_000 * 1_000_000_000
LEVELS = 19
EVERY = 37
IID = "BENCH-YES.KALSHI"


@dataclass(frozen=True)
class Book:
    """One seeded recording as columns."""

    deltas: DeltaColumns
    trades: TradeColumns
    end_ns: int


def market(name: str = "BENCH") -> Market:
    """Return the market of the workload: a cent grid, the venue's standard fee."""
    return Market(
        venue="KALSHI",
        market_id=name,
        question="Benchmark?",
        outcomes=(Outcome(f"{name}-YES.KALSHI", "Yes"), Outcome(f"{name}-NO.KALSHI", "No")),
        grid=TickGrid.uniform(Decimal("0.01")),
        fees=FeeSchedule("KALSHI", kind="quadratic_with_maker_fees"),
        event_id=f"{name}-EVENT",
    )


def recording(records: int, seed: int = 11, trade_share: float = 0.1) -> Book:
    """Return a snapshot, then `records` changes and trades, 1 to 200 ms apart."""
    rng = np.random.default_rng(seed)
    ts = START_NS + np.cumsum(rng.integers(1, 200, records)) * 1_000_000
    is_trade = rng.random(records) < trade_share
    mid = 50
    n = int((~is_trade).sum())
    side = rng.integers(1, 3, n)
    step = rng.integers(1, LEVELS + 1, n)
    price = np.where(side == 1, mid - step, mid + step) * 100
    # A third of the changes empty their level, so that the top of book moves.
    size = np.where(rng.random(n) < 0.33, 0, rng.integers(1, 500, n)) * 100
    first = 2 * LEVELS + 1
    opening = np.concatenate(
        [[0], (mid - np.arange(1, LEVELS + 1)) * 100, (mid + np.arange(1, LEVELS + 1)) * 100]
    )
    flags = np.full(first, F_SNAPSHOT, dtype=np.uint8)
    flags[-1] |= F_LAST
    deltas = DeltaColumns(
        ts_event=np.concatenate([np.full(first, START_NS), ts[~is_trade]]).astype(np.int64),
        action=np.concatenate([[3], np.zeros(first - 1), np.where(size == 0, 2, 1)]).astype(
            np.uint8
        ),
        side=np.concatenate([[0], np.ones(LEVELS), np.full(LEVELS, 2), side]).astype(np.uint8),
        price=np.concatenate([opening, price]).astype(np.int64),
        size=np.concatenate([[0], np.full(first - 1, 10_000), size]).astype(np.int64),
        flags=np.concatenate([flags, np.full(n, F_LAST)]).astype(np.uint8),
        sequence=np.arange(first + n, dtype=np.uint64),
    )
    m = int(is_trade.sum())
    hit = rng.integers(1, 3, m)
    trades = TradeColumns(
        ts_event=ts[is_trade].astype(np.int64),
        price=np.where(hit == 1, mid + 1, mid - 1).astype(np.int64) * 100,
        size=rng.integers(1, 40, m).astype(np.int64) * 100,
        aggressor=hit.astype(np.uint8),
    )
    return Book(deltas, trades, int(ts[-1]) + 1_000_000_000)


def write_catalog(path: Path, records: int) -> Path:
    """Write the workload as a catalog that ends with a settlement at 1."""
    book = recording(records)
    with CatalogWriter(path, name=path.name, synthetic=True, source="seeded benchmark") as out:
        out.markets([market()])
        out.deltas(IID, book.deltas)
        out.trades(IID, book.trades)
        out.closes(IID, book.end_ns, Decimal(1))
    return path


def write_streams(path: Path, events: int, seed: int = 12) -> Path:
    """Write `events` rows, half quotes of one market, half book changes of another, for the streaming benchmark."""
    half = events // 2
    rng = np.random.default_rng(seed)
    quoted = market("QUOTED")
    with CatalogWriter(path, name=path.name, synthetic=True, source="seeded benchmark") as out:
        spot = Market(
            venue="POLYMARKET",
            market_id="QUOTED",
            question="Quoted?",
            outcomes=(Outcome("QUOTED-1.POLYMARKET", "Yes"), Outcome("QUOTED-2.POLYMARKET", "No")),
            grid=quoted.grid,
            fees=FeeSchedule("POLYMARKET", kind="none"),
        )
        out.markets([market(), spot])
        done = 0
        ts = START_NS
        while done < half:
            rows = min(1_000_000, half - done)
            times = ts + np.cumsum(rng.integers(1, 200, rows)) * 1_000_000
            ts = int(times[-1])
            bid = rng.integers(30, 60, rows).astype(np.int64) * 100
            out.quotes(
                "QUOTED-1.POLYMARKET",
                QuoteColumns(
                    ts_event=times.astype(np.int64),
                    bid=bid,
                    ask=bid + 100,
                    bid_size=rng.integers(1, 500, rows).astype(np.int64) * 100,
                    ask_size=rng.integers(1, 500, rows).astype(np.int64) * 100,
                ),
            )
            done += rows
        done, ts = 0, START_NS
        while done < half:
            rows = min(1_000_000, half - done)
            part = recording(rows, seed + done, trade_share=0.0)
            skip = 0 if done == 0 else 2 * LEVELS + 1
            cols = part.deltas.take(slice(skip, skip + rows))
            shifted = cols.ts_event - START_NS + ts
            ts = int(shifted[-1]) + 1_000_000
            out.deltas(
                IID,
                DeltaColumns(
                    ts_event=shifted,
                    action=cols.action,
                    side=cols.side,
                    price=cols.price,
                    size=cols.size,
                    flags=cols.flags,
                    sequence=cols.sequence,
                ),
            )
            done += len(cols)
    return path
