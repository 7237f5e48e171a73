"""Backtest speed: the whole run with its report, our layer against the bare engine, and twenty million events."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median

from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.execution import ProbabilityPriceFeeModel, StaticLatencyModel
from nautilus_trader.model import InstrumentId, NautilusDataType
from nautilus_trader.trading import Strategy, StrategyConfig

from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.backtest.assembly import engine_config
from core.engine.backtest.runners import CHUNK_ROWS
from core.engine.currency import currency
from core.engine.quiet_imports import without_unneeded
from core.engine.report import summarise, write_report
from tests.benchmarks.backtest_strategies import CLOSE, Bare, BareClose, BareLooks
from tests.benchmarks.backtest_workload import EVERY, IID, write_catalog, write_streams

RECORDS = 100_000
#: Records of the runs that tell what an order costs.
FEW_RECORDS = 15_000
EVENTS = 20_000_000
LATENCY_MS = 75.0
CAPITAL = Decimal(1_000_000)
AGAIN = "make bench ONLY=backtest"


def spec_of(catalog: Path, strategy: str = "Ours") -> BacktestSpec:
    """Return the benchmark's run; limits of size, rate and loss are off, everything else is on."""
    return BacktestSpec(
        strategy=f"tests.benchmarks.backtest_strategies:{strategy}",
        catalog=catalog,
        capital=CAPITAL,
        latency_ms=LATENCY_MS,
        limits="research",
    )


def end_to_end(
    catalog: Path, folder: Path, times: int, ledger: bool = False
) -> tuple[float, int, int]:
    """Return the best wall seconds of a run with its report written, its orders and its ledger rows.

    Parameters
    ----------
    ledger : bool
        Whether every run also writes its ledger, as the command does by default.
    """
    best, orders, rows_written = float("inf"), 0, 0
    for n in range(times):
        gc.collect()
        spec = spec_of(catalog)
        if ledger:
            spec = replace(spec, ledger=Path(tempfile.mkdtemp(dir=folder)) / "ledger")
        began = time.perf_counter()
        result = run_backtest(spec)
        write_report(summarise(result), folder / f"report-{n}", spec.ledger)
        best = min(best, time.perf_counter() - began)
        orders = len(result.orders)
        if spec.ledger is not None:
            rows_written = max((f.ledger_seq for f in result.fills), default=0)
    return best, orders, rows_written


def report_seconds(catalog: Path, folder: Path, times: int) -> tuple[float, float, int]:
    """Return the best seconds to write a report with the rows behind its fills and without, and the fills."""
    spec = replace(spec_of(catalog), ledger=folder / "behind" / "ledger")
    summary = summarise(run_backtest(spec))
    best = []
    for ledger in (spec.ledger, None):
        least = float("inf")
        for _ in range(times):
            began = time.perf_counter()
            write_report(summary, folder / "report-behind", ledger)
            least = min(least, time.perf_counter() - began)
        best.append(least)
    return best[0], best[1], len(summary.result.fills)


def ledger_ratio(catalog: Path, folder: Path, times: int) -> tuple[float, str]:
    """Return throughput with a ledger over throughput without, turn about, and what they were."""
    pairs = []
    for _ in range(times):
        off, _, _ = end_to_end(catalog, folder, 1)
        on, _, seq = end_to_end(catalog, folder, 1, ledger=True)
        pairs.append((off, on, seq))
    ratio = median(off / on for off, on, _ in pairs)
    best_off, best_on = min(p[0] for p in pairs), min(p[1] for p in pairs)
    told = f"{RECORDS / best_on:,.0f} against {RECORDS / best_off:,.0f} records/s (best)"
    return ratio, f"{told}; {pairs[-1][2]} rows; median of {times} pairs"


def bare_seconds(catalog: Path, strategy: type[Strategy]) -> float:
    """Return wall seconds inside the engine of the same logic on the engine's own strategy class."""
    ids = [InstrumentId.from_str(IID)]
    path = str(catalog)
    data = [
        BacktestDataConfig(NautilusDataType.TradeTick, path, instrument_ids=ids),
        BacktestDataConfig(
            NautilusDataType.OrderBookDelta, path, instrument_ids=ids, batch_deltas=True
        ),
        BacktestDataConfig(NautilusDataType.InstrumentClose, path, instrument_ids=ids),
    ]
    venue = BacktestVenueConfig(
        "KALSHI",
        "NETTING",
        "CASH",
        [f"{CAPITAL} USD"],
        book_type="L2_MBP",
        base_currency=currency("USD"),
        fee_model=ProbabilityPriceFeeModel(Decimal(0), Decimal("0.07")),
        latency_model=StaticLatencyModel(int(LATENCY_MS * 1e6)),
        liquidity_consumption=True,
        queue_position=True,
    )
    with without_unneeded():
        run = BacktestRunConfig(
            [venue],
            data,
            engine=engine_config(),
            id="bare",
            chunk_size=CHUNK_ROWS,
            raise_exception=True,
            dispose_on_completion=False,
        )
        node = BacktestNode([run])
        node.build()
    node.add_strategy("bare", strategy(StrategyConfig(order_id_tag="001")))
    gc.collect()
    began = time.perf_counter()
    node.run()
    seconds = time.perf_counter() - began
    node.dispose()
    return seconds


def overhead(catalog: Path, times: int, ours: str, bare: type[Strategy]) -> tuple[float, str]:
    """Return our engine seconds over the bare engine's, turn about, and what they were."""
    pairs = []
    for _ in range(times):
        alone = bare_seconds(catalog, bare)
        gc.collect()
        pairs.append((run_backtest(spec_of(catalog, ours)).header.engine_seconds, alone))
    ratio = median(a / b for a, b in pairs)
    best = (min(p[0] for p in pairs), min(p[1] for p in pairs))
    return ratio, f"ours {best[0]:.3f} s, bare {best[1]:.3f} s (best); median of {times} pairs"


