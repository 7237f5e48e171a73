"""`beta ledger` and `beta tax` as a user meets them: output, JSON, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from console.cli.ledger import app, ledger_directory
from console.cli.tax import app as tax_app
from core.domain.errors import BetaError, ExitCode, MissingData, UsageError
from core.ledger import DurableLedger
from core.ledger.kinds import RunMode, Settled
from core.ledger.reader import LedgerReader
from core.ledger.segment import segments
from tests.unit.core.ledger import rows_for_tests as make


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder that holds a ledger of one trade."""
    with DurableLedger(tmp_path / "run" / "ledger") as ledger:
        ledger.begin_run(make.started("live-1", RunMode.LIVE), ts_event=make.T0)
        data = ledger.append(make.snapshot(), ts_event=make.T0)
        intent = ledger.append(make.intent(), ts_event=make.T0 + 1, parents=(data,))
        fill = ledger.append(make.fill(), ts_event=make.T0 + 2, parents=(intent,))
        ledger.append(
            Settled(
                venue="KALSHI",
                instrument_id=make.YES,
                payout=Decimal(1),
                quantity=Decimal(10),
                currency="USD",
            ),
            ts_event=make.T0 + 3,
            parents=(fill,),
        )
        ledger.end_run(make.ended("live-1"), ts_event=make.T0 + 4)
    return tmp_path / "run"


