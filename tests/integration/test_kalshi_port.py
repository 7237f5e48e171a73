"""Kalshi's port against the fake Kalshi: batches, the kill switch, shards, the archive, limits of the account."""

import time
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.live import live_venue
from adapters.kalshi.parsing import instrument_id
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import HaltedError, VenueRefused, VenueUncertain
from core.domain.fees import FeeSchedule, Side
from core.engine.live.port import VenueOrder, VenueOrderStatus
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeMarket
from tests.integration.polymarket_stand import News
from tests.integration.test_kalshi_client import KEY, PEM

D = Decimal
TICKERS = ("KXT-1", "KXT-2")


def intent(cid, ticker="KXT-1", side=Side.BUY, quantity="10", price="0.30", outcome="YES", **more):
    fields = {
        "client_order_id": cid,
        "strategy_id": "S-001",
        "venue": "KALSHI",
        "instrument_id": instrument_id(ticker, outcome),
        "market_id": ticker,
        "event_id": "",
        "side": side,
        "quantity": D(quantity),
        "price": D(price),
        "tif": TimeInForce.GTC,
        "ts_ns": time.time_ns(),
    }
    return OrderIntent(**(fields | more))


@asynccontextmanager
async def stand(*faults, rate=1000.0, infos=None, **settings):
    ex = Exchange(NettedAccount(100_000_000), KalshiFeeBook(), "k")
    for ticker in TICKERS:
        fees = FeeSchedule("KALSHI", kind="quadratic")
        ex.markets[ticker] = FakeMarket(ticker, fees, close_ns=time.time_ns() + 3600 * 10**9)
        ex.level(ticker, "bid", 4000, 10_000, 0)
        ex.level(ticker, "ask", 4200, 5_000, 0)
    fake = FakeKalshi(
        ex,
        public_key=KEY.public_key(),
        faults=FaultSchedule(faults),
        infos=infos,
        read_rate=1000.0,
        write_rate=rate,
    )
    server = TestServer(fake.app())
    await server.start_server()
    venue = live_venue(
        {
            "tickers": TICKERS,
            "base_url": str(server.make_url("/trade-api/v2")),
            "ws_url": str(server.make_url("/trade-api/ws/v2")),
            "key_id": SecretStr("id"),
            "private_key": SecretStr(PEM),
            "timeout_s": 10.0,
        }
        | settings
    )
    await venue.open()
    port = venue.port({})
    await port.connect(News())
    try:
        yield fake, port
    finally:
        await port.disconnect()
        await venue.close()
        await server.close()


async def rest(port, *intents):
    return await port.submit_many([(i, i.price) for i in intents])


async def test_a_batch_answers_each_order_for_itself_and_fits_the_bucket():
    async with stand(rate=100.0) as (fake, port):
        assert port.rest.write.capacity == 80.0  # four fifths of what the account has
        many = [intent(f"c-{n}", quantity="1") for n in range(9)] + [intent("c-9", price="0.305")]
        answers = await rest(port, *many)
        assert [type(a) for a in answers[:9]] == [VenueOrder] * 9
        assert isinstance(answers[9], VenueRefused) and answers[9].code == "invalid_price"
        posts = [s for _, s in fake.requests if "POST" in s and "batched" in s]
        assert len(posts) == 2  # eight and two: a batch that does not fit is refused whole
        left = await port.cancel_many([(a.venue_order_id, a.instrument_id) for a in answers[:9]])
        assert left == {} and not fake.exchange.working()


async def test_a_batch_without_an_answer_leaves_every_order_of_it_unknown():
    lost = Fault(FaultKind.DROP_RESPONSE, match="orders/batched")
    async with stand(lost) as (_, port):
        answers = await rest(port, intent("c-1"), intent("c-2"))
        assert all(isinstance(a, VenueUncertain) for a in answers)
        for cid in ("c-1", "c-2"):
            found = await port.find(cid, instrument_id("KXT-1", "YES"), time.time_ns() - 10**9)
            assert found is not None and found.status is VenueOrderStatus.WORKING


async def test_a_cancel_in_a_batch_says_which_order_was_not_there():
    async with stand() as (_, port):
        (order,) = await rest(port, intent("c-1"))
        iid = order.instrument_id
        left = await port.cancel_many([(order.venue_order_id, iid), ("nobody", iid)])
        assert list(left) == ["nobody"] and left["nobody"].status == 404


async def test_the_kill_switch_closes_the_book_at_the_venue_and_opens_it_again():
    async with stand() as (fake, port):
        await rest(port, intent("c-1"), intent("c-2", "KXT-2"))
        assert await port.engage_kill_switch() == []
        assert not fake.exchange.working()
        with pytest.raises(VenueRefused) as caught:  # sent by a part that has not heard of the halt
            await port.submit(intent("c-3"), D("0.30"))
        assert caught.value.code == "order_group_triggered"
        await port.release_kill_switch()
        assert (await port.submit(intent("c-4"), D("0.30"))).status is VenueOrderStatus.WORKING


async def test_the_venue_itself_stops_a_strategy_that_trades_without_end():
    async with stand(group_contracts=20) as (fake, port):
        take = {"quantity": "9", "price": "0.42", "tif": TimeInForce.IOC}
        await rest(port, intent("rest"), *(intent(f"t-{n}", **take) for n in range(3)))
        assert not fake.exchange.working()  # 27 contracts in 15 s: also what rests is gone
        with pytest.raises(VenueRefused):
            await port.submit(intent("late"), D("0.30"))


async def test_a_group_with_resting_orders_outlives_its_node_and_an_empty_one_does_not():
    async with stand() as (fake, port):
        await rest(port, intent("c-1"))
        await port.kill_switch.disarm()
        assert len(fake.orders.groups) == 1 and len(fake.exchange.working()) == 1
        await port.cancel_everything()
        await port.kill_switch.disarm()
        assert not fake.orders.groups


