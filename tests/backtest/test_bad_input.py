"""Everything a user can get wrong with data and runs: three lines that say what, what was seen and what mends it.

Each sentence of the list in the documentation has its test here or in `test_command_line`, through the command
itself, with the exit code that `docs/backtest.md` and `docs/data.md` name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.engine.catalog import Catalog, CatalogWriter, TradeColumns
from tests.backtest.test_command_line import (
    NO_LEDGER,
    ROOT,
    STRATEGY,
    in_this_process,
    market,
    quotes,
    write,
)

TRADES = "ts,market,price,size\n2026-07-01T12:00:00Z,KXONE-26,0.41,5\n2026-07-02T12:00:00Z,KXONE-26,0.42,6\n"


@pytest.fixture
def beta(monkeypatch, capsys, tmp_path):
    """Run any `beta` command in this process, where named catalogs live in a folder of the test."""
    monkeypatch.setenv("BETA_CATALOGS", str(tmp_path / "catalogs"))
    monkeypatch.chdir(tmp_path)
    return in_this_process(monkeypatch, capsys)


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STRATEGY)
    return file


@pytest.fixture
def catalogs(tmp_path):
    path = tmp_path / "catalogs"
    path.mkdir()
    return path


def three_lines(said, code, *texts):
    """Error, value seen, and what mends it; nothing on stdout; the documented exit code."""
    assert said.returncode == code, said.stderr + said.stdout
    assert said.stdout == ""
    lines = said.stderr.strip().splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "seen", "mend"], said.stderr
    for text in texts:
        assert text in said.stderr


def table(path: Path, text: str = TRADES) -> Path:
    path.write_text(text)
    return path


# -- missing and empty data -------------------------------------------------------------------------
def test_a_catalog_that_is_not_there(beta, mine, catalogs):
    three_lines(beta("backtest", mine, "--data", "nowhere"), 1, "no such catalog", "sample")


def test_an_empty_folder_and_a_catalog_whose_files_are_gone(beta, mine, catalogs):
    (catalogs / "empty").mkdir()
    three_lines(beta("backtest", mine, "--data", catalogs / "empty"), 1, "catalog")
    shutil.rmtree(write(catalogs / "hollow") / "data")
    three_lines(beta("backtest", mine, "--data", "hollow"), 1, "missing", "beta data verify")


def test_a_period_without_data(beta, mine, catalogs):
    write(catalogs / "c")
    said = beta("backtest", mine, "--data", "c", "--period", "2020-01-01:2020-02-01")
    three_lines(said, 1, "nothing in this period", "the data runs from")


@pytest.mark.parametrize("directly", [False, True])
def test_a_period_that_falls_into_a_gap_of_the_data(beta, mine, catalogs, monkeypatch, directly):
    from core.engine.backtest import assembly

    if directly:
        monkeypatch.setattr(assembly, "MANY_FILES", 0)
    write(catalogs / "c", rows=2)  # one row at the beginning, one after three days
    said = beta(
        "backtest", mine, "--data", "c", "--period", "2026-07-02:2026-07-03", "--no-progress"
    )
    three_lines(said, 1, "no row of data in this period", "--period")


def test_a_set_folder_that_is_missing_or_empty(beta, tmp_path):
    three_lines(beta("data", "ingest", "crypto_ohlcv", "--from", tmp_path / "no"), 1, "no such")
    (tmp_path / "none").mkdir()
    said = beta("data", "ingest", "kalshi_trades_2025-11", "--from", tmp_path / "none")
    three_lines(said, 1)
    assert not (tmp_path / "catalogs" / "kalshi_trades_2025-11").exists()


def test_a_table_without_rows(beta, tmp_path, catalogs):
    file = table(tmp_path / "t.csv", TRADES.splitlines()[0] + "\n")
    said = beta("data", "ingest", "csv", "--from", file, "--format", "trades", "--to", "t")
    three_lines(said, 1)
    assert not (catalogs / "t").exists()


# -- unknown names ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("args", "near"),
    [
        (["polymarkt_arb", "--data", "c"], "polymarket_arb"),
        (["{mine}", "--data", "c", "--market", "KXOEN-26"], "KXONE-26"),
        (["{mine}", "--data", "c", "-p", "sise=3"], "size"),
        (["{mine}", "--data", "c", "--period", "soon"], "90d"),
        (["{mine}", "--data", "c", "--capital", "0"], "--capital 100"),
        (["{mine}", "--data", "c", "--capital", "-5"], "--capital 100"),
        (["{mine}", "--data", "c", "--capital", "nan"], "--capital 100"),
    ],
)
def test_unknown_names_and_impossible_values_exit_with_two(beta, mine, catalogs, args, near):
    write(catalogs / "c")
    three_lines(beta("backtest", *[str(a).format(mine=mine) for a in args]), 2, near)


def test_a_config_file_that_names_something_unknown(beta, mine, tmp_path):
    (tmp_path / "run.toml").write_text('strategi = "mine.py"\n')
    three_lines(beta("backtest", mine, "--config", tmp_path / "run.toml"), 4, "strategy")


# -- overlapping periods ----------------------------------------------------------------------------
def test_the_same_period_imported_twice_leaves_the_catalog_as_it_was(beta, tmp_path, catalogs):
    file = table(tmp_path / "t.csv")
    ingest = ["data", "ingest", "csv", "--from", file, "--format", "trades", "--to", "t"]
    assert beta(*ingest, "--json").returncode == 0
    before = Catalog.open(catalogs / "t").meta
    three_lines(beta(*ingest, "--extend", "--json"), 1, "already there", "--replace")
    three_lines(beta(*ingest, "--json"), 1, "exists already", "--extend")
    assert Catalog.open(catalogs / "t").meta == before


def test_two_catalogs_of_the_same_period_are_not_run_as_one(beta, mine, catalogs):
    write(catalogs / "a"), write(catalogs / "b")
    three_lines(beta("backtest", mine, "--data", "a", "--data", "b"), 1, "already there")
    three_lines(beta("backtest", mine, "--data", "a", "--data", "a"), 2, "twice")
    assert not (catalogs / "a+b").exists()


def test_two_periods_for_one_run(beta, mine, catalogs):
    write(catalogs / "c")
    said = beta("backtest", mine, "--data", "c", "--period", "2d", "--period", "3d")
    three_lines(said, 2, "one period")


def test_a_parameter_without_a_default_that_is_not_given(beta, catalogs, tmp_path):
    write(catalogs / "c")
    (tmp_path / "picky.py").write_text(
        "from core.engine.strategy import BetaStrategy, StrategyConfig\n"
        "class PickyConfig(StrategyConfig):\n    size: int\n    edge: float = 0.1\n"
        "class Picky(BetaStrategy):\n    config_type = PickyConfig\n"
    )
    said = beta("backtest", tmp_path / "picky.py", "--data", "c", "-p", "edge=0.2")
    three_lines(said, 2, "Picky needs the parameter size", "given: edge", "--param size=VALUE")


# -- damage -----------------------------------------------------------------------------------------
def test_a_corrupt_data_file(beta, mine, catalogs, tmp_path):
    victim = sorted((write(catalogs / "c") / "data" / "quotes").rglob("*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:-200])
    said = beta("backtest", mine, "--data", "c", "--report", tmp_path / "r")
    three_lines(said, 1, victim.name, "beta data verify")
    assert not (tmp_path / "r").exists()


def test_a_node_does_not_trade_on_a_replay_of_a_corrupt_file(beta, mine, catalogs, tmp_path):
    victim = sorted((write(catalogs / "c") / "data" / "quotes").rglob("*.parquet"))[0]
    data = bytearray(victim.read_bytes())
    data[100] ^= 1
    victim.write_bytes(data)
    said = beta("paper", mine, "--data", "c", "--home", tmp_path / "node", "--for", "5")
    three_lines(said, 1, victim.name, "changed or cut short", "beta data verify")
    assert not (tmp_path / "node" / "ledger").exists()


@pytest.mark.parametrize("name", ["manifest.parquet", "markets.parquet", "catalog.json"])
def test_a_corrupt_description(beta, mine, catalogs, name):
    (write(catalogs / "c") / name).write_bytes(b"not what it was")
    three_lines(beta("backtest", mine, "--data", "c"), 1, name, "--replace")


def test_a_catalog_of_an_older_version_names_the_command_that_makes_it_anew(beta, mine, catalogs):
    for name, mend in (("c", "beta data ingest SET"), ("sample", "beta data sample --force")):
        file = write(catalogs / name) / "manifest.parquet"
        pq.write_table(pq.ParquetFile(file).read().drop_columns(["content"]), file)
        said = beta("backtest", mine, "--data", name)
        three_lines(said, 1, "older version", "content", mend)


def test_a_corrupt_table_to_import(beta, tmp_path, catalogs):
    file = tmp_path / "t.parquet"
    file.write_bytes(b"PAR1 torn")
    said = beta("data", "ingest", "csv", "--from", file, "--format", "trades", "--to", "t")
    three_lines(said, 1, "t.parquet")
    assert not (catalogs / "t").exists()


def test_a_ledger_that_cannot_be_trusted(beta, mine, catalogs, tmp_path):
    write(catalogs / "c")
    (tmp_path / "L").mkdir()
    (tmp_path / "L" / "ledger-000000000001-2026-07.sqlite").write_bytes(b"no ledger" * 999)
    three_lines(beta("backtest", mine, "--data", "c", "--ledger", tmp_path / "L"), 8)


# -- data that cannot be run together ---------------------------------------------------------------
def test_books_beside_trades_of_one_venue_name_what_can_be_run(beta, mine, catalogs):
    from core.engine.catalog import F_LAST, DeltaColumns

    one = np.array([1], dtype=np.int64)
    start = market("KXONE-26").open_ns
    with CatalogWriter(catalogs / "c", source="a test") as out:
        out.markets([market("KXONE-26"), market("KXTWO-26")])
        for side in ("YES", "NO"):
            out.deltas(
                f"KXONE-26-{side}.KALSHI",
                DeltaColumns(
                    ts_event=one * start, action=one.astype(np.uint8) * 0,
                    side=one.astype(np.uint8), price=one * 4_000, size=one * 500,
                    flags=one.astype(np.uint8) * F_LAST, sequence=one.astype(np.uint64),
                ),
            )  # fmt: skip
        out.trades(
            "KXTWO-26-YES.KALSHI",
            TradeColumns(
                ts_event=one * start, price=one * 4_000, size=one * 500,
                aggressor=one.astype(np.uint8),
            ),
        )  # fmt: skip
    three_lines(beta("backtest", mine, "--data", "c"), 2, "KXTWO-26", "--market KXONE-26")


# -- a strategy that raises, Ctrl-C -----------------------------------------------------------------
def test_a_strategy_that_raises(beta, catalogs, tmp_path):
    write(catalogs / "c")
    file = tmp_path / "raises.py"
    file.write_text(STRATEGY.replace("self.seen += 1", "raise ValueError('a bug of mine')"))
    said = beta("backtest", file, "--data", "c", "--report", tmp_path / "r", "--ledger", "off")
    three_lines(said, 1, "a bug of mine", "BETA_DEBUG=1")
    assert not (tmp_path / "r").exists()


def test_ctrl_c_while_a_table_is_imported_leaves_the_old_catalog(tmp_path):
    """An import of many rows is interrupted once it has begun to write beside the catalog."""
    row = "2026-07-01T{:02d}:{:02d}:{:02d}.{:03d}Z,KXONE-26,0.41,5"
    lines = (row.format(n // 3_600_000, n // 60_000 % 60, n // 1_000 % 60, n % 1_000)
             for n in range(0, 80_000_000, 100))  # fmt: skip
    file = table(tmp_path / "t.csv", "ts,market,price,size\n" + "\n".join(lines) + "\n")
    catalogs = tmp_path / "catalogs"
    old = write(catalogs / "t")
    before = Catalog.open(old).meta
    command = [sys.executable, "-m", "console.cli", "data", "ingest", "csv", "--from", str(file)]
    command += ["--format", "trades", "--to", "t", "--replace"]
    child = subprocess.Popen(
        command,
        env={**os.environ, "BETA_CATALOGS": str(catalogs), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(catalogs.glob(".t.tmp-*")):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert (out, err.strip()) == ("", "interrupted")
    assert Catalog.open(old).meta == before
    assert [p.name for p in catalogs.iterdir() if not p.name.endswith(".lock")] == ["t"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("self.buy(iid, 4, Decimal('0.5'))", "order are Decimal"),
        ("self.buy(iid, Decimal(4), 0.5)", "order are Decimal"),
        ("raise SystemExit(0)", "raised SystemExit"),
        ("raise ValueError('boom \\x1b[31m\\x9b2J')", "mine.py:16"),
    ],
)
def test_a_strategy_with_a_wrong_number_a_way_out_or_a_painted_message(
    beta, catalogs, tmp_path, line, told
):
    write(catalogs / "c")
    file = tmp_path / "mine.py"
    file.write_text(STRATEGY.replace("self.seen += 1", line))
    said = beta("backtest", file, "--data", "c", *NO_LEDGER)
    three_lines(said, 1, told)
    assert "\x1b" not in said.stderr
    assert "\x9b" not in said.stderr


def test_a_strategy_file_that_exits_while_it_is_read(beta, catalogs, tmp_path):
    write(catalogs / "c")
    (tmp_path / "out.py").write_text("import sys; sys.exit(0)")
    three_lines(beta("backtest", "out.py", "--data", "c"), 1, "cannot be imported", "SystemExit")


def test_one_broken_catalog_does_not_hide_the_others(beta, catalogs):
    write(catalogs / "good")
    write(catalogs / "bad")
    (catalogs / "bad" / "catalog.json").write_text("{")
    said = beta("data", "ls")
    assert said.returncode == 0
    assert "good" in said.stdout
    assert "bad: catalog.json cannot be read" in said.stderr


# -- text of strangers ------------------------------------------------------------------------------
TITLE = "[red]Will\x1b[2J\x9b31m \x1b]0;owned\x07<script>alert(1)</script>\u202e it?"


def test_a_hostile_market_title_neither_moves_the_cursor_nor_runs_in_the_page(
    beta, mine, catalogs, tmp_path
):
    with CatalogWriter(catalogs / "c", name="[bold]c\x1b[1m", source="s\x1b[1m") as out:
        out.markets([replace(market("KXONE-26"), question=TITLE)])
        out.quotes("KXONE-26-YES.KALSHI", quotes(300))
        out.quotes("KXONE-26-NO.KALSHI", quotes(300, no=True))
    report = tmp_path / "r"
    ran = beta("backtest", mine, "--data", "c", "--report", report, "--ledger", tmp_path / "l")
    assert ran.returncode == 0, ran.stderr
    said = [ran, beta("data", "ls"), beta("data", "ls", "c"), beta("data", "verify", "c")]
    said += [beta("ledger", "show", "fill:1", "--chain", "--dir", tmp_path / "l")]
    said += [beta("ledger", "tail", "--dir", tmp_path / "l")]
    for one in said:
        for stray in ("\x1b", "\x9b", "\x07", "\u202e"):
            assert stray not in one.stdout + one.stderr, one.stdout
    assert "[red]Will" in said[2].stdout, "what looks like markup is shown"
    page = (report / "report.html").read_text()
    assert "<script>alert(1)" not in page
