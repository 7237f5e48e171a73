"""The Polymarket port against the fake Polymarket: what it believes equals what the venue knows, faults included."""

import time
from decimal import Decimal

import pytest

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from core.domain.errors import GateClosed, VenueRefused, VenueUncertain
from core.domain.fees import Role, Side
from core.engine.live.port import VenueOrderStatus
from tests.integration.polymarket_stand import (
    C1,
    C2,
    INO,
    IYES,
    YES2,
    eventually,
    intent,
    stand,
)

D = Decimal


async def send(port, order):
    return await port.submit(order, order.price)


async def test_a_resting_order_is_placed_found_by_its_hash_and_cancelled(tmp_path):
    async with stand(tmp_path) as (fake, _, port, news):
        order = await send(port, intent())
        assert order.status is VenueOrderStatus.WORKING
        assert order.venue_order_id in fake.exchange.orders
        found = await port.find("o-1", IYES, 0)
        assert (found.venue_order_id, found.client_order_id) == (order.venue_order_id, "o-1")
        cash = await port.cash()
        assert cash.total == D(100) and cash.locked >= D("4.1")
        await port.cancel(order.venue_order_id, IYES)
        assert not fake.exchange.working()
        with pytest.raises(VenueRefused) as caught:
            await port.cancel(order.venue_order_id, IYES)
        assert caught.value.status == 404
        await eventually(lambda: news.orders[-1].status is VenueOrderStatus.CANCELED)


async def test_a_fill_is_provisional_until_it_is_confirmed(tmp_path):
    async with stand(tmp_path) as (_fake, _, port, news):
        order = await send(port, intent(price="0.42", tif=TimeInForce.IOC))
        assert (order.status, order.filled) == (VenueOrderStatus.FILLED, D(10))
        await eventually(lambda: news.fills)
        first = news.fills[0]
        assert (first.provisional, first.role) == (True, Role.TAKER)
        assert (first.price, first.fee) == (D("0.42"), D("0.1218"))
        assert (await port.cash()).locked >= D(
            "4.32"
        )  # matched, not mined: spent but still on chain
        await eventually(lambda: not news.fills[-1].provisional)
        assert {f.trade_id for f in news.fills} == {first.trade_id}
        assert (await port.cash()).total == D(100) - D("4.2") - D("0.1218")
        assert [(p.instrument_id, p.quantity) for p in await port.positions()] == [(IYES, D(10))]


async def test_a_trade_that_fails_on_chain_is_taken_back(tmp_path):
    async with stand(tmp_path, fail=lambda n: n == 0) as (fake, _, port, news):
        await send(port, intent(price="0.42", tif=TimeInForce.IOC))
        await eventually(lambda: news.voids)
        assert news.position(IYES) == 0
        assert fake.exchange.account.positions() == {}
        assert (await port.cash()).total == D(100)
        assert await port.positions() == []
        assert await port.fills(0) == []


async def test_a_maker_fill_on_either_token_is_ours_with_the_right_side(tmp_path):
    async with stand(tmp_path, seed=3) as (fake, _, port, news):
        await send(port, intent("m-1", price="0.41", post_only=True))
        await send(
            port, intent("m-2", price="0.57", instrument_id=INO, quantity="20", post_only=True)
        )
        for k in range(6):
            fake.exchange.trade(C1, 4100, 100, "ask", time.time_ns() + k)
            fake.exchange.trade(C1, 4300, 6_000, "bid", time.time_ns() + k)
        held = fake.exchange.account.positions()
        assert held[(C1, "YES")] > 0
        await eventually(lambda: news.position(IYES) == D(held[(C1, "YES")]) / 100)
        await eventually(lambda: news.position(INO) == D(held.get((C1, "NO"), 0)) / 100)
        assert all(f.fee == 0 and f.role is Role.MAKER for f in news.fills)


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        (Fault(FaultKind.DROP_RESPONSE, match="POST /order"), True),
        (Fault(FaultKind.DROP_REQUEST, match="POST /order"), False),
        (Fault(FaultKind.HTTP_500, match="POST /order"), False),
        (Fault(FaultKind.HTTP_503, match="POST /order"), False),
        (Fault(FaultKind.DELAY, match="POST /order", seconds=1.5), True),
    ],
)
async def test_an_unanswered_order_is_uncertain_and_then_found_or_proven_absent(
    tmp_path, fault, there
):
    limits = {"settle_s": 600.0} | ({"timeout_s": 1.0} if fault.seconds else {})
    async with stand(tmp_path, fault, changes=limits) as (fake, _, port, _):
        with pytest.raises(VenueUncertain):
            await send(port, intent())
        if there:
            await eventually(lambda: fake.exchange.orders)
            found = await port.find("o-1", IYES, 0)
            assert found is not None
            assert found.venue_order_id in fake.exchange.orders
        else:
            with pytest.raises(VenueUncertain):
                await port.find("o-1", IYES, 0)  # too young to be sure
            port.settle_s = 0.0  # old enough
            assert await port.find("o-1", IYES, 0) is None
        posts = [s for _, s in fake.requests if s == "POST /order"]
        assert len(posts) == 1


