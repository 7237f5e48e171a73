"""The market side of a run: the real data client, and the books that a strategy would see from it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from nautilus_trader.config import DataClientConfig
from nautilus_trader.model import BookAction, InstrumentId, OrderBookDeltas, OrderSide

from core.domain.market import Market
from core.engine.paper.book import PRICE_UNIT, QUANTITY_UNIT

if TYPE_CHECKING:
    from adapters.fake.matrix.stand import Stand

Levels = dict[Decimal, Decimal]
#: A book that was the venue's this long ago may still be traded on: a dead link is found within it.
STALE_S = 25.0


class MarketFeed:
    """Books by instrument as the data client tells them.

    Attributes
    ----------
    wrong : list of str
        What no feed may ever show: a size below zero, a crossed book that was traded on, a stale one.
    """

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.books: dict[str, tuple[Levels, Levels]] = {}
        self.wrong: list[str] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: dict[str, list[tuple[float, tuple[Any, Any]]]] = {}

    async def open(self) -> None:
        """Connect and follow both outcomes of every market."""
        stand = self.stand
        client = stand.live.data_client(
            name=stand.markets[0].venue,
            config=DataClientConfig(),
            cache=stand.engine,
            clock=stand.clock,
            on_market=stand.gate.on_market,
            on_status=lambda market_id, status: None,
            on_settled=lambda instrument_id, payout: None,
        )
        client._handle_data = self._take
        client._handle_instrument = lambda instrument: None
        client.create_task = self._spawn
        stand.virtual(client)
        self.client = client
        await client._connect()
        for market in stand.markets:
            for outcome in market.outcomes:
                iid = InstrumentId.from_str(outcome.instrument_id)
                await client._subscribe_book_deltas(SimpleNamespace(instrument_id=iid))
        for market in stand.markets:
            self.note(market.market_id)
        stand.exchange.listeners.append(self._heard)  # our own orders move the public book, too

    def _heard(self, kind: str, value: Any) -> None:
        self.note(value.market if hasattr(value, "market") else value.market_id)

    async def close(self) -> None:
        """Disconnect."""
        await self.client._disconnect()
        for task in list(self._tasks):
            task.cancel()

    def _spawn(self, work: Any, name: str = "") -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _take(self, data: Any) -> None:
        if not isinstance(data, OrderBookDeltas):
            return
        bids, asks = self.books.setdefault(data.instrument_id.value, ({}, {}))
        for delta in data.deltas:
            if delta.action == BookAction.CLEAR:
                bids.clear()
                asks.clear()
                continue
            levels = bids if delta.order.side == OrderSide.BUY else asks
            price, size = delta.order.price.as_decimal(), delta.order.size.as_decimal()
            if size < 0:
                self.wrong.append(f"{data.instrument_id}: {size} at {price}")
            if delta.action == BookAction.DELETE or size == 0:
                levels.pop(price, None)
            else:
                levels[price] = size

    # -- what a strategy sees, and what it should ---------------------------------------------------
    def top(self, market: Market, outcome: int = 0) -> tuple[Decimal | None, Decimal | None]:
        """Return bid and ask of an outcome as heard; None on a side without levels."""
        bids, asks = self.books.get(market.outcomes[outcome].instrument_id, ({}, {}))
        return max(bids, default=None), min(asks, default=None)

    def truth(self, market_id: str) -> tuple[Levels, Levels]:
        """Return the venue's public book of the first outcome."""
        if self.stand.venue == "POLYMARKET":
            sides = self.stand.fake.streams.sides(market_id)
        else:
            sides = self.stand.exchange.markets[market_id].book.levels
        bid, ask = (
            {Decimal(p) / PRICE_UNIT: Decimal(q) / QUANTITY_UNIT for p, q in sides[s].items() if q}
            for s in ("bid", "ask")
        )
        return bid, ask

    def note(self, market_id: str) -> None:
        """Remember the venue's top at this moment."""
        bids, asks = self.truth(market_id)
        top = (max(bids, default=None), min(asks, default=None))
        self._told.setdefault(market_id, []).append((self.stand.loop.time(), top))

    def traded_on(self, market: Market) -> None:
        """Check the book that an order was just decided on."""
        top, now = self.top(market), self.stand.loop.time()
        bid, ask = top
        if bid is not None and ask is not None and bid >= ask:
            self.wrong.append(f"{market.market_id}: traded on a crossed book {bid} {ask}")
        history = self._told[market.market_id]
        recent = [t for at, t in history if at >= now - STALE_S] or [history[-1][1]]
        before = [t for at, t in history if at < now - STALE_S][-1:]
        if top not in recent + before:
            self.wrong.append(f"{market.market_id}: traded on {top}, stale or never the venue's")

    def differences(self) -> list[str]:
        """Return where a quiet feed differs from the venue, both outcomes."""
        out = []
        for market in self.stand.markets:
            if self.stand.exchange.markets[market.market_id].status != "active":
                continue
            bids, asks = self.truth(market.market_id)
            mirror = {1 - p: q for p, q in asks.items()}, {1 - p: q for p, q in bids.items()}
            for outcome, want in zip(market.outcomes, ((bids, asks), mirror), strict=True):
                seen = self.books.get(outcome.instrument_id, ({}, {}))
                if seen != want:
                    out.append(
                        f"book of {outcome.instrument_id[-14:]}: venue {_show(want)}, feed {_show(seen)}"
                    )
        return out


def _show(book: tuple[Levels, Levels]) -> str:
    return " / ".join(", ".join(f"{q}@{p}" for p, q in sorted(side.items())) for side in book)
