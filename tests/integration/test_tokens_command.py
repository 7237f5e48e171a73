"""`beta tokens --send` as processes: refused without word or key, killed in the middle, resolved by the next one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.fake.faults import Fault, FaultKind
from core.ledger.kinds import PositionsMerged, PositionsSplit
from core.ledger.reader import LedgerReader
from core.risk.state_file import OPERATOR, Command, RiskFile
from core.risk.states import TradingState
from tests.integration.polymarket_stand import C1, IYES, KEY, SECRET, eventually
from tests.integration.test_polymarket_node import NodeProcess, venue
from tests.integration.test_polymarket_tokens import FUNDER, MICRO, RELAYER_KEY, desk

pytestmark = pytest.mark.slow
REPO = Path(__file__).resolve().parents[2]
KEYS = {
    "POLYMARKET_PK": KEY,
    "POLYMARKET_RELAYER_KEY": RELAYER_KEY,
    "POLYMARKET_SIGNATURE_TYPE": "3",
    "POLYMARKET_FUNDER": FUNDER,
    "POLYMARKET_API_KEY": "fake-key",
    "POLYMARKET_API_SECRET": SECRET,
    "POLYMARKET_PASSPHRASE": "pass-canary-41",
    "BETA_LIVE": "1",
}


async def started(cwd, *args, **env):
    """Start `beta tokens` in a folder of its own; a variable that is None is not set."""
    whole = {k: v for k, v in (os.environ | KEYS | env).items() if v is not None}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console.cli", "tokens", *args,
        cwd=cwd, env=whole | {"PYTHONPATH": str(REPO), "COLUMNS": "200"},
        stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1,
    )  # fmt: skip


async def beta(cwd, *args, **env):
    process = await started(cwd, *args, **env)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def merge(d, amount="10"):
    return ("merge", C1, "--amount", amount, "--send", "--fake", d.url, "--json")


def halted(folder):
    """Put the operator's halt on file, as `beta risk halt` does."""
    command = Command("c-1", "risk halt", {"state": "HALTED", "reason": "test"}, "t", "cli", 1)
    RiskFile(folder).order(TradingState.HALTED, command)


async def test_without_a_key_or_a_word_or_to_a_stranger_nothing_leaves(tmp_path):
    async with desk(tmp_path) as d:
        code, out, err = await beta(tmp_path, *merge(d), BETA_LIVE=None)
        assert (code, out) == (6, "")
        assert "BETA_LIVE" in err
        for missing in ("POLYMARKET_PK", "POLYMARKET_RELAYER_KEY"):
            code, _, err = await beta(tmp_path, *merge(d), **{missing: None})
            assert code == 4
            assert missing in err
        stranger = ("merge", C1, "--amount", "1", "--send", "--fake", "http://192.0.2.1:80")
        code, _, err = await beta(tmp_path, *stranger)
        assert (code, "this machine" in err) == (4, True)
        assert d.fake.requests == []
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("runs/live/polymarket/risk", 7),
        ("runs/live/kalshi/risk", 7),
        ("runs/paper/kalshi/risk", 7),
        ("risk", 7),
        ("elsewhere/risk", 0),
    ],
)
async def test_the_operators_halt_of_any_node_here_holds_calls_back(tmp_path, folder, code):
    halted(tmp_path / folder)
    async with desk(tmp_path) as d:
        found, _, err = await beta(tmp_path, *merge(d))
        assert found == code, err
        assert d.submits == (0 if code else 1)


async def test_a_named_risk_state_and_a_corrupt_one_hold_calls_back(tmp_path):
    halted(tmp_path / "elsewhere")
    async with desk(tmp_path) as d:
        code, _, err = await beta(tmp_path, *merge(d), BETA_RISK=str(tmp_path / "elsewhere"))
        assert (code, "beta risk resume" in err) == (7, True)
        own = tmp_path / "runs" / "live" / "polymarket" / "risk"
        own.mkdir(parents=True)
        (own / "risk.json").write_text("{")
        assert (await beta(tmp_path, *merge(d)))[0] == 7
        assert d.submits == 0


