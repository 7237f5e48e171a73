"""Ledger: durable rows a second, wait for an acknowledgement, verification, opening ten million rows."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from core.domain.fees import Side
from core.ledger import BatchLedger, DurableLedger
from core.ledger.canonical import encode_payload
from core.ledger.kinds import OrderFilled, RunEnded, RunMode, RunOutcome, RunStarted
from core.ledger.projections import Projections
from core.ledger.registry import spec_of
from core.ledger.rows import Waiting, link
from core.ledger.segment import StoreOptions
from core.ledger.verify import verify

COMMAND = "make bench ONLY=ledger"
T0 = 1_780_000_000 * 10**9


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the checkout's own disk (``/tmp`` may be memory), removed afterwards."""
    base = Path("runs")
    base.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-ledger-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(n: int) -> OrderFilled:
    """A realistic row of about 400 bytes."""
    return OrderFilled(
        client_order_id=f"O-20261120-093000-001-001-{n}",
        venue_order_id=f"9f1c2b7e-{n:012d}",
        trade_id=f"T-{n}",
        strategy_id="polymarket_arb-001",
        venue="POLYMARKET",
        instrument_id="0x4cf3a6-71321045679252212594626385532706912750332728571942532289631379312455583992563.POLYMARKET",
        side=Side.BUY,
        quantity=Decimal("12.5"),
        price=Decimal("0.537"),
        fee=Decimal("0.01234"),
        currency="USDC",
        liquidity="TAKER",
    )


def started(run_id: str = "bench") -> RunStarted:
    return RunStarted(
        run_id=run_id,
        mode=RunMode.PAPER,
        config_sha256="",
        code_sha="",
        seed=1,
        strategies=(),
        data=(),
    )


def row(
    name: str, value: float, unit: str, bar: float | None, better: str, against: str = ""
) -> dict[str, Any]:
    """One row of the report."""
    out: dict[str, Any] = {
        "id": name,
        "value": value,
        "unit": unit,
        "bar": bar,
        "better": better,
        "command": COMMAND,
    }
    return {**out, "against": against} if against else out


def commit_per_row(folder: Path, count: int) -> float:
    """Rows a second of the plain way: standard library, full sync, one commit a row, chained hash."""
    with closing(sqlite3.connect(folder / "plain.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, payload BLOB, prev BLOB, hash BLOB)")
        prev = bytes(32)
        begin = time.perf_counter()
        for n in range(count):
            data = encode_payload(fill(n))
            digest = sha256(prev + data).digest()
            db.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (n, data, prev, digest))
            prev = digest
        return count / (time.perf_counter() - begin)


