"""`beta backtest` as a process: good runs, and everything a user can get wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from console.cli import app
from core.domain.clock import NS_PER_DAY, NS_PER_SECOND, ns_from_iso
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.engine.catalog import CatalogWriter, QuoteColumns

ROOT = Path(__file__).resolve().parents[2]
START = ns_from_iso("2026-07-01T12:00:00Z")
DAYS = 6
NO_LEDGER = ["--ledger", "off"]

STRATEGY = """
from decimal import Decimal
from core.engine.strategy import BetaStrategy, StrategyConfig

class MineConfig(StrategyConfig):
    size: Decimal = Decimal(4)

class Mine(BetaStrategy):
    config_type = MineConfig
    def on_start(self):
        self.seen = 0
        for iid in self.universe:
            self.watch_quotes(iid)
    def on_quote(self, quote):
        iid = str(quote.instrument_id)
        self.seen += 1
        ask = self.best_ask(iid)
        if "-YES" in iid and ask and not self.position(iid) and self.seen > 4:
            self.buy(iid, self.config.size, ask.price, reason="first look")
"""


def market(name: str) -> Market:
    return Market(
        venue="KALSHI",
        market_id=name,
        question=f"Will {name}?",
        outcomes=(
            Outcome(f"{name}-YES.KALSHI", "Yes", "yes"),
            Outcome(f"{name}-NO.KALSHI", "No", "no"),
        ),
        grid=TickGrid.uniform(Decimal("0.01")),
        fees=FeeSchedule("KALSHI", kind="quadratic"),
        event_id=name,
        open_ns=START,
        close_ns=START + DAYS * NS_PER_DAY,
    )


def quotes(n: int, no: bool = False) -> QuoteColumns:
    step = DAYS * NS_PER_DAY // n
    drift = np.arange(n, dtype=np.int64) * 2_000 // n // 100 * 100
    bid, ask = 4_000 + drift, 4_200 + drift
    size = np.full(n, 100_000, dtype=np.int64)
    return QuoteColumns(
        ts_event=START + np.arange(n, dtype=np.int64) * step,
        bid=10_000 - ask if no else bid,
        ask=10_000 - bid if no else ask,
        bid_size=size,
        ask_size=size,
    )


def write(path: Path, names=("KXONE-26",), resolved=True, rows=300) -> Path:
    with CatalogWriter(path, name=path.name, source="a test") as out:
        out.markets([market(name) for name in names])
        for name in names:
            out.quotes(f"{name}-YES.KALSHI", quotes(rows))
            out.quotes(f"{name}-NO.KALSHI", quotes(rows, no=True))
            if resolved:
                end = START + DAYS * NS_PER_DAY + NS_PER_SECOND
                out.closes(f"{name}-YES.KALSHI", end, Decimal(1))
                out.closes(f"{name}-NO.KALSHI", end, Decimal(0))
    return path


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "small", ("KXONE-26", "KXTWO-26"))


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STRATEGY)
    return file


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def in_this_process(monkeypatch, capsys, *first):
    """Return what runs `beta`, with its `first` words, by its own entry point, without a second start-up."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["beta", *first, *map(str, args)])
        code = 0
        try:
            app.main()
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def inside(monkeypatch, capsys):
    """Run `beta backtest` in this process."""
    return in_this_process(monkeypatch, capsys, "backtest", *NO_LEDGER)


