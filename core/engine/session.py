"""One run as its strategies share it: instruments, gate, fees, clock, journal, marks, failure."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nautilus_trader.model import LiquiditySide, OrderSide

from core.domain.fees import FeeBook, FeeCharge, FeeFill, Role, Side
from core.domain.market import Event, Market
from core.domain.money import ZERO
from core.engine.adopted import Adopted
from core.engine.curve import EquitySampler, PriceSampler
from core.engine.draws import Draws, seeded_by
from core.engine.fees import Charged, VenueFeeModel
from core.engine.guard import Failure
from core.engine.journal import Journal
from core.engine.liquidity import TakenLiquidity
from core.engine.merging import MergeBook
from core.engine.mirror import MirrorGuard
from core.engine.references import InstrumentRef, PriceSource, References
from core.engine.results import MAX_PRICE_POINTS
from core.engine.units import exact, price_of
from core.risk.gate import Gate
from core.risk.states import TradingState
from core.risk.units import dollars, nanos_of_text

if TYPE_CHECKING:
    from core.domain.decision import OrderIntent
    from core.engine.arrivals import Arrivals, Ending
    from core.engine.feed import Feed
    from core.engine.hearing import OwnNews

#: Instruments whose price is sampled from the start; others from their first order on.
SAMPLED_FROM_START = 8
#: On a node the clock runs on within a callback: a draw this old still belongs to the decision.
SAME_MOMENT_NS = 50_000_000


class Moments:
    """The time that a strategy on a node sees: while news is handled, when that news was received.

    What it decides then depends on the data alone, and a replay of the data decides the same.

    Attributes
    ----------
    at_ns : int
        Moment of the news that is being handled; 0 between news.
    last_ns : int
        Moment of the newest news that was handled.
    """

    __slots__ = ("at_ns", "clock", "last_ns")

    def __init__(self) -> None:
        self.at_ns = self.last_ns = 0
        self.clock: Any = None

    def timestamp_ns(self) -> int:
        """Return the moment, nanoseconds since 1970 UTC."""
        return self.at_ns or int(self.clock.timestamp_ns())


class Early(Protocol):
    """Begins what an order needs before it leaves, while it is still in the engine's queue."""

    def begin(self, intent: OrderIntent, price: Decimal) -> None:
        """Begin for an approved intent; `price` is the limit, or the worst price of a market order."""

    def denied(self, client_order_id: str, reason: str) -> None:
        """Take back what was begun: the engine has refused the order."""


class Level(NamedTuple):
    """One price level: dollars per share, shares."""

    price: Decimal
    size: Decimal


