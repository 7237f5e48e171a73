"""A node on the engine's own Polymarket data client, against the fake on loopback: says what the engine was shown."""

import asyncio
import json
import time

from aiohttp import web
from nautilus_trader.adapters import polymarket
from nautilus_trader.common import DataActor, Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveNode
from nautilus_trader.model import BookType, InstrumentId, TraderId

from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.polymarket.server import FakePolymarket
from tests.integration.polymarket_stand import C1, IYES, exchange, infos


def say(**values):
    print(json.dumps(values), flush=True)


class Watch(DataActor):
    """Follows every instrument that was loaded."""

    def on_start(self):
        self.ids = [i.id for i in self.cache.instruments()]
        self.closes = []
        say(instruments=[i.value for i in self.ids])
        for iid in self.ids:
            self.subscribe_book_deltas(iid, BookType.L2_MBP, managed=True)
            self.subscribe_instrument_close(iid)

    def on_instrument_close(self, close):
        self.closes.append(str(close.close_price))

    def bids(self):
        """Return the bids of the first token as the engine has them."""
        book = self.cache.order_book(InstrumentId.from_str(IYES))
        return {} if book is None else {str(x.price): str(x.size()) for x in book.bids()}


def configuration(root):
    return polymarket.PolymarketDataClientConfig(
        instrument_config=polymarket.PolymarketInstrumentProviderConfig(
            load_all=False, market_slugs=["one", "two"], use_gamma_markets=True
        ),
        base_url_http=root,
        base_url_gamma=root,
        base_url_data_api=root,
        base_url_ws=root.replace("http", "ws", 1) + "/ws/market",
        subscribe_new_markets=True,
        resolve_poll_interval_secs=2,
        resolve_poll_grace_secs=1,
        book_stale_check_interval_secs=2,
        book_stale_threshold_secs=3,
    )


def move(fake, price):
    """Show seven shares at one bid and announce it."""
    fake.exchange.level(C1, "bid", price, 700, 0)
    fake.streams.level_changed(C1, "bid", price, 0, time.time_ns())
    fake.streams.ticked(C1, time.time_ns())


async def main():
    """Play a normal change, a lost one, a break of the link and a 50-50 result; say the bids after each."""
    lost = FaultSchedule((Fault(FaultKind.WS_DROP, match="price_change"),))
    lost.paused = True
    fake = FakePolymarket(exchange(), infos(), faults=lost)
    runner = web.AppRunner(fake.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node = (
        LiveNode.builder("upstream", TraderId("BETA-001"), Environment.LIVE)
        .with_logging(LoggerConfig(stdout_level=LogLevel.OFF))
        .with_delay_post_stop_secs(1)
        .add_data_client(
            "POLYMARKET",
            polymarket.PolymarketDataClientFactory(),
            configuration(f"http://127.0.0.1:{runner.addresses[0][1]}"),
        )
        .build()
    )
    watch = Watch()
    node.add_actor(watch)
    handle = node.handle()
    run = asyncio.ensure_future(node.run_async())
    for _ in range(100):
        await asyncio.sleep(0.1)
        if getattr(watch, "ids", None) and watch.bids():
            break
    say(snapshot=watch.bids())
    move(fake, 3900)
    await asyncio.sleep(0.5)
    say(change=watch.bids())
    lost.paused = False
    move(fake, 4100)  # lost on the way: a new best bid
    move(fake, 3800)  # arrives, and names the best bid that was lost
    await asyncio.sleep(5.0)
    say(after_loss=watch.bids())
    await fake.streams.drop_all()
    await asyncio.sleep(0.2)
    say(link_down=watch.bids())
    await asyncio.sleep(3.0)
    fake.exchange.settle(C1, 5_000, time.time_ns())
    await asyncio.sleep(5.0)
    say(half=watch.closes)
    handle.stop()
    await asyncio.wait({run}, timeout=8)
    await runner.cleanup()
    say(ended=True)


if __name__ == "__main__":
    asyncio.run(main())
