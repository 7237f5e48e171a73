"""A whole node on a fake Polymarket: it trades, is killed, comes back, and holds what the venue says."""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestServer

from adapters.fake.polymarket.server import FakePolymarket
from core.engine.live.memory import remember
from core.engine.paper.account import TokenAccount
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.state_file import Command, RiskFile
from core.risk.states import TradingState
from tests.integration.polymarket_stand import (
    C1,
    C2,
    IYES,
    KEY,
    PUBLIC,
    SECRET,
    YES2,
    eventually,
    exchange,
    infos,
    settings,
)

pytestmark = pytest.mark.slow


@asynccontextmanager
async def venue(tmp_path, account=TokenAccount, **options):
    market = exchange(1_000_000_000)
    market.account = account(market.account.cash)
    fake = FakePolymarket(market, infos(), secret=SECRET, public_key=PUBLIC, **options)
    server = TestServer(fake.app())
    await server.start_server()
    told = settings(server, tmp_path) | {
        "conditions": [C1, C2],
        "private_key": KEY,
        "state_dir": str(tmp_path / "state"),
        "heartbeat_s": 1.0,
    }
    yield fake, told
    await server.close()


class NodeProcess:
    """The node in a process of its own, and what it said."""

    def __init__(self, root, tmp_path, told, mode="live", **more):
        self.said, self.errors = [], b""
        self.root, self.proc = root, None
        self.argument = json.dumps(
            {
                "mode": mode,
                "home": str(tmp_path / "home"),
                "settings": told,
                "params": {"iid": IYES},
                **more,
            }
        )

    async def start(self):
        self.proc = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.polymarket_node",
            self.argument,
            cwd=self.root,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(self.root)},
        )
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._err())]

    async def _read(self):
        async for line in self.proc.stdout:
            try:
                self.said.append(json.loads(line))
            except json.JSONDecodeError:
                self.errors += line

    async def _err(self):
        self.errors += await self.proc.stderr.read()

    def held(self):
        status = [s for s in self.said if "positions" in s]
        return {i: float(q) for i, q in status[-1]["positions"].items()} if status else None

    async def end(self, sig=signal.SIGTERM):
        self.proc.send_signal(sig)
        code = await asyncio.wait_for(self.proc.wait(), 60)
        await asyncio.gather(*self.tasks)
        return code


async def test_a_node_trades_is_killed_and_comes_back_with_the_same_position(tmp_path, repo_root):
    async with venue(tmp_path) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: node.held() == {IYES: 10.0} or node.proc.returncode, 60)
        assert node.held() is not None, node.errors.decode()[-3000:]
        await eventually(lambda: len(fake.exchange.working()) == 1)
        await eventually(
            lambda: (
                fake.settlement.trades["00000000-0000-4000-8000-000000000001"].status == "CONFIRMED"
            )
        )
        await asyncio.sleep(0.3)
        assert await node.end(signal.SIGKILL) == -signal.SIGKILL
        held = fake.exchange.account.positions()
        # While it is dead the resting bid fills.
        fake.exchange.trade(C1, 3800, 10_500, "ask", time.time_ns())
        assert fake.exchange.account.positions()[(C1, "YES")] >= held[(C1, "YES")]
        again = NodeProcess(repo_root, tmp_path, told)
        await again.start()
        truth = fake.exchange.account.positions()[(C1, "YES")] / 100
        await eventually(lambda: again.held() and again.held().get(IYES) == truth, 60)
        await asyncio.sleep(1.5)
        assert again.held()[IYES] == truth
        assert await again.end() == 0, again.errors.decode()[-3000:]
        assert not fake.exchange.working()
        assert again.said[-1] == {"ended": True}
        rows = LedgerReader(tmp_path / "home" / "ledger").rows(
            Selection(kinds=("order.confirmed",))
        )
        assert len(list(rows)) >= 1
        posts = [s for _, s in fake.requests if s == "POST /order"]
        assert len(posts) == len(fake.exchange.orders)


async def test_a_paper_node_trades_the_live_market_without_a_key(tmp_path, repo_root):
    async with venue(tmp_path) as (fake, told):
        keyless = {k: v for k, v in told.items() if k != "private_key"}
        node = NodeProcess(repo_root, tmp_path, keyless, mode="paper")
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        assert await node.end() == 0
        assert not fake.exchange.orders
        assert not any("POST" in s for _, s in fake.requests)


async def test_a_trade_that_fails_on_chain_leaves_no_position_in_the_node(tmp_path, repo_root):
    async with venue(tmp_path, fail=lambda n: n == 0, mine_s=1.5) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        await eventually(lambda: node.held() == {}, 60)
        assert fake.exchange.account.positions() == {}
        assert await node.end() == 0, node.errors.decode()[-3000:]
        (told_of,) = [s["voided"] for s in node.said if "voided" in s]
        assert told_of[0] == IYES and float(told_of[1]) == 10.0
        assert {"refused": "MARKET_BARRED"} in node.said  # its purchase right afterwards
        assert len([s for _, s in fake.requests if s == "POST /order"]) == 2


