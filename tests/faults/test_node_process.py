"""Whole nodes in processes of their own: killed at named points, started twice, stopped in order."""

import asyncio
import signal
import sys

import pytest

from core.ledger.kinds import OrderFilled, OrderIntended, RunEnded
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.ledger.verify import verify
from tests.faults.halting import halt, pressed
from tests.integration.polymarket_stand import C1, IYES, eventually
from tests.integration.test_polymarket_node import NodeProcess, venue

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("node-process")]


class Killed(NodeProcess):
    """A node started through the module that kills itself."""

    async def start(self):
        self.proc = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.node_process",
            self.argument,
            cwd=self.root,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._err())]


def rows(tmp_path, kind):
    reader = LedgerReader(tmp_path / "home" / "ledger")
    return [p for r in reader.rows(Selection()) if isinstance(p := r.decoded(), kind)]


async def held_by_venue(fake):
    return fake.exchange.account.positions().get((C1, "YES"), 0) / 100


@pytest.mark.parametrize("mode", ["live", "paper"])
@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("intent-on-disk", 0),
        ("intent-on-disk", 1),
        ("order-answered", 0),
        ("order-answered", 1),
        ("fill-heard", 0),
        ("fill-row-queued", 0),
    ],
)
async def test_a_node_killed_at_a_named_point_comes_back_without_loss_or_double(
    tmp_path, repo_root, mode, point, nth
):
    async with venue(tmp_path) as (fake, told):
        node = Killed(repo_root, tmp_path, told, mode=mode, point=point, nth=nth)
        await node.start()
        code = await asyncio.wait_for(node.proc.wait(), 60)
        assert code == -signal.SIGKILL, node.errors.decode()[-2000:]
        again = Killed(repo_root, tmp_path, told, mode=mode)
        await again.start()
        await eventually(lambda: again.held() == {IYES: 10.0} or again.proc.returncode, 60)
        assert again.held() == {IYES: 10.0}, again.errors.decode()[-2000:]
        if mode == "live":
            assert await held_by_venue(fake) == 10.0
            intents = rows(tmp_path, OrderIntended)
            assert len(fake.exchange.orders) <= len(intents)
        else:
            assert not fake.exchange.orders
        assert await again.end() == 0, again.errors.decode()[-2000:]
        assert verify(tmp_path / "home" / "ledger").ok


async def test_a_second_node_on_the_same_home_is_refused(tmp_path, repo_root):
    async with venue(tmp_path) as (_, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        second = NodeProcess(repo_root, tmp_path, told)
        await second.start()
        assert await asyncio.wait_for(second.proc.wait(), 60) != 0
        await asyncio.gather(*second.tasks)
        assert b"LedgerLocked" in second.errors
        assert not second.said
        assert await node.end() == 0, node.errors.decode()[-2000:]


async def test_a_sigterm_ends_in_order_and_seals_the_run(tmp_path, repo_root):
    async with venue(tmp_path) as (fake, told):
        node = NodeProcess(repo_root, tmp_path, told)
        await node.start()
        await eventually(lambda: len(fake.exchange.working()) == 1 or node.proc.returncode, 60)
        assert await node.end() == 0, node.errors.decode()[-2000:]
        assert not fake.exchange.working()
        ended = rows(tmp_path, RunEnded)
        assert [e.reason for e in ended] == ["signal"]


def fills_in_ledger(tmp_path):
    return sum(f.quantity for f in rows(tmp_path, OrderFilled))


async def test_a_fill_whose_row_died_with_its_node_is_a_row_after_the_restart(tmp_path, repo_root):
    async with venue(tmp_path) as (_, told):
        node = Killed(repo_root, tmp_path, told, mode="live", point="fill-heard", nth=0)
        await node.start()
        assert await asyncio.wait_for(node.proc.wait(), 60) == -signal.SIGKILL
        assert fills_in_ledger(tmp_path) == 0
        again = Killed(repo_root, tmp_path, told, mode="live")
        await again.start()
        await eventually(lambda: again.held() == {IYES: 10.0} or again.proc.returncode, 60)
        assert again.held() == {IYES: 10.0}, again.errors.decode()[-2000:]
        assert await again.end() == 0, again.errors.decode()[-2000:]
        assert fills_in_ledger(tmp_path) == 10
        ids = [f.trade_id for f in rows(tmp_path, OrderFilled)]
        assert len(ids) == len(set(ids))


async def test_a_halt_lets_nothing_more_through_and_takes_what_works_off_the_book(tmp_path):
    await halt(tmp_path)  # asserts both; how long it took is for the benchmark


async def test_a_full_disk_takes_working_orders_off_the_book_without_the_ledger(tmp_path):
    async with pressed(tmp_path, Killed, disk_full_after_s=6.0) as (fake, node, _):
        await eventually(
            lambda: any(s.get("halted") for s in node.said) or node.proc.returncode, 40
        )
        await eventually(lambda: not fake.exchange.working() or node.proc.returncode, 60)
        assert node.proc.returncode is None, node.errors.decode()[-2000:]
        sent = len(fake.exchange.orders)
        await asyncio.sleep(1.0)
        assert len(fake.exchange.orders) == sent
        assert not fake.exchange.working()
