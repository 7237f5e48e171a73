"""The fake Polymarket over WebSocket: market and user channels, no sequence numbers, faults on demand."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.fake.faults import OLD_NEWS, REPLAYS, WS_FAULTS, FaultKind
from adapters.fake.polymarket import wire
from adapters.fake.streams import FakeConnection, FakeStreams
from core.engine.paper.book import PRICE_UNIT, BookSide, other
from core.engine.paper.exchange import Execution, FakeMarket, FakeOrder

if TYPE_CHECKING:
    from adapters.fake.polymarket.server import FakePolymarket

MAX_TOLD = 500
Sides = dict[BookSide, dict[int, int]]


@dataclass(slots=True)
class Connection(FakeConnection):
    """One socket, and what it follows."""

    private: bool = False
    tokens: set[str] = field(default_factory=set)
    ready: bool = False


class Streams(FakeStreams[Connection]):
    """All sockets of the fake venue, and the books as they were last told."""

    def __init__(self, venue: FakePolymarket) -> None:
        super().__init__()
        self.venue = venue
        self.told: dict[str, Sides] = {}
        self._changes: dict[str, list[tuple[BookSide, int, int]]] = {}
        self._told_user: deque[dict[str, Any]] = deque(maxlen=MAX_TOLD)

    # -- sockets ----------------------------------------------------------------------------
    async def market(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one market socket until it goes."""
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        return await self.serve(request, Connection(socket))

    async def user(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one user socket until it goes."""
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        return await self.serve(request, Connection(socket, private=True))

    def command(self, connection: Connection, text: str) -> bool:
        """Take a client frame; False closes the socket (a wrong key)."""
        if text == "PING":
            connection.queue.put_nowait("PONG")
            return True
        try:
            frame = json.loads(text)
        except json.JSONDecodeError:
            return True
        if connection.private:
            auth = frame.get("auth") or {}
            connection.ready = auth.get("apiKey") == self.venue.api_key and (
                not self.venue.secret or auth.get("secret") == self.venue.secret
            )
            if connection.ready and self.venue.faults.due("subscribed user", REPLAYS) is not None:
                for told in self._told_user:
                    self._push(connection, json.dumps(told, separators=(",", ":")))
            return connection.ready
        asked = [str(t) for t in frame.get("assets_ids") or ()]
        if frame.get("operation") == "unsubscribe":
            connection.tokens -= set(asked)
            return True
        new = [t for t in asked if t not in connection.tokens]
        connection.tokens |= set(asked)
        connection.ready = connection.ready or bool(frame.get("custom_feature_enabled"))
        books = [body for t in new if (body := self._token_book(t)) is not None]
        if books:
            text = json.dumps(books, separators=(",", ":"))
            self._push(connection, text)
            if (fault := self.venue.faults.due("book", OLD_NEWS)) is not None:
                self._later(connection, text, fault.seconds)
        return True

    def _token_book(self, token: str) -> dict[str, Any] | None:
        for info in self.venue.infos.values():
            if token in info.tokens:
                outcome = wire.YES if token == info.tokens[0] else wire.NO
                return {"event_type": "book"} | self.book(info.condition, outcome)
        return None

    # -- books ------------------------------------------------------------------------------
    def sides(self, condition: str) -> Sides:
        """Return the book of a market as it was last told."""
        if condition not in self.told:
            book = self.venue.exchange.markets[condition].book
            self.told[condition] = {
                "bid": wire.public_levels(book, "bid"),
                "ask": wire.public_levels(book, "ask"),
            }
        return self.told[condition]

    def book(self, condition: str, outcome: str) -> dict[str, Any]:
        """Return a token's whole book."""
        market = self.venue.exchange.markets[condition]
        ms = self.venue.clock() // 1_000_000
        return wire.book_body(
            self.venue.infos[condition], market, self.sides(condition), outcome, ms
        )

    def level_changed(
        self, ticker: str, side: BookSide, price: int, change: int, ts_ns: int
    ) -> None:
        """Note a changed level; it is told at the end of its batch."""
        self.touch(ticker, side, price)

    def touch(self, condition: str, side: BookSide, price: int) -> None:
        """Note that a level may have changed."""
        sides = self.sides(condition)
        now = wire.public_size(self.venue.exchange.markets[condition].book, side, price)
        if sides[side].get(price, 0) != now:
            if now > 0:
                sides[side][price] = now
            else:
                sides[side].pop(price, None)
            self._changes.setdefault(condition, []).append((side, price, now))

    def ticked(self, ticker: str, ts_ns: int) -> None:
        """Tell the changes of a batch in one frame, both tokens."""
        changes = self._changes.pop(ticker, None)
        if not changes:
            return
        info, sides = self.venue.infos[ticker], self.sides(ticker)
        rows: dict[str, list[dict[str, str]]] = {t: [] for t in info.tokens}
        for outcome, token in zip((wire.YES, wire.NO), info.tokens, strict=True):
            bids = sides[wire.token_side("bid", outcome)]
            asks = sides[wire.token_side("ask", outcome)]
            own_bids = [wire.token_price(p, outcome) for p in bids]
            own_asks = [wire.token_price(p, outcome) for p in asks]
            best = {
                "best_bid": wire.price_text(max(own_bids, default=0)),
                "best_ask": wire.price_text(min(own_asks, default=PRICE_UNIT)),
            }
            for side, price, size in changes:
                rows[token].append(
                    {
                        "asset_id": token,
                        "price": wire.price_text(wire.token_price(price, outcome)),
                        "size": wire.size_text(size),
                        "side": "BUY" if wire.token_side(side, outcome) == "bid" else "SELL",
                        "hash": "",
                        **best,
                    }
                )
        for connection in self.connections:
            mine = [r for t in info.tokens if t in connection.tokens for r in rows[t]]
            if mine:
                self._publish(
                    connection,
                    {
                        "event_type": "price_change",
                        "market": ticker,
                        "timestamp": str(ts_ns // 1_000_000),
                        "price_changes": mine,
                    },
                )

    def snapshot_all(self, ticker: str) -> None:
        """Send fresh snapshots of both tokens to everyone who follows them."""
        self.told.pop(ticker, None)
        self._changes.pop(ticker, None)
        info = self.venue.infos[ticker]
        for outcome, token in zip((wire.YES, wire.NO), info.tokens, strict=True):
            body = {"event_type": "book"} | self.book(ticker, outcome)
            self._to_token(token, body)

    def traded(
        self, ticker: str, price: int, quantity: int, aggressor: BookSide, ts_ns: int, trade_id: str
    ) -> None:
        """Send a public trade on the YES token."""
        self._to_token(
            self.venue.infos[ticker].tokens[0],
            {
                "event_type": "last_trade_price",
                "market": ticker,
                "asset_id": self.venue.infos[ticker].tokens[0],
                "price": wire.price_text(price),
                "size": wire.size_text(quantity),
                "side": "BUY" if aggressor == "bid" else "SELL",
                "fee_rate_bps": "0",
                "timestamp": str(ts_ns // 1_000_000),
                "transaction_hash": trade_id,
            },
        )

    def change_tick(self, condition: str, tick: int) -> None:
        """Change a market's grid and tell it."""
        market = self.venue.exchange.markets[condition]
        old, market.tick = market.tick, tick
        for token in self.venue.infos[condition].tokens:
            body = {
                "event_type": "tick_size_change",
                "market": condition,
                "asset_id": token,
                "old_tick_size": wire.price_text(old),
                "new_tick_size": wire.price_text(tick),
                "timestamp": str(self.venue.clock() // 1_000_000),
            }
            self._to_token(token, body)

    # -- truth out --------------------------------------------------------------------------
    def on_exchange(self, kind: str, value: object) -> None:
        """Tell the user channel and the public book what happened."""
        now = self.venue.clock()
        if isinstance(value, Execution):
            trade = self.venue.settlement.matched(value)
            self.trade_told(self.venue.settlement.body(trade, now))
            self.touch(value.market, value.side if value.maker else other(value.side), value.price)
            self.ticked(value.market, now)
        elif isinstance(value, FakeOrder):
            word = "PLACEMENT" if not value.filled else "UPDATE"
            self._order_told(value, "CANCELLATION" if value.status == "canceled" else word)
            self.touch(value.market, value.side, value.price)
            self.ticked(value.market, now)
        elif isinstance(value, FakeMarket) and kind == "settled":
            self._resolved(value, now)

    def _resolved(self, market: FakeMarket, now: int) -> None:
        info = self.venue.infos[market.market_id]
        winner = {PRICE_UNIT: 0, 0: 1}.get(
            market.yes_payout if market.yes_payout is not None else -1
        )
        body = {
            "event_type": "market_resolved",
            "id": market.market_id[:10],
            "market": market.market_id,
            "assets_ids": list(info.tokens),
            "winning_asset_id": info.tokens[winner] if winner is not None else "",
            "winning_outcome": info.outcomes[winner] if winner is not None else "",
            "timestamp": str(now // 1_000_000),
            "tags": [],
        }
        for connection in self.connections:
            if connection.ready and not connection.private and connection.tokens & set(info.tokens):
                self._publish(connection, body)

    def trade_told(self, body: dict[str, Any]) -> None:
        """Tell a trade on the user channel."""
        self._to_user(body)

    def _order_told(self, order: FakeOrder, kind: str) -> None:
        info = self.venue.infos[order.market]
        body = wire.order_body(order, info, self.venue.api_key)
        stamp = str(self.venue.clock() // 1_000_000)
        self._to_user({"event_type": "order", **body, "type": kind, "timestamp": stamp})

    def killed(self, order: FakeOrder, words: str) -> None:
        """Tell the end of an order that never rested, in free text."""
        info = self.venue.infos[order.market]
        body = wire.order_body(order, info, self.venue.api_key)
        self._to_user({"event_type": "order", **body, "type": "CANCELLATION", "status": words})

    # -- out, with faults -------------------------------------------------------------------
    def _to_token(self, token: str, body: dict[str, Any]) -> None:
        for connection in self.connections:
            if token in connection.tokens:
                self._publish(connection, body)

    def _to_user(self, body: dict[str, Any]) -> None:
        self._told_user.append(body)
        for connection in self.connections:
            if connection.private and connection.ready:
                self._publish(connection, body)

    def _publish(self, connection: Connection, body: dict[str, Any]) -> None:
        text = json.dumps(body, separators=(",", ":"))
        fault = self.venue.faults.due(str(body["event_type"]), WS_FAULTS)
        if fault is None:
            self._push(connection, text)
            if connection.held is not None:
                held, connection.held = connection.held, None
                self._push(connection, held)
        elif fault.kind is FaultKind.WS_DUPLICATE:
            self._push(connection, text)
            self._push(connection, text)
        elif fault.kind is FaultKind.WS_GARBAGE:
            self._push(connection, text[: len(text) // 2])
            self._push(connection, text)
        elif fault.kind in OLD_NEWS:
            if fault.kind is FaultKind.WS_AGAIN:
                self._push(connection, text)
            self._later(connection, text, fault.seconds)
        elif fault.kind is FaultKind.WS_SWAP:
            connection.held = text
        elif fault.kind is FaultKind.WS_SILENCE:
            connection.silent_until = float("inf")
        elif fault.kind is FaultKind.WS_CLOSE:
            task = asyncio.get_running_loop().create_task(connection.socket.close(code=1011))
            task.add_done_callback(lambda _: None)

    def _later(self, connection: Connection, text: str, seconds: float) -> None:
        def push() -> None:
            if connection in self.connections:
                self._push(connection, text)

        asyncio.get_running_loop().call_later(seconds, push)

    def _push(self, connection: Connection, text: str) -> None:
        try:
            connection.queue.put_nowait(text)
        except asyncio.QueueFull:
            connection.silent_until = float("inf")
