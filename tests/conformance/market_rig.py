"""Market data of one venue without an engine around it: what the client hands over is kept as an engine would see it."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

from nautilus_trader.config import DataClientConfig
from nautilus_trader.model import InstrumentClose, OrderBookDeltas, QuoteTick, TradeTick

from adapters.fake.matrix.stand import CAPITAL, Stand
from adapters.fake.matrix.virtual import run_virtual
from adapters.kalshi.data import KalshiData
from adapters.kalshi.fees import KalshiFeeBook
from adapters.polymarket.data import PolymarketData
from core.engine.paper.feed import PaperFeed, changes_of
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from tests.conformance.rig import eventually

D = Decimal
FRAMES = {"KALSHI": "orderbook_delta", "POLYMARKET": "price_change"}


class Kept:
    """Keeps what goes to the engine, and the books that follow from it."""

    def keep(self, rig):
        self.rig, self.out, self.instruments = rig, [], []
        self.shown = {}

    def create_task(self, work, name="background"):
        return asyncio.get_running_loop().create_task(work, name=name)

    def _handle_instrument(self, instrument):
        self.instruments.append(instrument)

    def _handle_data(self, item):
        self.out.append(item)
        if isinstance(item, OrderBookDeltas):
            clear, changes = changes_of(item.deltas)
            book = self.shown.setdefault(item.instrument_id.value, ({}, {}))
            if clear:
                book[0].clear()
                book[1].clear()
            for bid, price, size in changes:
                side = book[0 if bid else 1]
                side.pop(price, None)
                if size:
                    side[price] = size
        self.rig.on_item(item)


class KalshiKept(Kept, KalshiData):
    """Kalshi's client."""


class PolymarketKept(Kept, PolymarketData):
    """Polymarket's client."""


class MarketRig:
    """One followed market: the venue's book (`truth`) against the books shown to the engine (`shown`)."""

    def __init__(self, stand, venue):
        self.stand, self.venue = stand, venue
        self.statuses, self.settled, self.markets = [], [], []
        self.market = stand.markets[0]
        self.id = self.market.market_id
        self.ids = [o.instrument_id for o in self.market.outcomes]
        self.paper = self.feed = None
        if venue == "PAPER":
            self._paper()
        made = KalshiKept if stand.venue == "KALSHI" else PolymarketKept
        live = stand.live
        shared = {
            "name": stand.venue,
            "config": DataClientConfig(),
            "cache": stand.engine,
            "clock": stand.clock,
            "provider": live.provider(self.markets.append, stand.clock.timestamp_ns),
            "on_status": self._on_status,
            "on_settled": lambda iid, payout: self.settled.append((iid, payout)),
        }
        if stand.venue == "KALSHI":
            self.client = made(**shared, socket_of=live._socket)
        else:
            self.client = made(
                **shared, rest=live.rest, catalogue=live.catalogue,
                sockets_of=live._market_sockets, poll_result_s=5.0,
            )  # fmt: skip
        self.client.keep(self)

    def _paper(self):
        """Put a paper venue behind the feed, as a paper node does."""
        self.paper = PaperPort(
            "KALSHI", KalshiFeeBook(), PaperStore(self.stand.root / "p.sqlite"),
            self.stand.clock.timestamp_ns, capital=CAPITAL, netted=True,
        )  # fmt: skip
        self.paper.on_market(self.market)
        self.feed = PaperFeed()
        self.feed.port = self.paper

    def on_item(self, item):
        """Let the paper venue see what its actor would."""
        if self.feed is None or getattr(item, "instrument_id", None) is None:
            return
        if item.instrument_id.value != self.ids[0]:
            return
        if isinstance(item, OrderBookDeltas):
            self.feed.on_book_deltas(item)
        elif isinstance(item, TradeTick):
            self.feed.on_trade(item)
        elif isinstance(item, InstrumentClose):
            self.feed.on_instrument_close(item)

    def _on_status(self, market_id, status):
        self.statuses.append((market_id, status))
        if self.paper is not None:
            self.paper.on_status(market_id, status)

    async def follow(self):
        """Connect and subscribe to both outcomes."""
        await self.client._connect()
        for iid in self.ids:
            command = SimpleNamespace(instrument_id=SimpleNamespace(value=iid))
            await self.client._subscribe_book_deltas(command)
            await self.client._subscribe_quotes(command)
            await self.client._subscribe_trades(command)

    # -- the venue moves ----------------------------------------------------------------------
    @property
    def book(self):
        """The venue's own book."""
        return self.stand.exchange.markets[self.id].book

    def level(self, side, price, contracts):
        """Change a level and announce it."""
        before = self.book.levels[side].get(price, 0)
        now = self.stand.loop.time_ns()
        self.stand.exchange.level(self.id, side, price, int(contracts * 100), now)
        change = int(contracts * 100) - before
        self.stand.fake.streams.level_changed(self.id, side, price, change, now)
        self.stand.fake.streams.ticked(self.id, now)

    def shake(self, moves=60):
        """Change many levels, some to nothing."""
        for n in range(moves):
            side, price = ("bid", 3000 + 100 * (n % 7)) if n % 2 else ("ask", 5000 + 100 * (n % 5))
            self.level(side, price, (n * 37) % 9)

    # -- what is believed ---------------------------------------------------------------------
    def truth(self):
        """The venue's levels as each outcome's own (bids, asks)."""
        levels = self.book.levels
        yes = tuple(
            {D(p) / 10_000: D(q) / 100 for p, q in levels[s].items()} for s in ("bid", "ask")
        )
        no = tuple({1 - p: q for p, q in side.items()} for side in reversed(yes))
        return {self.ids[0]: yes, self.ids[1]: no}

    def equal(self):
        """Whether both outcomes' books (and the paper venue's) are the venue's book."""
        if (
            self.paper is not None
            and self.paper.exchange.markets[self.id].book.levels != self.book.levels
        ):
            return False
        shown = self.client.shown
        return all(shown.get(iid, ({}, {})) == book for iid, book in self.truth().items())

    def of(self, kind, iid=None):
        """What was handed over, by kind and instrument."""
        return [
            x for x in self.client.out
            if isinstance(x, kind) and (iid is None or x.instrument_id.value == iid)
        ]  # fmt: skip

    def top(self, iid):
        """The last quote of an instrument: bid, ask and their sizes."""
        last = self.of(QuoteTick, iid)[-1]
        fields = (last.bid_price, last.ask_price, last.bid_size, last.ask_size)
        return tuple(f.as_decimal() for f in fields)


def follow(tmp_path, venue, script, faults=()):
    """Run `script(rig)` on a followed market whose book is already the venue's."""

    async def work(loop):
        stand = Stand(loop, tmp_path, "KALSHI" if venue == "PAPER" else venue, faults, {})
        stand.faults.paused = True
        await stand.open()
        rig = MarketRig(stand, venue)
        await rig.follow()
        await eventually(rig.equal)
        stand.faults.paused = False
        await script(rig)
        await rig.client._disconnect()
        await stand.close()

    run_virtual(work)