@pytest.mark.parametrize("killed_first", [False, True], ids=["heard", "while no node ran"])
async def test_a_market_barred_by_a_void_stays_barred_after_a_restart_until_a_resume(
    tmp_path, repo_root, killed_first
):
    mine_s = 4.0 if killed_first else 1.0
    async with venue(tmp_path, fail=lambda n: n == 0, mine_s=mine_s) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        if not killed_first:
            await eventually(lambda: node.held() == {}, 60)
            await eventually(lambda: {"refused": "MARKET_BARRED"} in node.said, 60)
        await node.end(signal.SIGKILL)
        await eventually(lambda: not fake.exchange.account.positions(), 60)
        again = NodeProcess(repo_root, tmp_path, told)
        await again.start()
        if (
            killed_first
        ):  # what it reads at the start bars the market, perhaps just after its first order
            ledger = tmp_path / "home" / "ledger"
            await eventually(lambda: remember(ledger).barred or again.proc.returncode, 60)
            assert remember(ledger).barred == {C1: remember(ledger).barred[C1]}
        else:
            await eventually(lambda: {"refused": "MARKET_BARRED"} in again.said, 60)
        assert await again.end() == 0, again.errors.decode()[-3000:]
        posts = len([s for _, s in fake.requests if s == "POST /order"])
        third = NodeProcess(repo_root, tmp_path, told)
        await third.start()
        await eventually(lambda: {"refused": "MARKET_BARRED"} in third.said, 60)
        assert await third.end() == 0, third.errors.decode()[-3000:]
        assert len([s for _, s in fake.requests if s == "POST /order"]) == posts
        resume(tmp_path / "home")
        fourth = NodeProcess(repo_root, tmp_path, told)
        await fourth.start()
        await eventually(lambda: fourth.held() or fourth.proc.returncode, 60)
        assert fourth.held() and fourth.held()[IYES] >= 10.0, fourth.errors.decode()[-3000:]
        assert await fourth.end() == 0


async def test_money_that_is_gone_at_the_venue_halts_the_node_and_is_a_row(tmp_path, repo_root):
    async with venue(tmp_path) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told, audit_every_s=1.0)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        await asyncio.sleep(4.0)
        assert not node.said[-1]["halted"], "nothing differs yet"
        fake.exchange.account.cash -= 5_000_000
        await eventually(lambda: "differs from the books" in node.said[-1].get("halted", ""), 90)
        await eventually(lambda: not fake.exchange.working(), 60)
        await node.end()
        rows = LedgerReader(tmp_path / "home" / "ledger").rows(
            Selection(kinds=("account.difference",))
        )
        assert [r.decoded().action for r in rows] == ["looked at again", "trading halted"]


def resume(home):
    """Do what `beta risk resume` does while no node runs."""
    now = time.time_ns()
    command = Command(f"c-{now}", "risk resume", {"reason": "looked"}, "op", "cli", now)
    RiskFile(home / "risk").order(TradingState.RUNNING, command)


async def test_a_resolution_pays_the_node_out(tmp_path, repo_root):
    async with venue(tmp_path) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        await asyncio.sleep(0.8)
        fake.exchange.settle(C1, 10_000, time.time_ns())
        await eventually(lambda: node.held() == {}, 60)
        assert await node.end() == 0, node.errors.decode()[-3000:]


async def test_an_answer_that_is_lost_neither_loses_nor_doubles_the_order(tmp_path, repo_root):
    from adapters.fake.faults import Fault, FaultKind, FaultSchedule

    faults = FaultSchedule((Fault(FaultKind.DROP_RESPONSE, match="POST /order", count=2),))
    async with venue(tmp_path, faults=faults) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        await eventually(lambda: node.said[-1].get("unknown") == 0, 60)
        assert len(fake.exchange.orders) == 2
        assert await node.end() == 0, node.errors.decode()[-3000:]
        assert not fake.exchange.working()


async def test_a_market_that_resolves_while_the_node_is_dead_is_paid_out_at_the_next_start(
    tmp_path, repo_root
):
    async with venue(tmp_path) as (fake, told):
        keyless = {k: v for k, v in told.items() if k != "private_key"}
        node = NodeProcess(repo_root, tmp_path, keyless, mode="paper")
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        await node.end(signal.SIGKILL)
        fake.exchange.settle(C1, 10_000, time.time_ns())
        later = keyless | {"conditions": [C2]}  # what the operator follows today
        again = NodeProcess(repo_root, tmp_path, later, mode="paper", run_s=4.0)
        again.argument = again.argument.replace(
            f'"iid": "{IYES}"', f'"iid": "{C2}-{YES2}.POLYMARKET"'
        )
        await again.start()
        await eventually(lambda: again.proc.returncode is not None, 60)
        assert again.proc.returncode == 0, again.errors.decode()[-3000:]
        assert IYES not in again.held()
        rows = LedgerReader(tmp_path / "home" / "ledger").rows(Selection(kinds=("settlement",)))
        paid = [(r.decoded().instrument_id, float(r.decoded().quantity)) for r in rows]
        assert paid == [(IYES, 10.0)]
