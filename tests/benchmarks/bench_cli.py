"""Whole cold processes, as a user starts them: help, and a year of daily bars with its report."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import numpy as np

from core.domain.clock import NS_PER_DAY, ns_from_iso
from core.engine.catalog import BarColumns, CatalogWriter, Pair

BAR = "BTCUSDT.BINANCE-1-DAY-LAST-EXTERNAL"
DAYS = 365

#: The peer's run on the same bars: an average cross, no report.
PEER = """
import sys
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
rows = np.load(sys.argv[1])
frame = pd.DataFrame(rows, columns=["Open", "High", "Low", "Close", "Volume"])
frame.index = pd.date_range("2025-01-01", periods=len(rows))
def average(values, n):
    return pd.Series(values).ewm(span=n, adjust=False).mean()
class Cross(Strategy):
    def init(self):
        self.fast = self.I(average, self.data.Close, 10)
        self.slow = self.I(average, self.data.Close, 40)
    def next(self):
        if crossover(self.fast, self.slow):
            self.buy(size=0.5)
        elif crossover(self.slow, self.fast):
            self.position.close()
print(Backtest(frame, Cross, cash=1_000_000, commission=0.001).run()["Return [%]"])
"""


def daily_bars(seed: int = 5) -> np.ndarray:
    """Return open, high, low, close, volume of a seeded random walk around $60,000."""
    rng = np.random.default_rng(seed)
    close = 60_000 * np.exp(np.cumsum(rng.normal(0.001, 0.03, DAYS)))
    open_ = np.concatenate([[60_000.0], close[:-1]])
    high = np.maximum(open_, close) * (1 + np.abs(rng.normal(0, 0.01, DAYS)))
    low = np.minimum(open_, close) * (1 - np.abs(rng.normal(0, 0.01, DAYS)))
    return np.round(np.column_stack([open_, high, low, close, np.full(DAYS, 1_000.0)]), 2)


def write_catalog(path: Path, rows: np.ndarray) -> None:
    """Write the bars as a catalog."""
    cents = np.round(rows[:, :4] * 100).astype(np.int64)
    start = ns_from_iso("2025-01-02")
    with CatalogWriter(path, name="daily", synthetic=True, source="a seeded random walk") as out:
        out.pairs([Pair("BTCUSDT.BINANCE", "BTC", "USDT")])
        out.bars(
            BAR,
            BarColumns(
                ts_event=start + np.arange(DAYS, dtype=np.int64) * NS_PER_DAY,
                price_precision=2,
                size_precision=6,
                open=cents[:, 0],
                high=cents[:, 1],
                low=cents[:, 2],
                close=cents[:, 3],
                volume=np.round(rows[:, 4] * 10**6).astype(np.int64),
            ),
        )


def best_of(command: list[str], times: int, cwd: str | None = None) -> float:
    """Return the shortest wall time of `times` cold processes, seconds."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        out = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
        if out.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{out.stdout}\n{out.stderr}")
    return min(seconds)


def rows(quick: bool = False) -> list[dict[str, object]]:
    """Measure the cold processes."""
    times = 2 if quick else 7
    beta = [sys.executable, "-m", "console.cli"]
    with tempfile.TemporaryDirectory() as folder:
        bars = daily_bars()
        np.save(f"{folder}/bars.npy", bars)
        write_catalog(Path(folder) / "daily", bars)
        command = [*beta, "backtest", "crypto_momentum", "--data", f"{folder}/daily"]
        command += ["--capital", str(Decimal(10_000)), "--report", f"{folder}/report"]
        ours = best_of(command, times, folder)  # with its ledger, as by default
        peer = best_of([sys.executable, "-c", PEER, f"{folder}/bars.npy"], times)
    again = "make bench ONLY=cli"
    return [
        {
            "id": "cli.help_s",
            "value": round(best_of([*beta, "--help"], times), 3),
            "unit": "s",
            "bar": 0.4,
            "better": "lower",
            "command": again,
        },
        {
            "id": "cli.daily365_s",
            "value": round(ours, 3),
            "unit": "s",
            "bar": 1.0,
            "better": "lower",
            "against": f"backtesting.py on the same bars, no report: {peer:.3f} s",
            "command": again,
        },
        *report_rows(quick),
    ]


def report_rows(quick: bool) -> list[dict[str, object]]:
    """Measure the report alone: 2,400 fills, 20,000 equity points, 2,000 forecasts."""
    from core.engine.report import summarise, write_report
    from tests.unit.core.engine.report.samples import large

    result = large()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2 if quick else 7):
            began = time.perf_counter()
            write_report(summarise(result), Path(folder) / "report")
            seconds.append(time.perf_counter() - began)
    return [
        {
            "id": "report.write_s",
            "value": round(min(seconds), 3),
            "unit": "s",
            "bar": 0.15,
            "better": "lower",
            "command": "make bench ONLY=cli",
        }
    ]