@dataclass
class Session:
    """Everything that the components of one run share.

    Attributes
    ----------
    latency_ns : dict
        Order latency by venue code; 0 = none.
    redeem_on_submit : bool
        Backtest: the strategy redeems the gate's approval itself. Paper and live: the execution
        client does, just before the bytes leave.
    fan_out : bool
        Whether market data goes through the feed actor (needed with two or more strategies).
    seed : int
        Seed of `BetaStrategy.rng`.
    moments : Moments, optional
        On a node: the time of the news in hand. None in a backtest, whose clock stands still meanwhile.
    arrivals : Arrivals, optional
        In a replay of a recorded run: when each order reached the venue then.
    early : Early, optional
        On a node: is told of an order just before the engine, and of one that the engine refused.
    own_news : OwnNews, optional
        In a replay of a recorded run: what is told when the node knew it.
    ending : Ending, optional
        In a replay of a recorded run: when its strategies were stopped.
    price_points : int
        Points of each sampled price that are kept.
    refilled : Decimal
        Shares that the engine filled as maker from a level that the order crosses: the remainder of a
        crossing GTC order may meet liquidity that it took before.
    """

    references: References
    markets: Mapping[str, Market]
    events: Mapping[str, Event]
    gate: Gate
    fee_books: Mapping[str, FeeBook]
    journal: Journal
    failure: Failure
    latency_ns: Mapping[str, int] = field(default_factory=dict)
    redeem_on_submit: bool = True
    fan_out: bool = False
    seed: int = 0
    fee_models: dict[str, VenueFeeModel] = field(default_factory=dict)
    merging: dict[str, MergeBook] = field(default_factory=dict)
    feed: Feed | None = None
    registered: list[Any] = field(default_factory=list)
    strategies: list[Any] = field(default_factory=list)
    curve: EquitySampler = field(default_factory=EquitySampler)
    prices: dict[str, PriceSampler] = field(default_factory=dict)
    price_points: int = MAX_PRICE_POINTS
    payouts: dict[str, Decimal] = field(default_factory=dict)
    last_price: dict[str, Decimal] = field(default_factory=dict)
    last_bid: dict[str, Decimal] = field(default_factory=dict)
    mirror: MirrorGuard | None = None
    liquidity: TakenLiquidity = field(default_factory=TakenLiquidity)
    refilled: Decimal = ZERO
    values: dict[str, int] = field(default_factory=dict)
    value: int = 0
    begin_ns: int = 0
    queue_position: bool = True
    moments: Moments | None = None
    arrivals: Arrivals | None = None
    own_news: OwnNews | None = None
    ending: Ending | None = None
    adopted: Mapping[str, Mapping[str, Adopted]] = field(default_factory=dict)
    early: Early | None = None

    def __post_init__(self) -> None:
        """Note the engine's thread: engine objects abort the process when another one touches them."""
        self.thread_id = threading.get_ident()
        self.clock: Any = None
        self.cache: Any = None
        self.universe = tuple(sorted(self.references.by_iid))
        self.wake: Callable[[int], None] = lambda ts_ns: None

    def attach(self, clock: Any, cache: Any) -> None:
        """Take the engine's clock and cache once it has started."""
        self.clock, self.cache = self.clock_of(clock), cache
        self._top_of_book = cache.top_of_book

    def clock_of(self, clock: Any) -> Any:
        """Return what a component reads the time from: the engine's clock, on a node the moment of the news."""
        if self.moments is None:
            return clock
        self.moments.clock = clock
        return self.moments

    def now_ns(self) -> int:
        """Return the time of the engine, nanoseconds since 1970 UTC."""
        now: int = self.clock.timestamp_ns()
        return now

    def randomness(self, stream: str, clock: Callable[[], int]) -> random.Random:
        """Return the seeded random source of a strategy; with a ledger what it draws for a decision is kept."""
        journal = self.journal
        if journal.ledger is None:
            return random.Random(seeded_by(self.seed, stream))
        within = 0 if self.moments is None else SAME_MOMENT_NS
        source = Draws.of(stream, self.seed, clock, within)
        journal.draws[stream] = source
        return source

    def charged(self, venue: str, event: Any) -> Charged:
        """Return a fill of a node with the fee that the venue took (a backtest's: `VenueFeeModel.take`)."""
        fee = event.commission.as_decimal() if event.commission is not None else ZERO
        return (
            FeeCharge(fee, f"{venue.lower()}.as_charged"),
            ZERO,
            Side.BUY if event.order_side == OrderSide.BUY else Side.SELL,
            Role.MAKER if event.liquidity_side == LiquiditySide.MAKER else Role.TAKER,
            exact(event.last_px),
            exact(event.last_qty),
        )

    # -- prices -----------------------------------------------------------------------------
    def top(self, ref: InstrumentRef) -> tuple[Level | None, Level | None]:
        """Return best bid and ask; None where a side is empty or nothing was seen yet.

        The engine is asked once per event, and what it says is converted only when it has changed.
        """
        if ref.current:
            return ref.levels
        if ref.source is PriceSource.BOOK:
            found, last = self._top_of_book(ref.native), ref.last_top
            ref.current = ref.tracked
            if found == last:
                return ref.levels
            ref.last_top = found
            if found is None:
                ref.levels = (None, None)
            else:  # a change moves one side, nearly always
                best, offer = ref.levels
                bid, bid_size, ask, ask_size = found
                if last is None or bid_size != last[1] or bid != last[0]:
                    best = None if bid is None else Level(exact(bid), exact(bid_size))
                if last is None or ask_size != last[3] or ask != last[2]:
                    offer = None if ask is None else Level(exact(ask), exact(ask_size))
                ref.levels = (best, offer)
        elif ref.source is PriceSource.QUOTES:
            quote = ref.news if ref.tracked else self.cache.quote(ref.native)
            ref.current = ref.tracked
            if quote is None:
                ref.levels = (None, None)
            else:
                bid_size, ask_size = exact(quote.bid_size), exact(quote.ask_size)
                ref.levels = (
                    Level(exact(quote.bid_price), bid_size) if bid_size else None,
                    Level(exact(quote.ask_price), ask_size) if ask_size else None,
                )
        if ref.iid in self.liquidity.iids:
            self.liquidity.seen_top(ref.iid, *ref.levels)
        return ref.levels

    def mark_price(self, ref: InstrumentRef) -> Decimal | None:
        """Return what a share is worth now: the bid; 0 when only asks are left; else the last price."""
        bid, ask = ref.levels if ref.current else self.top(ref)
        if bid is not None:
            return bid.price
        if ask is not None:
            return ZERO
        if ref.source is PriceSource.TRADES and (trade := self.cache.trade(ref.native)) is not None:
            return exact(trade.price)
        return self.last_price.get(ref.iid)

    def mark(self, ref: InstrumentRef, now_ns: int = 0) -> None:
        """Tell the gate what the market of a held instrument looks like, now (0: the clock is asked)."""
        best, offer = ref.levels if ref.current else self.top(ref)
        if best is None or offer is None:
            bid, ask = self.reference(ref)
        else:
            bid, ask = best.price, offer.price
        ref.marked = ref.levels
        if bid is not None or ask is not None:
            self.gate.on_mark(ref.iid, bid, ask, now_ns or self.now_ns())

    def reference(self, ref: InstrumentRef) -> tuple[Decimal | None, Decimal | None]:
        """Return bid and ask prices; without a book both are the last price."""
        bid, ask = ref.levels if ref.current else self.top(ref)
        if bid is None and ask is None:
            last = self.mark_price(ref)
            return last, last
        return (None if bid is None else bid.price), (None if ask is None else ask.price)

    def mark_all(self) -> None:
        """Tell the gate about the markets of everything held that is part of the run."""
        for iid in list(self.gate.book.held):
            if (ref := self.references.by_iid.get(iid)) is not None:
                self.mark(ref)

    # -- value at the bid -------------------------------------------------------------------
    def revalue(self, ref: InstrumentRef) -> None:
        """Value what is held of one instrument at the bid (result rows and equity curve)."""
        iid = ref.iid
        held = self.gate.book.held.get(iid, 0)
        if not held:
            self.value -= self.values.pop(iid, 0)
            return
        bid = (ref.levels if ref.current else self.top(ref))[0]
        price = self.mark_price(ref) if bid is None else bid.price
        if price is not None:
            self.last_bid[iid] = price
        else:  # an empty book (between close and settlement) is no crash: the last bid stands
            price = self.last_bid.get(iid)
        value = held * (nanos_of_text(str(price)) or 0) if price is not None else 0
        self.value += value - self.values.get(iid, 0)
        self.values[iid] = value

    def revalue_all(self) -> None:
        """Value everything held at the bid."""
        for iid in {*self.values, *self.gate.book.held}:
            if (ref := self.references.by_iid.get(iid)) is not None:
                self.revalue(ref)

    @property
    def equity_at_bid(self) -> int:
        """Cash plus everything held at the bid, in 1e-18 dollars."""
        return self.gate.book.cash_total + self.value

    def took(self, ref: InstrumentRef, fill: FeeFill) -> None:
        """Remember a fill that took from the shown book: a taker's, or one of an order that crosses it."""
        if ref.source is not PriceSource.BOOK and ref.source is not PriceSource.QUOTES:
            return
        side, price = fill.side, fill.price
        bid, ask = ref.levels if ref.current else self.top(ref)
        best = ask if side is Side.BUY else bid
        at_top = best is not None and price == best.price
        shown = at_top or (
            best is not None and (price > best.price if side is Side.BUY else price < best.price)
        )
        if fill.role is Role.MAKER:
            if not shown:
                return
            self.refilled += fill.quantity
        size = best.size if best is not None and at_top else self._size_at(ref, fill)
        self.liquidity.take(ref, side, price, fill.quantity, size)

    def _size_at(self, ref: InstrumentRef, fill: FeeFill) -> Decimal:
        """Return the shown size of a level behind the top; 0 when it is not shown."""
        book = self.cache.order_book(ref.native) if ref.source is PriceSource.BOOK else None
        if book is None:
            return ZERO
        side = OrderSide.BUY if fill.side is Side.BUY else OrderSide.SELL
        price = price_of(fill.price, ref.price_precision)
        for at, size in book.get_all_crossed_levels(side, price, ref.size_precision):
            if exact(at) == fill.price:
                return exact(size)
        return ZERO

    # -- samples ----------------------------------------------------------------------------
    def sample(self, ts_ns: int, *, keep: bool = False) -> None:
        """Take a point of the equity curve and of the sampled prices; let the governors look."""
        self.mark_all()
        self.revalue_all()
        self.gate.on_time(ts_ns)
        self.curve.add(ts_ns, self.equity_at_bid, self.gate.book.cash_total, keep=keep)
        for iid, sampler in self.prices.items():
            self.sample_price(sampler, self.references.by_iid[iid], ts_ns)
        self.watch_holds()

    def look_at_prices(self, ts_ns: int) -> None:
        """Show the volatility governor the prices of what is traded."""
        gate, references = self.gate, self.references.by_iid
        for iid in self.prices:
            gate.on_price(iid, *self.reference(references[iid]), ts_ns)
        self.watch_holds()

    def watch_holds(self) -> None:
        """Keep what the risk layer has moved; sell everything when it says so."""
        gate = self.gate
        if not gate.stirred:
            return
        for event in gate.drain():
            self.journal.risk(event)
        if gate.holds.state is TradingState.LIQUIDATING:
            for strategy in self.strategies:
                strategy.liquidate(gate.holds.reason)

    def sample_price(self, sampler: PriceSampler, ref: InstrumentRef, ts_ns: int) -> None:
        """Take a point of one instrument's price."""
        bid, ask = ref.levels if ref.current else self.top(ref)
        if bid is None and ask is None:
            last = self.mark_price(ref)
            if last is not None:
                sampler.add(ts_ns, last, last)
            return
        sampler.add(ts_ns, None if bid is None else bid.price, None if ask is None else ask.price)

    def traded(self, ref: InstrumentRef) -> None:
        """Begin to sample the price of an instrument that is traded."""
        if ref.iid not in self.prices:
            self.prices[ref.iid] = PriceSampler(ref.iid, self.price_points)

    def filled(self, ref: InstrumentRef, ts_ns: int) -> None:
        """Take a point of the equity curve at a fill; only the traded instrument is valued anew."""
        bid, ask = levels = ref.levels if ref.current else self.top(ref)
        if levels is not ref.marked:
            self.mark(ref)
        self.revalue(ref)
        if ref.opposite is not None and ref.opposite.iid in self.values:
            self.revalue(ref.opposite)
        cash = self.gate.book.cash_total
        self.curve.add(ts_ns, cash + self.value, cash)
        if (sampler := self.prices.get(ref.iid)) is None:
            return
        if bid is None or ask is None:
            self.sample_price(sampler, ref, ts_ns)
        else:
            sampler.add(ts_ns, bid.price, ask.price)

    def keep_account(self, ts_ns: int) -> None:
        """Write the balances to the ledger."""
        if self.journal.ledger is not None:
            self.journal.account(self.gate, dollars(self.equity_at_bid), ts_ns)

    def total_cash(self) -> Decimal:
        """Return the cash of all venues."""
        return sum((self.gate.cash(code) for code in self.fee_books), ZERO)
