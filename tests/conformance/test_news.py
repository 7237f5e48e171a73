"""News in a bad order, TC-136 to TC-143: late, early, again, of another life; the same at every venue."""

import asyncio
from decimal import Decimal

import pytest

from adapters.fake.faults import Fault, FaultKind
from adapters.fake.matrix.cases import CREATE
from core.domain.clock import NS_PER_SECOND
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.engine.live.adoption import adopt
from core.engine.live.memory import LedgerMemory
from tests.conformance.rig import VENUES, play, reports, rest

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
GTC, IOC, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD
FILLS = {"KALSHI": "fill", "POLYMARKET": "trade", "PAPER": "nothing: paper tells at once"}
ORDERS = {"KALSHI": "user_order", "POLYMARKET": "order", "PAPER": "nothing: paper tells at once"}
pytestmark = pytest.mark.parametrize("venue", VENUES)


def late(match, seconds=3.0):
    """Every frame of a kind comes some seconds after those that follow it."""
    return [Fault(FaultKind.WS_LATE, match=match, count=99, seconds=seconds)]


def held(stand):
    """What the engine holds of the first outcome."""
    return stand.engine.positions.get(stand.instrument(stand.markets[0]), D(0))


def test_tc_136_a_fill_told_after_the_answer_to_its_cancel_is_booked(tmp_path, venue):
    async def script(stand, trader):
        cid = await rest(trader, stand, "6", "0.41")
        stand.trade(stand.markets[0].market_id, 4100, 250, "ask")
        await trader.cancel(cid)
        await asyncio.sleep(10.0)
        assert held(stand) == D("2.5")

    events = play(tmp_path, venue, script, late(FILLS[venue]))
    assert events == ["OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled"]


def test_tc_137_a_fill_that_overtakes_the_answer_to_its_order_is_booked_once(tmp_path, venue):
    faults = [] if venue == "PAPER" else late(ORDERS[venue])
    if venue != "PAPER":
        faults.append(Fault(FaultKind.DROP_RESPONSE, match=CREATE[venue]))

    async def script(stand, trader):
        await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        await asyncio.sleep(10.0)
        assert held(stand) == 5

    events = play(tmp_path, venue, script, faults)
    assert events == ["OrderSubmitted", "OrderAccepted", "OrderFilled"]


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_tc_138_a_partial_fill_then_an_expiry_add_up_whatever_is_told_first(
    tmp_path, venue, seconds
):
    async def script(stand, trader):
        at = stand.loop.time_ns() + 70 * NS_PER_SECOND
        await rest(trader, stand, "6", "0.41", expire_ns=at, tif=GTD)
        await asyncio.sleep(60.0)
        stand.trade(stand.markets[0].market_id, 4100, 250, "ask")
        await asyncio.sleep(15.0)
        stand.exchange.expire(stand.loop.time_ns())
        await asyncio.sleep(30.0)
        assert held(stand) == D("2.5")

    events = play(tmp_path, venue, script, late(FILLS[venue], seconds) if seconds else ())
    assert events[:3] == ["OrderSubmitted", "OrderAccepted", "OrderFilled"]
    assert events[3:] in (["OrderExpired"], ["OrderCanceled"])


def test_tc_139_a_sale_into_our_own_bid_never_fills_against_it(tmp_path, venue):
    async def script(stand, trader):
        await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        await asyncio.sleep(2.0)
        await rest(trader, stand, "5", "0.41")
        bought = len(stand.exchange.executions)
        await trader.send(stand.markets[0], SELL, D(5), D("0.41"), GTC)
        await asyncio.sleep(5.0)
        ours = {e.order_id for e in stand.exchange.executions[bought:]}
        assert len(ours) <= 1, "both sides of one trade are ours"

    play(tmp_path, venue, script)


def test_tc_140_a_payout_before_the_last_fill_is_told_leaves_cash_and_holdings_right(
    tmp_path, venue
):
    async def script(stand, trader):
        market = stand.markets[0]
        await rest(trader, stand, "6", "0.41")
        stand.trade(market.market_id, 4100, 250, "ask")
        stand.settle(market.market_id, 10_000)
        for outcome, paid in zip(market.outcomes, (D(1), D(0)), strict=True):
            now = stand.clock.timestamp_ns()
            stand.gate.on_settlement(outcome.instrument_id, paid, now)
            stand.context.resolved.add(outcome.instrument_id)
        stand.client.refresh_cash()
        await asyncio.sleep(10.0)

    events = play(tmp_path, venue, script, late(FILLS[venue]))
    assert events.count("OrderFilled") == 1


def test_tc_141_an_order_id_of_an_earlier_run_is_refused_before_it_leaves(tmp_path, venue):
    async def script(stand, trader):
        memory = LedgerMemory(owners={"F-0001": "Matrix-001"})
        now = stand.clock.timestamp_ns()
        await adopt(stand.context, stand.markets, memory, "Matrix-001", now)
        assert await trader.send(stand.markets[0], BUY, D(5), D("0.38"), GTC) is None
        assert trader.refused == ["DUPLICATE_ID"]
        assert not stand.exchange.orders
        assert await trader.send(stand.markets[0], BUY, D(5), D("0.38"), GTC) == "F-0002"
        await asyncio.sleep(1.0)

    play(tmp_path, venue, script)


def test_tc_142_everything_told_again_after_a_reconnect_is_booked_once(tmp_path, venue):
    async def script(stand, trader):
        await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        cid = await rest(trader, stand, "6", "0.41")
        stand.trade(stand.markets[0].market_id, 4100, 250, "ask")
        await asyncio.sleep(1.0)
        await trader.cancel(cid)
        await asyncio.sleep(1.0)
        if venue == "PAPER":
            for fill in await stand.port.fills(0):
                stand.client.on_fill(fill)
        else:
            await stand.fake.streams.drop_all()
        await asyncio.sleep(10.0)
        assert held(stand) == D("7.5")

    faults = [Fault(FaultKind.WS_REPLAY, count=99)]
    assert play(tmp_path, venue, script, faults).count("OrderFilled") == 2


def test_tc_143_an_older_word_on_an_order_takes_nothing_back(tmp_path, venue):
    async def script(stand, trader):
        cid = await rest(trader, stand, "6", "0.41")
        stand.trade(stand.markets[0].market_id, 4100, 250, "ask")
        await trader.cancel(cid)
        await asyncio.sleep(10.0)
        assert stand.engine.orders[cid].is_closed

    faults = [Fault(FaultKind.WS_AGAIN, match=ORDERS[venue], count=99, seconds=3.0)]
    events = play(tmp_path, venue, script, faults)
    assert events == ["OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderCanceled"]


def test_an_order_with_an_end_is_reported_with_it(tmp_path, venue):
    """Without it the engine cannot make the order from its report after a restart."""

    async def script(stand, trader):
        at = stand.loop.time_ns() + 300 * NS_PER_SECOND
        await rest(trader, stand, "6", "0.38", expire_ns=at, tif=GTD)
        await rest(trader, stand, "6", "0.37")
        orders, _, _ = await reports(stand.client)
        ends = {r.price.as_decimal(): (r.time_in_force.name, r.expire_time) for r in orders}
        assert ends[D("0.37")] == ("GTC", None)
        word, end = ends[D("0.38")]
        assert word == "GTD" and end is not None

    play(tmp_path, venue, script)
