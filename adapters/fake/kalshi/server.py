"""The fake Kalshi over HTTP: routes, signatures, limits, faults. Everything it knows is in `Exchange`."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from adapters.fake.faults import HTTP_FAULTS, Fault, FaultKind, FaultSchedule, Tamper, shape
from adapters.fake.kalshi import wire
from adapters.fake.kalshi.orders import OrderRoutes
from adapters.fake.kalshi.stream import Streams
from core.domain.clock import iso_from_ns
from core.engine.paper.exchange import Exchange, VenueRefusal

ROOT = "/trade-api/v2"
MAX_SKEW_MS = 5_000
HTTP_CODES = {
    "not_found": 404,
    "order_already_exists": 409,
    "market_inactive": 400,
    "insufficient_balance": 400,
    "too_many_requests": 429,
}
COST, DELETE_COST, ORDER_READ_COST = 10.0, 2.0, 2.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bucket:
    """Token bucket of one kind of request, refilled by the monotonic clock."""

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate, self.capacity, self.tokens = rate, capacity, capacity
        self.at = time.monotonic()

    def take(self, cost: float) -> bool:
        """Take `cost` tokens if they are there."""
        now = time.monotonic()
        self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True


class FakeKalshi:
    """One fake Kalshi: truth, routes, streams.

    Parameters
    ----------
    exchange : Exchange
        The truth, with a `NettedAccount`.
    public_key : RSA or Ed25519 public key, optional
        When given every private call must be signed with its private half.
    infos : dict
        Market id to the payload fields the exchange does not keep (titles, strikes, event).

    Attributes
    ----------
    tamper : callable, optional
        Gets ``"METHOD path"`` and the body of every answer and returns the body that is sent instead.
    tags : dict
        Series to its tags (the asset of a crypto window).
    scopes : tuple of str
        What the account's key may do.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        public_key: RSAPublicKey | Ed25519PublicKey | None = None,
        infos: dict[str, dict[str, Any]] | None = None,
        faults: FaultSchedule | None = None,
        read_rate: float = 200.0,
        write_rate: float = 100.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.exchange = exchange
        self.public_key = public_key
        self.infos = infos or {}
        #: What an event says beside its markets, by ticker: ``fee_multiplier_override`` and the like.
        self.event_terms: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, list[str]] = {}
        self.scopes: tuple[str, ...] = ("read", "write::trade")
        self.faults = faults or FaultSchedule()
        self.clock = clock
        self.read, self.write = Bucket(read_rate, 2 * read_rate), Bucket(write_rate, write_rate)
        self.streams = Streams(self)
        self.orders = OrderRoutes(self)
        self.archived_before_ns = 0
        self.shard_cash: dict[int, int] = {}
        self.requests: list[tuple[int, str]] = []
        self.tamper: Tamper | None = None
        exchange.listeners.append(self.streams.on_exchange)

    # -- application ------------------------------------------------------------------------
    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 20)
        orders, writes = f"{ROOT}/portfolio/events/orders", self.orders
        groups = f"{ROOT}/portfolio/order_groups"
        app.add_routes(
            [
                web.get(f"{ROOT}/exchange/status", self.get_status),
                web.get(f"{ROOT}/api_keys", self.get_keys),
                web.get(f"{ROOT}/account/limits", self.get_limits),
                web.get(f"{ROOT}/account/endpoint_costs", self.get_costs),
                web.get(f"{ROOT}/series/{{ticker}}", self.get_series),
                web.get(f"{ROOT}/events/{{ticker}}", self.get_event),
                web.get(f"{ROOT}/markets", self.get_markets),
                web.get(f"{ROOT}/markets/{{ticker}}", self.get_market),
                web.get(f"{ROOT}/markets/{{ticker}}/orderbook", self.get_book),
                web.get(f"{ROOT}/portfolio/balance", self.get_balance),
                web.get(f"{ROOT}/portfolio/positions", self.get_positions),
                web.get(f"{ROOT}/portfolio/fills", self.get_fills),
                web.get(f"{ROOT}/portfolio/settlements", self.get_settlements),
                web.get(f"{ROOT}/portfolio/orders", self.get_orders),
                web.get(f"{ROOT}/portfolio/orders/{{order_id}}", self.get_order),
                web.get(f"{ROOT}/historical/cutoff", self.get_cutoff),
                web.get(f"{ROOT}/historical/orders", self.get_orders),
                web.get(f"{ROOT}/historical/fills", self.get_fills),
                web.post(orders, writes.create_order),
                web.delete(orders, writes.cancel_all),
                web.post(f"{orders}/batched", writes.create_batch),
                web.delete(f"{orders}/batched", writes.cancel_batch),
                web.delete(f"{orders}/{{order_id}}", writes.cancel_order),
                web.post(f"{orders}/{{order_id}}/amend", writes.amend_order),
                web.post(f"{orders}/{{order_id}}/decrease", writes.decrease_order),
                web.post(f"{groups}/create", writes.create_group),
                web.get(f"{groups}/{{group_id}}", writes.get_group),
                web.delete(f"{groups}/{{group_id}}", writes.delete_group),
                web.put(f"{groups}/{{group_id}}/trigger", writes.trigger_group),
                web.put(f"{groups}/{{group_id}}/reset", writes.reset_group),
                web.get("/trade-api/ws/v2", self.streams.handle),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Faults first, then signature, limits and the error body of a refusal."""
        subject = f"{request.method} {request.path}"
        self.requests.append((self.clock(), subject))
        if request.path.startswith("/trade-api/ws"):
            return self._check(request, True) or await handler(request)
        fault = self.faults.due(subject, HTTP_FAULTS)
        answer = await self._faulty(request, handler, fault)
        return shape(answer, self.clock(), fault, subject, self.tamper)

    async def _faulty(
        self, request: web.Request, handler: Handler, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None:
            if fault.kind is FaultKind.DROP_REQUEST:
                return self._hang_up(request)
            if fault.kind is FaultKind.DELAY:
                await request.read()  # it has arrived, whatever becomes of its sender
                await asyncio.sleep(fault.seconds)
            early = {
                FaultKind.HTTP_429: (429, {"error": "too many requests"}),
                FaultKind.HTTP_500: (500, {"code": "internal", "message": "internal error"}),
                FaultKind.HTTP_503: (503, {"code": "unavailable", "message": "try later"}),
            }.get(fault.kind)
            if early is not None:
                return web.json_response(early[1], status=early[0])
        problem = self._check(request, False)
        if problem is not None:
            return problem
        try:
            response = await handler(request)
        except VenueRefusal as exc:
            response = self._refused(exc)
        if fault is not None and fault.kind is FaultKind.DROP_RESPONSE:
            return self._hang_up(request)
        return response

    @staticmethod
    def _refused(exc: VenueRefusal) -> web.Response:
        """Return the body of a refusal; too many requests has a shape of its own."""
        status = HTTP_CODES.get(exc.code, 400)
        error: object = {"code": exc.code, "message": str(exc)}
        if status == 429:
            error = "too many requests"
        return web.json_response({"error": error}, status=status)

    def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _check(self, request: web.Request, stream: bool) -> web.Response | None:
        public = request.path.startswith(
            (f"{ROOT}/markets", f"{ROOT}/events", f"{ROOT}/series", f"{ROOT}/exchange")
        )
        if self.public_key is not None and not public and not self._signed(request):
            return web.json_response(
                {"error": {"code": "unauthorized", "message": "bad signature"}}, status=401
            )
        bucket = self.read if request.method == "GET" else self.write
        cost = DELETE_COST if request.method == "DELETE" else COST
        if request.method == "GET" and request.path.startswith(f"{ROOT}/portfolio/orders/"):
            cost = ORDER_READ_COST
        batch = request.path.endswith("/batched")  # costs by its orders, once they are read
        if not stream and not batch and not bucket.take(cost):
            return self._refused(VenueRefusal("too_many_requests", ""))
        return None

    def spend(self, cost: float) -> None:
        """Take the write tokens of a batch whole, or refuse it whole."""
        if not self.write.take(cost):
            raise VenueRefusal("too_many_requests", "")

    def _signed(self, request: web.Request) -> bool:
        try:
            stamp = int(request.headers["KALSHI-ACCESS-TIMESTAMP"])
            signature = base64.b64decode(request.headers["KALSHI-ACCESS-SIGNATURE"])
        except (KeyError, ValueError):
            return False
        if abs(stamp - self.clock() // 1_000_000) > MAX_SKEW_MS:
            return False
        message = f"{stamp}{request.method}{request.path}".encode()
        try:
            if isinstance(self.public_key, RSAPublicKey):
                pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
                self.public_key.verify(signature, message, pss, hashes.SHA256())
            elif self.public_key is not None:
                self.public_key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    # -- public reads -----------------------------------------------------------------------
    async def get_keys(self, request: web.Request) -> web.Response:
        """The one key of the account: whoever asks, and what it may do."""
        asks = request.headers.get("KALSHI-ACCESS-KEY", "")
        key = {"api_key_id": asks, "name": "node", "scopes": list(self.scopes)}
        return web.json_response({"api_keys": [key]})

    async def get_status(self, request: web.Request) -> web.Response:
        """Exchange is open."""
        shard = {
            "exchange_index": 0,
            "description": "default",
            "exchange_active": True,
            "trading_active": True,
        }
        return web.json_response(
            {"exchange_active": True, "trading_active": True, "exchange_index_statuses": [shard]}
        )

    async def get_limits(self, request: web.Request) -> web.Response:
        """Token buckets in force."""
        sizes = {
            name: {"refill_rate": b.rate, "bucket_capacity": b.capacity}
            for name, b in (("read", self.read), ("write", self.write))
        }
        return web.json_response({"usage_tier": "basic", **sizes, "grants": []})

    async def get_costs(self, request: web.Request) -> web.Response:
        """Costs that differ from the default of 10; those of a batch are for each of its orders."""
        orders = "/portfolio/events/orders"
        rows = [
            {"method": "DELETE", "path": f"{orders}/{{order_id}}", "cost": DELETE_COST},
            {"method": "DELETE", "path": f"{orders}/batched", "cost": DELETE_COST},
            {"method": "GET", "path": "/portfolio/orders/{order_id}", "cost": ORDER_READ_COST},
        ]
        return web.json_response({"default_cost": COST, "endpoint_costs": rows})

    async def get_series(self, request: web.Request) -> web.Response:
        """Fee terms of a series."""
        ticker = request.match_info["ticker"]
        market = next(
            (m for m in self.exchange.markets.values() if m.market_id.startswith(ticker)), None
        )
        if market is None:
            raise VenueRefusal("not_found", "series not found")
        return web.json_response(
            {
                "series": {
                    "ticker": ticker,
                    "title": ticker,
                    "category": "",
                    "tags": self.tags.get(ticker, []),
                    "fee_type": market.fees.kind or "quadratic",
                    "fee_multiplier": float(market.fees.multiplier),
                }
            }
        )

    async def get_event(self, request: web.Request) -> web.Response:
        """One event with its markets."""
        ticker = request.match_info["ticker"]
        rows = [b for b in self._market_bodies() if b["event_ticker"] == ticker]
        if not rows:
            raise VenueRefusal("not_found", "event not found")
        event = {
            "event_ticker": ticker,
            "series_ticker": ticker.split("-")[0],
            "title": ticker,
            "mutually_exclusive": False,
            "collateral_return_type": "",
            "markets": rows,
        } | self.event_terms.get(ticker, {})
        return web.json_response({"event": event, "markets": rows})

    def _market_bodies(self) -> list[dict[str, Any]]:
        now = self.clock()
        base = {
            "event_ticker": "",
            "open_time": "2020-01-01T00:00:00Z",
            "title": "",
            "yes_sub_title": "",
            "no_sub_title": "",
        }
        return [
            wire.market_body(m, base | self.infos.get(m.market_id, {}), now)
            for m in self.exchange.markets.values()
        ]

    async def get_markets(self, request: web.Request) -> web.Response:
        """Markets, filtered by tickers, event, series prefix and status, in pages."""
        q = request.query
        rows = self._market_bodies()
        if "tickers" in q:
            wanted = set(q["tickers"].split(","))
            rows = [r for r in rows if r["ticker"] in wanted]
        if "event_ticker" in q:
            rows = [r for r in rows if r["event_ticker"] == q["event_ticker"]]
        if "series_ticker" in q:
            rows = [r for r in rows if r["ticker"].startswith(q["series_ticker"])]
        if "status" in q:
            words = {
                "open": {"active"},
                "settled": {"finalized"},
                "closed": {"closed", "determined"},
            }
            rows = [r for r in rows if r["status"] in words.get(q["status"], {q["status"]})]
        page, cursor = self._page(rows, request)
        return web.json_response({"markets": page, "cursor": cursor})

    def _page(self, rows: list[Any], request: web.Request) -> tuple[list[Any], str]:
        try:
            start = int(request.query.get("cursor") or 0)
            limit = min(int(request.query.get("limit", wire.PAGE)), 1000)
        except ValueError:
            raise VenueRefusal("bad_request", "bad cursor or limit") from None
        end = start + max(limit, 1)
        return rows[start:end], str(end) if end < len(rows) else ""

    def _market(self, request: web.Request) -> str:
        ticker = request.match_info["ticker"]
        if ticker not in self.exchange.markets:
            raise VenueRefusal("not_found", "market not found")
        return ticker

    async def get_market(self, request: web.Request) -> web.Response:
        """One market."""
        ticker = self._market(request)
        return web.json_response(
            {"market": next(b for b in self._market_bodies() if b["ticker"] == ticker)}
        )

    async def get_book(self, request: web.Request) -> web.Response:
        """Bids of both sides, best last."""
        yes, no = wire.book_body(self.exchange.markets[self._market(request)].book)
        return web.json_response({"orderbook_fp": {"yes_dollars": yes, "no_dollars": no}})

    # -- private reads ----------------------------------------------------------------------
    async def get_balance(self, request: web.Request) -> web.Response:
        """Free cash: resting collateral is already taken out, on each shard."""
        free = self.exchange.account.cash - self.exchange.collateral()
        shards = [
            {"exchange_index": s, "balance": wire.money(v)} for s, v in self.shard_cash.items()
        ]
        first = free - sum(self.shard_cash.values())
        return web.json_response(
            {
                "balance": free // 10_000,
                "balance_dollars": wire.money(free),
                "portfolio_value": 0,
                "updated_ts": self.clock() // 1_000_000_000,
                "balance_breakdown": [
                    {"exchange_index": 0, "balance": wire.money(first)},
                    *shards,
                ],
            }
        )

    async def get_positions(self, request: web.Request) -> web.Response:
        """Signed positions of unsettled markets."""
        rows = []
        for (ticker, outcome), quantity in sorted(self.exchange.account.positions().items()):
            done = [e for e in self.exchange.executions if e.market == ticker]
            cost = sum(e.price * e.quantity * (1 if e.side == "bid" else -1) for e in done)
            exposure = cost if outcome == "YES" else 10_000 * quantity + cost
            rows.append(
                {
                    "ticker": ticker,
                    "exchange_index": 0,
                    "position_fp": wire.count(quantity if outcome == "YES" else -quantity),
                    "market_exposure_dollars": wire.money(abs(exposure)),
                    "total_traded_dollars": wire.money(sum(e.price * e.quantity for e in done)),
                    "realized_pnl_dollars": "0.000000",
                    "fees_paid_dollars": wire.money(sum(e.fee for e in done)),
                    "last_updated_ts": "2020-01-01T00:00:00Z",
                }
            )
        page, cursor = self._page(rows, request)
        return web.json_response(
            {"market_positions": page, "event_positions": [], "cursor": cursor}
        )

    def _old(self, ts_ns: int) -> bool:
        return ts_ns < self.archived_before_ns

    async def get_fills(self, request: web.Request) -> web.Response:
        """Own fills, newest first; the archive has those before the cutoff."""
        q, archive = request.query, "/historical/" in request.path
        rows = [
            wire.fill_body(e)
            for e in reversed(self.exchange.executions)
            if self._old(e.ts_ns) == archive
            and ("ticker" not in q or e.market in q["ticker"].split(","))
            and ("order_id" not in q or e.order_id == q["order_id"])
            and ("min_ts" not in q or e.ts_ns // 1_000_000_000 >= int(q["min_ts"]))
        ]
        page, cursor = self._page(rows, request)
        return web.json_response({"fills": page, "cursor": cursor})

    async def get_settlements(self, request: web.Request) -> web.Response:
        """Resolved markets that were traded."""
        rows = []
        for ts, kind, detail in self.exchange.journal:
            if kind == "settled" and any(
                e.market == detail["market"] for e in self.exchange.executions
            ):
                market = self.exchange.markets[str(detail["market"])]
                word = {10_000: "yes", 0: "no"}.get(market.yes_payout or 0, "scalar")
                rows.append(
                    {
                        "ticker": market.market_id,
                        "event_ticker": self.infos.get(market.market_id, {}).get(
                            "event_ticker", ""
                        ),
                        "exchange_index": 0,
                        "market_result": word,
                        "yes_count_fp": "0.00",
                        "no_count_fp": "0.00",
                        "yes_total_cost_dollars": "0.000000",
                        "no_total_cost_dollars": "0.000000",
                        "revenue": int(str(detail["paid"])) // 10_000,
                        "value": (market.yes_payout or 0) // 100,
                        "fee_cost": "0.000000",
                        "settled_time": iso_from_ns(ts),
                    }
                )
        page, cursor = self._page(rows, request)
        return web.json_response({"settlements": page, "cursor": cursor})

    async def get_orders(self, request: web.Request) -> web.Response:
        """Own orders, newest first; the archive has ended ones from before the cutoff."""
        q, archive = request.query, "/historical/" in request.path
        rows = [
            wire.order_body(o)
            for o in reversed(list(self.exchange.orders.values()))
            if (o.status != "resting" and self._old(o.updated_ns)) == archive
            and ("status" not in q or o.status == q["status"])
            and ("ticker" not in q or o.market == q["ticker"])
            and ("min_ts" not in q or o.created_ns // 1_000_000_000 >= int(q["min_ts"]))
        ]
        page, cursor = self._page(rows, request)
        return web.json_response({"orders": page, "cursor": cursor})

    async def get_order(self, request: web.Request) -> web.Response:
        """One own order."""
        order = self.exchange.orders.get(request.match_info["order_id"])
        if order is None or (order.status != "resting" and self._old(order.updated_ns)):
            raise VenueRefusal("not_found", "order not found")
        return web.json_response({"order": wire.order_body(order)})

    async def get_cutoff(self, request: web.Request) -> web.Response:
        """Before when own data is in the archive."""
        names = (
            "market_settled_ts",
            "trades_created_ts",
            "orders_updated_ts",
            "market_positions_last_updated_ts",
        )
        at = iso_from_ns(self.archived_before_ns) if self.archived_before_ns else ""
        return web.json_response(dict.fromkeys(names, at or "2020-01-01T00:00:00Z"))
