"""First layer of a strategy: bound to a session, its callbacks guarded, its data delivered in a fixed order."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from nautilus_trader.model import BarType, BookType, PriceType
from nautilus_trader.trading import Strategy

from core.domain.errors import StrategyError
from core.domain.market import Event, Market
from core.engine.delivery import Delivery
from core.engine.holdings import EngineCache, not_here
from core.engine.references import InstrumentRef, PriceSource
from core.engine.session import Session

#: Methods that a strategy must not replace: they carry the gate and the books. Private names of the
#: platform begin with ``_bt_``, so that an author's own names cannot meet them.
SEALED = frozenset(
    {
        "submit_order",
        "submit_order_list",
        "modify_order",
        "modify_orders",
        "close_position",
        "close_all_positions",
        "market_exit",
        "on_book_deltas",
        "on_order_accepted",
        "on_order_canceled",
        "on_order_denied",
        "on_order_event",
        "on_order_expired",
        "on_order_filled",
        "on_order_fill_voided",
        "on_order_modify_rejected",
        "on_order_rejected",
        "on_order_updated",
        "on_position_changed",
        "on_position_closed",
        "on_position_event",
        "on_position_opened",
        "cache",
        "portfolio",
        "bind",
        "fail",
    }
)

#: Modules whose classes make up `BetaStrategy` and may define sealed methods.
PLATFORM = frozenset(
    f"core.engine.{name}" for name in ("views", "orders", "order_events", "strategy")
)


class BoundStrategy(Strategy):
    """A strategy that belongs to a session. Use `BetaStrategy`."""

    #: Family of the strategy in the risk budget and the fund's phases: ``arbitrage``, ``prediction``,
    #: ``momentum``, ``mean_reversion`` or ``scalping``.
    family: ClassVar[str] = "prediction"

    session: Session
    markets: Mapping[str, Market]
    events: Mapping[str, Event]
    universe: tuple[str, ...]
    rng: random.Random

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse classes that replace a method which carries the gate."""
        super().__init_subclass__(**kwargs)
        if cls.__module__ in PLATFORM:
            return
        replaced = sorted(n for n in vars(cls) if n in SEALED or n.startswith("_bt_"))
        if replaced:
            raise StrategyError(
                f"{cls.__name__} replaces methods that carry the gate and the books",
                ", ".join(replaced),
                "use on_fill, on_refused, on_settlement, buy, sell, exit, cancel",
            )

    def bind(self, session: Session) -> None:
        """Give the strategy its run; called by the runner before the engine starts."""
        self.session = session
        self.markets = session.markets
        self.events = session.events
        self.universe = session.universe
        self._bt_refs = session.references
        self._bt_direct = not session.fan_out
        self._bt_cache: Any = None
        self._bt_clock: Any = None
        self._bt_sid = ""
        self.delivery = Delivery(self)
        self.delivery.install()

    def fail(self, error: BaseException, where: str) -> None:
        """Keep an error and stop the run at this event."""
        name = type(self).__name__
        self.session.failure.keep(error, f"{name}.{where}")
        self.shutdown_system(f"{name}.{where} raised {type(error).__name__}")

    def start_bound(self) -> None:
        """Take the engine's clock and cache, before the author's ``on_start``."""
        self._bt_cache, self._bt_clock = super().cache, self.session.clock_of(self.clock)
        self._bt_sid = self.strategy_id.value
        self.session.strategies.append(self)
        self.session.gate.on_strategy(self._bt_sid, self.family)
        self.rng = self.session.randomness(self._bt_sid, self._bt_clock.timestamp_ns)

    def on_engine_thread(self) -> None:
        """Raise unless this is the engine's thread: any other would abort the process."""
        if threading.get_ident() != self.session.thread_id:
            raise StrategyError(
                "engine objects belong to one thread",
                threading.current_thread().name,
                "hand results over with a time alert, never act from another thread",
            )

    @property
    def cache(self) -> Any:
        """The engine's instruments, books, quotes and orders; what is held says `position`."""
        return EngineCache(super().cache, self)

    @property
    def portfolio(self) -> Any:
        """Nothing: the engine's portfolio does not know what the account holds; use `position`, `cash`, `equity`."""
        raise not_here(self, "self.portfolio")

    @property
    def now_ns(self) -> int:
        """Simulated or real time, nanoseconds since 1970 UTC."""
        now: int = self._bt_clock.timestamp_ns()
        return now

    # -- watch ------------------------------------------------------------------------------
    def watch_quotes(self, iid: str) -> None:
        """Subscribe to top-of-book changes: recorded quotes, or moves of the top of a recorded book."""
        ref = self._bt_refs[iid]
        self.delivery.quotes.add(iid)
        if not self._bt_direct and self.session.feed is not None:
            self.session.feed.watch_quotes(ref, self.delivery)
            return
        if ref.source is PriceSource.BOOK:
            ref.tracked = True
            self.subscribe_book_deltas(ref.native, BookType.L2_MBP, managed=True)
        else:
            self._bt_subscribe_quotes(ref)

    def watch_book(self, iid: str) -> None:
        """Subscribe to book changes; ``on_book(iid)`` follows each complete batch of deltas.

        An instrument with quotes only calls ``on_book`` at each quote: its book is one level deep.
        """
        ref = self._bt_refs[iid]
        self.delivery.books.add(iid)
        if not self._bt_direct and self.session.feed is not None:
            self.session.feed.watch_book(ref, self.delivery)
        elif ref.source is PriceSource.BOOK:
            ref.tracked = True
            self.subscribe_book_deltas(ref.native, BookType.L2_MBP, managed=True)
        else:
            self.delivery.quote_books = True
            self._bt_subscribe_quotes(ref)

    def subscribe_quotes(self, instrument_id: Any, *args: Any, **kwargs: Any) -> None:
        """Subscribe to quotes as the engine does (`watch_quotes` is the platform's way)."""
        self.delivery.subscribed("quotes", instrument_id)
        super().subscribe_quotes(instrument_id, *args, **kwargs)

    def subscribe_book_deltas(self, instrument_id: Any, *args: Any, **kwargs: Any) -> None:
        """Subscribe to book changes as the engine does (`watch_book` is the platform's way)."""
        self.delivery.subscribed("books", instrument_id)
        super().subscribe_book_deltas(instrument_id, *args, **kwargs)

    def _bt_subscribe_quotes(self, ref: InstrumentRef) -> None:
        # A quote that came before has not reached us: until the next one the cache is asked.
        ref.news = self._bt_cache.quote(ref.native)
        ref.tracked = ref.source is PriceSource.QUOTES
        self.subscribe_quotes(ref.native)

    def watch_trades(self, iid: str) -> None:
        """Subscribe to public trades."""
        ref = self._bt_refs[iid]
        if not self._bt_direct and self.session.feed is not None:
            self.session.feed.watch_trades(ref, self.delivery)
        else:
            self.subscribe_trades(ref.native)

    def watch_bars(self, bar_type: str) -> None:
        """Subscribe to bars, for example ``"BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"``."""
        native = BarType.from_str(bar_type)
        self._bt_refs[str(native.instrument_id)]
        if not self._bt_direct and self.session.feed is not None:
            self.session.feed.watch_bars(native, self.delivery)
        else:
            self.subscribe_bars(native)

    def ref(self, iid: str) -> InstrumentRef:
        """Return what the engine knows of an instrument of this run."""
        return self._bt_refs[iid]

    # -- the engine's indicators ------------------------------------------------------------
    def register_indicator_for_quote_ticks(self, instrument_id: Any, indicator: Any) -> None:
        """Feed an engine indicator with quotes.

        Raises
        ------
        StrategyError
            If the indicator works on last prices, which quotes do not have: the engine would then never
            call ``on_quote``.
        """
        if getattr(indicator, "price_type", None) not in (
            PriceType.BID,
            PriceType.ASK,
            PriceType.MID,
        ):
            raise StrategyError(
                "an indicator on quotes needs a price type",
                type(indicator).__name__,
                "make it with PriceType.MID (or BID, ASK)",
            )
        self._bt_direct_only()
        super().register_indicator_for_quote_ticks(instrument_id, indicator)

    def register_indicator_for_trade_ticks(self, instrument_id: Any, indicator: Any) -> None:
        """Feed an engine indicator with trades."""
        self._bt_direct_only()
        super().register_indicator_for_trade_ticks(instrument_id, indicator)

    def register_indicator_for_bars(self, bar_type: Any, indicator: Any) -> None:
        """Feed an engine indicator with bars."""
        self._bt_direct_only()
        super().register_indicator_for_bars(bar_type, indicator)

    def _bt_direct_only(self) -> None:
        """Refuse where data comes through the feed actor: the engine would never update the indicator."""
        if not self._bt_direct:
            raise StrategyError(
                "registered indicators are not fed in a run of several strategies",
                type(self).__name__,
                "update the indicator in on_quote, on_trade or on_bar",
            )
