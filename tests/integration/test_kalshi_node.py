"""A whole live node on a fake Kalshi: it trades, is halted at the venue too, goes on, and leaves nothing behind."""

import asyncio
import json
import sys
import time

import pytest
from aiohttp.test_utils import TestServer

from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi.fees import KalshiFeeBook
from core.domain.fees import FeeSchedule
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeMarket
from tests.integration.polymarket_stand import eventually
from tests.integration.test_kalshi_client import KEY, PEM
from tests.integration.test_polymarket_node import NodeProcess

pytestmark = pytest.mark.slow
YES = "KXT-1-YES.KALSHI"


@pytest.fixture
async def venue():
    """A fake Kalshi with one market, and the settings that lead a node to it."""
    exchange = Exchange(NettedAccount(1_000_000_000), KalshiFeeBook(), "k")
    fees = FeeSchedule("KALSHI", kind="quadratic")
    close = time.time_ns() + 3600 * 10**9
    exchange.markets["KXT-1"] = FakeMarket("KXT-1", fees, close_ns=close)
    exchange.level("KXT-1", "bid", 4000, 10_000, 0)
    exchange.level("KXT-1", "ask", 4200, 5_000, 0)
    fake = FakeKalshi(exchange, public_key=KEY.public_key(), read_rate=1000.0, write_rate=1000.0)
    server = TestServer(fake.app())
    await server.start_server()
    settings = {
        "tickers": ["KXT-1"],
        "base_url": str(server.make_url("/trade-api/v2")),
        "ws_url": str(server.make_url("/trade-api/ws/v2")),
        "key_id": "id",
        "private_key": PEM,
    }
    yield fake, settings
    await server.close()


async def risk(root, home, *words):
    """Give the operator's command to the node's folder."""
    proc = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console.cli", "risk", *words, "--dir", str(home / "risk"),
        cwd=root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(proc.communicate(), 60)
    assert proc.returncode in (0, 7), out.decode()[-1000:]


async def test_a_halt_closes_the_order_group_at_the_venue_and_a_resume_opens_it(
    tmp_path, repo_root, venue
):
    fake, settings = venue
    node = NodeProcess(repo_root, tmp_path, settings)
    node.argument = json.dumps(
        json.loads(node.argument) | {"venue": "KALSHI", "params": {"iid": YES}}
    )
    await node.start()
    await eventually(lambda: node.held() == {YES: 10.0} or node.proc.returncode, 60)
    assert node.held() == {YES: 10.0}, node.errors.decode()[-3000:]
    await eventually(lambda: len(fake.exchange.working()) == 1)
    (group,) = fake.orders.groups.values()
    assert len(group.members) == 2 and not group.triggered
    await risk(repo_root, tmp_path / "home", "halt")
    await eventually(lambda: group.triggered and not fake.exchange.working(), 60)
    await risk(repo_root, tmp_path / "home", "resume", "--yes")
    await eventually(lambda: not group.triggered, 60)
    assert await node.end() == 0, node.errors.decode()[-3000:]
    assert not fake.orders.groups  # nothing rests in it any more
    assert len(fake.exchange.orders) == 2
