"""Kalshi's news of markets and subscriptions: what was missed, refused or could not be read is read again."""

import asyncio
import json
from decimal import Decimal

from nautilus_trader.model import TradeTick

from adapters.connection import SocketState
from adapters.fake.faults import Fault, FaultKind
from core.domain.market import MarketStatus
from tests.conformance.market_rig import follow
from tests.conformance.rig import eventually

D = Decimal


def error_frame(code, **more):
    return json.dumps({"type": "error", "msg": {"code": code, "msg": "told"}} | more)


def last_status(rig):
    told = [status for market_id, status in rig.statuses if market_id == rig.id]
    return told[-1] if told else MarketStatus.ACTIVE


def test_terms_that_could_not_be_read_are_read_again_and_the_market_trades_on(tmp_path):
    async def script(rig):
        rig.stand.fake.streams.close_moved(rig.id)
        await eventually(lambda: last_status(rig) is MarketStatus.PAUSED)
        await eventually(lambda: last_status(rig) is MarketStatus.ACTIVE, 90.0)

    broken = Fault(FaultKind.HTTP_500, count=6, match="GET /trade-api/v2/markets")
    follow(tmp_path, "KALSHI", script, (broken,))


def test_a_pause_that_came_while_the_link_was_down_is_known_after_it(tmp_path):
    async def script(rig):
        await rig.stand.fake.streams.drop_all()
        rig.stand.exchange.markets[rig.id].status = "paused"
        await eventually(lambda: last_status(rig) is MarketStatus.PAUSED, 90.0)

    follow(tmp_path, "KALSHI", script)


def test_a_result_that_came_while_the_link_was_down_is_paid_long_before_the_close(tmp_path):
    async def script(rig):
        await rig.stand.fake.streams.drop_all()
        rig.stand.exchange.settle(rig.id, 10_000, rig.stand.loop.time_ns())
        await eventually(lambda: len(rig.settled) == 2, 90.0)

    follow(tmp_path, "KALSHI", script)


def test_a_subscription_that_the_venue_ends_is_asked_for_again(tmp_path):
    async def script(rig):
        for code in (10, 25):
            before = rig.client.socket.stats.connects
            for connection in rig.stand.fake.streams.connections:
                connection.queue.put_nowait(error_frame(code))
                connection.subscriptions.clear()  # nothing comes on it any more
            await eventually(lambda n=before: rig.client.socket.stats.connects > n)
            rig.level("ask", 4700 if code == 10 else 4800, 4)
            await eventually(rig.equal)

    follow(tmp_path, "KALSHI", script)


def test_a_subscription_that_the_venue_refuses_is_said_and_asked_for_again(tmp_path):
    async def script(rig):
        socket = rig.client.socket
        socket.subscribe("no_such_channel")
        told = "Kalshi says error 8 to 'no_such_channel': Unknown channel name"
        await eventually(lambda: socket.stats.errors.count(told) > 1)
        del socket.wanted["no_such_channel"]
        assert socket.stats.connects == 1  # the others go on
        rig.level("ask", 4700, 4)
        await eventually(rig.equal)

    follow(tmp_path, "KALSHI", script)


def test_a_listener_that_fails_ends_no_connection_for_good(tmp_path):
    async def script(rig):
        socket, told = rig.client.socket, rig.client.socket.on_state
        failures = [SocketState.DOWN, SocketState.CONNECTING, SocketState.UP]

        def on_state(state):
            if failures and state is failures[0]:
                failures.pop(0)
                raise RuntimeError("a bug in a listener")
            told(state)

        socket.on_state = on_state
        await rig.stand.fake.streams.drop_all()
        await eventually(lambda: not failures)
        await asyncio.sleep(1.0)
        rig.level("ask", 4700, 4)
        await eventually(rig.equal)

    follow(tmp_path, "KALSHI", script)


def test_a_close_that_moved_later_opens_a_closed_market_again_and_closes_it_in_time(tmp_path):
    async def script(rig):
        market, streams = rig.stand.exchange.markets[rig.id], rig.stand.fake.streams
        for _ in range(2):
            market.close_ns = rig.stand.loop.time_ns() + 10 * 10**9
            market.status = "active"
            streams.close_moved(rig.id)
            await eventually(
                lambda: rig.client.provider.markets[rig.id].close_ns == market.close_ns
            )
            assert last_status(rig) is MarketStatus.ACTIVE
            await asyncio.sleep(15.0)
            assert last_status(rig) is MarketStatus.CLOSED

    follow(tmp_path, "KALSHI", script)


def test_results_are_asked_for_past_the_first_hundred_markets(tmp_path):
    async def script(rig):
        for connection in rig.stand.fake.streams.connections:
            connection.subscriptions.clear()  # the frame of the result is lost
        rig.stand.exchange.settle(rig.id, 0, rig.stand.loop.time_ns())
        await rig.client._ask_results([f"KXGONE-{n}" for n in range(100)] + [rig.id])
        assert len(rig.settled) == 2

    follow(tmp_path, "KALSHI", script)


def test_fees_of_an_event_win_over_those_of_its_series_and_change_while_the_market_trades(tmp_path):
    async def script(rig):
        fake, provider = rig.stand.fake, rig.client.provider
        assert provider.markets[rig.id].fees.multiplier == 1
        fake.infos[rig.id] = {"event_ticker": "KXF-EV"}
        fake.event_terms["KXF-EV"] = {"fee_multiplier_override": 0.5, "mutually_exclusive": True}
        fake.streams.close_moved(rig.id)
        await eventually(lambda: rig.markets[-1].fees.multiplier == D("0.5"))
        assert rig.markets[-1].neg_risk_id == "KXF-EV"  # as in imported history
        fake.streams.fees_changed("KXF-OTHER", {"fee_multiplier_override": 9})
        fake.streams.fees_changed("KXF-EV", {"fee_multiplier_override": 2})
        await eventually(lambda: provider.markets[rig.id].fees.multiplier == 2)

    follow(tmp_path, "KALSHI", script)


def test_a_market_whose_event_cannot_be_read_is_paused_until_it_can(tmp_path):
    async def script(rig):
        rig.stand.fake.infos[rig.id] = {"event_ticker": "KXF-EV"}
        rig.stand.fake.streams.close_moved(rig.id)
        await eventually(lambda: last_status(rig) is MarketStatus.PAUSED)
        await eventually(lambda: last_status(rig) is MarketStatus.ACTIVE, 90.0)

    broken = Fault(FaultKind.HTTP_503, count=6, match="GET /trade-api/v2/events")
    follow(tmp_path, "KALSHI", script, (broken,))


def test_a_trade_of_an_unknown_side_is_nobodys_sale(tmp_path):
    async def script(rig):
        traded, now = rig.stand.fake.streams.traded, rig.stand.loop.time_ns()
        traded(rig.id, 4200, 300, "auction", now, "odd")
        traded(rig.id, 4200, 300, "ask", now, "even")
        await eventually(lambda: rig.of(TradeTick, rig.ids[0]))
        assert [x.trade_id.value for x in rig.of(TradeTick, rig.ids[0])] == ["even"]
        assert rig.client.socket.stats.bad_frames == 1

    follow(tmp_path, "KALSHI", script)
