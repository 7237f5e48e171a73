"""A whole live node on a fake Kalshi: it trades, is halted at the venue too, goes on, and leaves nothing behind."""

import asyncio
import json
import signal
import sys
import time
from decimal import Decimal

import pytest
from aiohttp.test_utils import TestServer

from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi.fees import KalshiFeeBook
from core.domain.fees import FeeSchedule
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeMarket
from core.ledger.kinds import AccountDiffers, PositionsMerged
from core.ledger.projections import Projections
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.integration.polymarket_stand import eventually
from tests.integration.test_kalshi_client import KEY, PEM
from tests.integration.test_polymarket_node import NodeProcess

pytestmark = pytest.mark.slow
YES, NO = "KXT-1-YES.KALSHI", "KXT-1-NO.KALSHI"


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


def told(node, **more):
    """Turn the node's argument to Kalshi."""
    node.argument = json.dumps(
        json.loads(node.argument) | {"venue": "KALSHI", "strategy": "BothSides", "audit_every_s": 1.0} | more
    )  # fmt: skip
    return node


async def test_a_leg_that_fills_while_the_node_is_killed_is_netted_and_the_node_trades_on(
    tmp_path, repo_root, venue
):
    fake, settings = venue
    params = {"iid": YES, "quantity": "5", "rest_at": "0.57"}
    node = told(NodeProcess(repo_root, tmp_path, settings), params=params)
    await node.start()
    await eventually(lambda: node.held() == {YES: 5.0} or node.proc.returncode, 60)
    assert node.held() == {YES: 5.0}, node.errors.decode()[-3000:]
    await eventually(lambda: len(fake.exchange.working()) == 1 or node.proc.returncode, 60)
    assert await node.end(signal.SIGKILL) == -signal.SIGKILL
    fake.exchange.trade("KXT-1", 4300, 10_000, "bid", time.time_ns())
    assert fake.exchange.account.positions() == {("KXT-1", "YES"): 200}
    again = told(NodeProcess(repo_root, tmp_path, settings), params=params | {"quantity": "0"})
    await again.start()
    await eventually(lambda: again.held() == {YES: 2.0} or again.proc.returncode, 60)
    assert again.held() == {YES: 2.0}, again.errors.decode()[-3000:]
    await asyncio.sleep(12.0)  # the account was compared some ten times
    assert {s["halted"] for s in again.said if "halted" in s} == {""}
    assert {"adopted": {YES: "2"}} in [
        {k: {i: str(float(q)).removesuffix(".0") for i, q in v.items()} for k, v in s.items()}
        for s in again.said
        if "adopted" in s
    ]
    assert Decimal(again.said[-1]["cash"]) == Decimal(fake.exchange.account.cash) / 1_000_000
    assert await again.end() == 0, again.errors.decode()[-3000:]
    ledger = tmp_path / "home" / "ledger"
    rows = [r.decoded() for r in LedgerReader(ledger).rows(Selection())]
    assert not [r for r in rows if isinstance(r, AccountDiffers)]
    (merged,) = [r for r in rows if isinstance(r, PositionsMerged)]
    assert (merged.strategy_id, merged.quantity) == ("BothSides-001", 3)
    with Projections(ledger) as projections:
        projections.catch_up()
        held = projections.query("SELECT instrument_id, quantity FROM positions")
        shares = {str(p["instrument_id"]): Decimal(str(p["quantity"])) for p in held}
        assert (shares[YES], shares[NO]) == (2, 0)
        digest = projections.content_sha256()
        assert projections.rebuild() == digest