def ask(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_verify_says_ok_and_gives_the_head(run_dir: Path) -> None:
    said = json.loads(ask("verify", "--dir", run_dir, "--json").stdout)
    assert (said["schema_version"], said["ok"], said["rows"], said["first_bad"]) == (
        1,
        True,
        7,
        None,
    )
    assert said["head_hash"] == LedgerReader(run_dir / "ledger").head().hash.hex()
    assert "ok: every row verifies" in ask("verify", "--dir", run_dir).stdout
    ask("verify", "--dir", run_dir, "--fast", "--expect-head", said["head_hash"])
    ask("verify", "--dir", run_dir, "--expect-head", "ab" * 32, code=8)


def test_verify_of_a_changed_byte_exits_8_and_names_the_row(run_dir: Path) -> None:
    path = segments(run_dir / "ledger")[0].path
    data = bytearray(path.read_bytes())
    data[data.index(b'"trade_id":"T-1"') + 12] ^= 1
    path.write_bytes(data)
    out = ask("verify", "--dir", run_dir, code=int(ExitCode.LEDGER)).stdout
    assert "BAD row 5: hash" in out
    assert "first bad: row 5" in out
    said = json.loads(ask("verify", "--dir", run_dir, "--json", code=8).stdout)
    assert said["first_bad"]["seq"] == 5


def test_the_process_exits_8_and_prints_three_lines_for_a_typed_error(
    run_dir: Path, repo_root: Path
) -> None:
    path = segments(run_dir / "ledger")[0].path
    path.write_bytes(b"\0" * 4096)
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "ledger", "tail", "--dir", str(run_dir)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == ExitCode.LEDGER
    assert done.stderr.startswith("error: ")
    assert "mend: beta ledger verify" in done.stderr
    assert done.stdout == ""


def test_tail_prints_the_newest_rows_in_order(run_dir: Path) -> None:
    lines = [
        json.loads(line)
        for line in ask("tail", "--dir", run_dir, "-n", 3, "--json").stdout.splitlines()
    ]
    assert [line["seq"] for line in lines] == [5, 6, 7]
    (only,) = ask(
        "tail", "--dir", run_dir, "--kind", "order.*", "--kind", "forecast", "-n", 1
    ).stdout.splitlines()
    assert "order.filled@1" in only


def test_show_walks_from_a_fill_back_to_the_data_and_on_to_the_settlement(run_dir: Path) -> None:
    rows = json.loads(ask("show", 5, "--chain", "--effects", "--dir", run_dir, "--json").stdout)[
        "rows"
    ]
    assert [(r["generation"], r["kind"]) for r in rows] == [
        (0, "order.filled@1"),
        (-1, "order.intent@2"),
        (-2, "data.snapshot@1"),
        (1, "settlement@1"),
    ]
    text = ask("show", 5, "--chain", "--dir", run_dir).stdout
    assert "<- 3 data.snapshot@1" in text


@pytest.mark.parametrize("name", ["5", "fill:1", "fill:-1"])
def test_a_fill_is_shown_by_its_number_or_its_place(run_dir: Path, name: str) -> None:
    text = ask("show", name, "--effects", "--dir", run_dir).stdout
    assert text.startswith("5 order.filled@1")
    assert text.count("settlement@1") == 1


@pytest.mark.parametrize("name", ["fill:0", "fill:2", "fill:x", "order:1", "5.0", "99"])
def test_what_names_no_row_is_refused_with_a_way_out(run_dir: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask("show", name, "--dir", run_dir)
    assert len(caught.value.lines()) == 3


def test_the_checks_of_a_verdict_are_shown_one_a_line(tmp_path: Path) -> None:
    with DurableLedger(tmp_path / "ledger") as ledger:
        ledger.begin_run(make.started("live-1", RunMode.LIVE), ts_event=make.T0)
        seq = ledger.append(make.verdict(), ts_event=make.T0)
    text = ask("show", seq, "--dir", tmp_path).stdout
    assert "ok price_collar 0.43 (limit 0.45)" in text


def test_runs_and_tables_are_listed(run_dir: Path) -> None:
    assert (
        json.loads(ask("runs", "--dir", run_dir, "--json").stdout)["runs"][0]["outcome"] == "ended"
    )
    assert "live-1" in ask("runs", "--dir", run_dir).stdout
    trades = json.loads(ask("table", "trades", "--dir", run_dir, "--json").stdout)["rows"]
    assert [t["pnl"] for t in trades] == ["5.53"]
    assert "pnl=5.53" in ask("table", "trades", "--dir", run_dir).stdout
    with pytest.raises(BetaError, match="one of"):
        ask("table", "sqlite_schema", "--dir", run_dir)


def test_rebuild_gives_the_same_content_each_time(run_dir: Path) -> None:
    one, two = (json.loads(ask("rebuild", "--dir", run_dir, "--json").stdout) for _ in range(2))
    assert one == two
    assert (one["fills"], one["trades"], one["anomalies"]) == (1, 1, 0)


def test_export_backup_verify_and_restore(run_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    ask("export", "--dir", run_dir, "--out", out)
    assert json.loads(ask("verify", "--export", out, "--json").stdout)["rows"] == 7
    assert len(ask("export", "--dir", run_dir, "--kind", "order.*").stdout.splitlines()) == 2
    said = json.loads(ask("backup", tmp_path / "copy", "--dir", run_dir, "--json").stdout)
    assert said["rows"] == 7
    restored = json.loads(
        ask("restore", tmp_path / "copy", "--dir", tmp_path / "new", "--json").stdout
    )
    assert restored["head_hash"] == said["head_hash"]
    ask("verify", "--dir", tmp_path / "new")
    with pytest.raises(BetaError, match="needs a folder"):
        ask("restore", tmp_path / "copy")


def test_quarantine_is_refused_for_a_sound_ledger_and_mends_a_damaged_one(run_dir: Path) -> None:
    with pytest.raises(BetaError, match="verifies"):
        ask("quarantine", "--dir", run_dir)
    path = segments(run_dir / "ledger")[0].path
    data = bytearray(path.read_bytes())
    data[data.index(b'"trade_id":"T-1"') + 12] ^= 1
    path.write_bytes(data)
    said = json.loads(ask("quarantine", "--dir", run_dir, "--json").stdout)
    assert (said["first_bad_seq"], said["runs_quarantined"]) == (5, ["live-1"])
    assert "quarantined from row 5" in ask("verify", "--dir", run_dir).stdout


def test_the_ledger_is_found_by_option_environment_or_newest_run(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BETA_LEDGER", raising=False)
    with pytest.raises(MissingData, match="--dir"):
        ledger_directory("")
    assert ledger_directory(str(run_dir)) == run_dir / "ledger"
    assert ledger_directory(str(run_dir / "ledger")) == run_dir / "ledger"
    monkeypatch.setenv("BETA_LEDGER", str(run_dir))
    assert ledger_directory("") == run_dir / "ledger"
    monkeypatch.delenv("BETA_LEDGER")
    (tmp_path / "runs").mkdir()
    run_dir.rename(tmp_path / "runs" / "a")
    assert ledger_directory("") == Path("runs/a/ledger")
    newer = tmp_path / "runs" / "backtest" / "b"
    newer.parent.mkdir()
    shutil.copytree(tmp_path / "runs" / "a" / "ledger", newer)
    now = time.time() + 60
    os.utime(newer, (now, now))
    assert ledger_directory("") == Path("runs/backtest/b")
    assert ledger_directory("", backtests=False) == Path("runs/a/ledger")


def tax(*args: object) -> Result:
    result = CliRunner().invoke(tax_app, [str(a) for a in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_tax_writes_csv_json_and_a_file(run_dir: Path, tmp_path: Path) -> None:
    lines = tax(2026, "--dir", run_dir).stdout.splitlines()
    assert lines[1].startswith("disposal,KALSHI,")
    assert ",5.53,USD," in lines[-1]
    said = json.loads(tax(2026, "--dir", run_dir, "--json").stdout)
    assert [row["row"] for row in said["rows"]] == ["disposal", "total"]
    tax(2026, "--dir", run_dir, "--out", tmp_path / "tax.csv")
    assert (tmp_path / "tax.csv").read_text().splitlines() == lines
    assert len(tax(2025, "--dir", run_dir).stdout.splitlines()) == 1


@pytest.mark.parametrize("args", [("--tz", "Mars/Olympus"), ("--book", "paper")])
def test_tax_names_what_it_does_not_know(run_dir: Path, args: tuple[str, str]) -> None:
    with pytest.raises(BetaError):
        tax(2026, "--dir", run_dir, *args)


@pytest.mark.parametrize(
    "command",
    ["verify", "tail", "show", "runs", "export", "backup", "rebuild", "table", "quarantine"],
)
def test_every_command_says_where_it_looked_when_there_is_no_ledger(
    command: str, tmp_path: Path
) -> None:
    extra: dict[str, tuple[object, ...]] = {
        "show": (1,),
        "backup": (tmp_path / "x",),
        "table": ("fills",),
    }
    check: Callable[[], Result] = lambda: ask(command, *extra.get(command, ()), "--dir", tmp_path)  # noqa: E731
    with pytest.raises(MissingData, match="no ledger found"):
        check()
