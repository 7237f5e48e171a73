"""Order routes of the fake Kalshi: create, batch, cancel, amend, decrease, and order groups."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from adapters.fake.kalshi import wire
from core.engine.paper.exchange import Execution, FakeOrder, VenueRefusal

if TYPE_CHECKING:
    from adapters.fake.kalshi.server import FakeKalshi

TIF = {"good_till_canceled": "GTC", "immediate_or_cancel": "IOC", "fill_or_kill": "FOK"}
GROUP_WINDOW_NS = 15_000_000_000


def parse_units(text: object, decimals: int, code: str) -> int:
    """Return a decimal string as integer units; refuses what is finer, negative or no number."""
    whole, _, fraction = str(text).partition(".")
    if not (whole + fraction).isdigit() or fraction[decimals:].strip("0"):
        raise VenueRefusal(code, f"cannot read {text!r}")
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


@dataclass(slots=True)
class Group:
    """One order group: its orders by client id, and what matched of late."""

    group_id: str
    limit: int
    members: set[str] = field(default_factory=set)
    matched: deque[tuple[int, int]] = field(default_factory=deque)
    triggered: bool = False


class OrderRoutes:
    """Everything that writes."""

    def __init__(self, venue: FakeKalshi) -> None:
        self.venue = venue
        self.groups: dict[str, Group] = {}
        self._made = 0
        venue.exchange.listeners.append(self._on_exchange)

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
        now = self.venue.clock()
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
        self._join(str(body.get("order_group_id") or ""), order)
        self._pay_from_shard(order)
        done = self.venue.exchange.submit(order, now)
        self._sweep(str(body.get("order_group_id") or ""))
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
        items = (await self._body(request)).get("orders", [])
        self.venue.spend(10.0 * len(items))
        for item in items:
            try:
                rows.append(self._create(item))
            except VenueRefusal as exc:
                error = {"code": exc.code, "message": str(exc), "details": ""}
                rows.append({"client_order_id": item.get("client_order_id", ""), "error": error})
        return web.json_response({"orders": rows}, status=201)

    def _cancel(self, order_id: str) -> dict[str, Any]:
        before = self.venue.exchange.orders.get(order_id)
        left = before.left if before is not None else 0
        order = self.venue.exchange.cancel(order_id, self.venue.clock())
        return {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "reduced_by": wire.count(left),
            "ts_ms": self.venue.clock() // 1_000_000,
        }

    async def cancel_order(self, request: web.Request) -> web.Response:
        """Cancel one order."""
        return web.json_response(self._cancel(request.match_info["order_id"]))

    async def cancel_batch(self, request: web.Request) -> web.Response:
        """Cancel several."""
        rows = []
        items = (await self._body(request)).get("orders", [])
        self.venue.spend(2.0 * len(items))
        for item in items:
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
        rows = [self._cancel(o.order_id) for o in self.venue.exchange.working()]
        return web.json_response({"orders": rows})

    async def amend_order(self, request: web.Request) -> web.Response:
        """Change price or count (filled plus wanted)."""
        body = await self._body(request)
        order = self.venue.exchange.amend(
            request.match_info["order_id"],
            parse_units(body.get("price"), 4, "invalid_price"),
            parse_units(body.get("count"), 2, "invalid_order"),
            self.venue.clock(),
        )
        return web.json_response(
            {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "remaining_count": wire.count(order.left),
                "fill_count": wire.count(order.filled),
                "ts_ms": self.venue.clock() // 1_000_000,
            }
        )

    async def decrease_order(self, request: web.Request) -> web.Response:
        """Make an order smaller; it keeps its place."""
        body = await self._body(request)
        order = self.venue.exchange.orders.get(request.match_info["order_id"])
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
            self.venue.exchange.cancel(order.order_id, self.venue.clock())
        else:
            total, now = order.filled + left, self.venue.clock()
            self.venue.exchange.amend(order.order_id, order.price, total, now, on_grid=False)
        return web.json_response(
            {
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "remaining_count": wire.count(max(left, 0)),
                "ts_ms": self.venue.clock() // 1_000_000,
            }
        )

    # -- shards -----------------------------------------------------------------------------
    def _pay_from_shard(self, order: FakeOrder) -> None:
        """Refuse what the market's own shard cannot pay, however much lies on the others."""
        shard = int(self.venue.infos.get(order.market, {}).get("exchange_index", 0))
        cash = self.venue.shard_cash.get(shard)
        cost = order.price if order.side == "bid" else 10_000 - order.price
        if cash is not None and cost * order.quantity > cash:
            raise VenueRefusal("insufficient_balance", "insufficient balance")

    # -- order groups -----------------------------------------------------------------------
    def _group(self, request: web.Request) -> Group:
        group = self.groups.get(request.match_info["group_id"])
        if group is None:
            raise VenueRefusal("not_found", "order group not found")
        return group

    def _join(self, group_id: str, order: FakeOrder) -> None:
        """Put an order into its group; a triggered group takes none."""
        if not group_id:
            return
        group = self.groups.get(group_id)
        if group is None:
            raise VenueRefusal("invalid_order", "order group not found")
        if group.triggered:
            raise VenueRefusal("order_group_triggered", "order group is triggered")
        group.members.add(order.client_order_id)

    def _working_of(self, group: Group) -> list[FakeOrder]:
        return [o for o in self.venue.exchange.working() if o.client_order_id in group.members]

    def _trigger(self, group: Group) -> None:
        """Close a group. An order that is just being matched is not in the book yet: `_sweep` ends it."""
        group.triggered = True
        for order in self._working_of(group):
            if order.order_id in self.venue.exchange.markets[order.market].book.resting:
                self._end(order)

    def _sweep(self, group_id: str) -> None:
        group = self.groups.get(group_id)
        if group is not None and group.triggered:
            self._trigger(group)

    def _end(self, order: FakeOrder) -> None:
        if order.status == "resting":
            self.venue.exchange.cancel(order.order_id, self.venue.clock(), "OrderGroupCancel")

    def _on_exchange(self, kind: str, value: object) -> None:
        """Count matched contracts; a group above its limit closes."""
        if not isinstance(value, Execution):
            return
        for group in self.groups.values():
            if value.client_order_id not in group.members or group.triggered:
                continue
            group.matched.append((value.ts_ns, value.quantity))
            while group.matched[0][0] < value.ts_ns - GROUP_WINDOW_NS:
                group.matched.popleft()
            if sum(q for _, q in group.matched) > group.limit:
                self._trigger(group)

    async def create_group(self, request: web.Request) -> web.Response:
        """Create a group with a limit of matched contracts in 15 seconds."""
        limit = parse_units((await self._body(request)).get("contracts_limit_fp"), 2, "bad_request")
        if not 100 <= limit <= 100_000_000:
            raise VenueRefusal("bad_request", "contracts_limit must be 1 to 1,000,000")
        self._made += 1
        group = Group(f"group-{self._made:04d}", limit)
        self.groups[group.group_id] = group
        return web.json_response({"order_group_id": group.group_id}, status=201)

    async def get_group(self, request: web.Request) -> web.Response:
        """One group and its resting orders."""
        group = self._group(request)
        ids = [o.order_id for o in self._working_of(group)]
        return web.json_response({"is_auto_cancel_enabled": True, "orders": ids})

    async def delete_group(self, request: web.Request) -> web.Response:
        """Remove a group and cancel what rests in it."""
        group = self._group(request)
        self._trigger(group)
        del self.groups[group.group_id]
        return web.json_response({})

    async def trigger_group(self, request: web.Request) -> web.Response:
        """Cancel every order of a group and take no more."""
        self._trigger(self._group(request))
        return web.json_response({})

    async def reset_group(self, request: web.Request) -> web.Response:
        """Take orders again."""
        group = self._group(request)
        group.triggered = False
        group.matched.clear()
        return web.json_response({})