def beta(*args, cwd=None, script=None):
    """Run `beta backtest` as a process of its own."""
    start = [script] if script else ["-m", "console.cli", "backtest"]
    start += NO_LEDGER
    return subprocess.run(
        [sys.executable, *map(str, start), *map(str, args)],
        cwd=cwd or ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(out, code, *texts):
    """An error is three lines at most, says what is wrong, and nothing is on stdout."""
    assert out.returncode == code, out.stderr + out.stdout
    assert out.stdout == ""
    assert "Traceback" not in out.stderr
    assert len(out.stderr.strip().splitlines()) <= 3
    for text in texts:
        assert text in out.stderr


def test_a_run_prints_a_report_and_writes_its_folder(catalog, mine, tmp_path):
    folder = tmp_path / "deep" / "report"
    out = beta(mine, "--data", catalog, "--report", folder)
    assert out.returncode == 0, out.stderr
    assert "P&L after fees" in out.stdout
    assert "RECORDED DATA" in out.stdout
    assert str(folder / "report.html") in out.stdout
    doc = json.loads((folder / "result.json").read_text())
    assert doc["totals"]["fills"] == 2
    assert doc["totals"]["markets_decided"] == 2


def test_without_a_word_about_it_the_run_keeps_a_ledger_that_replays(
    catalog, mine, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["beta", "backtest", str(mine), "--data", str(catalog)])
    app.main()
    (folder,) = (tmp_path / "runs" / "backtest").iterdir()
    assert str(folder.relative_to(tmp_path)) in capsys.readouterr().err


def test_settled_profit_is_exact_to_the_cent(inside, catalog, mine):
    doc = json.loads(inside(mine, "--data", catalog, "--json", "--latency-ms", 0).stdout)
    paid = sum(Decimal(m["fees"]) for m in doc["markets"])
    assert Decimal(doc["totals"]["fees"]) == paid > 0
    assert all(Decimal(m["payout"]) == 1 for m in doc["markets"])
    # Two times four shares bought at 0.42, paid 1 each.
    assert Decimal(doc["totals"]["pnl"]) == Decimal("4.64") - paid


def test_the_same_command_decides_the_same_and_another_seed_or_capital_is_another_config(
    catalog, mine
):
    docs = [
        json.loads(beta(mine, "--data", catalog, "--json", *more).stdout)
        for more in ([], [], ["--capital", "200"])
    ]
    assert docs[0]["decision_hash"] == docs[1]["decision_hash"]
    assert docs[0]["header"]["config_hash"] == docs[1]["header"]["config_hash"]
    assert docs[0]["header"]["config_hash"] != docs[2]["header"]["config_hash"]


def test_the_thin_twin_is_the_same_command(catalog, mine):
    twin = beta(
        f"--strategy={mine}", f"--data={catalog}", "--period=90d", "--json",
        script=ROOT / "scripts" / "backtest.py",
    )  # fmt: skip
    assert twin.returncode == 0, twin.stderr
    doc = json.loads(beta(mine, "--data", catalog, "--period", "90d", "--json").stdout)
    assert json.loads(twin.stdout)["decision_hash"] == doc["decision_hash"]


def test_period_market_and_parameters_reach_the_run(inside, catalog, mine):
    out = inside(
        mine, "--data", catalog, "--json", "--market", "KXTWO-26", "-p", "size=3",
        "--period", "2026-07-03:2026-07-05",
    )  # fmt: skip
    doc = json.loads(out.stdout)
    assert [m["market_id"] for m in doc["unresolved"]] == ["KXTWO-26"]
    assert doc["header"]["start"] >= "2026-07-03"
    assert doc["header"]["end"] <= "2026-07-05T00:00:00Z"
    assert doc["unresolved"][0]["open_quantity"] in ("3", "3.00")


def test_a_market_without_resolution_is_flagged_and_exits_with_zero(inside, mine, tmp_path):
    data = write(tmp_path / "open", resolved=False)
    out = inside(mine, "--data", data, "--json")
    assert out.returncode == 0, out.stderr
    doc = json.loads(out.stdout)
    assert [m["market_id"] for m in doc["unresolved"]] == ["KXONE-26"]
    assert "UNRESOLVED" in {w["code"] for w in doc["warnings"]}
    assert "unresolved" in inside(mine, "--data", data).stdout


def test_capital_zero_is_refused(inside, catalog, mine):
    refused(inside(mine, "--data", catalog, "--capital", "0"), 2, "capital", "--capital 100")


def test_missing_data_names_what_there_is(inside, mine):
    refused(inside(mine, "--data", "nothing_here"), 1, "no such catalog", "nothing_here", "sample")


def test_an_empty_catalog_is_refused(inside, mine, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(inside(mine, "--data", tmp_path / "empty"), 1, "catalog")
    data = write(tmp_path / "hollow")
    shutil.rmtree(data / "data")
    refused(inside(mine, "--data", data), 1, "missing", "beta data verify")


def test_an_unknown_strategy_names_the_nearest(inside, catalog):
    refused(inside("polymarkt_arb", "--data", catalog), 2, "polymarket_arb")


def test_an_unknown_market_names_the_nearest(inside, catalog, mine):
    refused(inside(mine, "--data", catalog, "--market", "KXTOW-26"), 2, "KXTWO-26")


def test_an_unknown_parameter_names_the_nearest(inside, catalog, mine):
    refused(inside(mine, "--data", catalog, "-p", "sise=3"), 2, "sise", "size")
    refused(inside(mine, "--data", catalog, "-p", "size=many"), 2, "size")


@pytest.mark.parametrize(
    ("period", "code"), [("soon", 2), ("2026-07-05:2026-07-03", 2), ("2020-01-01:2020-02-01", 1)]
)
def test_a_period_that_is_none_or_outside_the_data_is_refused(inside, catalog, mine, period, code):
    refused(inside(mine, "--data", catalog, "--period", period), code)


def test_a_corrupt_file_is_named_and_nothing_is_reported(inside, mine, tmp_path):
    data = write(tmp_path / "torn")
    victim = sorted((data / "data" / "quotes").rglob("*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:-200])
    out = inside(mine, "--data", data, "--report", tmp_path / "r")
    refused(out, 1, victim.name, "beta data verify")
    assert not (tmp_path / "r").exists()


def test_damage_that_keeps_a_files_size_still_stops_the_run(inside, mine, tmp_path):
    data = write(tmp_path / "bent")
    victim = sorted((data / "data" / "quotes").rglob("*.parquet"))[0]
    blob = bytearray(victim.read_bytes())
    blob[-60:-8] = bytes(52)
    victim.write_bytes(blob)
    refused(inside(mine, "--data", data), 1, "beta data verify")


def test_overlapping_files_of_one_instrument_are_refused(inside, mine, tmp_path):
    data = write(tmp_path / "twice")
    one = sorted((data / "data" / "quotes").rglob("*.parquet"))[0]
    start, _, end = one.stem.partition("_")
    shutil.copy(one, one.with_name(f"{start}_{end.replace('-000000000Z', '-000000001Z')}.parquet"))
    refused(inside(mine, "--data", data), 1, "does not list", "beta data verify")


def test_a_strategy_that_raises_stops_the_run_and_leaves_no_report(catalog, tmp_path):
    file = tmp_path / "raises.py"
    file.write_text(STRATEGY.replace("self.seen += 1", "raise ValueError('a bug of mine')"))
    out = beta(file, "--data", catalog, "--report", tmp_path / "r")
    refused(out, 1, "a bug of mine")
    assert not (tmp_path / "r").exists()


def test_debugging_shows_the_traceback_of_the_strategy(catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("BETA_DEBUG", "1")
    file = tmp_path / "raises.py"
    file.write_text(STRATEGY.replace("self.seen += 1", "raise ValueError('a bug of mine')"))
    out = beta(file, "--data", catalog)
    assert out.returncode == 1
    assert "Traceback" in out.stderr
    assert "raises.py" in out.stderr


def test_ctrl_c_stops_at_once_with_130_and_no_half_written_report(catalog, tmp_path):
    file, mark = tmp_path / "slow.py", tmp_path / "running"
    file.write_text(
        STRATEGY.replace(
            "self.seen += 1",
            f"open({str(mark)!r}, 'w').close(); import time; time.sleep(0.05)",
        )
    )
    command = [sys.executable, "-m", "console.cli", "backtest", str(file)]
    command += [*NO_LEDGER, "--data", str(catalog), "--report", str(tmp_path / "r")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if mark.exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["running", "slow.py"]


def test_a_folder_with_other_files_is_not_overwritten_and_no_time_is_lost(
    inside, catalog, mine, tmp_path
):
    (tmp_path / "mine.py").rename(tmp_path / "kept.py")
    out = inside(tmp_path / "kept.py", "--data", catalog, "--report", tmp_path)
    refused(out, 2, "other files")


def test_a_report_that_cannot_be_written_is_told_before_the_run(inside, catalog, mine):
    out = inside(mine, "--data", catalog, "--report", "/proc/nowhere/report")
    refused(out, 2, "cannot be written")


def test_progress_goes_to_stderr_and_json_stays_clean(inside, catalog, mine):
    out = inside(mine, "--data", catalog, "--json")
    json.loads(out.stdout)


def test_output_cut_short_by_its_reader_is_no_crash(catalog, mine):
    process = subprocess.run(
        f"{sys.executable} -m console.cli backtest {mine} --ledger off --data {catalog} | head -1",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in process.stderr
