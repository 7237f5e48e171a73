"""The operator's file: atomic, checked, fail-closed; commands become rows; a restart finds every hold."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain.errors import ConfigError, LedgerWriteError
from core.ledger import DurableLedger
from core.ledger.reader import LedgerReader
from core.risk import Code, Posture, TradingState, load_profile
from core.risk.command import apply, persist, record, restore
from core.risk.state_file import CORRUPT, OPERATOR, Command, RiskFile, RiskState
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.test_governor import NOON, governed, mark
from tests.unit.core.risk.world import K2YES, KYES, D, Desk, world

COUNT = iter(range(10**6))


def command(name: str = "risk halt", **arguments: str) -> Command:
    return Command(f"id{next(COUNT)}", name, arguments, "anna", "cli", 1_700_000_000_000_000_000)


@pytest.fixture
def file(tmp_path: Path) -> RiskFile:
    return RiskFile(tmp_path / "risk")


def halt(file: RiskFile, state: TradingState = TradingState.HALTED) -> None:
    file.order(state, command(state=str(state), reason="test"))


def resume(file: RiskFile) -> None:
    file.order(TradingState.RUNNING, command("risk resume", state="RUNNING"))


def test_without_a_file_trading_runs_on_the_default_profile(file: RiskFile):
    assert file.read() == RiskState()
    assert file.read().trading is TradingState.RUNNING
    assert file.read().limits() == load_profile()


def test_what_is_written_is_read_back(file: RiskFile):
    halt(file, TradingState.REDUCE_ONLY)
    file.change({"exposure.order": "0.021"}, command("risk set"))
    state = file.read()
    assert state.trading is TradingState.REDUCE_ONLY
    assert state.limits().exposure.order == D("0.021")
    assert [c.command for c in state.pending] == ["risk halt", "risk set"]
    assert [p.name for p in file.directory.iterdir() if p.suffix == ".new"] == []


def test_every_changed_byte_of_the_file_halts_trading(file: RiskFile):
    halt(file, TradingState.REDUCE_ONLY)
    good = file.path.read_bytes()
    rng = random.Random(11)
    for _ in range(300):
        at, flip = rng.randrange(len(good)), rng.randrange(1, 256)
        bad = bytearray(good)
        bad[at] ^= flip
        file.path.write_bytes(bad)
        state = file.read()
        same = state == RiskFile(file.directory).read() and CORRUPT not in state.holds
        if same:  # white space between the values is not part of them
            assert json.loads(bytes(bad)) == json.loads(good)
        else:
            assert state.trading is TradingState.HALTED


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "7", '{"schema_version": 99, "sha256": ""}', "\x00\x01", "é" * 5],
)
def test_a_file_that_is_no_state_halts_trading(file: RiskFile, content: str):
    file.directory.mkdir()
    file.path.write_text(content)
    assert file.read().trading is TradingState.HALTED
    assert "risk state" in file.read().holds[CORRUPT].reason
    with pytest.raises(ConfigError):
        file.change({"exposure.order": "0.02"}, command("risk set"))
    resume(file)
    assert file.read().trading is TradingState.RUNNING
    assert len(list(file.directory.glob("risk.corrupt-*"))) == 1, "the evidence is kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_halts_trading(file: RiskFile):
    halt(file)
    file.path.chmod(0)
    assert CORRUPT in file.read().holds


def test_a_folder_in_the_files_place_halts_trading(file: RiskFile):
    file.path.mkdir(parents=True)
    assert file.read().trading is TradingState.HALTED
    with pytest.raises(LedgerWriteError):
        file.write(RiskState())


def test_a_refused_change_leaves_the_file_as_it_was(file: RiskFile):
    halt(file)
    before = file.path.read_bytes()
    for changes in ({"exposure.order": "0.9"}, {"nosuch": "1"}, {"exposure.order": "x"}):
        with pytest.raises(ConfigError):
            file.change(changes, command("risk set"))
    assert file.path.read_bytes() == before


def test_a_disk_that_refuses_leaves_the_old_file(file: RiskFile, monkeypatch: pytest.MonkeyPatch):
    halt(file)
    before = file.path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LedgerWriteError, match="No space"):
        resume(file)
    assert file.path.read_bytes() == before
    assert [p.name for p in file.directory.iterdir()] != []
    assert not list(file.directory.glob("*.new"))


def test_the_latest_state_is_read_again_only_when_the_file_changes(file: RiskFile):
    assert file.latest() == RiskState()
    halt(RiskFile(file.directory))
    first = file.latest()
    assert first.trading is TradingState.HALTED
    assert file.latest() is first
    changed = file.poll()  # what somebody has looked at is still told as a change
    assert changed is first
    resume(RiskFile(file.directory))
    assert file.latest().trading is TradingState.RUNNING


def test_poll_tells_each_change_once(file: RiskFile):
    assert file.poll() == RiskState()
    assert file.poll() is None
    halt(file)
    changed = file.poll()
    assert changed is not None
    assert changed.trading is TradingState.HALTED
    assert file.poll() is None
    file.path.write_text("broken")
    broken = file.poll()
    assert broken is not None
    assert CORRUPT in broken.holds
    file.path.unlink()
    assert file.poll() == RiskState()


# -- a running gate -------------------------------------------------------------------------------


def test_a_running_gate_obeys_the_file(file: RiskFile, desk: Desk):
    gate, seen = desk.gate, ""
    desk.hold(KYES, "10")
    file.change({}, command("risk profile"), profile="research")

    def sync() -> None:
        nonlocal seen
        state = file.poll()
        if state is not None:
            seen = apply(gate, state, 10, seen)

    sync()
    assert desk.send(KYES, "BUY", "1", "0.40").approved
    halt(file)
    sync()
    refused(desk.send(KYES, "BUY", "2", "0.40"), Code.HALTED)
    refused(desk.send(KYES, "SELL", "2", "0.40"), Code.HALTED)
    halt(file, TradingState.REDUCE_ONLY)
    sync()
    refused(desk.send(KYES, "BUY", "2", "0.40"), Code.REDUCE_ONLY)
    assert desk.send(KYES, "SELL", "2", "0.40").approved
    resume(file)
    sync()
    assert desk.send(KYES, "BUY", "2", "0.40").approved
    file.change({"exposure.order_usd": "0.5"}, command("risk set"))
    sync()
    refused(desk.send(KYES, "BUY", "3", "0.40"), Code.ORDER_LIMIT)


def test_an_approval_from_before_the_halt_is_not_redeemed_after_it(file: RiskFile, desk: Desk):
    from core.domain.errors import HaltedError

    approved = desk.send(KYES, "BUY", "1", "0.40")
    halt(file)
    state = replace(file.read(), profile="research")
    apply(desk.gate, state, 11)
    with pytest.raises(HaltedError) as info:
        desk.gate.redeem(approved, 11)
    assert info.value.exit_code == 7
    assert desk.gate.exposure() == 0, "its reservation is given back"


def test_liquidating_sells_and_then_halts(file: RiskFile, desk: Desk):
    gate = desk.gate
    desk.hold(KYES, "10")
    halt(file, TradingState.LIQUIDATING)
    apply(gate, replace(file.read(), profile="research"), 10)
    refused(desk.send(KYES, "BUY", "1", "0.40"), Code.REDUCE_ONLY)
    out = desk.send(KYES, "SELL", "10", "0.40")
    desk.fill(out.intent.client_order_id, "10", "0.40")
    gate.on_time(20)
    refused(desk.send(KYES, "SELL", "1", "0.40"), Code.HALTED)


def test_the_gates_own_halt_survives_a_restart_until_the_operator_resumes(file: RiskFile):
    limits = governed()
    desk = Desk(world(limits))
    desk.hold(KYES, "100", "0.40")
    desk.gate.on_time(NOON)
    mark(desk, "0.10", NOON + 1)
    assert desk.gate.holds.state is TradingState.LIQUIDATING
    persist(desk.gate, file, NOON + 1)
    assert set(file.read().holds) == {"drawdown", "daily_loss"}

    again = Desk(world(limits))
    seen = restore(again.gate, file.read(), NOON + 2)
    again.gate.on_time(NOON + 2)
    assert again.gate.holds.sources.keys() == {"drawdown", "daily_loss"}
    refused(again.send(K2YES, "BUY", "5", "0.40", now_ns=NOON + 2), Code.HALTED)
    again.gate.on_time(NOON + 13 * 3600 * 10**9)
    assert again.gate.holds.sources.keys() == {"drawdown"}, "the day is over, the halt is not"
    persist(again.gate, file, NOON + 3)
    resume(file)
    apply(again.gate, file.read(), NOON + 4, seen)
    assert again.gate.holds.state is TradingState.RUNNING
    assert again.gate.governor.posture is not Posture.HALT


def test_a_resume_is_applied_once(file: RiskFile, desk: Desk):
    resume(file)
    seen = restore(desk.gate, file.read(), 1)
    desk.gate.on_hold("drawdown", TradingState.HALTED, "later", 2)
    assert apply(desk.gate, file.read(), 3, seen) == seen
    assert desk.gate.holds.state is TradingState.HALTED, "an old resume lifts no new hold"


# -- rows -----------------------------------------------------------------------------------------


def test_commands_become_rows_once_with_their_effect_as_child(file: RiskFile, tmp_path: Path):
    halt(file)
    file.change(
        {"exposure.order": "0.021"},
        command("risk set", **{"exposure.order": "0.021", "before exposure.order": "0.02"}),
    )
    resume(file)
    with DurableLedger(tmp_path / "ledger") as ledger:
        assert record(ledger, file) == 3
        assert record(ledger, file) == 0
    assert file.read().pending == ()
    rows = [r for r in LedgerReader(tmp_path / "ledger").rows() if r.name != "ledger.genesis"]
    names = [r.name for r in rows]
    assert names == [
        "operator.command", "halt", "operator.command", "limits.changed", "operator.command", "resume",
    ]  # fmt: skip
    changed = rows[3].decoded()
    assert changed.before == {"exposure.order": "0.02"}
    assert changed.after == {"exposure.order": "0.021"}
    assert changed.actor == "anna"
    for cause, effect in zip(rows[::2], rows[1::2], strict=True):
        assert effect.parent_seqs == (cause.seq,)


def test_commands_wait_when_the_ledger_refuses(file: RiskFile):
    class Full:
        def append(self, *args: object, **kwargs: object) -> int:
            raise LedgerWriteError("disk full")

    halt(file)
    with pytest.raises(LedgerWriteError):
        record(Full(), file)  # type: ignore[arg-type]
    assert len(file.read().pending) == 1
    assert file.read().trading is TradingState.HALTED, "in force all the same"


def test_the_operators_hold_is_lifted_only_by_a_resume(file: RiskFile):
    halt(file)
    file.hold("feed", TradingState.REDUCE_ONLY, "stale", 1)
    file.hold("feed", TradingState.RUNNING, "", 2)
    assert file.read().holds.keys() == {OPERATOR}