async def test_a_paper_nodes_own_hold_is_no_reason_but_a_live_ones_is(tmp_path):
    async with desk(tmp_path) as d:
        for mode, code in (("paper", 0), ("live", 7)):
            file = RiskFile(tmp_path / "runs" / mode / "polymarket" / "risk")
            file.hold("drawdown", TradingState.HALTED, "test", 1)
            assert (await beta(tmp_path, *merge(d, "1")))[0] == code
        assert OPERATOR not in file.read().holds


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_killed_command_is_resolved_by_the_next_one_and_happens_once(tmp_path, arrives):
    kind = FaultKind.DELAY if arrives else FaultKind.DROP_REQUEST
    fault = Fault(FaultKind.DELAY, match="POST /submit", seconds=3.0)
    async with desk(tmp_path, fault if arrives else replace(fault, kind=kind)) as d:
        cash = d.truth[0]
        process = await started(tmp_path, *merge(d))
        until = time.monotonic() + 120
        while not d.submits:
            assert process.returncode is None
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        folder = tmp_path / "runs" / "tokens" / "fake-polymarket" / "ledger"
        names = [r.name for r in LedgerReader(folder).rows() if r.name.startswith("tokens.")]
        assert names[0] == "tokens.intended"
        assert "tokens.ended" not in names
        if arrives:
            await eventually(lambda: d.fake.relayer.executed)
            code, out, err = await beta(tmp_path, "resolve", "--fake", d.url, "--json")
            assert code == 0, err
            assert [c["status"] for c in json.loads(out)["calls"]] == ["confirmed"]
        else:
            await asyncio.sleep(1.1)  # the settling time on a fake venue
            code, out, err = await beta(tmp_path, *merge(d))
            assert code == 0, err
            assert json.loads(out)["calls"][0]["attempts"] == 2
        assert d.truth[0] == cash + 10 * MICRO
        assert len(d.fake.relayer.executed) == 1
        code, out, _ = await beta(tmp_path, "status", "--fake", d.url, "--json", POLYMARKET_PK=None)
        assert [c["status"] for c in json.loads(out)["calls"]] == ["confirmed"]


async def test_two_commands_at_once_are_one_call_and_one_refusal(tmp_path):
    async with desk(tmp_path) as d:
        cash = d.truth[0]
        both = await asyncio.gather(beta(tmp_path, *merge(d, "3")), beta(tmp_path, *merge(d, "3")))
        codes = sorted(code for code, _, _ in both)
        assert codes in ([0, 0], [0, 8])  # one after the other, or the second found the ledger held
        assert d.truth[0] == cash + 3 * MICRO * codes.count(0)
        assert len(d.fake.relayer.executed) == codes.count(0)


async def test_a_failed_call_is_an_error_and_no_secret_is_printed_or_kept(tmp_path):
    async with desk(tmp_path) as d:
        d.fake.relayer.fail = lambda number: True
        code, out, err = await beta(tmp_path, *merge(d))
        assert (code, out) == (1, "")
        assert "execution reverted" in err
        d.fake.tamper = lambda what, real: (
            json.dumps({"error": " ".join(KEYS.values())}).encode() if "submit" in what else real
        )
        more = await beta(tmp_path, *merge(d))
        kept = b"".join(p.read_bytes() for p in (tmp_path / "runs").rglob("*") if p.is_file())
        for secret in (KEY, KEY[2:], RELAYER_KEY, SECRET, "pass-canary-41"):
            assert secret not in err + more[1] + more[2]
            assert secret.encode() not in kept


async def test_a_running_node_books_what_the_command_did(tmp_path):
    """Ten shares bought by the node; four pairs are split and merged by the owner beside it."""
    async with venue(tmp_path) as (fake, told):
        node = NodeProcess(REPO, tmp_path, told, audit_every_s=0.5)
        await node.start()
        await eventually(lambda: node.held() == {IYES: 10.0} or node.proc.returncode)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        cash = fake.exchange.account.cash

        def booked():
            rows = LedgerReader(tmp_path / "home" / "ledger").rows()
            told = [r.decoded() for r in rows if r.name in ("position.merged", "position.split")]
            return [(type(r), r.quantity) for r in told]

        done = []
        for action, kind in (("split", PositionsSplit), ("merge", PositionsMerged)):
            args = (action, C1, "--amount", "4", "--send", "--fake", told["clob_url"])
            code, _, err = await beta(tmp_path, *args)
            assert code == 0, err
            done.append((kind, 4))
            await eventually(lambda: booked() == done, 150)
        assert fake.exchange.account.cash == cash
        await eventually(lambda: node.held() == {IYES: 10.0})
        assert await node.end() == 0
