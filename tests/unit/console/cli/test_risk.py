"""`beta risk`: the same commands with the node dead or alive, rows in the ledger, documented exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from console.cli.risk import _money, app
from core.domain.errors import (
    ConfigError,
    ExitCode,
    NotRunningError,
    TimeoutExpired,
    UsageError,
)
from core.ledger import DurableLedger
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk import headroom
from core.risk.command import record
from core.risk.state_file import RiskFile
from core.risk.states import TradingState
from tests.unit.core.risk.test_headroom import busy

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BETA_RISK", raising=False)
    monkeypatch.delenv("BETA_LEDGER", raising=False)

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(app, list(args), catch_exceptions=False)

    return invoke


def shown(run: Run) -> dict:
    return json.loads(run("show", "--json").stdout)


def test_show_prints_every_limit_and_exits_0_while_trading_runs(run: Run):
    result = run("show")
    assert result.exit_code == 0
    assert "RUNNING" in result.stdout
    assert "exposure.market" in result.stdout
    report = shown(run)
    assert report["schema_version"] == 1
    assert report["profile"] == "usd100"
    assert report["limits"]["exposure.order"] == "0.02"
    assert report["node_process"] is None


@pytest.mark.parametrize(
    ("command", "state", "code"),
    [
        (("halt", "too fast"), "HALTED", 7),
        (("reduce", "too fast"), "REDUCE_ONLY", 0),
        (("liquidate", "too fast", "--yes"), "LIQUIDATING", 7),
    ],
)
def test_holds_survive_and_show_says_so_with_its_exit_code(run: Run, command, state, code):
    assert run(*command).exit_code == 0
    result = run("show", "--json")
    assert result.exit_code == code
    report = json.loads(result.stdout)
    assert report["trading"] == state
    assert report["holds"][0]["reason"] == "too fast"
    assert run("resume", "--yes").exit_code == 0
    assert shown(run)["trading"] == "RUNNING"


def test_a_corrupt_state_file_is_halted_and_exits_7(run: Run):
    run("halt")
    Path("risk/risk.json").write_text("{")
    result = run("show", "--json")
    assert result.exit_code == 7
    assert json.loads(result.stdout)["holds"][0]["source"] == "state_file"
    run("resume", "--yes")
    assert run("show").exit_code == 0


def test_what_acts_asks_first_and_never_waits_without_a_terminal(run: Run):
    for command in ("resume", "liquidate"):
        with pytest.raises(ConfigError, match="--yes"):
            run(command)


def test_limits_change_together_or_not_at_all(run: Run):
    with pytest.raises(ConfigError, match="must not exceed"):
        run("set", "exposure.order", "0.01")
    assert shown(run)["changed"] == {}
    result = run("set", "exposure.order", "0.01", "sizing.risk_per_trade", "0.01")
    assert "exposure.order 0.02 -> 0.01" in result.stdout
    assert shown(run)["changed"] == {"exposure.order": "0.01", "sizing.risk_per_trade": "0.01"}
    with pytest.raises(UsageError):
        run("set", "exposure.order")
    with pytest.raises(ConfigError, match=r"exposure\.order"):
        run("set", "exposure.ordr", "0.01")


def test_another_profile_forgets_changes(run: Run, tmp_path: Path):
    run("set", "exposure.market", "0.08")
    run("profile", "usd10000")
    report = shown(run)
    assert (report["profile"], report["changed"]) == ("usd10000", {})
    own = tmp_path / "own.toml"
    own.write_text("[exposure]\nmarket = 0.05\n")
    run("profile", str(own))
    assert shown(run)["limits"]["exposure.market"] == "0.05"
    own.write_text("[exposure]\nmarket = 5\n")
    assert run("show").exit_code == 7, "a profile that has become invalid is not traded on"


def test_every_command_is_a_row_as_soon_as_there_is_a_ledger(run: Run, tmp_path: Path):
    run("halt", "before there was a ledger")
    DurableLedger(tmp_path / "ledger").close()
    run("set", "exposure.market", "0.08")
    run("resume", "--yes", "all clear")
    assert shown(run)["unrecorded_commands"] == 0
    rows = [r.decoded() for r in LedgerReader(tmp_path / "ledger").rows(None)][1:]
    kinds = [type(r).__name__ for r in rows]
    assert kinds == [
        "OperatorCommand", "Halted", "OperatorCommand", "LimitsChanged", "OperatorCommand", "Resumed",
    ]  # fmt: skip
    assert rows[0].command == "risk halt"
    assert rows[0].channel == "cli"
    assert rows[3].before == {"exposure.market": "0.10"}
    assert rows[3].after == {"exposure.market": "0.08"}
    assert rows[5].reason == "all clear"


NODE = """
import sys, time
from pathlib import Path
from core.domain.decision import OrderIntent
from core.ledger import DurableLedger
from core.risk.command import apply, record, restore
from core.risk.state_file import RiskFile
from tests.unit.core.risk.world import KYES, Desk, world
from core.risk import load_profile
folder = Path(sys.argv[1])
desk, file = Desk(world(load_profile())), RiskFile(folder / "risk")
with DurableLedger(folder / "ledger") as ledger:
    seen = restore(desk.gate, file.read(), 1)
    print("up", flush=True)
    last, until = "", time.monotonic() + 30
    while time.monotonic() < until and last != "resumed":
        state = file.poll()
        if state is not None:
            seen = apply(desk.gate, state, 10, seen)
            record(ledger, file)
        answer = desk.send(KYES, "BUY", "1", "0.40", now_ns=int(time.monotonic() * 1e12))
        word = "approved" if answer.approved else str(answer.code)
        if answer.approved:
            desk.gate.on_done(answer.intent.client_order_id)
        if word != last and not (last == "HALTED" and word == "approved"):
            print(word, flush=True)
            last = word
        elif last == "HALTED" and word == "approved":
            print("resumed", flush=True)
            last = "resumed"
        time.sleep(0.01)
