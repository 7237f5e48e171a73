"""The feed actor: the one subscriber of what must be seen once, and the fixed order in which strategies see data.

The engine calls subscribers of one topic in an order that is random per process. So settlements and trading
states are subscribed here only, and with two or more strategies all market data is: it is handed on in
registration order. A single strategy may subscribe by itself; a contract test holds that the decisions are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nautilus_trader.common import DataActor
from nautilus_trader.model import (
    Bar,
    BarType,
    BookType,
    InstrumentClose,
    InstrumentCloseType,
    InstrumentStatus,
    MarketStatusAction,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)

from core.domain.errors import CorruptData
from core.domain.market import MarketStatus
from core.engine.delivery import Delivery
from core.engine.references import InstrumentRef, PriceSource
from core.engine.session import Session
from core.engine.settlement import settle
from core.engine.units import exact
from core.risk.volatility import STEP_NS

#: Engine trading states by what they mean for orders. Only HALT, PAUSE, SUSPEND and CLOSE stop the engine's
#: own matching; the gate follows this table for all of them.
STATUS_OF: dict[MarketStatusAction, MarketStatus] = {
    MarketStatusAction.TRADING: MarketStatus.ACTIVE,
    MarketStatusAction.HALT: MarketStatus.PAUSED,
    MarketStatusAction.PAUSE: MarketStatus.PAUSED,
    MarketStatusAction.SUSPEND: MarketStatus.PAUSED,
    MarketStatusAction.PRE_OPEN: MarketStatus.PAUSED,
    MarketStatusAction.PRE_CROSS: MarketStatus.PAUSED,
    MarketStatusAction.CROSS: MarketStatus.PAUSED,
    MarketStatusAction.ROTATION: MarketStatus.PAUSED,
    MarketStatusAction.QUOTING: MarketStatus.PAUSED,
    MarketStatusAction.NEW_PRICE_INDICATION: MarketStatus.PAUSED,
    MarketStatusAction.CLOSE: MarketStatus.CLOSED,
    MarketStatusAction.PRE_CLOSE: MarketStatus.CLOSED,
    MarketStatusAction.POST_CLOSE: MarketStatus.CLOSED,
    MarketStatusAction.NOT_AVAILABLE_FOR_TRADING: MarketStatus.CLOSED,
}
#: States in which the engine would go on filling resting orders although the venue does not.
LEAKY = frozenset(
    {
        MarketStatusAction.PRE_OPEN,
        MarketStatusAction.PRE_CROSS,
        MarketStatusAction.CROSS,
        MarketStatusAction.ROTATION,
        MarketStatusAction.QUOTING,
        MarketStatusAction.NEW_PRICE_INDICATION,
        MarketStatusAction.PRE_CLOSE,
        MarketStatusAction.POST_CLOSE,
        MarketStatusAction.NOT_AVAILABLE_FOR_TRADING,
    }
)


class Feed(DataActor):
    """Single subscriber of settlements and states; fan-out of market data; timers of the run.

    Parameters
    ----------
    session : Session
    statuses, closes : sequence of InstrumentRef
        Instruments whose trading states and settlements are in the data.
    grid : tuple of int, optional
        First time and step of the sampling grid, nanoseconds.
    on_grid : callable, optional
        Called with the simulated time at each grid point (progress bar).
    look_ns : int
        Step on which the volatility governor sees prices.
    """

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Feed:
        """Make the engine's part without arguments."""
        return super().__new__(cls)

    def __init__(
        self,
        session: Session,
        statuses: Sequence[InstrumentRef] = (),
        closes: Sequence[InstrumentRef] = (),
        grid: tuple[int, int] | None = None,
        on_grid: Callable[[int], None] | None = None,
        look_ns: int = STEP_NS,
    ) -> None:
        super().__init__()
        self._look_ns = look_ns
        self.session = session
        self._status_refs, self._close_refs = statuses, closes
        self._grid, self._on_grid = grid, on_grid
        self._quotes: dict[Any, list[Delivery]] = {}
        self._books: dict[Any, list[Delivery]] = {}
        self._trades: dict[Any, list[Delivery]] = {}
        self._bars: dict[Any, list[Delivery]] = {}
        self._watched: set[tuple[str, Any]] = set()
        self._wakes: dict[int, str] = {}
        self._idle: list[str] = []
        self._time: Any = None

    def on_start(self) -> None:
        """Subscribe to settlements and states, start the grid, hand the clock to the session."""
        session = self.session
        self._time = self.clock
        session.attach(self._time, self.cache)
        session.feed = self
        session.wake = self.wake
        session.liquidity.watch = self._observe
        for ref in self._close_refs:
            self.subscribe_instrument_close(ref.native)
        for ref in self._status_refs:
            self.subscribe_instrument_status(ref.native)
        if session.begin_ns:
            for ref in session.references:
                if ref.source is PriceSource.BOOK:
                    self._subscribe_book(ref)
        if self._grid is not None:
            first, step = self._grid
            self.clock.set_timer_ns(
                "grid", step, start_time_ns=first, callback=self._guard(self._on_grid_point)
            )
        if session.gate.governor.minds_volatility:
            begin = max(self._time.timestamp_ns(), self._grid[0] if self._grid is not None else 0)
            self.clock.set_timer_ns(
                "volatility",
                self._look_ns,
                start_time_ns=(begin // self._look_ns + 1) * self._look_ns,
                callback=self._guard(self._on_look),
            )

    # -- errors -----------------------------------------------------------------------------
    def fail(self, error: BaseException, where: str) -> None:
        """Keep an error and stop the run."""
        self.session.failure.keep(error, f"Feed.{where}")
        self.shutdown_system(f"Feed.{where} raised {type(error).__name__}")

    def _guard(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> None:
            try:
                method(*args)
                if self.session.failure.stopping:
                    self.shutdown_system("stopped")
            except BaseException as exc:
                self.fail(exc, getattr(method, "__name__", "callback"))
                raise

        return call

    # -- the end of a node's run ------------------------------------------------------------
    def end_strategies(self) -> int:
        """Hand strategies no more market data; return the moment of the last news they saw (0: none, or no node)."""
        for topic in (self._quotes, self._books, self._trades, self._bars):
            topic.clear()
        moments = self.session.moments
        return 0 if moments is None else moments.last_ns

    # -- time -------------------------------------------------------------------------------
    def wake(self, ts_ns: int) -> None:
        """Make the engine take its next step at `ts_ns`.

        An order on its way is otherwise only matched at the next data event, against a book that may
        be seconds younger than its arrival.
        """
        if ts_ns in self._wakes:
            return
        # Names are used again: the engine keeps every name it has seen for ever.
        name = self._idle.pop() if self._idle else f"wake-{len(self._wakes)}"
        self._wakes[ts_ns] = name
        self._time.set_time_alert_ns(name, ts_ns, self._awake)

    def _awake(self, event: Any) -> None:
        name = self._wakes.pop(event.ts_event, None)
        if name is not None:
            self._idle.append(name)
        if self.session.failure.stopping:
            self.shutdown_system("stopped")

    def _on_grid_point(self, event: Any) -> None:
        self.session.sample(event.ts_event)
        if self._on_grid is not None:
            self._on_grid(event.ts_event)

    def _on_look(self, event: Any) -> None:
        self.session.look_at_prices(event.ts_event)

    # -- settlements and states -------------------------------------------------------------
    def on_instrument_close(self, close: InstrumentClose) -> None:
        """Pay out an outcome; the engine has settled its own legs just before."""
        try:
            ref = self.session.references.by_native.get(close.instrument_id)
            if ref is None or close.close_type != InstrumentCloseType.CONTRACT_EXPIRED:
                return
            payout = exact(close.close_price)
            if close.close_price.precision > ref.price_precision:
                raise CorruptData(
                    f"settlement of {ref.iid} has more decimals than the instrument: "
                    "the engine would leave the position open",
                    payout,
                    f"round it to {ref.price_precision} decimals when writing the catalog",
                )
            settle(self.session, ref, payout, close.ts_init)
        except BaseException as exc:
            self.fail(exc, "on_instrument_close")
            raise

    def on_instrument_status(self, status: InstrumentStatus) -> None:
        """Tell the gate; take resting orders away where the engine would go on filling them."""
        try:
            ref = self.session.references.by_native.get(status.instrument_id)
            wanted = STATUS_OF.get(status.action)
            if ref is None or wanted is None:
                return
            self.session.gate.on_status(ref.market.market_id, wanted)
            if wanted is MarketStatus.CLOSED or status.action in LEAKY:
                for strategy in self.session.strategies:
                    strategy.cancel_all(ref.iid)
        except BaseException as exc:
            self.fail(exc, "on_instrument_status")
            raise

    # -- fan-out ----------------------------------------------------------------------------
    def watch_quotes(self, ref: InstrumentRef, to: Delivery) -> None:
        """Hand quotes of `ref` on to a strategy; what has trades only has none, in replay and live alike."""
        if ref.source is PriceSource.BOOK:
            self._subscribe_book(ref)
            _join(self._books, ref.native, to, self.session)
            return
        if ref.source is PriceSource.TRADES:
            return
        self._subscribe_quotes(ref)
        _join(self._quotes, ref.native, to, self.session)

    def watch_book(self, ref: InstrumentRef, to: Delivery) -> None:
        """Hand book changes of `ref` on to a strategy."""
        if ref.source is PriceSource.BOOK:
            self._subscribe_book(ref)
        else:
            to.quote_books = True
            self._subscribe_quotes(ref)
            _join(self._quotes, ref.native, to, self.session)
        _join(self._books, ref.native, to, self.session)

    def watch_trades(self, ref: InstrumentRef, to: Delivery) -> None:
        """Hand trades of `ref` on to a strategy."""
        if self._first("trades", ref.native):
            self.subscribe_trades(ref.native)
        _join(self._trades, ref.native, to, self.session)

    def watch_bars(self, bar_type: BarType, to: Delivery) -> None:
        """Hand bars on to a strategy."""
        if self._first("bars", bar_type):
            self.subscribe_bars(bar_type)
        _join(self._bars, bar_type, to, self.session)

    def watch_rest(self) -> None:
        """Build the books that no strategy watches: they can be read, traded and valued all the same.

        A book that is subscribed later would hold later changes only.
        """
        for ref in self.session.references:
            if ref.source is PriceSource.BOOK and not self._is_watched(ref):
                self._subscribe_book(ref)

    def _is_watched(self, ref: InstrumentRef) -> bool:
        return any(
            ref.iid in s.delivery.books or ref.iid in s.delivery.quotes
            for s in self.session.strategies
        )

    def _observe(self, ref: InstrumentRef) -> None:
        """See the changes of a book that we took from and that no strategy watches."""
        if self._is_watched(ref):
            return
        if ref.source is PriceSource.BOOK:
            self._subscribe_book(ref)
        else:
            self._subscribe_quotes(ref)

    def _subscribe_book(self, ref: InstrumentRef) -> None:
        if self._first("book", ref.native):
            ref.tracked = True
            self.subscribe_book_deltas(ref.native, BookType.L2_MBP, managed=True)

    def _subscribe_quotes(self, ref: InstrumentRef) -> None:
        if self._first("quotes", ref.native):
            ref.news = self.cache.quote(ref.native)
            ref.tracked = ref.source is PriceSource.QUOTES
            self.subscribe_quotes(ref.native)

    def _first(self, kind: str, key: Any) -> bool:
        if (kind, key) in self._watched:
            return False
        self._watched.add((kind, key))
        return True

    def on_quote(self, quote: QuoteTick) -> None:
        """Hand a quote on in registration order."""
        self._see_top(quote.instrument_id, quote)
        for to in self._quotes.get(quote.instrument_id, ()):
            to.on_quote(quote)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Hand a book change on in registration order."""
        self._see_top(deltas.instrument_id, deltas)
        for to in self._books.get(deltas.instrument_id, ()):
            to.on_book_deltas(deltas)

    def _see_top(self, native: Any, news: QuoteTick | OrderBookDeltas) -> None:
        """Note that a top of book may have changed, and what became of levels that we took from."""
        ref = self.session.references.by_native[native]
        ref.news, ref.current = news, False
        taken = self.session.liquidity.iids
        if taken and ref.iid in taken:
            self.session.top(ref)

    def on_trade(self, trade: TradeTick) -> None:
        """Hand a trade on in registration order."""
        for to in self._trades.get(trade.instrument_id, ()):
            to.on_trade(trade)

    def on_bar(self, bar: Bar) -> None:
        """Hand a bar on in registration order."""
        for to in self._bars.get(bar.bar_type, ()):
            to.on_bar(bar)


def _join(topics: dict[Any, list[Delivery]], key: Any, to: Delivery, session: Session) -> None:
    """Add a strategy to a topic, in registration order."""
    members = topics.setdefault(key, [])
    if to not in members:
        members.append(to)
        order = {id(s): n for n, s in enumerate(session.registered)}
        members.sort(key=lambda d: order[id(d.strategy)])
