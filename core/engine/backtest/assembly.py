"""From a universe to an engine that is ready to run: venues, data streams, session, strategies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestDataConfig, BacktestEngineConfig
from nautilus_trader.common import CacheConfig, LoggerConfig
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import NautilusDataType
from nautilus_trader.risk import RiskEngineConfig

from core.domain.errors import UsageError
from core.engine.backtest.hindsight import at_start
from core.engine.backtest.limits import limits_of
from core.engine.backtest.merges import RecordedMerges, recorded_merges
from core.engine.backtest.recorded import RecordedFeed
from core.engine.backtest.rows import MergedRows
from core.engine.backtest.runners import DirectRunner, Runner, StreamingRunner, VenuePlan
from core.engine.backtest.spec import BacktestSpec
from core.engine.backtest.strategies import StrategyPlan
from core.engine.backtest.universe import Universe
from core.engine.catalog import CURRENCY, Kind
from core.engine.feed import Feed
from core.engine.fees import fee_models
from core.engine.foretold import LiveNews
from core.engine.guard import Failure
from core.engine.hearing import OwnNews
from core.engine.journal import Journal
from core.engine.merging import MergeBook
from core.engine.mirror import MirrorGuard
from core.engine.quiet_imports import without_unneeded
from core.engine.references import InstrumentRef, PriceSource
from core.engine.session import SAMPLED_FROM_START, Session
from core.ledger import Ledger
from core.risk.gate import Gate
from core.risk.instruments import VenueRules
from core.risk.volatility import STEP_NS

#: More files than this are read directly, up to this many rows (they are held as columns, 60 bytes a row).
MANY_FILES = 400
DIRECT_ROWS = 5_000_000
#: Ticks kept per instrument; the engine reserves this much for each (its default is 10,000).
TICK_CAPACITY = 100
#: The engine's own throttle silently denies bursts; rates are the gate's business.
NO_THROTTLE = "1000000/00:00:01"
#: Points of the sampling grid over the whole period.
GRID_POINTS = 400
#: Most looks of the volatility governor over the whole period.
LOOKS = 20_000

#: Streams in the order in which data of one moment is processed: a trade before the book change it caused
#: (queue position), settlement last.
STREAMS: tuple[tuple[Kind, NautilusDataType], ...] = (
    (Kind.STATUSES, NautilusDataType.InstrumentStatus),
    (Kind.TRADES, NautilusDataType.TradeTick),
    (Kind.DELTAS, NautilusDataType.OrderBookDelta),
    (Kind.QUOTES, NautilusDataType.QuoteTick),
    (Kind.BARS, NautilusDataType.Bar),
    (Kind.CLOSES, NautilusDataType.InstrumentClose),
)


@dataclass
class Assembly:
    """An engine ready to run, and the session its strategies share."""

    runner: Runner
    session: Session
    strategies: list[Any]
    merges: RecordedMerges | None = None


def assemble(
    universe: Universe,
    spec: BacktestSpec,
    plans: list[StrategyPlan],
    ledger: Ledger | None,
    on_grid: Callable[[int], None] | None,
    source: int = 0,
) -> Assembly:
    """Return the engine of one run, with everything added and nothing started.

    Parameters
    ----------
    source : int
        Ledger row of the data set.
    """
    session = new_session(universe, spec, len(plans), ledger, source)
    merges = recorded_merges(spec.merges, universe.venues, session)
    venues = [_venue(code, universe, session, merges) for code in universe.all_venues]
    runner: Runner
    if read_directly(universe):
        rows = MergedRows(universe, [kind for kind, _ in STREAMS], _uses(universe))
        runner = DirectRunner(
            venues, list(universe.references), _codes(universe), rows, engine_config()
        )
    else:
        runner = StreamingRunner(venues, streams(universe), engine_config(), universe.records)
    feed = _feed(universe, session, on_grid, spec.look_ns)
    if merges is not None and isinstance(feed, RecordedFeed):
        feed.merges = merges
    runner.add_actor(feed)
    strategies = [plan.type(plan.config) for plan in plans]
    for strategy in strategies:
        strategy.bind(session)
        session.registered.append(strategy)
        runner.add_strategy(strategy)
    return Assembly(runner, session, strategies, merges)


def read_directly(universe: Universe) -> bool:
    """Return whether the data is many small files: then opening them costs more than reading them here.

    Raises
    ------
    UsageError
        If the data needs direct reading and is too large for it.
    """
    files = [e for r in universe.references for e in universe.catalog.manifest_of(r.iid)]
    rows = sum(e.rows for e in files)
    shaped = universe.mixed or bool(universe.at_close)
    if shaped and rows > DIRECT_ROWS:
        kinds = "books and quotes" if universe.mixed else "bars and trades"
        raise UsageError(
            f"{kinds} of one venue can be run together only in smaller data",
            f"{rows} rows, at most {DIRECT_ROWS}",
            "choose markets with --market, or a shorter --period",
        )
    return shaped or (len(files) > MANY_FILES and rows <= DIRECT_ROWS)


def engine_config() -> BacktestEngineConfig:
    """Return the engine's settings: no analysis, no logging, small caches."""
    return BacktestEngineConfig(
        run_analysis=False,
        cache=CacheConfig(tick_capacity=TICK_CAPACITY, bar_capacity=TICK_CAPACITY),
        risk_engine=RiskEngineConfig(
            max_order_submit_rate=NO_THROTTLE, max_order_modify_rate=NO_THROTTLE
        ),
        # Quotes of books are derived by `core.engine.delivery`, only where somebody watches them.
        data_engine=DataEngineConfig(emit_quotes_from_book=False, buffer_deltas=True),
        logging=LoggerConfig(bypass_logging=True),
    )


