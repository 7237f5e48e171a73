"""The fake Polymarket over HTTP: routes, keys, faults. Everything it knows is in `Exchange` and `Settlement`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.fake.faults import HTTP_FAULTS, Fault, FaultKind, FaultSchedule, Tamper, shape
from adapters.fake.polymarket import wire
from adapters.fake.polymarket.orders import FAK_WORDS, FOK_WORDS, Posted, read
from adapters.fake.polymarket.relayer import FakeRelayer
from adapters.fake.polymarket.settlement import Settlement
from adapters.fake.polymarket.stream import Streams
from adapters.fake.polymarket.wire import FakeInfo
from core.engine.paper.account import TokenAccount
from core.engine.paper.exchange import Exchange, VenueRefusal

WORDS = {
    "insufficient_balance": "not enough balance / allowance",
    "post_only_cross": "invalid post-only order: order crosses book",
    "fok_unfilled": FOK_WORDS,
    "market_inactive": "the market is not yet ready to process new orders",
}
PUBLIC = ("/time", "/version", "/ok", "/book", "/markets", "/events", "/v2/", "/api/", "/ws/", "/_")
MAX_SKEW_S = 30
HEARTBEAT_WINDOW_S = 10.0
PAGE, MAX_BATCH = 100, 15
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakePolymarket:
    """One fake Polymarket: truth, routes, streams.

    Parameters
    ----------
    exchange : Exchange
        The truth, with a `TokenAccount`.
    infos : dict
        Condition id to tokens and catalogue fields.
    secret : str
        API secret (URL-safe base64); with one, private calls must carry a right HMAC. Empty: anyone may call.
    public_key : optional
        Orders must be signed with its private half.

    Attributes
    ----------
    tamper : callable, optional
        Gets ``"METHOD path"`` and the body of every answer and returns the body that is sent instead.
    """

    def __init__(
        self,
        exchange: Exchange,
        infos: dict[str, FakeInfo],
        *,
        api_key: str = "fake-key",
        secret: str = "",
        public_key: ec.EllipticCurvePublicKey | None = None,
        faults: FaultSchedule | None = None,
        mine_s: float = 0.2,
        confirm_s: float = 0.4,
        fail: Callable[[int], bool] = lambda number: False,
        seed: int = 0,
        heartbeat_window_s: float = HEARTBEAT_WINDOW_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        assert isinstance(exchange.account, TokenAccount)
        self.exchange, self.infos, self.clock = exchange, infos, clock
        self.unlisted: set[str] = set()
        self.api_key, self.secret, self.public_key = api_key, secret, public_key
        self.faults = faults or FaultSchedule()
        self.settlement = Settlement(
            exchange.account,
            infos,
            owner=api_key,
            mine_s=mine_s,
            confirm_s=confirm_s,
            fail=fail,
            seed=seed,
        )
        self.relayer = FakeRelayer(exchange, infos, clock)
        self.streams = Streams(self)
        self.blocked, self.closed_only, self.version = False, False, "2"
        self.allowances = {"exchange": str(1 << 64), "neg-risk exchange": str(1 << 64)}
        self.restarting = False
        self.delayed_s, self.pace_s = 0.0, 0.02
        self.heartbeat_window_s = heartbeat_window_s
        self.heartbeat_id, self.beat_at, self.heartbeats = "", 0.0, 0
        self.requests: list[tuple[int, str]] = []
        self.tamper: Tamper | None = None
        self._keeper: asyncio.Task[None] | None = None
        exchange.listeners.append(self._on_exchange)

    # -- application ------------------------------------------------------------------------
    def app(self) -> web.Application:
        """Return the aiohttp application: catalogue, order book service, indexer and sockets under one root."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 20)
        app.add_routes(
            [
                web.get("/time", self.get_time),
                web.get("/version", self.get_version),
                web.get("/book", self.get_book),
                web.get("/api/geoblock", self.get_geoblock),
                web.get("/markets/keyset", self.get_markets),
                web.get("/markets", self.get_market_list),
                web.get("/events/keyset", self.get_events),
                web.get("/v2/positions", self.get_positions),
                web.get("/v2/resolutions", self.get_resolutions),
                web.get("/auth/derive-api-key", self.get_key),
                web.post("/auth/api-key", self.get_key),
                web.get("/auth/ban-status/closed-only", self.get_closed_only),
                web.get("/balance-allowance", self.get_balance),
                web.get("/data/orders", self.get_orders),
                web.get("/data/order/{order_id}", self.get_order),
                web.get("/data/trades", self.get_trades),
                web.post("/order", self.post_order),
                web.post("/orders", self.post_orders),
                web.delete("/order", self.delete_order),
                web.delete("/orders", self.delete_orders),
                web.delete("/cancel-all", self.delete_all),
                web.post("/v1/heartbeats", self.post_heartbeat),
                web.get("/ws/market", self.streams.market),
                web.get("/ws/user", self.streams.user),
                *self.relayer.routes(),
            ]
        )
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, app: web.Application) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def _stop(self, app: web.Application) -> None:
        if self._keeper is not None:
            self._keeper.cancel()

    async def _keep(self) -> None:
        """Settle trades, expire orders and drop the orders of a client that stopped beating."""
        while True:
            self.step()
            await asyncio.sleep(self.pace_s)

    def step(self) -> None:
        """Do what the clock demands now."""
        now = self.clock()
        for trade in self.settlement.step(now):
            self.streams.trade_told(self.settlement.body(trade, now))
        self.exchange.expire(now)
        self.relayer.step(now)
        if self.heartbeat_id and time.monotonic() - self.beat_at > self.heartbeat_window_s:
            self.heartbeat_id = ""
            for order in self.exchange.working():
                self.exchange.cancel(order.order_id, now, "CANCELED_HEARTBEAT")

    def _on_exchange(self, kind: str, value: object) -> None:
        self.streams.on_exchange(kind, value)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Faults first, then place, key, and the error body of a refusal."""
        subject = f"{request.method} {request.path}"
        self.requests.append((self.clock(), subject))
        if request.path.startswith("/ws/"):
            return await self._answered(request, handler)
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
                # It has arrived and is worked on, late, although the caller may give up waiting.
                await request.read()
                late = asyncio.create_task(self._late(request, handler, fault.seconds))
                return await asyncio.shield(late)
            early = {
                FaultKind.HTTP_429: (
                    429,
                    {"error": "too many requests", "retry_after_seconds": 0.1},
                ),
                FaultKind.HTTP_500: (500, {"error": "Internal server error"}),
                FaultKind.HTTP_503: (503, {"error": "service unavailable"}),
            }.get(fault.kind)
            if early is not None:
                return web.json_response(early[1], status=early[0])
        response = await self._answered(request, handler)
        if fault is not None and fault.kind is FaultKind.DROP_RESPONSE:
            return self._hang_up(request)
        return response

    async def _late(
        self, request: web.Request, handler: Handler, seconds: float
    ) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await self._answered(request, handler)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        problem = self._check(request)
        if problem is not None:
            return problem
        try:
            return await handler(request)
        except web.HTTPUnauthorized as exc:
            return web.Response(text=exc.text, status=401)
        except VenueRefusal as exc:
            status = 404 if exc.code == "not_found" else 400
            return web.json_response({"error": WORDS.get(exc.code, str(exc))}, status=status)

    def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _check(self, request: web.Request) -> web.Response | None:
        path = request.path
        if path.startswith(PUBLIC):
            return None
        if self.restarting:
            return web.json_response({"error": "engine is restarting"}, status=425)
        if self.blocked and request.method == "POST" and path.startswith("/order"):
            return web.Response(text="<html>blocked</html>", status=403, content_type="text/html")
        if path.startswith("/auth/") and path != "/auth/ban-status/closed-only":
            needed = ("POLY_ADDRESS", "POLY_SIGNATURE", "POLY_TIMESTAMP", "POLY_NONCE")
            missing = any(name not in request.headers for name in needed)
            return (
                web.json_response({"error": "Invalid L1 headers"}, status=401) if missing else None
            )
        return None

    async def _private(self, request: web.Request) -> bytes:
        """Return the body of a private call whose HMAC is right.

        Raises
        ------
        web.HTTPUnauthorized
            If it is not.
        """
        body = await request.read()
        if not self.secret:
            return body
        headers = request.headers
        try:
            stamp = int(headers["POLY_TIMESTAMP"])
            key, signature = headers["POLY_API_KEY"], headers["POLY_SIGNATURE"]
        except (KeyError, ValueError):
            raise web.HTTPUnauthorized(text='{"error": "Unauthorized/Invalid api key"}') from None
        message = f"{stamp}{request.method}{request.path}".encode() + body
        digest = hmac.new(base64.urlsafe_b64decode(self.secret), message, hashlib.sha256).digest()
        right = hmac.compare_digest(base64.urlsafe_b64encode(digest).decode(), signature)
        late = abs(stamp - self.clock() // 1_000_000_000) > MAX_SKEW_S
        if not right or late or key != self.api_key:
            raise web.HTTPUnauthorized(text='{"error": "Unauthorized/Invalid api key"}')
        return body

    # -- public -----------------------------------------------------------------------------
    async def get_time(self, request: web.Request) -> web.Response:
        """Clock, seconds."""
        return web.json_response(self.clock() // 1_000_000_000)

    async def get_version(self, request: web.Request) -> web.Response:
        """Order version in force."""
        return web.json_response({"version": self.version})

    async def get_geoblock(self, request: web.Request) -> web.Response:
        """Where the caller is."""
        return web.json_response(
            {"blocked": self.blocked, "ip": "127.0.0.1", "country": "IE", "region": "L"}
        )

    async def get_book(self, request: web.Request) -> web.Response:
        """Book of one token; best levels last."""
        token = request.query.get("token_id", "")
        for info in self.infos.values():
            if token in info.tokens and self.exchange.markets[info.condition].status != "resolved":
                outcome = wire.YES if token == info.tokens[0] else wire.NO
                return web.json_response(self.streams.book(info.condition, outcome))
        raise VenueRefusal("not_found", "No orderbook exists for the requested token id")

    def _gamma(self, condition: str) -> dict[str, Any]:
        market = self.exchange.markets[condition]
        return wire.gamma_body(self.infos[condition], market, self.clock())

    async def get_markets(self, request: web.Request) -> web.Response:
        """Catalogue by condition, slug, token and closed flag, in pages."""
        q = request.query
        rows = []
        for condition, info in self.infos.items():
            if condition in self.unlisted:
                continue
            if "condition_ids" in q and condition not in q.getall("condition_ids"):
                continue
            if "slug" in q and info.slug not in q.getall("slug"):
                continue
            body = self._gamma(condition)
            if "closed" in q and body["closed"] != (q["closed"] == "true"):
                continue
            rows.append(body)
        page, cursor = self._page(rows, request, "after_cursor")
        return web.json_response({"markets": page, "next_cursor": cursor or None})

    async def get_market_list(self, request: web.Request) -> web.Response:
        """Catalogue as the older call gives it: a plain list, by slug."""
        wanted = request.query.getall("slug", [])
        rows = [c for c, info in self.infos.items() if not wanted or info.slug in wanted]
        return web.json_response([self._gamma(c) for c in rows[:PAGE]])

    async def get_events(self, request: web.Request) -> web.Response:
        """Events by slug, with their markets."""
        wanted = request.query.getall("slug", [])
        events: dict[str, dict[str, Any]] = {}
        for condition, info in self.infos.items():
            if wanted and info.event_id not in wanted:
                continue
            event = events.setdefault(
                info.event_id,
                {"id": info.event_id, "slug": info.event_id, "title": info.event_id, "markets": []},
            )
            event["markets"].append(self._gamma(condition))
        page, cursor = self._page(list(events.values()), request, "after_cursor")
        return web.json_response({"events": page, "next_cursor": cursor or None})

    def _page(self, rows: list[Any], request: web.Request, name: str) -> tuple[list[Any], str]:
        text = request.query.get(name, "")
        try:
            start = int(text) if text.isdigit() else 0
            limit = min(int(request.query.get("limit", PAGE)), PAGE)
        except ValueError:
            raise VenueRefusal("bad_request", "bad cursor or limit") from None
        end = start + max(limit, 1)
        return rows[start:end], str(end) if end < len(rows) else ""

    async def get_positions(self, request: web.Request) -> web.Response:
        """Holdings as the indexer sees them."""
        rows = []
        for (condition, outcome), lots in sorted(self.exchange.account.positions().items()):
            done = [
                e
                for e in self.exchange.executions
                if (e.market, e.outcome) == (condition, outcome)
                and (e.side == "bid") == (outcome == wire.YES)
            ]
            shares = sum(e.quantity for e in done)
            cost = sum(wire.token_price(e.price, outcome) * e.quantity for e in done)
            rows.append(
                {
                    "token_id": self.infos[condition].tokens[0 if outcome == wire.YES else 1],
                    "condition_id": condition,
                    "current_size": lots / 100,
                    "avg_price": round(cost / shares / 10_000, 6) if shares else 0.0,
                    "status": "OPEN",
                    "redeemable": False,
                }
            )
        paging = {"limit": 500, "offset": 0, "has_more": False, "next_cursor": None}
        return web.json_response({"data": rows, "pagination": paging})

    async def get_resolutions(self, request: web.Request) -> web.Response:
        """What the oracle says."""
        wanted = request.query.get("condition_id", "").split(",")
        rows = []
        for condition in wanted:
            market = self.exchange.markets.get(condition)
            if market is not None:
                done = market.yes_payout is not None
                rows.append(
                    {
                        "condition_id": condition,
                        "status": "resolved" if done else "initialized",
                        "price": wire.price_text(market.yes_payout or 0) if done else "69",
                    }
                )
        return web.json_response({"data": rows, "pagination": {"has_more": False}})

    # -- keys and own state -----------------------------------------------------------------
    async def get_key(self, request: web.Request) -> web.Response:
        """API key of the wallet."""
        return web.json_response(
            {"apiKey": self.api_key, "secret": self.secret or "AAAA", "passphrase": "pass"}
        )

    async def get_closed_only(self, request: web.Request) -> web.Response:
        """Whether the account may only close."""
        await self._private(request)
        return web.json_response({"closed_only": self.closed_only})

    async def get_balance(self, request: web.Request) -> web.Response:
        """What is on chain, in millionths."""
        await self._private(request)
        token = request.query.get("token_id", "")
        amount = self.settlement.chain_cash()
        if request.query.get("asset_type", "COLLATERAL") != "COLLATERAL":
            amount = 0
            for info in self.infos.values():
                if token in info.tokens:
                    outcome = wire.YES if token == info.tokens[0] else wire.NO
                    amount = self.settlement.chain_shares(info.condition, outcome)
                    amount *= wire.MICRO_PER_LOT
                    amount += self.relayer.dust.get((info.condition, outcome), 0)
        return web.json_response({"balance": str(amount), "allowances": self.allowances})

    async def get_orders(self, request: web.Request) -> web.Response:
        """Live orders only."""
        await self._private(request)
        rows = [
            wire.order_body(o, self.infos[o.market], self.api_key) for o in self.exchange.working()
        ]
        page, cursor = self._page(rows, request, "next_cursor")
        return web.json_response({"data": page, "next_cursor": cursor or "LTE="})

    async def get_order(self, request: web.Request) -> web.Response:
        """One live order; null for every other."""
        await self._private(request)
        order = self.exchange.orders.get(request.match_info["order_id"])
        if order is None or order.status != "resting":
            return web.json_response(None)
        return web.json_response(wire.order_body(order, self.infos[order.market], self.api_key))

    async def get_trades(self, request: web.Request) -> web.Response:
        """Own trades since a time."""
        await self._private(request)
        after = int(request.query.get("after", "0") or 0)
        now = self.clock()
        rows = [
            self.settlement.body(t, now)
            for t in self.settlement.trades.values()
            if t.execution.ts_ns // 1_000_000_000 >= after
        ]
        page, cursor = self._page(rows, request, "next_cursor")
        return web.json_response({"data": page, "next_cursor": cursor or "LTE="})

    # -- writes -----------------------------------------------------------------------------
    async def post_order(self, request: web.Request) -> web.Response:
        """Take one signed order."""
        raw = await self._private(request)
        try:
            body = json.loads(raw)
        except json.JSONDecodeError:
            raise VenueRefusal("bad_request", "Invalid order payload") from None
        return web.json_response(self._post(body))

    async def post_orders(self, request: web.Request) -> web.Response:
        """Take up to fifteen signed orders; a refused one is a success without an id, and says why."""
        try:
            bodies = json.loads(await self._private(request))
        except json.JSONDecodeError:
            raise VenueRefusal("bad_request", "Invalid order payload") from None
        if not isinstance(bodies, list) or not 0 < len(bodies) <= MAX_BATCH:
            raise VenueRefusal("bad_request", f"a batch has 1 to {MAX_BATCH} orders")
        answers = []
        for body in bodies:
            try:
                answers.append(self._post(body))
            except VenueRefusal as exc:
                words = WORDS.get(exc.code, str(exc))
                answers.append({"success": True, "orderID": "", "errorMsg": words, "status": ""})
        return web.json_response(answers)

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        now = self.clock()
        posted = read(body, self.infos, self.exchange, self.public_key, now)
        if self.delayed_s and posted.order.tif != "GTC":
            task = asyncio.create_task(self._later(posted))
            task.add_done_callback(lambda _: None)
            return self._answer(posted, "delayed")
        return self._take(posted, now)

    async def _later(self, posted: Posted) -> None:
        await asyncio.sleep(self.delayed_s)
        try:
            self._take(posted, self.clock())
        except VenueRefusal as exc:
            self.streams.killed(posted.order, f"CANCELED_{WORDS.get(exc.code, str(exc))}")

    def _take(self, posted: Posted, now: int) -> dict[str, Any]:
        order = posted.order
        if order.tif == "IOC":
            book = self.exchange.markets[order.market].book
            if order.quantity == 0 or book.takeable(order.side, order.price) == 0:
                raise VenueRefusal("fak_unmatched", FAK_WORDS)
        done = self.exchange.submit(order, now)
        status = "live" if done.status == "resting" and not done.filled else "matched"
        return self._answer(posted, status)

    def _answer(self, posted: Posted, status: str) -> dict[str, Any]:
        order = posted.order
        buys = (order.side == "bid") == (order.outcome == wire.YES)
        fills = [e for e in self.exchange.executions if e.order_id == order.order_id]
        shares = sum(e.quantity for e in fills)
        money = sum(wire.token_price(e.price, e.outcome) * e.quantity for e in fills)
        lots, dollars = wire.size_text(shares), format(money / 1e6, ".6f")
        return {
            "success": True,
            "errorMsg": "",
            "orderID": posted.order_id,
            "status": status,
            "takingAmount": (lots if buys else dollars) if shares else "",
            "makingAmount": (dollars if buys else lots) if shares else "",
            "transactionsHashes": [],
            "tradeIDs": [],
        }

    def _cancel(self, ids: list[str]) -> web.Response:
        gone: list[str] = []
        left: dict[str, str] = {}
        for order_id in ids:
            try:
                self.exchange.cancel(order_id, self.clock(), "CANCELED")
                gone.append(order_id)
            except VenueRefusal:
                left[order_id] = "already canceled or matched"
        return web.json_response({"canceled": gone, "not_canceled": left})

    async def delete_order(self, request: web.Request) -> web.Response:
        """Cancel one."""
        body = json.loads(await self._private(request))
        return self._cancel([str(body.get("orderID"))])

    async def delete_orders(self, request: web.Request) -> web.Response:
        """Cancel several."""
        return self._cancel([str(i) for i in json.loads(await self._private(request))])

    async def delete_all(self, request: web.Request) -> web.Response:
        """Cancel everything."""
        await self._private(request)
        return self._cancel([o.order_id for o in self.exchange.working()])

    async def post_heartbeat(self, request: web.Request) -> web.Response:
        """Take a beat; a stale id is answered with the expected one."""
        body = json.loads(await self._private(request))
        given = str(body.get("heartbeat_id") or "")
        if self.heartbeat_id and given != self.heartbeat_id:
            return web.json_response(
                {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": self.heartbeat_id}, status=400
            )
        self.heartbeats += 1
        self.heartbeat_id, self.beat_at = f"hb-{self.heartbeats:06d}", time.monotonic()
        return web.json_response({"heartbeat_id": self.heartbeat_id})
