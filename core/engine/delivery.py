"""How events reach one strategy: guarded, in our words, the same from the engine or from the feed actor.

The engine looks callbacks up by name on the strategy object. `Delivery.install` puts guarded entries there;
each calls the author's method of the same name exactly once, whatever it inherits or calls on ``super()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import Bar, OrderBookDeltas, QuoteTick, TradeTick

from core.domain.money import ZERO
from core.engine.guard import guarded
from core.engine.references import InstrumentRef
from core.engine.units import exact, price_of, quantity_of

if TYPE_CHECKING:
    from core.engine.bound import BoundStrategy
    from core.engine.session import Level

#: Callbacks that are wrapped as they are.
_GUARDED = (
    "on_reset",
    "on_degrade",
    "on_fault",
    "on_time_event",
    "on_data",
    "on_signal",
    "on_instrument",
    "on_fill",
    "on_settlement",
    "on_adopted",
    "on_refused",
    "on_forecast",
    "on_order_done",
    "on_order_accepted",
    "on_order_rejected",
    "on_order_denied",
    "on_order_canceled",
    "on_order_expired",
    "on_order_filled",
    "on_order_updated",
    "on_order_modify_rejected",
)


class Delivery:
    """Entries of one strategy.

    Attributes
    ----------
    quotes, books : set of str
        What the strategy watches.
    quote_books : bool
        Whether some watched book is made of quotes.
    """

    def __init__(self, strategy: BoundStrategy) -> None:
        self.strategy: Any = strategy
        self.quotes: set[str] = set()
        self.books: set[str] = set()
        self.quote_books = False
        self._tops: dict[str, tuple[Level | None, Level | None]] = {}
        self._subscribed: dict[str, set[Any]] = {"quotes": set(), "books": set()}
        self._only: dict[str, Callable[[InstrumentRef | None], None]] = {}
        self.on_quote: Callable[[QuoteTick], None]
        self.on_book_deltas: Callable[[OrderBookDeltas], None]
        self.on_book: Callable[[str], None]
        self.on_trade: Callable[[TradeTick], None]
        self.on_bar: Callable[[Bar], None]

    def install(self) -> None:
        """Put the entries on the strategy object."""
        strategy = self.strategy
        author_start, author_bar = strategy.on_start, strategy.on_bar
        author_stop, author_resume = strategy.on_stop, strategy.on_resume

        def begin(event: object = None) -> None:
            author_start()
            session = strategy.session
            if adopted := session.adopted.get(strategy._bt_sid):
                strategy.on_adopted(adopted)
            if strategy is session.registered[-1] and session.feed is not None:
                session.feed.watch_rest()

        def on_start() -> None:
            strategy.start_bound()
            begin_ns = strategy.session.begin_ns
            if begin_ns:  # books are built up first; the author starts when they are whole
                strategy.clock.set_time_alert_ns(
                    "begin", begin_ns - 1, guarded(begin, strategy.fail)
                )
            else:
                begin()

        def on_stop() -> (
            None
        ):  # a stopped object can still send orders: from here on only sales pass
            strategy.session.gate.on_strategy_stopped(strategy._bt_sid)
            author_stop()

        def on_resume() -> None:
            strategy.session.gate.on_strategy(strategy._bt_sid, strategy.family)
            author_resume()

        def on_bar(bar: Bar) -> None:
            ref = strategy._bt_refs.by_native.get(bar.bar_type.instrument_id)
            if ref is not None:
                strategy.session.last_price[ref.iid] = exact(bar.close)
            author_bar(bar)

        if strategy.session.own_news is not None:
            strategy.session.own_news.install(strategy)
        for name in _GUARDED:
            setattr(strategy, name, guarded(getattr(strategy, name), strategy.fail))
        strategy.on_start = guarded(on_start, strategy.fail)
        strategy.on_stop = guarded(on_stop, strategy.fail)
        strategy.on_resume = guarded(on_resume, strategy.fail)
        strategy.on_bar = self.on_bar = guarded(on_bar, strategy.fail)
        strategy.on_trade = self.on_trade = guarded(strategy.on_trade, strategy.fail)
        self.on_book = guarded(strategy.on_book, strategy.fail)
        strategy.on_book_deltas = self.on_book_deltas = self._deltas_entry()
        strategy.on_quote = self.on_quote = self._quote_entry()

    def subscribed(self, kind: str, native: Any) -> None:
        """Note a subscription that the engine delivers straight to the strategy.

        While there is one instrument of a kind its events need not be asked whose they are: asking and
        looking the answer up is a tenth of the time of streaming data.

        Parameters
        ----------
        kind : str
            ``"quotes"`` or ``"books"``.
        native : InstrumentId
            The engine's id.
        """
        known = self._subscribed[kind]
        known.add(native)
        alone = len(known) == 1
        self._only[kind](self.strategy._bt_refs.by_native.get(native) if alone else None)

    def _deltas_entry(self) -> Callable[[OrderBookDeltas], None]:
        """Return the entry for deltas: the author's ``on_book``, and ``on_quote`` when the top moved."""
        strategy, books, quotes = self.strategy, self.books, self.quotes
        author: Callable[[str], None] = strategy.on_book
        author_quote: Callable[[QuoteTick], None] = guarded(strategy.on_quote, strategy.fail)
        refs, session = strategy._bt_refs.by_native, strategy.session
        fail = strategy.fail
        taken, tops = session.liquidity.iids, self._tops
        only: InstrumentRef | None = None

        def set_only(ref: InstrumentRef | None) -> None:
            nonlocal only
            only = ref

        def on_book_deltas(deltas: OrderBookDeltas) -> None:
            try:
                ref = refs[deltas.instrument_id] if only is None else only
                ref.news, ref.current = deltas, False
                iid = ref.iid
                if taken and iid in taken:
                    session.top(ref)
                if quotes and iid in quotes:
                    levels = session.top(ref)
                    if levels is not tops.get(iid):
                        tops[iid] = levels
                        author_quote(quote_of(ref, levels, deltas.ts_event, deltas.ts_init))
                if iid in books:
                    author(iid)
            except BaseException as exc:
                fail(exc, "on_book")
                raise

        self._only["books"] = set_only
        return on_book_deltas

    def _quote_entry(self) -> Callable[[QuoteTick], None]:
        """Return the entry for quotes; a watched book that is made of quotes gets its ``on_book``."""
        strategy, quotes, books = self.strategy, self.quotes, self.books
        author: Callable[[QuoteTick], None] = strategy.on_quote
        author_book: Callable[[str], None] = strategy.on_book
        refs, session, fail = strategy._bt_refs.by_native, strategy.session, strategy.fail
        taken = session.liquidity.iids
        only: InstrumentRef | None = None

        def set_only(ref: InstrumentRef | None) -> None:
            nonlocal only
            only = ref

        def on_quote(quote: QuoteTick) -> None:
            try:
                ref = refs[quote.instrument_id] if only is None else only
                ref.news, ref.current = quote, False
                if taken or self.quote_books:
                    iid = ref.iid
                    if iid in taken:
                        session.top(ref)
                    if self.quote_books:
                        if iid in books:
                            author_book(iid)
                        if iid not in quotes:
                            return
                author(quote)
            except BaseException as exc:
                fail(exc, "on_quote")
                raise

        self._only["quotes"] = set_only
        return on_quote


def quote_of(
    ref: InstrumentRef, levels: tuple[Level | None, Level | None], ts_event: int, ts_init: int
) -> QuoteTick:
    """Return the top of a book as a quote; a missing bid is price 0, a missing ask the highest price, size 0."""
    bid, ask = levels
    price, size = ref.price_precision, ref.size_precision
    return QuoteTick(
        ref.native,
        ref.low_price if bid is None else price_of(bid.price, price),
        ref.top_price if ask is None else price_of(ask.price, price),
        quantity_of(ZERO if bid is None else bid.size, size),
        quantity_of(ZERO if ask is None else ask.size, size),
        ts_event,
        ts_init,
    )