def new_session(
    universe: Universe,
    spec: BacktestSpec,
    strategies: int,
    ledger: Ledger | None,
    source: int = 0,
) -> Session:
    """Return the session of a run: gate with markets and capital, fee books, merge books, journal."""
    books = {code: venue.fee_book() for code, venue in universe.venues.items()}
    gate = Gate(
        [
            VenueRules(code, books[code], nets_outcomes=venue.nets_outcomes)
            for code, venue in universe.venues.items()
        ],
        limits=limits_of(spec),
        key=hashlib.sha256(f"backtest:{spec.seed}".encode()).digest(),
    )
    begun = {m.market_id: m for m in universe.markets.values()}
    begun = {market_id: at_start(market) for market_id, market in begun.items()}
    for market in begun.values():
        if market.venue in books:
            gate.on_market(market)
    for code, amount in universe.capital.items():
        gate.on_cash(code, amount)
    failure = Failure()
    currencies = {code: venue.currency for code, venue in universe.venues.items()}
    session = Session(
        references=universe.references,
        markets={iid: begun[m.market_id] for iid, m in universe.markets.items()},
        events=universe.events,
        gate=gate,
        fee_books=books,
        journal=Journal(ledger, currencies),
        failure=failure,
        latency_ns={c: _latency_ns(c, universe, spec) for c in universe.all_venues},
        fan_out=strategies > 1 or spec.arrivals is not None or spec.ending is not None,
        seed=spec.seed,
        merging={
            code: MergeBook()
            for code, venue in universe.venues.items()
            if venue.nets_outcomes
            or (venue.merge_pairs and spec.merge_pairs and spec.merges is None)
        },
        mirror=MirrorGuard(),
        queue_position=spec.queue_position,
        begin_ns=universe.start_ns if universe.data_start_ns < universe.start_ns else 0,
        arrivals=spec.arrivals,
        own_news=_own_news(spec),
        ending=spec.ending,
    )
    session.fee_models = fee_models(
        books, currencies, universe.references, session.merging, session.now_ns, failure
    )
    for model in session.fee_models.values():
        model.on_trade, model.sent = session.took, session.journal.orders
    session.journal.causes.source = source
    session.keep_account(universe.start_ns)
    for ref in list(universe.references)[:SAMPLED_FROM_START]:
        session.traded(ref)
    return session


