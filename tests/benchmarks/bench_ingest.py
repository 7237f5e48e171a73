"""Import and catalog speed: the Kalshi recording end to end, and the writer against the engine's own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
)
from nautilus_trader.persistence import ParquetDataCatalog

from adapters.history.sets import ingest
from adapters.sample.build import build_sample
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.engine.catalog import CatalogWriter, DeltaColumns

RECORDING = Path(__file__).resolve().parents[3] / "shared" / "data" / "kalshi_btc15m_l2"
IID = "BENCH-YES.KALSHI"
COMMAND = "make bench ONLY=ingest"


def rows(quick: bool = False) -> list[dict]:
    """Measure; the recording is left out where it is not beside the checkout."""
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        root = Path(folder)
        out = [*_writer(root, 200_000 if quick else 1_000_000), _sample(root)]
        if RECORDING.is_dir():
            out = [_recording(root, 2 if quick else 3), *out]
    return out


def _recording(root: Path, repeats: int) -> dict:
    """Deltas per second of the whole import: reading, replay, all checks, both books, spot, commit.

    The first import of a process also pays for imports and a cold file cache, so there is always a second.
    """
    best, deltas = 0.0, 0
    for number in range(repeats):
        started = time.perf_counter()
        report = ingest("kalshi_btc15m_l2", RECORDING, root / f"kalshi{number}")
        seconds = time.perf_counter() - started
        if not report.passed:
            raise RuntimeError("the recording did not verify")
        deltas = report.rows_in["deltas"]
        best = max(best, deltas / seconds)
    return {
        "id": "ingest.kalshi_l2_rows_per_s",
        "value": round(best),
        "unit": "rows/s",
        "bar": 500_000,
        "better": "higher",
        "against": f"best of {repeats} imports of {deltas:,} deltas",
        "command": COMMAND,
    }


def _columns(n: int) -> DeltaColumns:
    rng = np.random.default_rng(7)
    return DeltaColumns(
        ts_event=1_780_000_000_000_000_000 + np.arange(n, dtype=np.int64) * 1_000_000,
        action=np.where(np.arange(n) == 0, 0, 1).astype(np.uint8),
        side=rng.integers(1, 3, n).astype(np.uint8),
        price=rng.integers(1, 99, n) * 100,
        size=rng.integers(1, 100_000, n),
        flags=np.full(n, 128, dtype=np.uint8),
        sequence=np.arange(n, dtype=np.uint64),
    )


def _writer(root: Path, n: int) -> list[dict]:
    """Our columns to disk against the engine's catalog from its own objects, same rows, same run."""
    cols = _columns(n)
    market = Market(
        "KALSHI",
        "BENCH",
        "bench",
        (Outcome(IID, "Yes"), Outcome("BENCH-NO.KALSHI", "No")),
        TickGrid.uniform(Decimal("0.01")),
        FeeSchedule("KALSHI"),
    )

    def ours() -> None:
        with CatalogWriter(root / f"ours{time.perf_counter_ns()}", name="b") as writer:
            writer.markets([market])
            writer.deltas(IID, cols)

    part = n // 5

    def engines() -> None:
        iid = InstrumentId.from_str(IID)
        sides = (None, OrderSide.BUY, OrderSide.SELL)
        objects = [
            OrderBookDelta(
                iid,
                BookAction.UPDATE,
                BookOrder(sides[s], Price(p / 1e4, 4), Quantity(q / 100, 2), 1),
                128,
                0,
                t,
                t,
            )
            for s, p, q, t in zip(
                cols.side[:part].tolist(),
                cols.price[:part].tolist(),
                cols.size[:part].tolist(),
                cols.ts_event[:part].tolist(),
                strict=True,
            )
        ]
        folder = root / f"engine{time.perf_counter_ns()}"
        folder.mkdir()
        ParquetDataCatalog(str(folder)).write_order_book_deltas(objects)

    own, other = n / _best(ours, 3), part / _best(engines, 1)
    return [
        {
            "id": "catalog.write_deltas_rows_per_s",
            "value": round(own),
            "unit": "rows/s",
            "bar": 1_000_000,
            "better": "higher",
            "against": f"engine's own writer from objects {other:,.0f} rows/s",
            "command": COMMAND,
        },
        {
            "id": "catalog.write_ratio",
            "value": round(own / other, 1),
            "unit": "x",
            "bar": None,
            "better": "higher",
            "command": COMMAND,
        },
    ]


def _sample(root: Path) -> dict:
    return {
        "id": "data.sample_s",
        "value": round(_best(lambda: build_sample(root / "sample", replace=True), 1), 2),
        "unit": "s",
        "bar": None,
        "better": "lower",
        "command": COMMAND,
    }


def _best(work: Callable[[], None], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best
