"""The fake Kalshi over HTTP: routes, signatures, limits, faults. Everything it knows is in `Exchange`."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from adapters.fake.faults import HTTP_FAULTS, FaultKind, FaultSchedule
from adapters.fake.kalshi import wire
from adapters.fake.kalshi.stream import Streams
from core.domain.clock import iso_from_ns
from core.engine.paper.exchange import Exchange, FakeOrder, VenueRefusal

ROOT = "/trade-api/v2"
MAX_SKEW_MS = 5_000
TIF = {"good_till_canceled": "GTC", "immediate_or_cancel": "IOC", "fill_or_kill": "FOK"}
HTTP_CODES = {
    "not_found": 404,
    "order_already_exists": 409,
    "market_inactive": 400,
    "insufficient_balance": 400,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def parse_units(text: object, decimals: int, code: str) -> int:
    """Return a decimal string as integer units; refuses what is finer, negative or no number."""
    whole, _, fraction = str(text).partition(".")
    if not (whole + fraction).isdigit() or fraction[decimals:].strip("0"):
        raise VenueRefusal(code, f"cannot read {text!r}")
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


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
    tags : dict
        Series to its tags (the asset of a crypto window).
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
        self.tags: dict[str, list[str]] = {}
        self.faults = faults or FaultSchedule()
        self.clock = clock
        self.read, self.write = Bucket(read_rate, 2 * read_rate), Bucket(write_rate, write_rate)
        self.streams = Streams(self)
        self.requests: list[tuple[int, str]] = []
        exchange.listeners.append(self.streams.on_exchange)

    # -- application ------------------------------------------------------------------------
    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 20)
        orders = f"{ROOT}/portfolio/events/orders"
        app.add_routes(
            [
                web.get(f"{ROOT}/exchange/status", self.get_status),
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
                web.get(f"{ROOT}/historical/orders", self.get_no_orders),
                web.get(f"{ROOT}/historical/fills", self.get_no_fills),
                web.post(orders, self.create_order),
                web.delete(orders, self.cancel_all),
                web.post(f"{orders}/batched", self.create_batch),
                web.delete(f"{orders}/batched", self.cancel_batch),
                web.delete(f"{orders}/{{order_id}}", self.cancel_order),
                web.post(f"{orders}/{{order_id}}/amend", self.amend_order),
                web.post(f"{orders}/{{order_id}}/decrease", self.decrease_order),
                web.get("/trade-api/ws/v2", self.streams.handle),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Faults first, then signature, limits and the error body of a refusal."""
        subject = f"{request.method} {request.path}"
        self.requests.append((self.clock(), subject))
        stream = request.path.startswith("/trade-api/ws")
        fault = None if stream else self.faults.due(subject, HTTP_FAULTS)
        if fault is not None:
            if fault.kind is FaultKind.DROP_REQUEST:
                return self._hang_up(request)
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(fault.seconds)
            early = {
                FaultKind.HTTP_429: (429, {"error": "too many requests"}),
                FaultKind.HTTP_500: (500, {"code": "internal", "message": "internal error"}),
                FaultKind.HTTP_503: (503, {"code": "unavailable", "message": "try later"}),
            }.get(fault.kind)
            if early is not None:
                return web.json_response(early[1], status=early[0])
        problem = self._check(request, stream)
        if problem is not None:
            return problem
        try:
            response = await handler(request)
        except VenueRefusal as exc:
            body = {"error": {"code": exc.code, "message": str(exc)}}
            response = web.json_response(body, status=HTTP_CODES.get(exc.code, 400))
        if fault is not None and fault.kind is FaultKind.DROP_RESPONSE:
            return self._hang_up(request)
        return response

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
        cost = 2.0 if request.method == "DELETE" else 10.0
        if not stream and not bucket.take(cost):
            return web.json_response({"error": "too many requests"}, status=429)
        return None

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
        """Costs that differ from the default of 10."""
        path = "/portfolio/events/orders/{order_id}"
        return web.json_response(
            {"default_cost": 10, "endpoint_costs": [{"method": "DELETE", "path": path, "cost": 2}]}
        )

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
        }
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
        """Free cash: resting collateral is already taken out."""
        free = self.exchange.account.cash - self.exchange.reserved()
        return web.json_response(
            {
                "balance": free // 10_000,
                "balance_dollars": wire.money(free),
                "portfolio_value": 0,
                "updated_ts": self.clock() // 1_000_000_000,
                "balance_breakdown": [{"exchange_index": 0, "balance": wire.money(free)}],
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

    async def get_fills(self, request: web.Request) -> web.Response:
        """Own fills, newest first."""
        q = request.query
        rows = [
            wire.fill_body(e)
            for e in reversed(self.exchange.executions)
            if ("ticker" not in q or e.market in q["ticker"].split(","))
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
        """Own orders, newest first."""
        q = request.query
        rows = [
            wire.order_body(o)
            for o in reversed(list(self.exchange.orders.values()))
            if ("status" not in q or o.status == q["status"])
            and ("ticker" not in q or o.market == q["ticker"])
            and ("min_ts" not in q or o.created_ns // 1_000_000_000 >= int(q["min_ts"]))
        ]
        page, cursor = self._page(rows, request)
        return web.json_response({"orders": page, "cursor": cursor})

    async def get_order(self, request: web.Request) -> web.Response:
        """One own order."""
        order = self.exchange.orders.get(request.match_info["order_id"])
        if order is None:
            raise VenueRefusal("not_found", "order not found")
        return web.json_response({"order": wire.order_body(order)})

    async def get_cutoff(self, request: web.Request) -> web.Response:
        """Nothing has moved to the archive."""
        names = (
            "market_settled_ts",
            "trades_created_ts",
            "orders_updated_ts",
            "market_positions_last_updated_ts",
        )
        return web.json_response(dict.fromkeys(names, "2020-01-01T00:00:00Z"))

    async def get_no_orders(self, request: web.Request) -> web.Response:
        """Return an empty archive of orders."""
        return web.json_response({"orders": [], "cursor": ""})

    async def get_no_fills(self, request: web.Request) -> web.Response:
        """Return an empty archive of fills."""
        return web.json_response({"fills": [], "cursor": ""})

    # -- writes -----------------------------------------------------------------------------
    async def _body(self, request: web.Request) -> dict[str, Any]:
        try:
            body = await request.json()
        except json.JSONDecodeError:
            raise VenueRefusal("bad_request", "body is not JSON") from None
        if not isinstance(body, dict):
            raise VenueRefusal("bad_request", "body is not an object")
        return body

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        tif = TIF.get(str(body.get("time_in_force")))
        side = body.get("side")
        if tif is None or side not in ("bid", "ask") or not body.get("self_trade_prevention_type"):
            raise VenueRefusal(
                "bad_request", "side, time_in_force and self_trade_prevention_type are required"
            )
        if body.get("expiration_time") and tif != "GTC":
            raise VenueRefusal("invalid_order", "expiration_time needs good_till_canceled")
        if body.get("reduce_only") and tif != "IOC":
            raise VenueRefusal("invalid_order", "reduce_only needs immediate_or_cancel")
        now = self.clock()
        order = FakeOrder(
            order_id="",
            client_order_id=str(body.get("client_order_id", "")),
            market=str(body.get("ticker", "")),
            side=side,
            outcome="YES",
            price=parse_units(body.get("price"), 4, "invalid_price"),
            quantity=parse_units(body.get("count"), 2, "invalid_order"),
            tif=tif,
            post_only=bool(body.get("post_only")),
            created_ns=now,
            expire_ns=int(body.get("expiration_time") or 0) * 1_000_000_000,
        )
        done = self.exchange.submit(order, now)
        ack: dict[str, Any] = {
            "order_id": done.order_id,
            "client_order_id": done.client_order_id,
            "fill_count": wire.count(done.filled),
            "remaining_count": wire.count(done.left if done.status == "resting" else 0),
            "ts_ms": now // 1_000_000,
        }
        if done.filled:
            ack["average_fill_price"] = wire.price(done.cost // done.filled)
            ack["average_fee_paid"] = wire.money(done.fees * 100 // done.filled)
        return ack

    async def create_order(self, request: web.Request) -> web.Response:
        """Create one order."""
        return web.json_response(self._create(await self._body(request)), status=201)

    async def create_batch(self, request: web.Request) -> web.Response:
        """Create several; each item answers for itself."""
        rows = []
        for item in (await self._body(request)).get("orders", []):
            try:
                rows.append(self._create(item))
            except VenueRefusal as exc:
                error = {"code": exc.code, "message": str(exc), "details": ""}
                rows.append({"client_order_id": item.get("client_order_id", ""), "error": error})
        return web.json_response({"orders": rows}, status=201)

    def _cancel(self, order_id: str) -> dict[str, Any]:
        before = self.exchange.orders.get(order_id)
        left = before.left if before is not None else 0
        order = self.exchange.cancel(order_id, self.clock())
        return {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "reduced_by": wire.count(left),
            "ts_ms": self.clock() // 1_000_000,
        }

    async def cancel_order(self, request: web.Request) -> web.Response:
        """Cancel one order."""
        return web.json_response(self._cancel(request.match_info["order_id"]))

    async def cancel_batch(self, request: web.Request) -> web.Response:
        """Cancel several."""
        rows = []
        for item in (await self._body(request)).get("orders", []):
            try:
                rows.append(self._cancel(str(item.get("order_id"))))
            except VenueRefusal as exc:
                error = {"code": exc.code, "message": str(exc)}
                rows.append(
                    {"order_id": item.get("order_id"), "reduced_by": "0.00", "error": error}
                )
        return web.json_response({"orders": rows})

    async def cancel_all(self, request: web.Request) -> web.Response:
        """Cancel every working order."""
        rows = [self._cancel(o.order_id) for o in self.exchange.working()]
        return web.json_response({"orders": rows})

    async def amend_order(self, request: web.Request) -> web.Response:
        """Change price or count (filled plus wanted)."""
        body = await self._body(request)
        order = self.exchange.amend(
            request.match_info["order_id"],
            parse_units(body.get("price"), 4, "invalid_price"),
            parse_units(body.get("count"), 2, "invalid_order"),
            self.clock(),
        )
        return web.json_response(
            {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "remaining_count": wire.count(order.left),
                "fill_count": wire.count(order.filled),
                "ts_ms": self.clock() // 1_000_000,
            }
        )

    async def decrease_order(self, request: web.Request) -> web.Response:
        """Make an order smaller; it keeps its place."""
        body = await self._body(request)
        order = self.exchange.orders.get(request.match_info["order_id"])
        if order is None or order.status != "resting":
            raise VenueRefusal("not_found", "order not found")
        if ("reduce_by" in body) == ("reduce_to" in body):
            raise VenueRefusal("bad_request", "give reduce_by or reduce_to")
        by = body.get("reduce_by")
        left = (
            order.left - parse_units(by, 2, "invalid_order")
            if by is not None
            else parse_units(body["reduce_to"], 2, "invalid_order")
        )
        if left <= 0:
            self.exchange.cancel(order.order_id, self.clock())
        else:
            self.exchange.amend(order.order_id, order.price, order.filled + left, self.clock())
        return web.json_response(
            {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "remaining_count": wire.count(max(left, 0)),
                "ts_ms": self.clock() // 1_000_000,
            }
        )
