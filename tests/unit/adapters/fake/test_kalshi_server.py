"""The fake Kalshi speaks the real one's language over HTTP and WebSocket, and goes wrong on demand."""

import asyncio
import json
import time

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi import schemas
from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.signing import KalshiCredentials, Signer
from core.domain.fees import FeeSchedule
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeMarket

ROOT = "/trade-api/v2"
KEY = Ed25519PrivateKey.generate()
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
SIGNER = Signer.from_credentials(KalshiCredentials(SecretStr("id"), SecretStr(PEM)))


def venue(**kw):
    ex = Exchange(NettedAccount(100_000_000), KalshiFeeBook(), "k")
    schedule = FeeSchedule("KALSHI", kind="quadratic")
    ex.markets["KXT-1"] = FakeMarket("KXT-1", schedule, close_ns=time.time_ns() + 3600 * 10**9)
    ex.level("KXT-1", "bid", 4000, 10_000, 0)
    ex.level("KXT-1", "ask", 4200, 5_000, 0)
    return FakeKalshi(ex, **kw)


def body(**changes):
    return {
        "ticker": "KXT-1",
        "client_order_id": "c-1",
        "side": "bid",
        "count": "10.00",
        "price": "0.4200",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
    } | changes


class Client:
    def __init__(self, fake):
        self.fake = fake

    async def __aenter__(self):
        self.server = TestServer(self.fake.app())
        await self.server.start_server()
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        await self.server.close()

    async def call(self, method, path, data=None, sign=True):
        url = str(self.server.make_url(ROOT + path))
        headers = SIGNER.headers(method, url, time.time_ns() // 1_000_000) if sign else {}
        async with self.session.request(method, url, json=data, headers=headers) as response:
            return response.status, json.loads(await response.read() or b"null")


async def test_an_ioc_fills_with_the_exact_fee_and_shows_in_every_read():
    async with Client(venue(public_key=KEY.public_key())) as c:
        status, ack = await c.call("POST", "/portfolio/events/orders", body())
        assert status == 201
        assert ack["fill_count"] == "10.00"
        _, fills = await c.call("GET", "/portfolio/fills")
        page = msgspec.convert(fills, schemas.FillsPage)
        assert page.fills[0].fee_cost == "0.170600"  # ceil(0.07 * 10 * 0.42 * 0.58, 0.0001)
        _, positions = await c.call("GET", "/portfolio/positions")
        assert (
            msgspec.convert(positions, schemas.PositionsPage).market_positions[0].position_fp
            == "10.00"
        )
        _, balance = await c.call("GET", "/portfolio/balance")
        assert balance["balance_dollars"] == "95.629400"
        _, orders = await c.call("GET", "/portfolio/orders")
        assert msgspec.convert(orders, schemas.OrdersPage).orders[0].status == "executed"


async def test_a_bad_signature_and_a_skewed_clock_are_refused():
    async with Client(venue(public_key=KEY.public_key())) as c:
        status, _ = await c.call("GET", "/portfolio/balance", sign=False)
        assert status == 401
        url = str(c.server.make_url(ROOT + "/portfolio/balance"))
        late = SIGNER.headers("GET", url, time.time_ns() // 1_000_000 - 30_000)
        async with c.session.get(url, headers=late) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"price": "0.4250"}, 400, "invalid_price"),
        ({"price": "1.0000"}, 400, "invalid_price"),
        ({"price": "abc"}, 400, "invalid_price"),
        ({"count": "-1"}, 400, "invalid_order"),
        ({"count": "100000.00"}, 400, "insufficient_balance"),
        ({"ticker": "NOPE"}, 404, "not_found"),
        ({"side": "buy"}, 400, "bad_request"),
        ({"time_in_force": "day"}, 400, "bad_request"),
    ],
)
async def test_bad_orders_are_refused_in_the_venues_words(changes, status, code):
    async with Client(venue()) as c:
        got, answer = await c.call("POST", "/portfolio/events/orders", body(**changes))
        assert (got, answer["error"]["code"]) == (status, code)
        assert not c.fake.exchange.orders


async def test_a_repeated_client_order_id_is_409():
    async with Client(venue()) as c:
        await c.call(
            "POST",
            "/portfolio/events/orders",
            body(time_in_force="good_till_canceled", price="0.3000"),
        )
        status, _answer = await c.call("POST", "/portfolio/events/orders", body())
        assert status == 409
        assert len(c.fake.exchange.orders) == 1


async def test_a_dropped_response_leaves_the_order_at_the_venue():
    faults = FaultSchedule((Fault(FaultKind.DROP_RESPONSE, match="POST"),))
    async with Client(venue(faults=faults)) as c:
        with pytest.raises(aiohttp.ClientError):
            await c.call("POST", "/portfolio/events/orders", body())
        assert len(c.fake.exchange.orders) == 1


