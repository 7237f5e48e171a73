"""The Kalshi client against the fake Kalshi: what it believes equals what the venue knows, faults included."""

import asyncio
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from adapters.connection import SocketState
from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi import schemas
from adapters.kalshi.books import BookState, KalshiBook
from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.rest import KalshiRest
from adapters.kalshi.signing import KalshiCredentials, Signer
from adapters.kalshi.socket import KalshiSocket
from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.fees import FeeSchedule
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeMarket

D = Decimal
KEY = Ed25519PrivateKey.generate()
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
SIGNER = Signer.from_credentials(KalshiCredentials(SecretStr("id"), SecretStr(PEM)))


def order(cid="c-1", **changes):
    base = {
        "ticker": "KXT-1",
        "client_order_id": cid,
        "side": "bid",
        "count": "10.00",
        "price": "0.3000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    return schemas.CreateOrderBody(**(base | changes))


@asynccontextmanager
async def stand(*faults, rate=1000.0):
    ex = Exchange(NettedAccount(100_000_000), KalshiFeeBook(), "k")
    fees = FeeSchedule("KALSHI", kind="quadratic")
    ex.markets["KXT-1"] = FakeMarket("KXT-1", fees, close_ns=time.time_ns() + 3600 * 10**9)
    ex.level("KXT-1", "bid", 4000, 10_000, 0)
    ex.level("KXT-1", "ask", 4200, 5_000, 0)
    fake = FakeKalshi(
        ex,
        public_key=KEY.public_key(),
        faults=FaultSchedule(faults),
        read_rate=rate,
        write_rate=rate,
    )
    server = TestServer(fake.app())
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        rest = KalshiRest(session, str(server.make_url("/trade-api/v2")), SIGNER, timeout_s=10.0)
        yield fake, rest, session, str(server.make_url("/trade-api/ws/v2"))
    await server.close()


async def test_create_find_cancel_and_read_back():
    async with stand() as (fake, rest, _, _):
        ack = await rest.create(order())
        assert (await rest.orders(status="resting"))[0].client_order_id == "c-1"
        await rest.amend(ack.order_id, "KXT-1", "bid", D("0.31"), D(8))
        assert (await rest.order(ack.order_id)).remaining_count_fp == "8.00"
        await rest.cancel(ack.order_id, "KXT-1")
        assert not fake.exchange.working()
        with pytest.raises(VenueRefused) as caught:
            await rest.cancel(ack.order_id, "KXT-1")
        assert caught.value.status == 404


async def test_a_clear_no_is_refused_and_a_duplicate_says_so():
    async with stand() as (_, rest, _, _):
        await rest.create(order())
        with pytest.raises(VenueRefused) as caught:
            await rest.create(order())
        assert caught.value.status == 409
        with pytest.raises(VenueRefused) as caught:
            await rest.create(order("c-2", price="0.3050"))
        assert caught.value.code == "invalid_price"


@pytest.mark.parametrize(
    ("kind", "there"),
    [
        (FaultKind.DROP_RESPONSE, 1),
        (FaultKind.DROP_REQUEST, 0),
        (FaultKind.HTTP_500, 0),
        (FaultKind.HTTP_503, 0),
    ],
)
async def test_an_unclear_answer_to_a_create_is_never_a_no_and_never_repeated(kind, there):
    async with stand(Fault(kind, match="POST", count=5)) as (fake, rest, _, _):
        with pytest.raises(VenueUncertain):
            await rest.create(order())
        assert len(fake.exchange.orders) == there
        assert sum("POST" in path for _, path in fake.requests) == 1


async def test_a_hung_create_is_uncertain_after_the_timeout():
    async with stand(Fault(FaultKind.DELAY, match="POST", seconds=3.0)) as (_, rest, _, _):
        rest.timeout = aiohttp.ClientTimeout(total=0.2)
        with pytest.raises(VenueUncertain):
            await rest.create(order())


async def test_reads_are_repeated_through_failures():
    faults = (
        Fault(FaultKind.HTTP_500, match="GET", count=2),
        Fault(FaultKind.HTTP_429, match="balance", at=0),
    )
    async with stand(*faults) as (_, rest, _, _):
        assert (await rest.balance()).balance_dollars == "100.000000"


async def test_the_pace_stays_below_the_venues_limit():
    async with stand(rate=200.0) as (fake, rest, _, _):
        rest.write.rate, rest.write.capacity, rest.write._tokens = 160.0, 160.0, 160.0
        await asyncio.gather(*(rest.create(order(f"c-{i}", count="0.10")) for i in range(25)))
        assert rest.answers.stats.limited == 0
        assert len(fake.exchange.orders) == 25


class Follower:
    """Keeps books from the socket, as the data client does."""

    def __init__(self, session, url, signer=SIGNER):
        self.books, self.states = {}, []
        self.socket = KalshiSocket(
            session, url, signer, self.on_frame, self.on_gap, self.on_state, silence_s=2.0
        )

    def on_state(self, state):
        self.states.append(state)
        if state is SocketState.DOWN:
            for book in self.books.values():
                book.state = BookState.SUSPECT

    def on_gap(self, sid):
        for book in self.books.values():
            book.state = BookState.SUSPECT
        self.socket.resync(list(self.books))

    def on_frame(self, frame):
        if frame.type == "orderbook_snapshot":
            msg = msgspec.json.decode(frame.msg, type=schemas.SnapshotMsg)
            self.books.setdefault(msg.market_ticker, KalshiBook(msg.market_ticker)).load(msg)
        elif frame.type == "orderbook_delta":
            msg = msgspec.json.decode(frame.msg, type=schemas.DeltaMsg)
            book = self.books[msg.market_ticker]
            if book.state is BookState.GOOD:
                book.apply(msg)

    def equals(self, fake):
        book, truth = self.books.get("KXT-1"), fake.exchange.markets["KXT-1"].book.levels
        if book is None or book.state is not BookState.GOOD:
            return False
        mine = (
            {int(p * 10000): int(q * 100) for p, q in side.items()}
            for side in (book.bids, book.asks)
        )
        return list(mine) == [truth["bid"], truth["ask"]]


async def eventually(check, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.01)


def shake(fake, n=60):
    """Change the book in a way that depends on the order of changes."""
    book = fake.exchange.markets["KXT-1"].book
    for i in range(n):
        side, price = ("bid", 3000 + 100 * (i % 7)) if i % 2 else ("ask", 5000 + 100 * (i % 5))
        size = (i * 37) % 900
        before = book.levels[side].get(price, 0)
        fake.exchange.level("KXT-1", side, price, size, 0)
        fake.streams.level_changed("KXT-1", side, price, size - before, time.time_ns())


@pytest.mark.parametrize(
    "kind",
    [
        None,
        FaultKind.WS_DROP,
        FaultKind.WS_DUPLICATE,
        FaultKind.WS_SWAP,
        FaultKind.WS_GARBAGE,
        FaultKind.WS_CLOSE,
    ],
)
async def test_after_every_stream_fault_the_book_is_the_venues_book(kind):
    faults = () if kind is None else (Fault(kind, at=20, count=2, match="orderbook_delta"),)
    async with stand(*faults) as (fake, _, session, url):
        follower = Follower(session, url)
        follower.socket.subscribe("orderbook_delta", ["KXT-1"])
        task = asyncio.create_task(follower.socket.run())
        await eventually(lambda: follower.equals(fake))
        shake(fake)
        await eventually(lambda: follower.equals(fake))
        if kind is FaultKind.WS_CLOSE:
            assert follower.socket.stats.connects >= 2
        if kind in (FaultKind.WS_DROP, FaultKind.WS_SWAP):
            assert follower.socket.stats.gaps >= 1
        await follower.socket.close()
        task.cancel()


async def test_each_reconnect_signs_anew_and_subscribes_again():
    async with stand() as (fake, _, session, url):
        follower = Follower(session, url)
        follower.socket.subscribe("orderbook_delta", ["KXT-1"])
        task = asyncio.create_task(follower.socket.run())
        await eventually(lambda: follower.equals(fake))
        await fake.streams.drop_all()
        await eventually(lambda: follower.socket.stats.connects >= 2 and follower.equals(fake))
        assert SocketState.DOWN in follower.states
        await follower.socket.close()
        task.cancel()
