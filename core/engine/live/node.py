"""One node a process: venue, gate, ledger, strategies, on one event loop; stops in order on SIGTERM.

Start: ledger memory, markets, working orders of earlier runs cancelled at the venue, gate filled from the venue's
cash and holdings, then the engine reconciles and the strategies start. Stop: no new orders, working orders
cancelled or kept by policy, the run sealed.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.common import CacheConfig, Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.live import LiveNode, LiveRiskEngineConfig
from nautilus_trader.live.clients import DataClientFactory, ExecutionClientFactory
from nautilus_trader.model import TraderId

from core.domain.errors import BetaError, LedgerError
from core.domain.market import Market
from core.engine.backtest.strategies import StrategyPlan
from core.engine.catalog.instruments import is_spot
from core.engine.journal import Causes
from core.engine.live.adoption import adopt
from core.engine.live.assembly import engine_config, live_gate, live_session, live_strategy
from core.engine.live.audit import EVERY_S, Audit
from core.engine.live.away import holdings, settle_away
from core.engine.live.backlog import Backlog
from core.engine.live.beside import Beside
from core.engine.live.bought import adopted
from core.engine.live.client import VenueClient
from core.engine.live.clock_watch import watch_clock
from core.engine.live.collectable import collector_of
from core.engine.live.collector import EVERY_S as COLLECT_S
from core.engine.live.collector import collect
from core.engine.live.context import LiveContext
from core.engine.live.control import RiskWatch, limits_in_force, resumed_ns
from core.engine.live.events import events_of
from core.engine.live.feed import LiveFeed
from core.engine.live.feed_watch import FeedWatch, connections_of
from core.engine.live.grids import GridWatch
from core.engine.live.header import begin_run
from core.engine.live.health import Health, keep_heap_small
from core.engine.live.journal import OrderJournal
from core.engine.live.logs import STATUS_EVERY_S, NodeLog
from core.engine.live.memory import LedgerMemory, remember
from core.engine.live.merged_away import catch_up, settled_first
from core.engine.live.missed import missed
from core.engine.live.netting import Shares, shares_of
from core.engine.live.pauses import Collections, GiveWay, keep_pauses_short
from core.engine.live.port import VenuePort
from core.engine.live.ports import node_port
from core.engine.live.recorder import Recording
from core.engine.live.recording import About, parts_path, recording_path
from core.engine.live.run_config import is_synthetic
from core.engine.live.spot import SpotSource, spot_markets
from core.engine.live.status import NodeStatus
from core.engine.live.stopping import end_strategies, withdrawn
from core.engine.live.sweep import Sweep
from core.engine.live.unlisted import tell_gone, unlisted
from core.engine.live.venue import LiveVenue, wire_venue
from core.engine.paper.feed import PaperFeed
from core.engine.paper.port import PaperPort
from core.engine.quiet_imports import without_unneeded
from core.engine.session import Session
from core.ledger import DurableLedger
from core.ledger.kinds import RunEnded, RunMode, RunOutcome
from core.risk.gate import Gate
from core.risk.states import TradingState
from core.risk.volatility import STEP_NS

NO_THROTTLE = "1000000/00:00:01"
CLAIMS_PER_STRATEGY = 2_000
LEFT = "working orders could not be cancelled"
#: Quotes, trades and bars kept per instrument (the engine's default is 10,000, half a gigabyte for 100 markets).
TICK_CAPACITY = 100


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """What a node runs.

    Attributes
    ----------
    mode : RunMode
        PAPER (our own matching over the live market) or LIVE (the venue's).
    home : Path
        Folder of the node: ``ledger/``, ``paper.sqlite``.
    capital : Decimal
        Dollars of a new paper account.
    keep_orders : bool
        Leave working orders at the venue when the node stops.
    run_s : float
        Stop by itself after this many seconds; 0 = run on.
    record : bool
        Keep the market data of the run in ``recordings/<run_id>``.
    status_every_s : float
        Seconds between two lines of the log that say how the node is.
    audit_every_s : float
        Seconds between two comparisons of the gate's holdings and cash with the venue's.
    collect_every_s : float
        Seconds between two looks for pairs and winners to turn into dollars; 0 = never.
    limits : str
        Risk profile to put in force; empty = what is in force in ``risk/``.
    spot : SpotSource, optional
        Where spot prices behind the markets come from.
    look_ns : int
        Step on which the volatility governor sees prices: a minute of the market's time.
    """

    mode: RunMode
    venue: str
    plans: tuple[StrategyPlan, ...]
    home: Path
    capital: Decimal = Decimal(100)
    latency_s: float = 0.05
    keep_orders: bool = False
    run_s: float = 0.0
    seed: int = 0
    record: bool = True
    status_every_s: float = STATUS_EVERY_S
    audit_every_s: float = EVERY_S
    collect_every_s: float = COLLECT_S
    limits: str = ""
    spot: SpotSource | None = None
    look_ns: int = STEP_NS
    settings: Mapping[str, Any] = field(default_factory=dict)


class Node:
    """A paper or live node.

    Parameters
    ----------
    on_status : callable, optional
        Called about once a second with a `NodeStatus`.
    halted : callable
        Returns why trading is halted, or an empty string; asked before every order.
    """

    def __init__(
        self,
        spec: NodeSpec,
        venue: LiveVenue,
        *,
        on_status: Callable[[NodeStatus], None] | None = None,
        halted: Callable[[], str] = lambda: "",
    ) -> None:
        self.spec, self.venue, self.on_status = spec, venue, on_status
        self.run_id = f"{spec.mode.value}-{uuid.uuid4().hex[:12]}"
        self._halted_by, self._halt_reason, self._stopping = halted, "", ""
        self.gate: Gate
        self.session: Session
        self.ledger: DurableLedger
        self.client: VenueClient | None = None
        self.data: Any = None
        self.recording: Recording | None = None
        self.log: NodeLog
        self.links: dict[str, bool] = {}
        self.causes = Causes()
        self.spot: list[Market] = []
        self.began_with = Decimal(0)
        self._stop = asyncio.Event()
        self.started_ns = time.time_ns()
        self._loop_lag = 0.0
        self._counters: dict[str, int] = {}
        self._feed_watch: FeedWatch | None = None
        self._feed: LiveFeed
        self.backlog = Backlog()

    # -- halts ------------------------------------------------------------------------------
    def halted(self) -> str:
        """Return why nothing may leave, or an empty string; stopping in order is a reason too."""
        return self.trouble() or self._stopping

    def trouble(self) -> str:
        """Return what halts trading, or an empty string: an operator, the gate, the ledger."""
        held = self.gate.holds
        operator = held.reason if held.state is TradingState.HALTED else ""
        return self._halt_reason or operator or self._halted_by()

    def halt(self, reason: str) -> None:
        """Stop trading until the process restarts. Safe from any thread."""
        self._halt_reason = self._halt_reason or reason

    def stop(self) -> None:
        """Ask the node to stop in order."""
        self._stop.set()

    # -- run --------------------------------------------------------------------------------
    async def run(self) -> RunOutcome:
        """Run until stopped; raise what ended it.

        Raises
        ------
        BetaError
            If the venue, the ledger or a strategy failed.
        """
        keep_heap_small()
        home = self.spec.home
        home.mkdir(parents=True, exist_ok=True)
        memory = remember(home / "ledger", resumed_ns(home / "risk"))
        self.ledger = DurableLedger(
            home / "ledger", on_halt=lambda why: self.halt(f"ledger: {why}")
        )
        self.log = NodeLog(
            home, self.run_id, getattr(self.venue, "settings", None), self.spec.status_every_s
        )
        self.log.skip_to(self.ledger.head.seq)
        try:
            held = holdings(home / "ledger")
            markets = await self.venue.open({*held, *memory.unended})
            return await self._run(markets, memory, held)
        except BaseException as exc:
            self.log.say("node.failed", time.time_ns(), error=f"{type(exc).__name__}: {exc}")
            raise
        finally:
            await self.venue.close()
            self.ledger.close()
            self.log.close()

    async def _run(
        self, markets: list[Market], memory: LedgerMemory, held: Mapping[str, Decimal]
    ) -> RunOutcome:
        gone = unlisted(self.spec.home, markets, {*held, *memory.unended})
        self.venue.hold(gone)
        port = node_port(self.spec, self.venue, [*markets, *gone], memory)
        returns = collector_of(port) if self.spec.collect_every_s > 0 else None
        await settled_first(returns)
        limits = limits_in_force(self.spec.home / "risk", self.spec.limits, time.time_ns())
        self.gate = live_gate(
            [self.venue.code], [*markets, *gone], buys_in_cash=port.buys_in_cash, limits=limits
        )
        self.spot = spot_markets(self.spec.spot, markets)
        self.causes.fills = memory.fills
        self.causes.source = begin_run(
            self.ledger, self.run_id, self.spec, self.venue, self.gate.limits,
            [*markets, *self.spot], time.time_ns(),
        )  # fmt: skip
        written = OrderJournal(
            self.ledger, time.time_ns, port.venue, self.venue.currency, self.causes, memory.rows
        )
        shares = shares_of(self.spec.home / "ledger", self.venue.code)
        held = await missed(markets, memory, held, port, written, shares)
        markets = settle_away(
            markets, memory, held, port, self.ledger, self.venue.currency, time.time_ns(),
            (self.causes.source,), shares,
        )  # fmt: skip
        owner = f"{self.spec.plans[0].type.__name__}-001"
        context = self._context(port, memory, shares)
        await adopt(context, markets, memory, owner, time.time_ns(), gone)
        behind = await catch_up(
            context, returns, markets, memory, held, self.spec.home / "ledger", time.time_ns()
        )
        tell_gone(self.ledger, self.venue.code, gone, held, time.time_ns())
        self.began_with = self.gate.equity()
        self._record(markets)
        node = self._build(context, markets)
        keep_pauses_short()
        run = asyncio.ensure_future(node.run_async())
        handle = node.handle()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop)
        assert self.client is not None
        beside = Beside(context.halt, self.stop, self._say)
        status = beside.begin("report", self._report(port))
        collecting = collect(self.client, returns, self.spec.collect_every_s, behind)
        tasks = [
            beside.begin("watch over halts", self._watch(port).run()),
            beside.begin("garbage collection", Collections(self._busy).run()),
            beside.begin("audit", Audit(self.client, self.spec.audit_every_s).run()),
            beside.begin("collector", collecting),
        ]
        reason = await self._until_stopped(run)
        for task in tasks:
            task.cancel()
        self._stop_strategies(reason)
        reason += await self._withdraw(port)
        handle.stop()
        status.cancel()
        try:
            await run
        except RuntimeError as exc:  # unknown orders at shutdown are reported, not lost
            reason = reason or str(exc)[:300]
        failure = self.session.failure
        self._end(reason or "stopped")
        await self._finish_recording()
        if failure.error is not None:
            raise failure.error
        return RunOutcome.ENDED

    def _stop_strategies(self, reason: str) -> None:
        """Let no order leave and hand strategies no more market data, both between two news."""
        self._stopping = "the node is stopping"
        end_strategies(
            self.ledger, self.causes.source, self.run_id, self._feed, reason, self.spec.keep_orders
        )

    async def _withdraw(self, port: VenuePort) -> str:
        """Cancel what works unless it is to stay; return what is to be added to why the node stopped."""
        if self.spec.keep_orders or await withdrawn(self._sweep(port)):
            return ""
        self.halt(f"{LEFT}: cancel them at the venue, or start the node again, which does")
        return f"; {LEFT}"

    def _watch(self, port: VenuePort) -> RiskWatch:
        """Return the watch over halts, the operator's and the node's own."""
        return RiskWatch(
            self.gate,
            self.spec.home / "risk",
            self.ledger,
            self._sweep(port),
            self._liquidate,
            halted=lambda: self._halt_reason,
            say=self._say,
            busy=self._busy,
        )

    def _say(self, event: str, **values: Any) -> None:
        self.log.say(event, time.time_ns(), **values)

    def _in_flight(self) -> bool:
        return self.client is not None and self.client.in_flight

    def _busy(self) -> bool:
        """Whether an order is being made, sent or answered: what can wait waits."""
        return self.client is not None and bool(self.client.early or self.client.in_flight)

    def _sweep(self, port: VenuePort) -> Sweep:
        return Sweep(port, self._in_flight, self._say)

    async def _until_stopped(self, run: asyncio.Future[Any]) -> str:
        """Wait for a stop, the end of the engine, a failed strategy or the time limit."""
        waiter = asyncio.create_task(self._stop.wait())
        deadline = self.spec.run_s or None
        try:
            await asyncio.wait({waiter, run}, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if run.done() and not run.cancelled() and (error := run.exception()) is not None:
            self.halt(f"the engine failed: {error}; mend what it names, then start the node again")
            return f"engine: {error}"
        return "signal" if self._stop.is_set() else "time limit"

    def _liquidate(self) -> None:
        """Sell everything each strategy holds at the bid; the gate lets sales through."""
        for strategy in self.session.strategies:
            strategy.market_exit()

    # -- building ---------------------------------------------------------------------------
    def _record(self, markets: list[Market]) -> None:
        """Prepare the recording: what is followed, and what the account held before the first order."""
        if not self.spec.record:
            return
        home, book, code = self.spec.home, self.gate.book, self.venue.code
        about = About(
            run_id=self.run_id,
            mode=self.spec.mode.value,
            venue=code,
            instruments=tuple(
                sorted(o.instrument_id for m in [*markets, *self.spot] for o in m.outcomes)
            ),
            cash=str(self.gate.cash(code)),
            positions={i: str(self.gate.position(s, i)) for s, i in sorted(book.holdings)},
            latency_s=self.spec.latency_s,
            synthetic=is_synthetic(self.venue),
            started_ns=time.time_ns(),
        )
        self.recording = Recording(
            parts_path(home, self.run_id),
            recording_path(home, self.run_id),
            about,
            [*markets, *self.spot],
        )

    async def _finish_recording(self) -> None:
        """Seal the recording; when that fails its parts stay, and `beta parity` tries again."""
        if self.recording is not None:
            try:
                await asyncio.to_thread(self.recording.finish)
            except (BetaError, OSError) as exc:
                self.recording.error = str(exc)

    def _end(self, reason: str) -> None:
        try:
            self.ledger.end_run(
                RunEnded(
                    run_id=self.run_id,
                    outcome=RunOutcome.ENDED,
                    reason=reason[:500],
                    decision_hash=self.session.journal.hash.hexdigest(),
                ),
                ts_event=time.time_ns(),
            )
        except LedgerError as exc:
            self.halt(exc.what)

    def _context(self, port: VenuePort, memory: LedgerMemory, shares: Shares) -> LiveContext:
        return LiveContext(
            port=port,
            gate=self.gate,
            ledger=self.ledger,
            currency=self.venue.currency,
            provider=lambda: self.venue.provider(lambda market: None, time.time_ns),
            owners=memory.owners,
            instrument_owners=memory.last_owner,
            known_trades=memory.trades,
            provisional=memory.provisional,
            shares=shares,
            markets=memory.markets,
            resolved=set(memory.settled),
            leftovers=memory.leftovers,
            resume_ns=memory.resume_ns,
            causes=self.causes,
            last_rows=memory.rows,
            halted=self.halted,
            on_halt=self.halt,
            on_link=lambda venue, up: self.links.__setitem__(venue, up),
        )

    def _on_market(self, port: VenuePort) -> Callable[[Market], None]:
        grids = GridWatch(self.gate, self.ledger, time.time_ns, (self.causes.source,))

        def take(market: Market) -> None:
            self.gate.on_market(market)
            grids.look(market)
            if self.recording is not None:
                self.recording.on_market(market)
            if isinstance(port, PaperPort):
                port.on_market(market)

        return take

    def _build(self, context: LiveContext, markets: list[Market]) -> LiveNode:
        """Return the engine's node with clients, feed and strategies."""
        owner, port = self, context.port

        class Data(DataClientFactory):
            """Make the data client."""

            @staticmethod
            def create(*, name: str, config: Any, cache: Any, clock: Any) -> Any:
                owner.data = owner.venue.data_client(
                    name=name,
                    config=config,
                    cache=cache,
                    clock=clock,
                    on_market=owner._on_market(port),
                    on_status=owner._on_status(port),
                    on_settled=owner._on_settled(context),
                )
                if (serve := getattr(owner.data, "serve", None)) is not None:
                    serve(owner.backlog, owner.gate.on_barred, context.halt)
                return owner.data

        class Execution(ExecutionClientFactory):
            """Make the execution client."""

            @staticmethod
            def create(*, name: str, config: Any, cache: Any, clock: Any, trader_id: Any) -> Any:
                owner.client = VenueClient(
                    context=context,
                    name=name,
                    config=config,
                    cache=cache,
                    clock=clock,
                    trader_id=trader_id,
                )
                return owner.client

        builder = LiveNode.builder("beta-trader", TraderId("BETA-001"), Environment.LIVE)
        builder = (
            builder.with_logging(LoggerConfig(stdout_level=LogLevel.ERROR, is_colored=False))
            .with_cache_config(CacheConfig(tick_capacity=TICK_CAPACITY, bar_capacity=TICK_CAPACITY))
            .with_exec_engine_config(engine_config())
            .with_risk_engine_config(
                LiveRiskEngineConfig(
                    max_order_submit_rate=NO_THROTTLE, max_order_modify_rate=NO_THROTTLE
                )
            )
            .with_delay_post_stop_secs(1)
            .add_data_client(self.venue.code, Data, DataClientConfig())
            .add_exec_client(self.venue.code, Execution, ExecutionClientConfig())
        )
        if self.spot and self.spec.spot is not None:
            builder = wire_venue(self.spec.spot.venue, builder, self.spec.spot.settings)
        with without_unneeded():
            node = builder.build()
        self._add_strategies(node, context, markets)
        return node

    def _add_strategies(self, node: LiveNode, context: LiveContext, markets: list[Market]) -> None:
        self.session = live_session(
            [*markets, *self.spot],
            events_of(markets),
            self.gate,
            self.ledger,
            {self.venue.code: self.venue.currency},
            lambda cid, seq: (
                self.client.journal.link(cid, seq) if self.client is not None else None
            ),
            self.spec.seed,
            self.causes,
        )
        self.session.early = self.client.early if self.client is not None else None
        self.session.adopted = adopted(self.gate, self.spec.home / "ledger", time.time_ns())
        refs = [r for r in self.session.references if not is_spot(r.market)]
        if self.recording is not None:
            node.add_actor(self.recording.actor(self.backlog))
        self._feed = LiveFeed(self.session, refs, refs, look_ns=self.spec.look_ns)
        self._feed.serve(context, self.backlog)
        node.add_actor(self._feed)
        if isinstance(context.port, PaperPort):
            feed = PaperFeed()
            feed.port, feed.backlog = context.port, self.backlog
            feed.instruments = tuple(m.outcomes[0].instrument_id for m in markets)
            node.add_actor(feed)
        claims = [r.iid for r in refs][:CLAIMS_PER_STRATEGY]
        for index, plan in enumerate(self.spec.plans):
            strategy = live_strategy(plan, index, claims if index == 0 else ())
            strategy.bind(self.session)
            self.session.registered.append(strategy)
            node.add_strategy(strategy)

    def _on_status(self, port: VenuePort) -> Callable[[str, Any], None]:
        def take(market_id: str, status: Any) -> None:
            self.gate.on_status(market_id, status)
            if isinstance(port, PaperPort):
                port.on_status(market_id, status)

        return take

    def _on_settled(self, context: LiveContext) -> Callable[[str, Decimal], None]:
        def take(instrument_id: str, payout: Decimal) -> None:
            context.resolved.add(instrument_id)
            if isinstance(context.port, PaperPort):
                context.port.on_settlement(instrument_id, payout)
            if self.client is not None:
                self.client.refresh_cash()

        return take

    # -- status -----------------------------------------------------------------------------
    async def _report(self, port: VenuePort) -> None:
        while True:
            due = time.monotonic() + 1.0
            await asyncio.sleep(1.0)
            self._loop_lag = max(self._loop_lag, time.monotonic() - due)
            if self.session.clock is not None:  # the governors judge what holdings are worth now
                self.session.mark_all()
                self.session.watch_holds()
            if self.on_status is not None and hasattr(self, "session"):
                self.on_status(NodeStatus.of(self, port))
            if self.session.failure.error is not None:
                self.stop()
            self._watch_feeds(port)
            await self._log(port)

    def _watch_feeds(self, port: VenuePort) -> None:
        """Write bad frames, gaps and breaks of the venue's connections as rows; clocks that differ stop buying."""
        if self._feed_watch is None:
            self._feed_watch = FeedWatch(self.ledger)
        connections = {**connections_of(self.data), **connections_of(port)}
        self._counters = self._feed_watch.look(connections, time.time_ns())
        watch_clock(self.gate, connections, time.time_ns())

    async def _log(self, port: VenuePort) -> None:
        """Let the log catch up with the ledger, and say how the node is when that is due."""
        await asyncio.to_thread(self.log.follow, GiveWay(self._busy))
        now = time.monotonic()
        if self.log.wants_status(now, self.halted()):
            writer = self.recording.writer if self.recording is not None else None
            health, lag, self._loop_lag = Health.now(), self._loop_lag, 0.0
            self.log.status(
                now,
                time.time_ns(),
                NodeStatus.of(self, port),
                links=dict(self.links),
                recorded_rows=writer.rows if writer is not None else 0,
                recording_lost=writer.lost if writer is not None else 0,
                rss_mb=health.rss_mb,
                tasks=health.tasks,
                threads=health.threads,
                files=health.files,
                loop_lag_s=round(lag, 4),
                feed_delay_s=round(self.backlog.worst_delay_s(), 4),
                feed_lag_s=round(self.backlog.worst_lag_s(), 4),
                reader_waits=self.backlog.waits,
                unseen=self.backlog.unseen,
                **self._counters,
            )
