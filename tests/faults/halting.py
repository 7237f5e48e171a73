"""A node that presses orders into a fake Polymarket, halted or killed at full speed: what arrives when."""

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path

from core.risk.state_file import Command, RiskFile
from core.risk.states import TradingState
from tests.integration.polymarket_stand import C1, eventually
from tests.integration.test_polymarket_node import NodeProcess, venue

ROOT = Path(__file__).parents[2]


async def _move(fake):
    """Change the book fifty times a second."""
    size = 1_000
    while True:
        size += 100
        now = time.time_ns()
        fake.exchange.level(C1, "bid", 4000, size, now)
        fake.streams.level_changed(C1, "bid", 4000, 100, now)
        fake.streams.ticked(C1, now)
        await asyncio.sleep(0.02)


def order_halt(home):
    """Do what `beta risk halt` does."""
    now = time.time_ns()
    command = Command(f"c-{now}", "risk halt", {"state": "HALTED", "reason": "x"}, "op", "cli", now)
    RiskFile(home / "risk").order(TradingState.HALTED, command)


@asynccontextmanager
async def pressed(tmp_path, kind=NodeProcess, **more):
    """Yield a node that has orders working and goes on sending."""
    async with venue(tmp_path) as (fake, told):
        mover = asyncio.create_task(_move(fake))
        node = kind(ROOT, tmp_path, told, strategy="Presses", limits="research", **more)
        await node.start()
        try:
            await eventually(lambda: len(fake.exchange.working()) >= 8 or node.proc.returncode, 60)
            assert node.proc.returncode is None, node.errors.decode()[-2000:]
            yield fake, node, told
        finally:
            mover.cancel()
            if node.proc.returncode is None:
                node.proc.send_signal(signal.SIGKILL)
                await node.proc.wait()


async def halt(tmp_path):
    """Return (seconds from the halt to the last order that arrived, seconds until nothing worked)."""
    async with pressed(tmp_path) as (fake, _, _):
        began = time.time_ns()
        order_halt(tmp_path / "home")
        await eventually(lambda: not fake.exchange.working(), 60)
        clear = time.time_ns()
        log = tmp_path / "home" / "node.log.jsonl"
        await eventually(lambda: "halt.nothing_works" in log.read_text(), 60)
        sent = len(fake.exchange.orders)
        await asyncio.sleep(1.0)
        assert len(fake.exchange.orders) == sent, "nothing more gets through"
        last = max(o.created_ns for o in fake.exchange.orders.values())
        assert not fake.exchange.working()
        return max(last - began, 0) / 1e9, (clear - began) / 1e9


async def kill(tmp_path):
    """Return seconds from SIGKILL until a node started at once is connected, reconciled and holds nothing open."""
    async with pressed(tmp_path) as (fake, node, told):
        node.proc.send_signal(signal.SIGKILL)
        await node.proc.wait()
        began = time.monotonic()
        again = NodeProcess(ROOT, tmp_path, told)
        await again.start()
        await eventually(
            lambda: (again.held() is not None and again.said[-1]["link"]) or again.proc.returncode,
            40,
        )
        assert again.proc.returncode is None, again.errors.decode()[-2000:]
        seconds = time.monotonic() - began
        await again.end()
        assert not fake.exchange.working()
        return seconds
