"""One venue, one account, one execution client, all real, on a virtual loop."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from adapters.fake.faults import Fault, FaultSchedule
from adapters.fake.kalshi.server import FakeKalshi
from adapters.fake.matrix.engine import EngineDouble, HarnessClient
from adapters.fake.matrix.exposure import Exposure
from adapters.fake.matrix.feed import MarketFeed
from adapters.fake.matrix.judge import Judge
from adapters.fake.matrix.lives import Killed, PowerCut, PowerLine, watch_requests
from adapters.fake.matrix.virtual import VirtualLoop
from adapters.fake.matrix.visible import Visible
from adapters.fake.polymarket.server import FakePolymarket
from adapters.fake.polymarket.wire import FakeInfo
from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.live import live_venue as kalshi_venue
from adapters.polymarket.fees import PolymarketFeeBook
from adapters.polymarket.live import live_venue as polymarket_venue
from adapters.token_bucket import TokenBucket
from core.domain.errors import LedgerWriteError
from core.domain.fees import FeeSchedule
from core.domain.market import Market
from core.engine.live.adoption import adopt
from core.engine.live.assembly import live_gate
from core.engine.live.audit import Audit
from core.engine.live.context import LiveContext
from core.engine.live.instruments import engine_instrument
from core.engine.live.memory import LedgerMemory, remember
from core.engine.live.netting import shares_of
from core.engine.live.port import VenuePort
from core.engine.live.sweep import Sweep
from core.engine.paper.account import NettedAccount, TokenAccount
from core.engine.paper.exchange import Exchange, FakeMarket, FakeOrder
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.ledger import DurableLedger
from core.ledger.acknowledgement import seen
from core.ledger.kinds import RunMode, RunStarted, StrategyVersion
from core.ledger.segment import StoreOptions

CAPITAL = Decimal(200)
MICRO = 1_000_000
TICKERS = ("KXF-A", "KXF-B")
CONDITIONS = ("0x" + "c1" * 32, "0x" + "c2" * 32)
TOKENS = (("1001", "1002"), ("2001", "2002"))
STOPPING = "the node is stopping"
KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"matrix kalshi").digest())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
WALLET_BYTES = hashlib.sha256(b"matrix wallet").digest()
WALLET = "0x" + WALLET_BYTES.hex()
WALLET_PUBLIC = ec.derive_private_key(int.from_bytes(WALLET_BYTES), ec.SECP256K1()).public_key()
SECRET_BYTES = hashlib.sha256(b"matrix api secret").digest()
API_SECRET = base64.urlsafe_b64encode(SECRET_BYTES).decode()
DAY_NS = 86_400_000_000_000


class InlineLedger(DurableLedger):
    """The node's ledger; an acknowledgement is waited for at once, so that runs repeat exactly.

    Attributes
    ----------
    refuse : range
        Numbers of the durable rows (0 = first) that the disk does not acknowledge.
    """

    refuse = range(0)
    durable = 0
    stand: Stand | None = None

    def _new_queue(self) -> Any:
        self.power = PowerLine()
        return self.power

    def append(
        self, payload: Any, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Write a row, unless its process is dead."""
        if self.stand is not None and self.stand.dead:
            raise Killed("ledger")
        seq = super().append(payload, ts_event=ts_event, parents=parents, durable=durable)
        if self.stand is not None:
            (self.stand.acknowledged if durable else self.stand.appended).add(seq)
        return seq

    def begin_durable(
        self, payload: Any, *, ts_event: int, parents: Sequence[int] = ()
    ) -> tuple[int, asyncio.Future[None]]:
        """Write a row; it is on disk, or never will be acknowledged, when this returns."""
        number, self.durable = self.durable, self.durable + 1
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.add_done_callback(seen)
        if number in self.refuse:
            seq = self.append(payload, ts_event=ts_event, parents=parents)
            why = LedgerWriteError("the ledger cannot be written", "fault schedule", "")
            written.set_exception(why)
        else:
            seq = self.append_durable(payload, ts_event=ts_event, parents=parents)
            written.set_result(None)
        return seq, written


def _started(life: int) -> RunStarted:
    return RunStarted(
        run_id=f"faults-{life}",
        mode=RunMode.LIVE,
        config_sha256="",
        code_sha="",
        seed=0,
        strategies=(StrategyVersion(strategy_id="Matrix-001", path="", sha256=""),),
        data=(),
        capital=CAPITAL,
        currency="USD",
    )


