"""Replays of runs on real recordings: how many decision rows agree, and how many false alarms there are."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SETS = ("kalshi_btc15m_l2", "polymarket_l2_mlb_2025")
STRATEGIES = {
    "kalshi_btc15m_l2": "strategies.kalshi_event:KalshiEvent",
    "polymarket_l2_mlb_2025": "strategies.polymarket_arb:PolymarketArb",
}
RUNS, QUICK_RUNS = 100, 6


def catalogs(folder: Path) -> dict[str, Path]:
    """Ingest the recordings that are here; the sample when there are none."""
    from typer.testing import CliRunner

    from console.cli.data import app

    out = {}
    for name in SETS:
        if (SHARED / name).is_dir():
            path = folder / name
            args = ["ingest", name, "--from", str(SHARED / name), "--to", str(path)]
            CliRunner().invoke(app, args, catch_exceptions=False)
            out[name] = path
    return out


def one(path: Path, name: str, ledger: Path, rng: random.Random) -> tuple[Any, float, float]:
    """Record one run with drawn settings and replay it; return the report and both times."""
    from core.engine.backtest import BacktestSpec, run_backtest
    from core.engine.catalog import Catalog
    from core.engine.replay import ReplayRequest, replay

    markets = sorted(Catalog.open(path).markets())
    chosen = rng.sample(markets, min(len(markets), rng.choice([1, 2, 4])))
    began = time.perf_counter()
    run_backtest(
        BacktestSpec(
            strategy=STRATEGIES[name],
            catalog=path,
            markets=tuple(chosen),
            latency_ms=rng.choice([None, 0.0, 40.0, 350.0]),
            queue_position=rng.random() < 0.5,
            limits=rng.choice(["usd100", "research", "usd10000"]),
            seed=rng.randrange(1000),
            ledger=ledger,
        )
    )
    recorded = time.perf_counter() - began
    began = time.perf_counter()
    report = replay(ReplayRequest(ledger=ledger, catalog=path))
    return report, recorded, time.perf_counter() - began


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Return the replay's rows of the table; none where the recordings are not here."""
    rng = random.Random(23)
    same = decisions = done = 0
    recorded = repeated = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        found = catalogs(Path(scratch))
        if not found:
            return []
        for n in range(QUICK_RUNS if quick else RUNS):
            name = sorted(found)[n % len(found)]
            report, a, b = one(found[name], name, Path(scratch) / f"ledger{n}", rng)
            done, same, decisions = done + 1, same + report.same, decisions + report.rows
            recorded, repeated = recorded + a, repeated + b
            if done % 10 == 0:
                print(f"   {done} replays, {same} the same", file=sys.stderr, flush=True)
            if not report.same:
                print(f"   {name}: {report.plain()}", file=sys.stderr, flush=True)
    command = "make bench ONLY=replay"
    return [
        {"id": "replay.runs", "value": done, "unit": "runs", "bar": None, "better": "higher",
         "against": f"{decisions:,} decision rows compared", "command": command},
        {"id": "replay.false_alarms", "value": done - same, "unit": "runs", "bar": 0,
         "better": "lower", "command": command},
        {"id": "replay.time_ratio", "value": repeated / recorded, "unit": "x", "bar": None,
         "better": "lower", "against": "recording the run (the replay starts a process)",
         "command": command},
    ]  # fmt: skip