def _own_news(spec: BacktestSpec) -> OwnNews | None:
    """Return what tells of own orders in a replay of a node's run."""
    if spec.arrivals is None:
        return None
    return (LiveNews if spec.arrivals.foretold else OwnNews)(spec.arrivals)


def streams(universe: Universe) -> list[BacktestDataConfig]:
    """Return the data streams of a run, in the order in which data of one moment is processed."""
    out = []
    path, uses = str(universe.catalog.root), _uses(universe)
    for kind, data_type in STREAMS:
        refs = [r for r in universe.references if uses(kind, r)]
        if not refs:
            continue
        options: dict[str, Any] = {
            "start_time": universe.data_start_ns,
            "end_time": universe.end_ns,
        }
        if kind is Kind.BARS:
            options["bar_types"] = [b for r in refs for b in r.bar_types]
        else:
            options["instrument_ids"] = [r.native for r in refs]
        if kind is Kind.DELTAS:
            options["batch_deltas"] = True  # a half-built snapshot must never be traded on
        with without_unneeded():  # the engine takes pandas for its times where it finds it
            out.append(BacktestDataConfig(data_type, path, **options))
    return out


def _uses(universe: Universe) -> Callable[[Kind, InstrumentRef], bool]:
    """Return whether a kind of data is used: recorded quotes give way to the book they came from."""

    def uses(kind: Kind, ref: InstrumentRef) -> bool:
        if kind not in universe.kinds[ref.iid]:
            return False
        return not (kind is Kind.QUOTES and Kind.DELTAS in universe.kinds[ref.iid])

    return uses


def _codes(universe: Universe) -> Callable[[InstrumentRef], tuple[str, str]]:
    """Return base and quote currency of an instrument; an outcome has no base."""

    def codes(ref: InstrumentRef) -> tuple[str, str]:
        quote = universe.quotes_in.get(ref.iid)
        return (ref.market.underlying, quote) if quote else ("", CURRENCY)

    return codes


def _latency_ns(code: str, universe: Universe, spec: BacktestSpec) -> int:
    if spec.arrivals is not None:
        return 0  # each order is sent at its own arrival
    venue = universe.venues.get(code)
    default = venue.default_latency_ms if venue is not None else 0.0
    return round((default if spec.latency_ms is None else spec.latency_ms) * 1_000_000)


def _venue(
    code: str, universe: Universe, session: Session, merges: RecordedMerges | None
) -> VenuePlan:
    refs = [r for r in universe.references if r.venue == code]
    sources = {r.source for r in refs}
    latency = session.latency_ns.get(code, 0)
    venue = universe.venues.get(code)
    quote = universe.quotes_in.get(refs[0].iid, CURRENCY)
    return VenuePlan(
        code=code,
        currency=venue.currency if venue is not None else quote,
        capital=universe.capital.get(code, Decimal(0))
        + (Decimal(0) if merges is None else merges.lent(code)),
        spot=all(len(r.market.outcomes) == 1 for r in refs),
        deep=PriceSource.BOOK in sources,
        fee_model=session.fee_models.get(code) or MakerTakerFeeModel(Decimal(0), Decimal(0)),
        latency_model=StaticLatencyModel(latency) if latency else None,
        queue_position=session.queue_position,
        bar_execution=sources <= {PriceSource.BARS, PriceSource.NONE},
    )


def _feed(
    universe: Universe, session: Session, on_grid: Callable[[int], None] | None, look_ns: int
) -> Feed:
    refs = list(universe.references)
    step = max((universe.end_ns - universe.start_ns) // GRID_POINTS, 1)
    # Between two daily bars there is nothing to see: looking there would only call every bar a jump.
    looks = max(min(LOOKS, universe.records), 1)
    recorded = session.arrivals is not None or session.ending is not None
    return (RecordedFeed if recorded else Feed)(
        session,
        statuses=[r for r in refs if Kind.STATUSES in universe.kinds[r.iid]],
        closes=[r for r in refs if Kind.CLOSES in universe.kinds[r.iid]],
        grid=(universe.start_ns, step),
        on_grid=on_grid,
        look_ns=look_ns or max(STEP_NS, (universe.end_ns - universe.start_ns) // looks),
    )