class Clock:
    """The engine's clock: virtual wall time plus a skew."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop, self.skew_ns = loop, 0

    def timestamp_ns(self) -> int:
        """Return nanoseconds."""
        return self.loop.time_ns() + self.skew_ns


class Stand:
    """Everything one run needs."""

    exchange: Exchange
    markets: list[Market]
    port: VenuePort
    engine: EngineDouble
    fake: Any = None

    def __init__(
        self, loop: VirtualLoop, root: Path, venue: str, faults: Sequence[Fault], options: Any
    ) -> None:
        self.loop, self.root, self.venue, self.options = loop, root, venue, dict(options)
        self.clock, self.faults = Clock(loop), FaultSchedule(tuple(faults), clock_ns=loop.time_ns)
        self.halted = ""
        self.alive = False
        self.lives = self.dropped = self.rss_before = 0
        self.acknowledged: set[int] = set()
        self.appended: set[int] = set()
        self.cut: PowerCut | None = None
        self.judge, self.visible = Judge(), Visible(self)
        self.live: Any = None
        self.feed: MarketFeed | None = None
        self.audit: Audit | None = None
        self._auditing: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Start the venue and connect the client."""
        makers = {
            "KALSHI": self._kalshi,
            "POLYMARKET": self._polymarket,
            "PAPER": self._paper,
        }
        await makers[self.venue]()
        await self.begin()

    @property
    def dead(self) -> bool:
        """Whether the client side has been killed and not yet begun again."""
        return self.cut is not None and self.cut.dead

    async def begin(self) -> None:
        """Begin a life of the client side: what it knows it has from the ledger and from the venue."""
        code = self.markets[0].venue
        memory = remember(self.root / "ledger")
        shares = shares_of(self.root / "ledger", code)
        shares.follow(self.markets)
        self.lives += 1
        self.appended.clear()  # rows that nobody waited for may have died with the life before
        self.gate = live_gate([code], self.markets, buys_in_cash=self.port.buys_in_cash)
        self.gate.on_strategy("Matrix-001")
        self.ledger = InlineLedger(
            self.root / "ledger",
            StoreOptions(),
            wall_clock=self.loop.time_ns,
            on_halt=self.halt,
        )
        self.ledger.stand = self
        self.ledger.begin_run(_started(self.lives), ts_event=self.loop.time_ns())
        before = self.engine.before | self.engine.ever if self.lives > 1 else {}
        self.engine = EngineDouble(self.gate, self.clock.timestamp_ns, code)
        self.engine.before = before
        for market in self.markets:
            for outcome in market.outcomes:
                self.engine.instruments[outcome.instrument_id] = engine_instrument(
                    market, outcome, "USD", self.loop.time_ns()
                )
        self.judge.watch(self.gate)
        if self.lives == 1:
            self.exposure = Exposure(self)
        self.sweep = Sweep(self.port, lambda: self.client.in_flight, self.judge.say)
        self.context = LiveContext(
            port=self.port,
            gate=self.gate,
            ledger=self.ledger,
            currency="USD",
            provider=lambda: None,
            owners=memory.owners,
            instrument_owners=memory.last_owner,
            known_trades=memory.trades,
            provisional=memory.provisional,
            shares=shares,
            markets=memory.markets,
            leftovers=memory.leftovers,
            resume_ns=memory.resume_ns,
            halted=lambda: self.halted,
            on_halt=self.halt,
            on_link=lambda venue, up: self.judge.links.append(up),
            now_ns=self.loop.time_ns,
            tell=self.engine.tell,
            cache=lambda: self.engine,
        )
        if self.lives > 1:
            await adopt(self.context, self.markets, memory, "Matrix-001", self.loop.time_ns())
        self.client = HarnessClient(self.context, self.engine, self.clock)
        await self.client._connect()
        self.alive = True
        if self.lives > 1:
            await self.engine.start(self.client)

    def watch_account(self) -> None:
        """Compare the gate's holdings and cash with the venue's from now on, much more often than a node does."""
        self.audit = Audit(self.client, every_s=1.0, confirm_s=0.3)
        self._auditing = self.loop.create_task(self.audit.run())

    async def rise(self, after_s: float) -> None:
        """Come back after a power cut."""
        assert self.cut is not None
        self.alive = False
        await self.cut.bury()
        if after_s > 100.0:  # hours pass: the venue need not look at its clock fifty times a second
            self.fake.pace_s = 5.0
        await asyncio.sleep(after_s)
        self.fake.pace_s = 0.02
        self.halted, self.judge.halted_at = "", 0
        memory = remember(self.root / "ledger")
        makers = {"KALSHI": self._kalshi_client, "POLYMARKET": self._polymarket_client}
        await makers[self.venue](memory)
        await self.begin()

    async def follow(self) -> None:
        """Let the strategy see the market through the venue's data client from now on."""
        self.feed = MarketFeed(self)
        await self.feed.open()

    def virtual(self, data: Any) -> None:
        """Put what a data client reads of time on the virtual clock."""
        socket = getattr(data, "socket", None)
        if socket is not None:
            socket.clock_ms = lambda: self.clock.timestamp_ns() // MICRO

    def halt(self, reason: str) -> None:
        """Stop trading as a node does: nothing new leaves, what works is taken off the book. From any thread."""
        if not self.halted and not self.dead:
            self.halted = reason
            self.judge.halted_at = self.loop.time_ns()
            self.loop.call_soon_threadsafe(lambda: self.sweep.start(reason, kill_switch=True))

    async def stop(self) -> None:
        """Stop in order: no new orders, nothing left working, the run sealed."""
        self.halted = self.halted or STOPPING
        self.sweep.start("stop", kill_switch=False)
        end = self.loop.time() + 60.0
        while not self.sweep.clean and self.loop.time() < end:
            await asyncio.sleep(0.05)
        if not self.sweep.clean or self.exchange.working():
            self.judge.wrong("F27", f"working after the stop: {len(self.exchange.working())}")
        self.sweep.stop()

    async def close(self) -> None:
        """Stop client, venue and ledger."""
        self.sweep.stop()
        if self._auditing is not None:
            self._auditing.cancel()
        await self.client._disconnect()
        if self.feed is not None:
            await self.feed.close()
        if self.live is not None:
            await self.live.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self.ledger.close()

    # -- venues -----------------------------------------------------------------------------
    def _fill_books(self, ids: Sequence[str], fees: FeeSchedule, minimum: int) -> None:
        for market_id in ids:
            self.exchange.markets[market_id] = FakeMarket(
                market_id, fees, self.loop.time_ns() + DAY_NS, min_quantity=minimum
            )
            for step in range(4):
                self.exchange.level(market_id, "bid", 4000 - 100 * step, 2_000, 0)
                self.exchange.level(market_id, "ask", 4200 + 100 * step, 2_000, 0)

    async def _serve(self, app: web.Application) -> str:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def _kalshi(self) -> None:
        self.exchange = Exchange(NettedAccount(int(CAPITAL * MICRO)), KalshiFeeBook(), "k")
        self._fill_books(TICKERS, FeeSchedule("KALSHI", kind="quadratic"), 1)
        self.fake = FakeKalshi(
            self.exchange,
            public_key=KEY.public_key(),
            faults=self.faults,
            read_rate=1e9,
            write_rate=1e9,
            clock=self.loop.time_ns,
        )
        self.address = await self._serve(self.fake.app())
        await self._kalshi_client(LedgerMemory())

    async def _kalshi_client(self, memory: LedgerMemory) -> None:
        self.live = kalshi_venue(
            {
                "tickers": TICKERS,
                "base_url": f"http://{self.address}/trade-api/v2",
                "ws_url": f"ws://{self.address}/trade-api/ws/v2",
                "key_id": SecretStr("id"),
                "private_key": SecretStr(PEM),
            }
        )
        self.markets = await self.live.open()
        rest = self.live.rest
        rest.clock_ms = lambda: self.clock.timestamp_ns() // MICRO
        rest.read = TokenBucket(200.0, 400.0, monotonic=self.loop.time)
        rest.write = TokenBucket(100.0, 100.0, monotonic=self.loop.time)
        make = self.live._socket

        def socket(*callbacks: Any) -> Any:
            made = make(*callbacks)
            made.clock_ms = rest.clock_ms
            return made

        self.live._socket = socket
        self._watch()
        self.port = self.live.port(memory.instruments)

    def _watch(self) -> None:
        """Put points around the requests of a client that may be killed."""
        if self.cut is not None:
            watch_requests(self.live._session, self.cut.reach)

    async def _polymarket(self) -> None:
        self.exchange = Exchange(TokenAccount(int(CAPITAL * MICRO)), PolymarketFeeBook(), "p")
        fees = FeeSchedule("POLYMARKET", rate=Decimal("0.05"), exponent=Decimal(1), kind="curve")
        self._fill_books(CONDITIONS, fees, 100)
        infos = {
            c: FakeInfo(c, t, f"{c}?", c[:6], event_id=c[:6])
            for c, t in zip(CONDITIONS, TOKENS, strict=True)
        }
        self.fake = FakePolymarket(
            self.exchange,
            infos,
            secret=API_SECRET,
            public_key=WALLET_PUBLIC,
            faults=self.faults,
            heartbeat_window_s=1e9,
            clock=self.loop.time_ns,
            **self.options,
        )
        self.address = await self._serve(self.fake.app())
        await self._polymarket_client(LedgerMemory())

    async def _polymarket_client(self, memory: LedgerMemory) -> None:
        http, ws = f"http://{self.address}", f"ws://{self.address}"
        self.live = polymarket_venue(
            {
                "clob_url": http,
                "gamma_url": http,
                "data_url": http,
                "geoblock_url": f"{http}/api/geoblock",
                "market_ws_url": f"{ws}/ws/market",
                "user_ws_url": f"{ws}/ws/user",
                "conditions": CONDITIONS,
                "private_key": SecretStr(WALLET),
                "state_dir": self.root / "state",
                "heartbeat_s": 0.0,
            }
        )
        self.markets = await self.live.open()
        self._watch()
        port = self.live.port(memory.instruments, memory.sent)
        port.preflight = False
        port.clock = port.executions.clock = self.clock.timestamp_ns
        rest = self.live.rest
        rest.clock = lambda: self.clock.timestamp_ns() / 1e9
        for owner in [rest, *vars(rest).values()]:
            for name, value in list(getattr(owner, "__dict__", {}).items()):
                if isinstance(value, TokenBucket):
                    setattr(owner, name, TokenBucket(200.0, 400.0, monotonic=self.loop.time))
        self.port = port

    async def _paper(self) -> None:
        live = Stand(self.loop, self.root / "source", "KALSHI", (), {})
        await live._kalshi()
        self.markets = live.markets
        await live.live.close()
        assert live._runner is not None
        await live._runner.cleanup()
        port = PaperPort(
            "KALSHI",
            KalshiFeeBook(),
            PaperStore(self.root / "paper.sqlite"),
            self.clock.timestamp_ns,
            capital=CAPITAL,
            netted=True,
        )
        for market in self.markets:
            port.on_market(market)
        self.exchange, self.port = port.exchange, port
        for market_id in TICKERS:
            for step in range(4):
                self.exchange.level(market_id, "bid", 4000 - 100 * step, 2_000, 0)
                self.exchange.level(market_id, "ask", 4200 + 100 * step, 2_000, 0)

    # -- the market moves -------------------------------------------------------------------
    def trade(self, market_id: str, price: int, quantity: int, aggressor: Any) -> None:
        """Let a public trade reach resting orders."""
        self.exchange.trade(market_id, price, quantity, aggressor, self.loop.time_ns())
        self._after(market_id)

    def level(self, market_id: str, side: Any, price: int, quantity: int) -> None:
        """Change a level of the public book."""
        now = self.loop.time_ns()
        before = self.exchange.markets[market_id].book.levels[side].get(price, 0)
        self.exchange.level(market_id, side, price, quantity, now)
        if self.feed is not None:
            self.fake.streams.level_changed(market_id, side, price, quantity - before, now)
        self._after(market_id)

    def settle(self, market_id: str, payout: int) -> None:
        """Resolve a market, at the venue and as the feed tells it."""
        self.exchange.settle(market_id, payout, self.loop.time_ns())
        self._after(market_id)

    def _after(self, market_id: str) -> None:
        save = getattr(self.port, "_save", None)
        if save is not None:
            save()
        if self.feed is not None:
            self.fake.streams.ticked(market_id, self.loop.time_ns())
            self.feed.note(market_id)

    def instrument(self, market: Market, outcome: int = 0) -> str:
        """Return an instrument id."""
        return market.outcomes[outcome].instrument_id

    def cid(self, order: FakeOrder) -> str:
        """Return our id of a venue order: Polymarket knows it only by the hash that we signed."""
        if order.client_order_id:
            return order.client_order_id
        ids = getattr(self.port, "ids", None)
        sent = ids.order(order.order_id) if ids is not None else None
        return sent.client_order_id if sent is not None else f"unknown {order.order_id}"
