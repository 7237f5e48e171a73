"""A fake Polymarket on loopback and a client side that talks to it, for tests."""

import asyncio
import time
from contextlib import asynccontextmanager
from decimal import Decimal

from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from adapters.fake.faults import FaultSchedule
from adapters.fake.polymarket.server import FakePolymarket
from adapters.fake.polymarket.wire import FakeInfo
from adapters.polymarket.fees import PolymarketFeeBook
from adapters.polymarket.live import live_venue
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import FeeSchedule, Side
from core.engine.paper.account import TokenAccount
from core.engine.paper.exchange import Exchange, FakeMarket

D = Decimal
KEY = "0x" + "01" * 32
SECRET = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
PUBLIC = ec.derive_private_key(int("01" * 32, 16), ec.SECP256K1()).public_key()
C1, C2 = "0x" + "c1" * 32, "0x" + "02" * 31
YES1, NO1 = "1001", "1002"
YES2, NO2 = str(int("02" * 31 + "00", 16)), str(int("02" * 31 + "01", 16))
IYES, INO = f"{C1}-{YES1}.POLYMARKET", f"{C1}-{NO1}.POLYMARKET"
FEES = FeeSchedule("POLYMARKET", rate=D("0.05"), exponent=D(1), kind="curve")


class News:
    """Keeps everything a port reports."""

    def __init__(self):
        self.orders, self.fills, self.voids, self.links = [], [], [], []

    def on_order(self, order):
        self.orders.append(order)

    def on_fill(self, fill):
        self.fills.append(fill)

    def on_void(self, void):
        self.voids.append(void)

    def on_cash(self, cash):
        pass

    def on_link(self, up):
        self.links.append(up)

    def position(self, iid):
        """Shares by instrument, each fill once, voids taken out."""
        gone = {v.trade_id for v in self.voids}
        once = {f.trade_id: f for f in self.fills if f.trade_id not in gone}
        return sum(
            (f.quantity if f.side is Side.BUY else -f.quantity)
            for f in once.values()
            if f.instrument_id == iid
        )


def exchange(cash=100_000_000):
    ex = Exchange(TokenAccount(cash), PolymarketFeeBook(), "p")
    close = time.time_ns() + 3600 * 10**9
    for condition in (C1, C2):
        ex.markets[condition] = FakeMarket(condition, FEES, close, min_quantity=500)
        ex.level(condition, "bid", 4000, 10_000, 0)
        ex.level(condition, "ask", 4200, 5_000, 0)
        ex.level(condition, "ask", 4300, 5_000, 0)
    return ex


def infos():
    return {
        C1: FakeInfo(C1, (YES1, NO1), "One?", "one", event_id="e1"),
        C2: FakeInfo(C2, (YES2, NO2), "Two?", "two", event_id="e2", version="v2"),
    }


def settings(server, tmp_path, **changes):
    root = str(server.make_url("/")).rstrip("/")
    ws = root.replace("http", "ws", 1)
    base = {
        "clob_url": root,
        "gamma_url": root,
        "data_url": root,
        "geoblock_url": root + "/api/geoblock",
        "market_ws_url": ws + "/ws/market",
        "user_ws_url": ws + "/ws/user",
        "conditions": (C1, C2),
        "private_key": SecretStr(KEY),
        "timeout_s": 10.0,
        "settle_s": 0.3,
        "heartbeat_s": 0.2,
        "state_dir": tmp_path,
    }
    return base | changes


@asynccontextmanager
async def stand(tmp_path, *faults, changes=None, **options):
    """Yield (fake, live venue, connected port, news)."""
    fake = FakePolymarket(
        exchange(),
        infos(),
        secret=SECRET,
        public_key=PUBLIC,
        faults=FaultSchedule(faults),
        **options,
    )
    server = TestServer(fake.app())
    await server.start_server()
    venue = live_venue(settings(server, tmp_path, **(changes or {})))
    await venue.open()
    port, news = venue.port({}), News()
    await port.connect(news)
    await eventually(lambda: True in news.links)
    try:
        yield fake, venue, port, news
    finally:
        await port.disconnect()
        await venue.close()
        await server.close()


async def eventually(check, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.01)


def intent(cid="o-1", side=Side.BUY, quantity="10", price="0.41", tif=TimeInForce.GTC, **changes):
    base = {
        "client_order_id": cid,
        "strategy_id": "S-001",
        "venue": "POLYMARKET",
        "instrument_id": IYES,
        "market_id": C1,
        "event_id": "e1",
        "side": side,
        "quantity": D(quantity),
        "price": D(price),
        "tif": tif,
        "ts_ns": time.time_ns(),
    }
    return OrderIntent(**(base | changes))
