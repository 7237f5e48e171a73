"""Order cases TC-101 to TC-110: the same on the fake Kalshi, the fake Polymarket and paper."""

import asyncio
from decimal import Decimal

import pytest

from adapters.fake.faults import Fault, FaultKind
from adapters.fake.matrix.cases import CREATE
from adapters.fake.matrix.compare import compare
from adapters.fake.matrix.script import Trader, quiesce
from adapters.fake.matrix.stand import Stand
from adapters.fake.matrix.virtual import run_virtual
from core.domain.clock import NS_PER_SECOND
from core.domain.decision import TimeInForce
from core.domain.fees import Side

D = Decimal
VENUES = ["KALSHI", "POLYMARKET", "PAPER"]
pytestmark = pytest.mark.parametrize("venue", VENUES)


def play(tmp_path, venue, script, faults=()):
    """Run `script(stand, trader)`, compare the books, return the engine's events."""

    async def work(loop):
        stand = Stand(loop, tmp_path, venue, faults, {})
        await stand.open()
        trader = Trader(stand)
        await script(stand, trader)
        assert await quiesce(stand)
        stand.client.refresh_cash()
        await asyncio.sleep(1.0)
        await stand.close()
        assert compare(stand, trader).broken == []
        return [e.split(":")[0] for e in stand.engine.events]

    return run_virtual(work)


def one(*args, **kwargs):
    """Return a script that sends one order on the first market."""

    async def script(stand, trader):
        assert await trader.send(stand.markets[0], *args, **kwargs)
        await asyncio.sleep(2.0)

    return script


def test_tc_101_a_resting_limit_order_is_accepted(tmp_path, venue):
    events = play(tmp_path, venue, one(Side.BUY, D(5), D("0.38"), TimeInForce.GTC))
    assert events == ["OrderSubmitted", "OrderAccepted"]


def test_tc_102_an_ioc_order_fills_with_its_commission(tmp_path, venue):
    events = play(tmp_path, venue, one(Side.BUY, D(5), D("0.42"), TimeInForce.IOC))
    assert events == ["OrderSubmitted", "OrderAccepted", "OrderFilled"]


def test_tc_103_a_fok_order_fills_whole(tmp_path, venue):
    events = play(tmp_path, venue, one(Side.BUY, D(5), D("0.42"), TimeInForce.FOK))
    assert events.count("OrderFilled") == 1


def test_tc_104_a_gtd_order_expires(tmp_path, venue):
    async def script(stand, trader):
        at = stand.loop.time_ns() + 70 * NS_PER_SECOND
        market = stand.markets[0]
        await trader.send(market, Side.BUY, D(5), D("0.38"), TimeInForce.GTD, expire_ns=at)
        await asyncio.sleep(80.0)
        stand.exchange.expire(stand.loop.time_ns())

    events = play(tmp_path, venue, script)
    assert events[-1] in ("OrderExpired", "OrderCanceled")


def test_tc_105_a_post_only_order_that_would_take_is_rejected(tmp_path, venue):
    events = play(tmp_path, venue, one(Side.BUY, D(5), D("0.42"), TimeInForce.GTC, post_only=True))
    assert events == ["OrderSubmitted", "OrderRejected"]


def test_tc_106_a_cancelled_order_is_off_the_book(tmp_path, venue):
    async def script(stand, trader):
        cid = await trader.send(stand.markets[0], Side.BUY, D(5), D("0.38"), TimeInForce.GTC)
        await asyncio.sleep(1.0)
        await trader.cancel(cid)

    assert play(tmp_path, venue, script)[-1] == "OrderCanceled"


def test_tc_107_a_partial_fill_then_a_cancel_add_up(tmp_path, venue):
    async def script(stand, trader):
        market = stand.markets[0]
        cid = await trader.send(market, Side.BUY, D(6), D("0.41"), TimeInForce.GTC)
        await asyncio.sleep(1.0)
        stand.trade(market.market_id, 4100, 250, "ask")
        await asyncio.sleep(1.0)
        await trader.cancel(cid)

    events = play(tmp_path, venue, script)
    assert events == ["OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled"]


def test_tc_108_a_cancel_that_loses_the_race_leaves_the_fill(tmp_path, venue):
    async def script(stand, trader):
        market = stand.markets[0]
        cid = await trader.send(market, Side.BUY, D(6), D("0.41"), TimeInForce.GTC)
        await asyncio.sleep(1.0)
        stand.trade(market.market_id, 4100, 600, "ask")
        await trader.cancel(cid)

    assert "OrderCanceled" not in play(tmp_path, venue, script)


def test_tc_109_a_bought_position_is_sold_again(tmp_path, venue):
    async def script(stand, trader):
        market = stand.markets[0]
        await trader.send(market, Side.BUY, D(5), D("0.42"))
        await asyncio.sleep(5.0)
        await trader.send(market, Side.SELL, D(5), D("0.40"))

    assert play(tmp_path, venue, script).count("OrderFilled") == 2


def test_tc_110_an_unanswered_submit_is_found_and_never_sent_again(tmp_path, venue):
    faults = () if venue == "PAPER" else (Fault(FaultKind.DROP_RESPONSE, match=CREATE[venue]),)
    events = play(tmp_path, venue, one(Side.BUY, D(5), D("0.38"), TimeInForce.GTC), faults)
    assert events == ["OrderSubmitted", "OrderAccepted"]