async def test_without_order_groups_a_halt_still_cancels_everything():
    refused = Fault(FaultKind.HTTP_500, match="order_groups", count=99)
    async with stand(refused) as (fake, port):
        await rest(port, intent("c-1"))
        assert await port.engage_kill_switch() == []
        assert not fake.exchange.working()
        assert any("order group" in e for e in port.kill_switch.errors)


async def test_a_node_that_starts_while_trading_is_halted_opens_its_account_with_its_group():
    def halted():
        raise HaltedError("trading is halted", "operator", "beta risk resume")

    async with stand() as (fake, port):
        await port.disconnect()
        assert not fake.orders.groups
        port.before_order(halted)
        await port.connect(News())
        assert list(fake.orders.groups) == [port.kill_switch.of(0)]
        with pytest.raises(HaltedError):
            await port.submit(intent("c-1"), D("0.30"))


async def test_an_order_on_a_shard_without_cash_is_refused_with_the_way_out():
    async with stand(infos={"KXT-2": {"exchange_index": 3}}) as (fake, port):
        fake.shard_cash[3] = 0
        await port.cash()
        with pytest.raises(VenueRefused) as caught:
            await port.submit(intent("c-1", "KXT-2"), D("0.30"))
        assert caught.value.code == "shard_without_cash"
        assert "shard 3" in caught.value.what and "0: $100" in caught.value.mend
        assert not fake.exchange.orders
        await port.submit(intent("c-2", "KXT-1"), D("0.30"))
        fake.shard_cash[3] = 50_000_000  # the operator has moved money: no restart is needed
        await port.submit(intent("c-3", "KXT-2"), D("0.30"))


async def test_cash_is_the_same_with_orders_resting_on_both_sides():
    async with stand() as (fake, port):
        buy = intent("c-1", quantity="20", price="0.42", tif=TimeInForce.IOC)
        await port.submit(buy, D("0.42"))
        sale = intent("c-2", side=Side.SELL, quantity="20", price="0.60")
        await port.submit(sale, D("0.60"))
        no = intent("c-3", "KXT-2", quantity="10", price="0.50", outcome="NO")
        await port.submit(no, D("0.50"))
        cash = await port.cash()
        assert cash.total == D(fake.exchange.account.cash) / 1_000_000
        assert cash.locked == D("5.00")  # the NO bid; the covered sale locks nothing


async def test_what_has_moved_to_the_archive_is_still_reported():
    async with stand() as (fake, port):
        since = time.time_ns() - 10**9
        await port.submit(intent("c-1", price="0.42", tif=TimeInForce.IOC), D("0.42"))
        fake.archived_before_ns = time.time_ns() + 10**9
        port._client_ids.clear()
        (fill,) = await port.fills(since)
        assert fill.client_order_id == "c-1" and fill.quantity == D(10)
        (order,) = await port.orders(working_only=False, since_ns=since)
        assert order.status is VenueOrderStatus.FILLED
        found = await port.find("c-1", instrument_id("KXT-1", "YES"), since)
        assert found is not None


async def test_a_smaller_size_keeps_its_place_and_needs_no_price_on_the_grid():
    async with stand() as (fake, port):
        (order,) = await rest(port, intent("c-1"))
        fake.exchange.markets["KXT-1"].tick = 700  # the grid changed meanwhile: 0.30 is off it
        smaller = await port.modify(order, D(4), D("0.30"))
        assert smaller.quantity == D(4)
        assert any("decrease" in s for _, s in fake.requests)
        with pytest.raises(VenueRefused):
            await port.modify(smaller, D(4), D("0.31"))


async def test_the_account_says_what_calls_cost():
    async with stand() as (_, port):
        assert port.rest.tier == "basic"
        assert port.rest.costs.of("DELETE", "/portfolio/events/orders/{order_id}") == 2.0
        assert port.rest.costs.of("POST", "/portfolio/events/orders") == 10.0
        assert port.rest.read.rate == 800.0


async def test_a_changed_order_is_as_large_as_its_fills_and_what_is_left_not_as_at_first():
    async with stand() as (fake, port):
        known = await port.submit(intent("grown", price="0.41"), D("0.41"))
        grown = await port.modify(known, D(14), D("0.41"))
        assert (grown.quantity, grown.status) == (D(14), VenueOrderStatus.WORKING)
        fake.exchange.trade("KXT-1", 4100, 1_100, "ask", time.time_ns())
        found = await port.find("grown", known.instrument_id, 0)
        assert (found.quantity, found.filled) == (D(14), D(11))
        assert found.status is VenueOrderStatus.WORKING, "eleven are more than the first ten"
        less = await port.modify(found, D(12), D("0.41"))
        assert (less.quantity, less.filled) == (D(12), D(11))
        fake.exchange.trade("KXT-1", 4100, 100, "ask", time.time_ns())
        (ended,) = await port.orders(working_only=False, since_ns=0)
        assert (ended.quantity, ended.filled, ended.status) == (
            D(12),
            D(12),
            VenueOrderStatus.FILLED,
        )


async def test_a_smaller_order_that_is_filled_is_filled_and_not_cancelled():
    async with stand() as (fake, port):
        known = await port.submit(intent("less", price="0.41"), D("0.41"))
        await port.modify(known, D(3), D("0.41"))
        fake.exchange.trade("KXT-1", 4100, 300, "ask", time.time_ns())
        ended = await port.find("less", known.instrument_id, 0)
        assert (ended.quantity, ended.filled, ended.status) == (D(3), D(3), VenueOrderStatus.FILLED)
