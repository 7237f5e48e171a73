"""One venue, one account, one execution client, all real, on a virtual loop."""

from __future__ import annotations

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
from adapters.fake.matrix.virtual import VirtualLoop
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
from core.engine.live.assembly import live_gate
from core.engine.live.context import LiveContext
from core.engine.live.instruments import engine_instrument
from core.engine.live.port import VenuePort
from core.engine.paper.account import NettedAccount, TokenAccount
from core.engine.paper.exchange import Exchange, FakeMarket, FakeOrder
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.ledger import DurableLedger
from core.ledger.kinds import RunMode, RunStarted, StrategyVersion
from core.ledger.segment import StoreOptions

CAPITAL = Decimal(200)
MICRO = 1_000_000
TICKERS = ("KXF-A", "KXF-B")
CONDITIONS = ("0x" + "c1" * 32, "0x" + "c2" * 32)
TOKENS = (("1001", "1002"), ("2001", "2002"))
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
WALLET = "0x" + "01" * 32
WALLET_PUBLIC = ec.derive_private_key(int("01" * 32, 16), ec.SECP256K1()).public_key()
API_SECRET = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
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

    async def append_durable_async(
        self, payload: Any, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Write a row and return once it is on disk."""
        number, self.durable = self.durable, self.durable + 1
        if number in self.refuse:
            self.append(payload, ts_event=ts_event, parents=parents)
            raise LedgerWriteError("the ledger cannot be written", "fault schedule", "")
        return self.append_durable(payload, ts_event=ts_event, parents=parents)


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
    fake: Any = None

    def __init__(
        self, loop: VirtualLoop, root: Path, venue: str, faults: Sequence[Fault], options: Any
    ) -> None:
        self.loop, self.root, self.venue, self.options = loop, root, venue, dict(options)
        self.clock, self.faults = Clock(loop), FaultSchedule(tuple(faults))
        self.halted = ""
        self.live: Any = None
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Start the venue and connect the client."""
        makers = {
            "KALSHI": self._kalshi,
            "POLYMARKET": self._polymarket,
            "PAPER": self._paper,
        }
        await makers[self.venue]()
        code = self.markets[0].venue
        self.gate = live_gate([code], self.markets)
        self.gate.on_strategy("Matrix-001")
        self.ledger = InlineLedger(
            self.root / "ledger",
            StoreOptions(),
            wall_clock=self.loop.time_ns,
            on_halt=self.halt,
        )
        self.ledger.begin_run(
            RunStarted(
                run_id="faults",
                mode=RunMode.LIVE,
                config_sha256="",
                code_sha="",
                seed=0,
                strategies=(StrategyVersion(strategy_id="Matrix-001", path="", sha256=""),),
                data=(),
                capital=CAPITAL,
                currency="USD",
            ),
            ts_event=self.loop.time_ns(),
        )
        self.engine = EngineDouble(self.gate, self.clock.timestamp_ns, code)
        for market in self.markets:
            for outcome in market.outcomes:
                self.engine.instruments[outcome.instrument_id] = engine_instrument(
                    market, outcome, "USD", self.loop.time_ns()
                )
        self.context = LiveContext(
            port=self.port,
            gate=self.gate,
            ledger=self.ledger,
            currency="USD",
            provider=lambda: None,
            halted=lambda: self.halted,
            on_halt=self.halt,
        )
        self.client = HarnessClient(self.context, self.engine, self.clock)
        await self.client._connect()

    def halt(self, reason: str) -> None:
        """Stop trading."""
        self.halted = self.halted or reason

    async def close(self) -> None:
        """Stop client, venue and ledger."""
        await self.client._disconnect()
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
        address = await self._serve(self.fake.app())
        self.live = kalshi_venue(
            {
                "tickers": TICKERS,
                "base_url": f"http://{address}/trade-api/v2",
                "ws_url": f"ws://{address}/trade-api/ws/v2",
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
        self.port = self.live.port({})

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
        address = await self._serve(self.fake.app())
        http, ws = f"http://{address}", f"ws://{address}"
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
        port = self.live.port({})
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
        self._after()

    def level(self, market_id: str, side: Any, price: int, quantity: int) -> None:
        """Change a level of the public book."""
        self.exchange.level(market_id, side, price, quantity, self.loop.time_ns())
        self._after()

    def settle(self, market_id: str, payout: int) -> None:
        """Resolve a market, at the venue and as the feed tells it."""
        self.exchange.settle(market_id, payout, self.loop.time_ns())
        self._after()

    def _after(self) -> None:
        save = getattr(self.port, "_save", None)
        if save is not None:
            save()

    def instrument(self, market: Market, outcome: int = 0) -> str:
        """Return an instrument id."""
        return market.outcomes[outcome].instrument_id

    def cid(self, order: FakeOrder) -> str:
        """Return our id of a venue order: Polymarket knows it only by the hash that we signed."""
        if order.client_order_id:
            return order.client_order_id
        ids = getattr(self.port, "ids", None)
        sent = ids.by_order.get(order.order_id) if ids is not None else None
        return sent.client_order_id if sent is not None else f"unknown {order.order_id}"
