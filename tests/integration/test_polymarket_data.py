"""Polymarket books from the fake's market channel: what is shown is the venue's book, or nothing."""

import asyncio
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from nautilus_trader.model import InstrumentClose, InstrumentStatus, OrderBookDeltas, QuoteTick

from adapters.connection import SocketState
from adapters.fake.faults import Fault, FaultKind
from adapters.polymarket.books import BookState
from adapters.polymarket.data import PolymarketData
from core.domain.errors import VenueRefused
from core.domain.market import MarketStatus
from core.engine.live.books import BookWriter
from tests.integration.polymarket_stand import C1, INO, IYES, NO1, YES1, eventually, intent, stand

D = Decimal


class Command:
    def __init__(self, iid):
        self.instrument_id = type("Id", (), {"value": iid})()


class Clock:
    def timestamp_ns(self):
        return time.time_ns()


class Data(PolymarketData):
    """The data client without an engine around it: what it would hand over is kept."""

    def __init__(self, venue, **changes):
        self.out, self.statuses, self.settled, self.markets = [], [], [], []
        provider = venue.provider(self.markets.append, time.time_ns)
        self._wire(
            provider=provider,
            rest=venue.rest,
            catalogue=venue.catalogue,
            sockets_of=venue._market_sockets,
            on_status=lambda m, s: self.statuses.append((m, s)),
            on_settled=lambda i, p: self.settled.append((i, p)),
            **changes,
        )
        for market in venue.registry.markets.values():
            for instrument in provider.add_market(market):
                self._writers[instrument.id.value] = BookWriter(instrument)

    clock = Clock()

    def create_task(self, work, name):
        return asyncio.get_running_loop().create_task(work, name=name)

    def _handle_data(self, item):
        self.out.append(item)

    def of(self, kind):
        return [x for x in self.out if isinstance(x, kind)]

    def equals(self, fake):
        for token, outcome in ((YES1, "YES"), (NO1, "NO")):
            truth = fake.streams.book(C1, outcome)
            book = self.books.get(token)
            if book is None or book.state is not BookState.GOOD:
                return False
            for name, mine in (("bids", book.bids), ("asks", book.asks)):
                if {D(x["price"]): D(x["size"]) for x in truth[name]} != mine:
                    return False
        return True


@asynccontextmanager
async def follow(tmp_path, *faults):
    async with stand(tmp_path, *faults) as (fake, venue, port, _news):
        data = Data(venue)
        for iid in (IYES, INO):
            await data._subscribe_book_deltas(Command(iid))
            await data._subscribe_quotes(Command(iid))
            await data._subscribe_trades(Command(iid))
        await eventually(lambda: data.equals(fake))
        yield fake, venue, data, port
        await data.sockets.close()


def shake(fake, n=60):
    """Change the book level by level; each change is told with the best prices of its moment."""
    for i in range(n):
        side, price = ("bid", 3000 + 100 * (i % 7)) if i % 2 else ("ask", 5000 + 100 * (i % 5))
        fake.exchange.level(C1, side, price, (i * 37) % 900, 0)
        fake.streams.level_changed(C1, side, price, 0, time.time_ns())
        fake.streams.ticked(C1, time.time_ns())


@pytest.mark.parametrize(
    "kind",
    [None, FaultKind.WS_DUPLICATE, FaultKind.WS_GARBAGE, FaultKind.WS_CLOSE],
)
async def test_after_every_stream_fault_the_book_is_the_venues_book(tmp_path, kind):
    faults = () if kind is None else (Fault(kind, at=20, count=2, match="price_change"),)
    async with follow(tmp_path, *faults) as (fake, _, data, _):
        shake(fake)
        await eventually(lambda: data.equals(fake))
        if kind is FaultKind.WS_CLOSE:
            assert data.sockets.sockets[0].stats.connects >= 2
        assert data.of(QuoteTick) and data.of(OrderBookDeltas)


async def test_a_best_price_that_is_not_ours_empties_the_book_until_it_is_read_again(tmp_path):
    lost = Fault(FaultKind.WS_DROP, match="price_change")
    async with follow(tmp_path, lost) as (fake, _, data, _):
        for price in (4100, 3900):  # the first, a new best bid, is lost; the second shows it
            fake.exchange.level(C1, "bid", price, 700, 0)
            fake.streams.level_changed(C1, "bid", price, 0, time.time_ns())
            fake.streams.ticked(C1, time.time_ns())
        await eventually(lambda: data.resyncs >= 1 and data.equals(fake))
        clears = [d for d in data.of(OrderBookDeltas) if len(d.deltas) == 1]
        assert clears


async def test_while_the_connection_is_down_the_engine_has_no_book(tmp_path):
    async with follow(tmp_path) as (fake, _, data, _):
        states = []
        original = data._on_shard
        data.sockets._on_state = lambda s, t: (states.append(s), original(s, t))
        before = len(data.out)
        await fake.streams.drop_all()
        await eventually(lambda: SocketState.DOWN in states)
        assert any(isinstance(x, OrderBookDeltas) for x in data.out[before:])
        await eventually(lambda: data.equals(fake))


async def test_a_new_tick_reaches_gate_and_port_while_orders_rest(tmp_path):
    async with follow(tmp_path) as (fake, venue, data, port):
        resting = await port.submit(intent("t-1", price="0.39"), D("0.39"))
        fake.streams.change_tick(C1, 10)
        await eventually(lambda: venue.registry.terms[C1].tick == D("0.001"))
        assert data.markets[-1].grid.finest == D("0.001")
        finer = await port.submit(intent("t-2", price="0.391"), D("0.391"))
        assert {resting.venue_order_id, finer.venue_order_id} <= set(fake.exchange.orders)
        fake.streams.change_tick(C1, 100)
        await eventually(lambda: venue.registry.terms[C1].tick == D("0.01"))
        with pytest.raises(VenueRefused):
            await port.submit(intent("t-3", price="0.391"), D("0.391"))


@pytest.mark.parametrize(("payout", "paid"), [(10_000, (1, 0)), (0, (0, 1))])
async def test_a_resolution_pays_each_outcome_once(tmp_path, payout, paid):
    async with follow(tmp_path) as (fake, _, data, _):
        fake.exchange.settle(C1, payout, time.time_ns())
        await eventually(lambda: data.settled)
        await data.ask_results([C1])
        assert data.settled == [(IYES, D(paid[0])), (INO, D(paid[1]))]
        assert len(data.of(InstrumentClose)) == 2
        assert (C1, MarketStatus.CLOSED) in data.statuses and data.of(InstrumentStatus)


async def test_a_void_market_pays_half_and_half_from_the_catalogue(tmp_path):
    async with follow(tmp_path) as (fake, _, data, _):
        fake.exchange.settle(C1, 5_000, time.time_ns())
        await eventually(lambda: (C1, MarketStatus.CLOSED) in data.statuses)
        assert data.settled == []  # the event names no winner: nothing is paid on it
        await data.ask_results([C1])
        assert data.settled == [(IYES, D("0.5")), (INO, D("0.5"))]
