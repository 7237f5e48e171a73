"""A node is killed, its market is paid out meanwhile, and it is started again: each trade is booked once, for its strategy."""

import asyncio
import json
import signal
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp.test_utils import TestServer

from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi.fees import KalshiFeeBook
from core.domain.fees import FeeSchedule
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeMarket
from core.ledger.kinds import OrderFilled, OrderIntended, Settled
from core.ledger.kinds.orders import OrderAccepted, OrderCanceled
from core.ledger.verify import verify
from tests.faults.test_node_process import Killed, rows
from tests.integration.polymarket_stand import C1, C2, IYES, YES2, eventually
from tests.integration.test_kalshi_client import KEY, PEM
from tests.integration.test_polymarket_node import venue as polymarket

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("node-process")]
D = Decimal
TICKERS = ("KXT-1", "KXT-2")
#: The market that is paid out, its first outcome, and an outcome of the market that goes on.
PLACES = {
    "KALSHI": (TICKERS[0], "KXT-1-YES.KALSHI", "KXT-2-YES.KALSHI"),
    "POLYMARKET": (C1, IYES, f"{C2}-{YES2}.POLYMARKET"),
}


@asynccontextmanager
async def kalshi(tmp_path):
    """A fake Kalshi with two markets, and the settings that lead a node to it."""
    exchange = Exchange(NettedAccount(1_000_000_000), KalshiFeeBook(), "k")
    close = time.time_ns() + 3600 * 10**9
    for ticker in TICKERS:
        fees = FeeSchedule("KALSHI", kind="quadratic")
        exchange.markets[ticker] = FakeMarket(ticker, fees, close_ns=close)
        exchange.level(ticker, "bid", 4000, 10_000, 0)
        exchange.level(ticker, "ask", 4200, 5_000, 0)
    fake = FakeKalshi(exchange, public_key=KEY.public_key(), read_rate=1000.0, write_rate=1000.0)
    server = TestServer(fake.app())
    await server.start_server()
    yield (
        fake,
        {
            "tickers": list(TICKERS),
            "base_url": str(server.make_url("/trade-api/v2")),
            "ws_url": str(server.make_url("/trade-api/ws/v2")),
            "key_id": "id",
            "private_key": PEM,
        },
    )
    await server.close()


def started(root, tmp_path, code, told, iid, **more):
    """Return a node that compares its account with the venue's twice a second."""
    made = Killed(root, tmp_path, told, audit_every_s=0.5, **more)
    made.argument = json.dumps(json.loads(made.argument) | {"venue": code, "params": {"iid": iid}})
    return made


async def killed(first, iid, fake, mode):
    """Start a node and wait for its death: at its point, else once it holds ten and bids for five more."""
    await first.start()
    if not json.loads(first.argument)["point"]:
        await eventually(lambda: first.held() == {iid: 10.0} or first.proc.returncode)
        works = (lambda: fake.exchange.working()) if mode == "live" else (lambda: True)
        await eventually(lambda: works() or first.proc.returncode)
        first.proc.send_signal(signal.SIGKILL)
    assert await asyncio.wait_for(first.proc.wait(), 60) == -signal.SIGKILL, first.errors.decode()


@pytest.mark.parametrize("code", ["KALSHI", "POLYMARKET"])
@pytest.mark.parametrize(
    ("mode", "point", "bid_fills"),
    [
        pytest.param("paper", "", False, id="a paper account"),
        pytest.param("live", "", True, id="live, and a bid fills before the payout"),
        pytest.param("live", "fill-heard", False, id="live, killed before the fill has a row"),
        pytest.param("live", "intent-on-disk", True, id="live, killed before an order left"),
    ],
)
async def test_what_was_paid_out_meanwhile_is_booked_once_and_as_its_strategys(
    tmp_path, repo_root, code, mode, point, bid_fills
):
    over, iid, other = PLACES[code]
    places = {"KALSHI": kalshi, "POLYMARKET": polymarket}
    async with places[code](tmp_path) as (fake, told):
        first = started(repo_root, tmp_path, code, told, iid, mode=mode, point=point)
        await killed(first, iid, fake, mode)
        if bid_fills:
            fake.exchange.trade(over, 3800, 10_500, "ask", time.time_ns())
        fake.exchange.settle(over, 10_000, time.time_ns())
        again = started(repo_root, tmp_path, code, told, other, mode=mode)
        await again.start()
        await eventually(lambda: other in (again.held() or ()) or again.proc.returncode)
        await asyncio.sleep(3.0)  # the account is compared several times
        assert again.held() == {other: 10.0}, again.errors.decode()[-2000:]
        last = next(s for s in reversed(again.said) if "positions" in s)
        assert not last["halted"] and not last["unknown"]
        if mode == "live" and code == "KALSHI":
            assert D(last["cash"]) == D(fake.exchange.account.cash) / 1_000_000
        assert await again.end() == 0, again.errors.decode()[-2000:]
    filled, paid = rows(tmp_path, OrderFilled), rows(tmp_path, Settled)
    assert {f.strategy_id for f in (*filled, *paid)} == {"BuyOnce-001"}
    trades = [f.trade_id for f in filled]
    assert len(trades) == len(set(trades))
    if mode == "live":
        assert len(trades) == len(fake.exchange.executions)
    assert sum(p.quantity for p in paid) == sum(
        f.quantity for f in filled if f.instrument_id == iid
    )
    intended = {i.client_order_id for i in rows(tmp_path, OrderIntended)}
    accepted = [a.client_order_id for a in rows(tmp_path, OrderAccepted)]
    assert set(accepted) <= intended and len(accepted) == len(set(accepted))
    assert verify(tmp_path / "home" / "ledger").ok


@pytest.mark.parametrize("code", ["KALSHI", "POLYMARKET"])
async def test_after_a_reconnect_nothing_of_an_earlier_life_is_written_again(
    tmp_path, repo_root, code
):
    _, iid, other = PLACES[code]
    places = {"KALSHI": kalshi, "POLYMARKET": polymarket}
    async with places[code](tmp_path) as (fake, told):
        first = started(repo_root, tmp_path, code, told, iid, mode="live", point="")
        await killed(first, iid, fake, "live")
        fake.exchange.trade(PLACES[code][0], 3800, 10_200, "ask", time.time_ns())
        again = started(repo_root, tmp_path, code, told, other, mode="live")
        await again.start()
        await eventually(lambda: again.held() == {iid: 15.0, other: 10.0} or again.proc.returncode)
        for _ in range(2):  # each time everything is read again
            await fake.streams.drop_all()

            def back(since=len(again.said) + 2):
                return any(s.get("link") for s in again.said[since:]) or again.proc.returncode

            await eventually(back)
        assert again.held() == {iid: 15.0, other: 10.0}, again.errors.decode()[-2000:]
        assert await again.end() == 0, again.errors.decode()[-2000:]
    accepted = [a.client_order_id for a in rows(tmp_path, OrderAccepted)]
    assert len(accepted) == len(set(accepted))
    filled = {f.client_order_id for f in rows(tmp_path, OrderFilled)}
    assert len(filled) == 3
    assert not filled & {c.client_order_id for c in rows(tmp_path, OrderCanceled)}
