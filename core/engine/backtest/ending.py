"""The feed actor of a replay whose strategies were stopped in mid-tape: the market goes on, they see no more of it."""

from __future__ import annotations

from typing import Any

from core.engine.feed import Feed


class EndingFeed(Feed):
    """`Feed` that hands strategies no market data after `Session.ending`, and then takes back what works."""

    def on_start(self) -> None:
        """Subscribe, and be awake when the recorded node was stopped."""
        super().on_start()
        ending = self.session.ending
        assert ending is not None, "a replay of a run that was stopped"
        self._seen_ns = ending.seen_ns
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

    def _until(self, ts_ns: int) -> None:
        # Not by an alert: it would come after news of its own moment.
        if ts_ns > self._seen_ns:
            self.end_strategies()

    def _withdraw(self) -> None:
        for strategy in self.session.strategies:
            strategy.withdraw()