def order_cost(catalog: Path, times: int, ours: str, bare: type[Strategy]) -> tuple[float, float]:
    """Return microseconds of one order, ours and in the bare engine: best run less the best without orders."""
    runs: list[tuple[float, float, float, float]] = []
    orders = 1
    for _ in range(times):
        gc.collect()
        result = run_backtest(spec_of(catalog, ours))
        orders = len(result.orders)
        looking = run_backtest(spec_of(catalog, "LooksAtTop")).header.engine_seconds
        with_ours = result.header.engine_seconds
        runs.append(
            (with_ours, looking, bare_seconds(catalog, bare), bare_seconds(catalog, BareLooks))
        )
    best = [min(seconds) for seconds in zip(*runs, strict=True)]
    return (best[0] - best[1]) / orders * 1e6, (best[2] - best[3]) / orders * 1e6


STREAM = """
import json, sys, time
from pathlib import Path
from tests.benchmarks.bench_backtest import spec_of
from core.engine.backtest import run_backtest
began = time.perf_counter()
result = run_backtest(spec_of(Path(sys.argv[1]), "Looks"))
seconds = time.perf_counter() - began
# VmHWM, not ru_maxrss: the latter starts from what the parent process held.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps([seconds, peak, result.header.records]))
"""


def streaming(events: int, folder: Path) -> tuple[float, float, int]:
    """Return wall seconds, peak resident MB and records of a cold process that streams `events` rows."""
    catalog = write_streams(folder / "streams", events)
    out = subprocess.run(
        [sys.executable, "-c", STREAM, str(catalog)], capture_output=True, text=True, check=True
    )
    seconds, peak, records = json.loads(out.stdout.splitlines()[-1])
    return float(seconds), float(peak), int(records)


def rows(quick: bool = False) -> list[dict[str, object]]:
    """Measure; `quick` runs a tenth of the events."""
    times = 2 if quick else 7
    events = EVENTS // 10 if quick else EVENTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalog = write_catalog(folder / "workload", RECORDS)
        end_to_end(catalog, folder, 1, ledger=True)  # warm imports and file cache, for both sides
        bare_seconds(catalog, Bare)
        seconds, orders, _ = end_to_end(catalog, folder, times)
        kept, told_ledger = ledger_ratio(catalog, folder, times)
        linked, unlinked, fills = report_seconds(catalog, folder, max(times, 5))
        with_orders, told = overhead(catalog, times, "Ours", Bare)
        looking, told_looking = overhead(catalog, times, "LooksAtTop", BareLooks)
        engine = min(bare_seconds(catalog, BareLooks) for _ in range(times))
        few = write_catalog(folder / "few", FEW_RECORDS)
        apart = order_cost(few, 4 * times, "Ours", Bare)
        close = order_cost(few, 2 * times, "OursClose", BareClose)
        wall, peak, streamed = streaming(events, folder)
    return [
        {
            "id": "calibration.engine_events_per_s",
            "value": round(RECORDS / engine),
            "unit": "events/s",
            "bar": None,
            "better": "higher",
            "against": "the bare engine on the same records, a callback at every book change",
            "command": AGAIN,
        },
        {
            "id": "backtest.e2e_records_per_s",
            "value": round(RECORDS / seconds),
            "unit": "records/s",
            "bar": 100_000,
            "better": "higher",
            "against": f"{RECORDS} records, {orders} orders, report written, {seconds:.3f} s; peer 6,600-7,200",
            "command": AGAIN,
        },
        {
            "id": "backtest.ledger_throughput_ratio",
            "value": round(kept, 3),
            "unit": "x off",
            "bar": 0.7,
            "better": "higher",
            "against": f"the same runs with --ledger off; {told_ledger}",
            "command": AGAIN,
        },
        {
            "id": "backtest.report_with_chains_ms",
            "value": round(linked * 1e3, 1),
            "unit": "ms",
            "bar": None,
            "better": "lower",
            "against": f"{unlinked * 1e3:.1f} ms with --ledger off; {fills} fills, each with its rows",
            "command": AGAIN,
        },
        {
            "id": "backtest.overhead_ratio",
            "value": round(with_orders, 3),
            "unit": "x bare",
            "bar": 1.3,
            "better": "lower",
            "against": f"{orders} orders through the gate; {told}",
            "command": AGAIN,
        },
        {
            "id": "backtest.overhead_ratio_data",
            "value": round(looking, 3),
            "unit": "x bare",
            "bar": 1.3,
            "better": "lower",
            "against": f"the same callbacks without orders; {told_looking}",
            "command": AGAIN,
        },
        {
            "id": "backtest.order_us",
            "value": round(apart[0], 1),
            "unit": "us",
            "bar": None,
            "better": "lower",
            "against": f"bare engine {apart[1]:.0f}, {EVERY} books between two orders; with {CLOSE} between them "
            f"ours {close[0]:.0f}, bare {close[1]:.0f}; best of {4 * times} runs of {FEW_RECORDS} records",
            "command": AGAIN,
        },
        {
            "id": "backtest.events20m_s",
            "value": round(wall * EVENTS / streamed, 1),
            "unit": "s",
            "bar": 60.0,
            "better": "lower",
            "against": f"{streamed} events in {wall:.1f} s, cold process, every event in a callback",
            "command": AGAIN,
        },
        {
            "id": "backtest.events20m_peak_mb",
            "value": round(peak),
            "unit": "MB",
            "bar": 500,
            "better": "lower",
            "command": AGAIN,
        },
    ]