def durable(folder: Path, count: int) -> list[dict[str, Any]]:
    """Sustained rows a second with full sync, and the wait for one acknowledgement."""
    payloads = [fill(n) for n in range(count)]
    out = []
    with DurableLedger(folder / "durable") as ledger:
        ledger.begin_run(started(), ts_event=T0)
        begin = time.perf_counter()
        for n, payload in enumerate(payloads):
            ledger.append(payload, ts_event=T0 + n, parents=(1, 2))
        ledger.flush()
        rate = count / (time.perf_counter() - begin)
        plain = commit_per_row(folder, min(count, 2_000))
        out.append(
            row(
                "ledger.durable_rows_per_s",
                rate,
                "rows/s",
                10_000,
                "higher",
                f"sqlite3, a commit a row: {plain:,.0f}",
            )
        )
        for lanes in (1, 8):
            waits = ack_waits(ledger, lanes, max(200, count // 100))
            p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
            name = "ledger.ack_p99_ms" if lanes == 8 else "ledger.ack_one_producer_p99_ms"
            out.append(
                row(
                    name, p99 * 1e3, "ms", 25, "lower", f"{lanes} producers, p50 {p50 * 1e3:.2f} ms"
                )
            )
        out.append(
            row(
                "ledger.ack_async_p99_ms",
                async_p99(ledger, 8, max(100, count // 500)) * 1e3,
                "ms",
                25,
                "lower",
            )
        )
    return out


def ack_waits(ledger: DurableLedger, lanes: int, each: int) -> list[float]:
    """Sorted seconds from append to acknowledgement with `lanes` threads waiting at once."""
    waits: list[float] = []

    def work() -> None:
        for n in range(each):
            begin = time.perf_counter()
            ledger.append_durable(fill(n), ts_event=T0)
            waits.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=work) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(waits)


def async_p99(ledger: DurableLedger, lanes: int, each: int) -> float:
    """Seconds from append to acknowledgement on an event loop, 99th percentile."""
    waits: list[float] = []

    async def work() -> None:
        for n in range(each):
            begin = time.perf_counter()
            await ledger.append_durable_async(fill(n), ts_event=T0)
            waits.append(time.perf_counter() - begin)

    async def run() -> None:
        await asyncio.gather(*(work() for _ in range(lanes)))

    asyncio.run(run())
    return sorted(waits)[int(len(waits) * 0.99)]


def inline(folder: Path, count: int) -> list[dict[str, Any]]:
    """The backtest's writer, the verifier and the projections on the rows it wrote."""
    payloads = [fill(n) for n in range(count)]
    with BatchLedger(folder / "batch", start_ns=T0) as ledger:
        ledger.begin_run(started(), ts_event=T0)
        begin = time.perf_counter()
        for n, payload in enumerate(payloads):
            ledger.append(payload, ts_event=T0 + n, parents=(1, 2))
        ledger.flush()
        spent = time.perf_counter() - begin
        ledger.end_run(RunEnded(run_id="bench", outcome=RunOutcome.ENDED), ts_event=T0 + count)
    begin = time.perf_counter()
    report = verify(folder / "batch")
    rate = report.rows / (time.perf_counter() - begin)
    assert report.ok, report.findings
    return [
        row("ledger.inline_us_per_row", spent / count * 1e6, "us", 15, "lower"),
        row(
            "ledger.verify_rows_per_s",
            rate,
            "rows/s",
            150_000,
            "higher",
            f"{report.rows:,} rows, every page and byte too",
        ),
    ]


def fold(folder: Path, count: int) -> dict[str, Any]:
    """Fills a second that the projections take: ten instruments, bought and sold in turn."""
    with BatchLedger(folder / "fold", start_ns=T0) as ledger:
        ledger.begin_run(started(), ts_event=T0)
        for n in range(count):
            side = Side.BUY if n // 50 % 2 == 0 else Side.SELL
            payload = msgspec.structs.replace(
                fill(n), side=side, instrument_id=f"M{n % 10}.POLYMARKET"
            )
            ledger.append(payload, ts_event=T0 + n * 10**9)
    with Projections(folder / "fold") as projections:
        begin = time.perf_counter()
        projections.catch_up()
        return row(
            "ledger.fold_fills_per_s",
            count / (time.perf_counter() - begin),
            "fills/s",
            None,
            "higher",
        )


def open_large(folder: Path, count: int) -> dict[str, Any]:
    """Seconds to open and recover a ledger of `count` rows whose writer was killed in a run."""
    directory = folder / "large"
    options = StoreOptions(durable=False)
    with BatchLedger(directory, options, start_ns=T0) as ledger:
        ledger.begin_run(started(), ts_event=T0)
        segment, head = ledger._segment, ledger.head
        tag = spec_of(fill(0)).tag
        data = encode_payload(fill(0))
        while head.seq < count:
            waiting = [
                Waiting(head.seq + 1 + i, "bench", T0, T0, tag, "[1,2]", data) for i in range(5_000)
            ]
            rows, head = link(waiting, head)
            segment.insert(rows)
            segment.checkpoint_when_due(idle=False)
        ledger._head, ledger._seq = head, head.seq
    size = sum(path.stat().st_size for path in directory.iterdir())
    begin = time.perf_counter()
    again = DurableLedger(directory, wall_clock=lambda: T0)
    spent = time.perf_counter() - begin
    assert again.recovered_runs == ("bench",)
    assert again.head.seq == head.seq + 1
    again._stop()
    again._segment.close()
    again._opened.lock.release()
    return row(
        "ledger.open_10m_s",
        spent,
        "s",
        1.0,
        "lower",
        f"{head.seq:,} rows, {size / 1e9:.1f} GB, one run left open",
    )


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Measure the ledger; `quick` writes a fiftieth."""
    with scratch() as folder:
        out = durable(folder, 5_000 if quick else 200_000)
        out += inline(folder, 5_000 if quick else 500_000)
        out.append(fold(folder, 2_000 if quick else 30_000))
        out.append(open_large(folder, 50_000 if quick else 10_000_000))
        return out
