"""The fake Kalshi over WebSocket: channels, one sequence per subscription, gaps on demand."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.fake.faults import OLD_NEWS, REPLAYS, WS_FAULTS, Fault, FaultKind
from adapters.fake.kalshi import wire
from adapters.fake.streams import FakeConnection, FakeStreams
from core.engine.paper.book import PRICE_UNIT, BookSide
from core.engine.paper.exchange import Execution, FakeMarket, FakeOrder

if TYPE_CHECKING:
    from adapters.fake.kalshi.server import FakeKalshi

SEQUENCED = {"orderbook_delta", "trade", "market_lifecycle_v2"}
CHANNELS = SEQUENCED | {"ticker", "fill", "user_orders", "market_positions"}
PRIVATE = frozenset({"fill", "user_orders"})
MAX_TOLD = 500


@dataclass(slots=True)
class Subscription:
    """One channel of one connection."""

    channel: str
    sid: int
    tickers: set[str]
    yes_price: bool = False
    seq: int = 0


@dataclass(slots=True)
class Connection(FakeConnection):
    """One socket and its subscriptions."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    next_sid: int = 1


class Streams(FakeStreams[Connection]):
    """All sockets of the fake venue."""

    def __init__(self, venue: FakeKalshi) -> None:
        super().__init__()
        self.venue = venue
        self._told: deque[tuple[str, str, dict[str, Any]]] = deque(maxlen=MAX_TOLD)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one socket until it goes."""
        socket = web.WebSocketResponse(heartbeat=10.0, max_msg_size=1 << 20)
        return await self.serve(request, Connection(socket))

    # -- commands ---------------------------------------------------------------------------
    def command(self, connection: Connection, text: str) -> bool:
        """Take a client frame; whatever it says, the socket stays."""
        try:
            command = json.loads(text)
            name, params, cid = command["cmd"], command.get("params", {}), command.get("id", 0)
        except (json.JSONDecodeError, KeyError, TypeError):
            self._send(connection, {"type": "error", "msg": {"code": 1, "msg": "bad message"}})
            return True
        if name == "subscribe":
            self._subscribe(connection, cid, params)
        elif name == "update_subscription":
            self._update(connection, cid, params)
        elif name == "unsubscribe":
            for channel, sub in list(connection.subscriptions.items()):
                if sub.sid in params.get("sids", []):
                    del connection.subscriptions[channel]
                    self._send(
                        connection,
                        {"id": cid, "sid": sub.sid, "seq": sub.seq + 1, "type": "unsubscribed"},
                    )
        elif name == "list_subscriptions":
            rows = [{"channel": s.channel, "sid": s.sid} for s in connection.subscriptions.values()]
            self._send(connection, {"id": cid, "type": "ok", "msg": rows})
        else:
            self._send(
                connection,
                {"id": cid, "type": "error", "msg": {"code": 5, "msg": "unknown command"}},
            )
        return True

    def _subscribe(self, connection: Connection, cid: int, params: dict[str, Any]) -> None:
        tickers = set(params.get("market_tickers") or [])
        if params.get("market_ticker"):
            tickers.add(params["market_ticker"])
        for channel in params.get("channels", []):
            if channel not in CHANNELS:
                self._send(
                    connection,
                    {"id": cid, "type": "error", "msg": {"code": 8, "msg": "Unknown channel name"}},
                )
                continue
            sub = connection.subscriptions.get(channel)
            if sub is None:
                sub = Subscription(
                    channel, connection.next_sid, set(), bool(params.get("use_yes_price"))
                )
                connection.next_sid += 1
                connection.subscriptions[channel] = sub
                reply: dict[str, Any] = {
                    "id": cid,
                    "type": "subscribed",
                    "msg": {"channel": channel, "sid": sub.sid},
                }
                self._send(connection, reply)
                self._replay(connection, sub)
                new = tickers
                sub.tickers |= tickers
            else:
                new = tickers - sub.tickers
                sub.tickers |= tickers
                self._ok(connection, cid, sub)
            if channel == "orderbook_delta":
                for ticker in sorted(new & set(self.venue.exchange.markets)):
                    self._snapshot(connection, sub, ticker)

    def _update(self, connection: Connection, cid: int, params: dict[str, Any]) -> None:
        sid = params.get("sid") or (params.get("sids") or [0])[0]
        sub = next((s for s in connection.subscriptions.values() if s.sid == sid), None)
        if sub is None:
            self._send(
                connection, {"id": cid, "type": "error", "msg": {"code": 7, "msg": "unknown sid"}}
            )
            return
        tickers, action = set(params.get("market_tickers") or []), params.get("action")
        if action == "add_markets":
            new = tickers - sub.tickers
            sub.tickers |= tickers
            self._ok(connection, cid, sub)
            for ticker in sorted(new & set(self.venue.exchange.markets)):
                if sub.channel == "orderbook_delta":
                    self._snapshot(connection, sub, ticker)
        elif action == "delete_markets":
            sub.tickers -= tickers
            self._ok(connection, cid, sub)
        elif action == "get_snapshot":
            for ticker in sorted(tickers & set(self.venue.exchange.markets)):
                self._snapshot(connection, sub, ticker, cid)

    def _ok(self, connection: Connection, cid: int, sub: Subscription) -> None:
        sub.seq += 1
        body = {
            "id": cid,
            "sid": sub.sid,
            "seq": sub.seq,
            "type": "ok",
            "msg": {"market_tickers": sorted(sub.tickers)},
        }
        self._send(connection, body)

    def _snapshot(
        self, connection: Connection, sub: Subscription, ticker: str, cid: int | None = None
    ) -> None:
        yes, no = wire.book_body(self.venue.exchange.markets[ticker].book, sub.yes_price)
        msg: dict[str, Any] = {"market_ticker": ticker, "market_id": ticker}
        if yes:
            msg["yes_dollars_fp"] = yes
        if no:
            msg["no_dollars_fp"] = no
        sub.seq += 1
        body: dict[str, Any] = {
            "type": "orderbook_snapshot",
            "sid": sub.sid,
            "seq": sub.seq,
            "msg": msg,
        }
        if cid is not None:
            body["id"] = cid
        self._send(connection, body, self.venue.faults.due("orderbook_snapshot", OLD_NEWS))

    # -- market data out --------------------------------------------------------------------
    def level_changed(
        self, ticker: str, side: BookSide, price: int, change: int, ts_ns: int
    ) -> None:
        """Send a book delta: `change` is the signed increment at the YES price `price`."""
        for connection in self.connections:
            sub = connection.subscriptions.get("orderbook_delta")
            if sub is None or ticker not in sub.tickers or change == 0:
                continue
            no = side == "ask"
            shown = price if sub.yes_price or not no else PRICE_UNIT - price
            msg = {
                "market_ticker": ticker,
                "market_id": ticker,
                "price_dollars": wire.price(shown),
                "delta_fp": wire.count(change),
                "side": "no" if no else "yes",
                "ts_ms": ts_ns // 1_000_000,
            }
            self._publish(connection, sub, "orderbook_delta", msg)

    def snapshot_all(self, ticker: str) -> None:
        """Send a fresh snapshot of one market to everyone who follows its book."""
        for connection in self.connections:
            sub = connection.subscriptions.get("orderbook_delta")
            if sub is not None and ticker in sub.tickers:
                self._snapshot(connection, sub, ticker)

    def traded(
        self, ticker: str, price: int, quantity: int, aggressor: BookSide, ts_ns: int, trade_id: str
    ) -> None:
        """Send a public trade."""
        msg = {
            "trade_id": trade_id,
            "market_ticker": ticker,
            "yes_price_dollars": wire.price(price),
            "no_price_dollars": wire.price(PRICE_UNIT - price),
            "count_fp": wire.count(quantity),
            "taker_book_side": aggressor,
            "taker_outcome_side": "yes" if aggressor == "bid" else "no",
            "is_block_trade": False,
            "ts_ms": ts_ns // 1_000_000,
        }
        self._to_channel("trade", "trade", msg, ticker)

    def ticked(self, ticker: str, ts_ns: int) -> None:
        """Send the top of book on the ticker channel."""
        book = self.venue.exchange.markets[ticker].book
        bids, asks = wire.full_levels(book, "bid"), wire.full_levels(book, "ask")
        bid, ask = (bids[0] if bids else (0, 0)), (asks[0] if asks else (PRICE_UNIT, 0))
        msg = {
            "market_ticker": ticker,
            "market_id": ticker,
            "price_dollars": wire.price(bid[0]),
            "yes_bid_dollars": wire.price(bid[0]),
            "yes_ask_dollars": wire.price(ask[0]),
            "yes_bid_size_fp": wire.count(bid[1]),
            "yes_ask_size_fp": wire.count(ask[1]),
            "ts_ms": ts_ns // 1_000_000,
        }
        self._to_channel("ticker", "ticker", msg, ticker)

    def close_moved(self, ticker: str) -> None:
        """Tell that a market's close has been moved; when it closes, no frame says so."""
        close_s = self.venue.exchange.markets[ticker].close_ns // 1_000_000_000
        body = {"market_ticker": ticker, "event_type": "close_date_updated", "close_ts": close_s}
        self._to_channel("market_lifecycle_v2", "market_lifecycle_v2", body, None)

    def grid_changed(self, ticker: str, tick: int) -> None:
        """Change a market's grid and tell it; resting orders stay where they are."""
        self.venue.exchange.markets[ticker].tick = tick
        step = wire.price(tick)
        ranges = [{"start": "0.0000", "end": "1.0000", "step": step}]
        body = {
            "market_ticker": ticker,
            "event_type": "price_level_structure_updated",
            "price_level_structure": f"uniform_{step}",
            "price_ranges": ranges,
        }
        self._to_channel("market_lifecycle_v2", "market_lifecycle_v2", body, None)

    def fees_changed(self, event: str, terms: dict[str, Any]) -> None:
        """Change the fee terms of an event and tell it."""
        self.venue.event_terms[event] = terms
        kind = "event_fee_update"
        self._to_channel("market_lifecycle_v2", kind, {"event_ticker": event} | terms, None)

    # -- truth out --------------------------------------------------------------------------
    def on_exchange(self, kind: str, value: object) -> None:
        """Tell the private channels and the lifecycle channel what happened."""
        if isinstance(value, Execution):
            held = self.venue.exchange.account.positions()
            signed = held.get((value.market, "YES"), 0) - held.get((value.market, "NO"), 0)
            self._to_channel("fill", "fill", wire.ws_fill_body(value, signed), value.market)
        elif isinstance(value, FakeOrder):
            self._to_channel("user_orders", "user_order", wire.user_order_body(value), value.market)
        elif isinstance(value, FakeMarket):
            now_s = self.venue.clock() // 1_000_000_000
            base: dict[str, Any] = {"market_ticker": value.market_id}
            if kind == "settled":
                word = {PRICE_UNIT: "yes", 0: "no"}.get(value.yes_payout or 0, "scalar")
                body = base | {
                    "event_type": "determined",
                    "result": word,
                    "settlement_value": wire.price(value.yes_payout or 0),
                    "determination_ts": now_s,
                }
                self._to_channel("market_lifecycle_v2", "market_lifecycle_v2", body, None)
                done = base | {"event_type": "settled", "settled_ts": now_s}
                self._to_channel("market_lifecycle_v2", "market_lifecycle_v2", done, None)
            elif value.status == "paused":
                body = base | {"event_type": "deactivated", "is_deactivated": True}
                self._to_channel("market_lifecycle_v2", "market_lifecycle_v2", body, None)

    def _replay(self, connection: Connection, sub: Subscription) -> None:
        """Tell a new subscriber of a private channel everything again, when the schedule says so."""
        subject = f"subscribed {sub.channel}"
        if sub.channel not in PRIVATE or self.venue.faults.due(subject, REPLAYS) is None:
            return
        for channel, kind, msg in self._told:
            if channel == sub.channel:
                self._send(connection, {"type": kind, "sid": sub.sid, "msg": msg})

    def _to_channel(self, channel: str, kind: str, msg: dict[str, Any], ticker: str | None) -> None:
        if channel in PRIVATE:
            self._told.append((channel, kind, msg))
        for connection in self.connections:
            sub = connection.subscriptions.get(channel)
            if sub is not None and (ticker is None or not sub.tickers or ticker in sub.tickers):
                self._publish(connection, sub, kind, msg)

    # -- out, with faults -------------------------------------------------------------------
    def _publish(
        self, connection: Connection, sub: Subscription, kind: str, msg: dict[str, Any]
    ) -> None:
        body: dict[str, Any] = {"type": kind, "sid": sub.sid, "msg": msg}
        if sub.channel in SEQUENCED:
            sub.seq += 1
            body["seq"] = sub.seq
        fault = self.venue.faults.due(kind, WS_FAULTS)
        self._send(connection, body, fault)

    def _send(
        self, connection: Connection, body: dict[str, Any], fault: Fault | None = None
    ) -> None:
        text = json.dumps(body, separators=(",", ":"))
        if fault is None:
            self._push(connection, text)
        elif fault.kind is FaultKind.WS_DUPLICATE:
            self._push(connection, text)
            self._push(connection, text)
        elif fault.kind is FaultKind.WS_GARBAGE:
            self._push(connection, text[: len(text) // 2])
            self._push(connection, text)
        elif fault.kind in OLD_NEWS:
            if fault.kind is FaultKind.WS_AGAIN:
                self._push(connection, text)
            asyncio.get_running_loop().call_later(fault.seconds, self._push_late, connection, text)
        elif fault.kind is FaultKind.WS_SWAP and connection.held is None:
            connection.held = text
            return
        elif fault.kind is FaultKind.WS_CLOSE:
            task = asyncio.get_running_loop().create_task(connection.socket.close(code=1011))
            task.add_done_callback(lambda _: None)
        if connection.held is not None and fault is None:
            held, connection.held = connection.held, None
            self._push(connection, held)

    def _push_late(self, connection: Connection, text: str) -> None:
        if connection in self.connections:
            self._push(connection, text)

    def _push(self, connection: Connection, text: str) -> None:
        try:
            connection.queue.put_nowait(text)
        except asyncio.QueueFull:
            overflow = {"type": "error", "msg": {"code": 25, "msg": "Subscription buffer overflow"}}
            while not connection.queue.empty():
                connection.queue.get_nowait()
            connection.queue.put_nowait(json.dumps(overflow))
