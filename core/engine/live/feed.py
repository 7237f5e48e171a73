"""The feed actor of a node: strategies see the time at which the news they handle was received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nautilus_trader.model import OrderFillVoided

from core.engine.feed import Feed
from core.engine.live.backlog import Backlog
from core.engine.live.books import is_release
from core.engine.live.context import LiveContext
from core.engine.live.journal import LiveJournal


class LiveFeed(Feed):
    """`Feed` that holds the session's moment while it hands news on."""

    backlog: Backlog | None = None

    def on_quote(self, quote: Any) -> None:
        """Hand a quote on."""
        self._during(quote, super().on_quote)

    def on_book_deltas(self, deltas: Any) -> None:
        """Hand a book change on; the most frequent news takes the straight way."""
        if is_release(deltas):
            return  # what was the top of the book when it was paid out stays what strategies read
        moments = self.session.moments
        assert moments is not None, "a node has moments"
        moments.at_ns = now = deltas.ts_init
        if now > moments.last_ns:
            moments.last_ns = now
        if self.backlog is not None:
            self.backlog.saw(now)
        try:
            super().on_book_deltas(deltas)
            if self.session.payouts:
                self._keep_top(deltas.instrument_id)
        finally:
            moments.at_ns = 0

    def on_trade(self, trade: Any) -> None:
        """Hand a trade on."""
        self._during(trade, super().on_trade)

    def on_bar(self, bar: Any) -> None:
        """Hand a bar on."""
        self._during(bar, super().on_bar)

    def on_instrument_close(self, close: Any) -> None:
        """Pay out an outcome."""
        self._during(close, super().on_instrument_close)
        self._keep_top(close.instrument_id)

    def on_instrument_status(self, status: Any) -> None:
        """Take a trading state."""
        self._during(status, super().on_instrument_status)

    def serve(self, context: LiveContext, backlog: Backlog) -> None:
        """Lend the execution client the engine's cache and the strategies' ears."""
        self.backlog, context.tell = backlog, self.tell
        context.forget = self._journal().forget
        context.cache = lambda: self.session.cache

    def tell(self, event: Any) -> None:
        """Tell a strategy what became of an order that the engine no longer has."""
        for strategy in self.session.strategies:
            if strategy.strategy_id == event.strategy_id:
                voided = isinstance(event, OrderFillVoided)
                hear = strategy.on_order_fill_voided if voided else strategy.on_order_filled
                asyncio.get_running_loop().call_soon(self._hear, hear, event)

    def _hear(self, hear: Callable[[Any], None], event: Any) -> None:
        """Let a strategy hear news of an order whose record is taken back meanwhile."""
        journal, cid = self._journal(), event.client_order_id.value
        journal.recall(cid, self.session.references)
        try:
            hear(event)
        finally:
            journal.forget(cid)

    def _journal(self) -> LiveJournal:
        journal = self.session.journal
        assert isinstance(journal, LiveJournal), "a node's journal"
        return journal

    def _keep_top(self, native: Any) -> None:
        """Look at the book of an outcome that is paid out: later the engine has none any more (`is_release`)."""
        ref = self.session.references.by_native.get(native)
        if ref is not None and ref.iid in self.session.payouts:
            self.session.top(ref)

    def _during(self, news: Any, handle: Callable[[Any], None]) -> None:
        moments = self.session.moments
        assert moments is not None, "a node has moments"
        moments.at_ns = now = news.ts_init
        if now > moments.last_ns:
            moments.last_ns = now
        if self.backlog is not None:
            self.backlog.saw(now)
        try:
            handle(news)
        finally:
            moments.at_ns = 0