"""


def test_a_running_node_obeys_and_writes_the_row_itself(run: Run, tmp_path: Path, repo_root: Path):
    with subprocess.Popen(
        [sys.executable, "-c", NODE, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=repo_root,
    ) as node:
        assert node.stdout is not None
        try:
            assert [node.stdout.readline().strip() for _ in range(2)] == ["up", "approved"]
            result = run("halt", "stop the press")
            assert "the running node holds" in result.stderr
            assert node.stdout.readline().strip() == "HALTED"
            assert shown(run)["node_process"] == node.pid
            run("resume", "--yes")
            assert node.stdout.readline().strip() == "resumed"
            node.wait(timeout=60)
        finally:
            node.kill()
    kinds = [type(r.decoded()).__name__ for r in LedgerReader(tmp_path / "ledger").rows(None)]
    assert [k for k in kinds if k in {"Halted", "Resumed"}] == ["Halted", "Resumed"]
    assert shown(run)["unrecorded_commands"] == 0


def test_show_says_what_is_used_and_left_of_each_limit(run: Run, tmp_path: Path):
    assert "nothing is used" in run("show").stdout
    assert shown(run)["headroom"] is None
    desk = busy()
    (tmp_path / "risk").mkdir(exist_ok=True)
    headroom.keep(tmp_path / "risk", desk.gate, 1_790_000_000_000_000_000)
    text = run("show").stdout
    for word in (
        "as the node left it",
        "posture",
        "breaker",
        "exposure.market",
        "K1",
        "12.80",
        "budget",
    ):
        assert word in text
    report = shown(run)
    assert report["headroom"] == headroom.read(tmp_path / "risk")
    assert report["headroom"]["governors"]["posture"] == "AGGRESSIVE"
    assert [b["scope"] for b in report["headroom"]["budgets"]] == ["arbitrage", "prediction"]


def test_show_tells_that_a_running_node_holds_itself(run: Run, tmp_path: Path):
    """A full disk halts the node, not the file: whoever asks must not be told that it trades."""
    desk, now = busy(), time.time_ns()
    (tmp_path / "risk").mkdir(exist_ok=True)
    with DurableLedger(tmp_path / "ledger"):
        headroom.keep(tmp_path / "risk", desk.gate, now)
        assert shown(run)["own_hold"] is None
        desk.gate.on_hold("ledger", TradingState.HALTED, "the ledger cannot be written", now)
        headroom.keep(tmp_path / "risk", desk.gate, now)
        told = run("show")
        assert told.exit_code == 7
        assert "itself   HALTED" in told.stdout
        report = json.loads(run("show", "--json").stdout)
        assert (report["trading"], report["own_hold"]["state"]) == ("RUNNING", "HALTED")
        assert "cannot be written" in report["own_hold"]["reason"]
        run("set", "exposure.market", "0.09")
        assert run("show").exit_code == 0, "told before the file was changed: it may be over"
        headroom.keep(tmp_path / "risk", busy().gate, now, "ledger: disk full")
        assert shown(run)["own_hold"] == {"state": "HALTED", "reason": "ledger: disk full"}
    assert shown(run)["own_hold"] is None, "no node, no hold of its own"


def test_money_is_rounded_so_that_headroom_never_looks_larger():
    assert _money("1.239") == "1.23"
    assert _money("1.231", up=True) == "1.24"
    assert _money("12345.5") == "12,345.50"


def test_without_a_folder_the_halt_is_for_every_node_that_runs_from_here(run: Run, tmp_path: Path):
    for venue in ("kalshi", "polymarket"):
        (tmp_path / "runs" / "live" / venue / "risk").mkdir(parents=True)
    result = run("halt", "now")
    assert result.exit_code == 0
    for venue in ("kalshi", "polymarket"):
        assert run("show", "--dir", f"runs/live/{venue}/risk").exit_code == 7
    assert not (tmp_path / "risk").exists(), "nobody obeys that folder"
    with pytest.raises(UsageError, match="several nodes"):
        run("resume", "--yes")


def test_the_row_goes_into_the_ledger_beside_the_risk_folder(run: Run, tmp_path: Path):
    home = tmp_path / "runs" / "paper" / "kalshi"
    (home / "risk").mkdir(parents=True)
    DurableLedger(home / "ledger").close()
    assert "recorded in" in run("halt").stderr


def test_a_halt_where_no_node_has_run_says_that_none_obeys_it(run: Run):
    assert "obeyed by none" in run("halt").stderr


@pytest.mark.parametrize("command", [("show",), ("halt",), ("resume", "--yes")])
def test_a_folder_that_is_no_nodes_is_refused_and_the_right_one_named(
    run: Run, tmp_path: Path, command: tuple[str, ...]
):
    home = tmp_path / "runs" / "paper" / "kalshi"
    (home / "risk").mkdir(parents=True)
    for typed in (home.parent / "kalhsi" / "risk", home):
        with pytest.raises(UsageError, match="no node keeps its risk state") as refused:
            run(*command, "--dir", str(typed))
        assert refused.value.mend.endswith("paper/kalshi/risk")
        assert refused.value.seen == typed
    assert not (home.parent / "kalhsi").exists()
    assert not (home / "risk.json").exists()


def test_a_node_that_has_only_just_begun_can_be_halted(run: Run, tmp_path: Path):
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "node.lock").write_text("1")
    assert run("halt", "--dir", str(tmp_path / "node" / "risk")).exit_code == 0
    assert run("show", "--dir", str(tmp_path / "node" / "risk")).exit_code == 7


def test_waiting_for_a_node_that_does_not_run_or_does_not_obey_has_its_exit_code(
    run: Run, tmp_path: Path
):
    (tmp_path / "node" / "risk").mkdir(parents=True)
    folder = str(tmp_path / "node" / "risk")
    with pytest.raises(NotRunningError) as none:
        run("halt", "too fast", "--dir", folder, "--wait", "1")
    assert none.value.exit_code == ExitCode.NOT_RUNNING
    with (
        DurableLedger(tmp_path / "node" / "ledger") as ledger,
        pytest.raises(TimeoutExpired) as late,
    ):
        run("reduce", "too fast", "--dir", folder, "--wait", "0.2")
    assert late.value.exit_code == ExitCode.TIMEOUT
    with DurableLedger(tmp_path / "node" / "ledger") as ledger:
        over = threading.Event()

        def obey() -> None:
            while not over.wait(0.05):
                record(ledger, RiskFile(Path(folder)))

        node = threading.Thread(target=obey)
        node.start()
        try:
            assert run("halt", "too fast", "--dir", folder, "--wait", "60").exit_code == 0
        finally:
            over.set()
            node.join()
    rows = LedgerReader(tmp_path / "node" / "ledger").rows(Selection(kinds=("halt",)))
    assert len(list(rows)) == 3, "each command has its row once"