async def test_a_lost_answer_to_a_filled_order_is_found_through_its_trades(tmp_path):
    fault = Fault(FaultKind.DROP_RESPONSE, match="POST /order")
    async with stand(tmp_path, fault) as (_fake, _, port, _):
        with pytest.raises(VenueUncertain):
            await send(port, intent(price="0.42", tif=TimeInForce.FOK))
        found = await port.find("o-1", IYES, 0)
        assert (found.status, found.filled) == (VenueOrderStatus.FILLED, D(10))
        assert (await port.fills(0, found.venue_order_id))[0].client_order_id == "o-1"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (intent(price="0.43", post_only=True), "post_only_cross"),
        (intent(quantity="400"), "insufficient_balance"),
        (intent(quantity="200", price="0.42", tif=TimeInForce.FOK), "fok_unfilled"),
        (intent(price="0.30", tif=TimeInForce.IOC), "fak_unmatched"),
        (intent(price="0.415"), "invalid_price"),
        (intent(quantity="2", price="0.42", tif=TimeInForce.IOC), "below_minimum"),
        (intent(side=Side.SELL), "insufficient_balance"),
        (intent(tif=TimeInForce.FOK, post_only=True), "invalid_order"),
    ],
)
async def test_a_clear_no_is_a_refusal_with_a_code(tmp_path, order, code):
    async with stand(tmp_path) as (fake, _, port, _):
        with pytest.raises(VenueRefused) as caught:
            await send(port, order)
        assert caught.value.code == code
        assert not fake.exchange.working()


async def test_after_a_restart_the_same_ids_are_known(tmp_path):
    async with stand(tmp_path) as (fake, venue, port, _):
        order = await send(port, intent())
        again = venue.port({})
        assert again.ids.of_client("o-1").order_id == order.venue_order_id
        assert (await again.find("o-1", IYES, 0)).status is VenueOrderStatus.WORKING
        assert await again.cancel_everything() == []
        assert not fake.exchange.working()


async def test_a_lost_cancel_answer_still_ends_the_order(tmp_path):
    fault = Fault(FaultKind.DROP_RESPONSE, match="DELETE /order")
    async with stand(tmp_path, fault) as (_fake, _, port, _):
        order = await send(port, intent())
        with pytest.raises(
            (VenueUncertain, VenueRefused)
        ):  # a DELETE may be repeated by the session
            await port.cancel(order.venue_order_id, IYES)
        port.settle_s = 0.0  # old enough to be sure
        assert (await port.find("o-1", IYES, 0)).status is VenueOrderStatus.CANCELED


async def test_a_user_channel_that_breaks_loses_nothing(tmp_path):
    async with stand(tmp_path) as (fake, _, port, news):
        await send(port, intent(price="0.41"))
        await fake.streams.drop_all()
        fake.exchange.trade(C1, 4100, 300, "ask", time.time_ns())
        await eventually(lambda: news.links.count(True) >= 2)
        for fill in await port.fills(0):
            news.on_fill(fill)
        assert news.position(IYES) == D(3)
        order = next(o for o in await port.orders(working_only=False, since_ns=0))
        assert order.filled == D(3)


@pytest.mark.parametrize(
    "kind", [FaultKind.WS_DUPLICATE, FaultKind.WS_SWAP, FaultKind.WS_GARBAGE, FaultKind.WS_DROP]
)
async def test_a_storm_of_statuses_books_each_trade_once(tmp_path, kind):
    faults = [Fault(kind, at=i, match="trade") for i in range(0, 12, 3)]
    async with stand(tmp_path, *faults, mine_s=0.05, confirm_s=0.05) as (fake, _, port, news):
        for k in range(4):
            await send(port, intent(f"s-{k}", price="0.42", quantity="6", tif=TimeInForce.IOC))
        await eventually(lambda: fake.settlement.trades)
        await eventually(
            lambda: all(t.status == "CONFIRMED" for t in fake.settlement.trades.values())
        )
        for fill in await port.fills(0):
            news.on_fill(fill)
        assert news.position(IYES) == D(24)
        assert not any(f.provisional for f in await port.fills(0))
        assert fake.exchange.account.positions() == {(C1, "YES"): 2400}


async def test_a_market_of_protocol_version_2_trades_on_its_own_exchange(tmp_path):
    async with stand(tmp_path) as (_fake, venue, port, news):
        iid = f"{C2}-{YES2}.POLYMARKET"
        assert venue.registry.terms[C2].exchange.version == "3"
        await send(port, intent(instrument_id=iid, market_id=C2, price="0.42", tif=TimeInForce.IOC))
        await eventually(lambda: news.position(iid) == D(10))
        assert [p.instrument_id for p in await port.positions()] == [iid]
        assert venue.registry.versions == {"v1": 1, "v2": 1}