async def test_a_dropped_request_never_reaches_the_venue():
    faults = FaultSchedule((Fault(FaultKind.DROP_REQUEST, match="POST"),))
    async with Client(venue(faults=faults)) as c:
        with pytest.raises(aiohttp.ClientError):
            await c.call("POST", "/portfolio/events/orders", body())
        assert not c.fake.exchange.orders


async def test_writes_beyond_the_bucket_are_429():
    async with Client(venue(write_rate=20.0)) as c:
        codes = []
        for i in range(4):
            status, _ = await c.call(
                "POST", "/portfolio/events/orders", body(client_order_id=f"c-{i}", count="1.00")
            )
            codes.append(status)
        assert codes[:2] == [201, 201]
        assert 429 in codes[2:]


async def read_until(ws, kind, limit=50):
    for _ in range(limit):
        frame = json.loads((await asyncio.wait_for(ws.receive(), 60)).data)
        if frame["type"] == kind:
            return frame
    raise AssertionError(f"no {kind}")


@pytest.mark.parametrize("yes_price", [True, False])
async def test_the_book_channel_snapshots_then_counts_every_frame(yes_price):
    async with (
        Client(venue()) as c,
        c.session.ws_connect(c.server.make_url("/trade-api/ws/v2")) as ws,
    ):
        params = {
            "channels": ["orderbook_delta"],
            "market_tickers": ["KXT-1"],
            "use_yes_price": yes_price,
        }
        await ws.send_json({"id": 1, "cmd": "subscribe", "params": params})
        snapshot = await read_until(ws, "orderbook_snapshot")
        msg = msgspec.convert(snapshot["msg"], schemas.SnapshotMsg)
        yes, no = float(msg.yes_dollars_fp[-1][0]), float(msg.no_dollars_fp[-1][0])
        assert (max(yes, 0) < float(msg.no_dollars_fp[0][0])) if yes_price else (yes + no < 1)
        c.fake.exchange.level("KXT-1", "ask", 4100, 700, 1)
        c.fake.streams.level_changed("KXT-1", "ask", 4100, 700, 1)
        delta = await read_until(ws, "orderbook_delta")
        assert delta["seq"] == snapshot["seq"] + 1
        assert delta["msg"]["price_dollars"] == ("0.4100" if yes_price else "0.5900")
        assert delta["msg"]["delta_fp"] == "7.00"


async def test_private_channels_tell_fills_and_orders_and_the_lifecycle_tells_the_result():
    async with (
        Client(venue()) as c,
        c.session.ws_connect(c.server.make_url("/trade-api/ws/v2")) as ws,
    ):
        channels = ["fill", "user_orders", "market_lifecycle_v2"]
        await ws.send_json({"id": 1, "cmd": "subscribe", "params": {"channels": channels}})
        await read_until(ws, "subscribed")
        await c.call("POST", "/portfolio/events/orders", body())
        fill = await read_until(ws, "fill")
        assert fill["msg"]["post_position_fp"] == "10.00"
        order = await read_until(ws, "user_order")
        assert order["msg"]["status"] == "executed"
        c.fake.exchange.settle("KXT-1", 10_000, time.time_ns())
        life = await read_until(ws, "market_lifecycle_v2")
        assert (life["msg"]["event_type"], life["msg"]["result"]) == ("determined", "yes")
        assert c.fake.exchange.account.cash == 95_629_400 + 10_000_000


async def test_frames_can_be_dropped_doubled_and_swapped():
    kinds = (FaultKind.WS_DROP, FaultKind.WS_DUPLICATE, FaultKind.WS_SWAP)
    faults = FaultSchedule(
        tuple(Fault(k, at=i, match="orderbook_delta") for i, k in enumerate(kinds))
    )
    async with (
        Client(venue(faults=faults)) as c,
        c.session.ws_connect(c.server.make_url("/trade-api/ws/v2")) as ws,
    ):
        params = {
            "channels": ["orderbook_delta"],
            "market_tickers": ["KXT-1"],
            "use_yes_price": True,
        }
        await ws.send_json({"id": 1, "cmd": "subscribe", "params": params})
        first = (await read_until(ws, "orderbook_snapshot"))["seq"]
        for i in range(5):
            c.fake.streams.level_changed("KXT-1", "bid", 3000 + 100 * i, 100, 1)
        seqs = [(await read_until(ws, "orderbook_delta"))["seq"] - first for _ in range(5)]
        assert seqs == [2, 2, 4, 3, 5]
