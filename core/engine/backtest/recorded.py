"""The feed actor of a replay of a node's run: own news comes when the node knew it, and data ends where its strategies did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.engine.backtest.merges import RecordedMerges
from core.engine.feed import Feed


class RecordedFeed(Feed):
    """`Feed` that lets `Session.own_news` speak between two news, and ends strategies by `Session.ending`.

    After the ending strategies are handed no market data; then what works is taken back, as the node did.

    Attributes
    ----------
    merges : RecordedMerges, optional
        Pairs that the node turned into dollars meanwhile.
    """

    merges: RecordedMerges | None = None

    def on_start(self) -> None:
        """Subscribe, and be awake when the recorded node knew something, and when it was stopped."""
        super().on_start()
        session, self._alerts = self.session, 0
        self._before: Callable[[int], None] = lambda ts_ns: None
        if session.own_news is not None:
            self._before = session.own_news.before
            session.own_news.alert, session.own_news.now_ns = self._alert, session.now_ns
        if self.merges is not None:
            self.merges.schedule()
        ending = session.ending
        self._seen_ns = 1 << 62 if ending is None else ending.seen_ns
        if ending is not None:
            self.clock.set_time_alert_ns(
                "withdrawn", ending.stopped_ns, self._guard(lambda event: self._withdraw())
            )

    def on_quote(self, quote: Any) -> None:
        """Hand a quote on."""
        self._until(quote.ts_init)
        super().on_quote(quote)

    def on_book_deltas(self, deltas: Any) -> None:
        """Hand a book change on."""
        self._until(deltas.ts_init)
        super().on_book_deltas(deltas)

    def on_trade(self, trade: Any) -> None:
        """Hand a trade on."""
        self._until(trade.ts_init)
        super().on_trade(trade)

    def on_bar(self, bar: Any) -> None:
        """Hand a bar on."""
        self._until(bar.ts_init)
        super().on_bar(bar)

    def on_instrument_close(self, close: Any) -> None:
        """Pay out an outcome; what the engine has filled of it is booked before, as it has settled it."""
        self._guard(self._before)(close.ts_init)
        orders, own = self.session.journal.orders, self.session.own_news
        if own is not None:
            native = close.instrument_id
            self._guard(own.release)(lambda cid: orders[cid].ref.native == native)
        super().on_instrument_close(close)

    def on_instrument_status(self, status: Any) -> None:
        """Take a trading state."""
        self._guard(self._before)(status.ts_init)
        super().on_instrument_status(status)

    def _until(self, ts_ns: int) -> None:
        self._guard(self._before)(ts_ns)
        # Not by an alert: it would come after news of its own moment.
        if ts_ns > self._seen_ns:
            self.end_strategies()

    def _alert(self, at_ns: int) -> None:
        own = self.session.own_news
        assert own is not None, "a replay of a run"
        self._alerts += 1
        self.clock.set_time_alert_ns(
            f"news-{self._alerts}", at_ns, self._guard(lambda event: own.until(event.ts_event))
        )

    def _withdraw(self) -> None:
        for strategy in self.session.strategies:
            strategy.withdraw()