async def test_price_improvement_buys_more_shares_for_the_same_dollars(tmp_path):
    async with stand(tmp_path) as (fake, _, port, news):
        await send(port, intent(price="0.50", tif=TimeInForce.IOC))  # 5 dollars at 0.42
        await eventually(lambda: news.fills)
        assert news.position(IYES) == D("11.90")
        assert fake.exchange.account.positions() == {(C1, "YES"): 1190}


async def test_heartbeats_keep_orders_alive_and_their_end_cancels_them(tmp_path):
    async with stand(tmp_path, heartbeat_window_s=4.0) as (fake, _, port, _):
        await send(port, intent())
        await eventually(lambda: fake.heartbeats >= 3)
        port.heartbeat._id, before = "hb-stale", fake.heartbeats
        await eventually(lambda: fake.heartbeats >= before + 2)
        assert fake.exchange.working() and port.heartbeat.missed == 0
        port.heartbeat.stop()
        await eventually(lambda: not fake.exchange.working())


async def test_two_beats_missed_in_a_row_are_told_and_everything_is_read_again_after_them(tmp_path):
    missed = Fault(FaultKind.HTTP_503, at=2, count=12, match="POST /v1/heartbeats")
    async with stand(tmp_path, missed) as (_, _, port, news):
        beating = port.connections["POLYMARKET heartbeat"]
        await eventually(lambda: beating.state == "down")
        assert any("may have cancelled every order" in e for e in beating.stats.errors)
        links = len(news.links)
        await eventually(lambda: beating.state == "up")
        await eventually(lambda: len(news.links) > links and news.links[-1])
        assert port.heartbeat.missed >= 2


async def test_a_gtd_order_ends_at_its_own_time_although_the_venue_wants_three_minutes(tmp_path):
    async with stand(tmp_path) as (fake, _, port, news):
        await send(port, intent(tif=TimeInForce.GTD, expire_ns=time.time_ns() + 2_000_000_000))
        assert fake.exchange.working()[0].expire_ns > time.time_ns() + 100 * 10**9
        await eventually(lambda: not fake.exchange.working())
        await eventually(lambda: news.orders[-1].status is VenueOrderStatus.CANCELED)


async def test_an_order_held_back_is_neither_absent_nor_done(tmp_path):
    async with stand(tmp_path) as (fake, _venue, port, news):
        fake.delayed_s = 0.3
        order = await send(port, intent(price="0.42", tif=TimeInForce.IOC))
        assert (order.status, order.filled) == (VenueOrderStatus.WORKING, D(0))
        await eventually(lambda: news.position(IYES) == D(10))


async def test_a_fok_killed_after_a_delay_ends_with_its_free_text(tmp_path):
    async with stand(tmp_path) as (fake, _, port, news):
        fake.delayed_s = 0.2
        await send(port, intent(price="0.42", tif=TimeInForce.FOK))
        fake.exchange.markets[C1].book.clear()
        await eventually(
            lambda: news.orders and news.orders[-1].status is VenueOrderStatus.CANCELED
        )
        assert "FOK orders are fully filled or killed" in news.orders[-1].reason


async def test_a_429_storm_is_a_refusal_for_writes_and_waits_for_reads(tmp_path):
    faults = [
        Fault(FaultKind.HTTP_429, match="POST /order", count=1),
        Fault(FaultKind.HTTP_429, match="/balance-allowance", at=1, count=2),
    ]
    async with stand(tmp_path, *faults) as (_, _, port, _):
        with pytest.raises(VenueRefused) as caught:
            await send(port, intent())
        assert caught.value.code == "rate_limited"
        assert (await port.cash()).total == D(100)


async def test_an_engine_restart_is_uncertain_not_a_no(tmp_path):
    async with stand(tmp_path) as (fake, _, port, _):
        fake.restarting = True
        with pytest.raises(VenueUncertain):
            await send(port, intent())
        with pytest.raises(VenueUncertain):
            await port.find("o-1", IYES, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blocked": True}, "does not allow trading"),
        ({"closed_only": True}, "may only close"),
        ({"version": "9"}, "order format"),
        ({"skew": 40}, "clock"),
    ],
)
async def test_trading_does_not_begin_where_it_must_not(tmp_path, change, words):
    async with stand(tmp_path) as (fake, venue, _, news):
        skew = change.pop("skew", 0)
        for name, value in change.items():
            setattr(fake, name, value)
        port = venue.port({})
        port.clock = lambda: time.time_ns() + skew * 10**9
        with pytest.raises(GateClosed, match=words):
            await port.connect(news)


async def test_secrets_never_show(tmp_path):
    async with stand(tmp_path) as (_, venue, port, _):
        await send(port, intent())
        shown = " ".join(
            repr(x)
            for x in (venue.settings, venue.wallet, port.rest.api_key, port.rest, port.errors)
        )
        assert "0101010101" not in shown and "AAAAAAAA" not in shown
        on_disk = b"".join(p.read_bytes() for p in tmp_path.iterdir())
        assert b"AAAAAAAA" not in on_disk and b"fake-key" not in on_disk
