"""Kalshi's private side as a `VenuePort`: two long-only outcomes over one signed position."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import msgspec

from adapters.kalshi import schemas
from adapters.kalshi.parsing import (
    NO,
    YES,
    dollars,
    format_count,
    format_price,
    from_book,
    instrument_id,
    split_instrument,
    to_book,
)
from adapters.kalshi.rest import KalshiRest
from adapters.kalshi.socket import KalshiSocket, OnFrame, OnGap, OnState, SocketState
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.fees import Role
from core.domain.money import ONE, ZERO
from core.engine.live.port import (
    VenueCash,
    VenueFill,
    VenueNews,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
)

TIF_WORDS = {
    TimeInForce.GTC: "good_till_canceled",
    TimeInForce.GTD: "good_till_canceled",
    TimeInForce.IOC: "immediate_or_cancel",
    TimeInForce.FOK: "fill_or_kill",
}
STATUS_WORDS = {"resting": VenueOrderStatus.WORKING, "canceled": VenueOrderStatus.CANCELED}
PRIVATE_CHANNELS = ("fill", "user_orders")
SocketFactory = Callable[[OnFrame, OnGap, OnState], KalshiSocket]


class Sides:
    """Which outcome an order was placed on: Kalshi only knows the YES book, we remember the rest.

    An order that we do not know is read in YES terms when it is a bid and in NO terms when it is an ask
    that opens: the venue's ``outcome_side`` says which.
    """

    def __init__(self) -> None:
        self._outcome: dict[str, str] = {}

    def remember(self, client_order_id: str, outcome: str) -> None:
        """Note the outcome of one of our orders."""
        self._outcome[client_order_id] = outcome

    def outcome(self, client_order_id: str, book_side: str) -> str:
        """Return the outcome of an order: ours as placed, others by what a bid or an ask buys."""
        return self._outcome.get(client_order_id) or (YES if book_side == "bid" else NO)


class KalshiPort:
    """One Kalshi account.

    Parameters
    ----------
    rest : KalshiRest
        Signed REST client.
    socket_of : callable
        Makes the private WebSocket from its three callbacks.
    """

    venue = "KALSHI"

    def __init__(
        self, rest: KalshiRest, socket_of: SocketFactory, sides: Sides | None = None
    ) -> None:
        self.rest = rest
        self.sides = sides or Sides()
        self._socket_of = socket_of
        self._socket: KalshiSocket | None = None
        self._task: asyncio.Task[None] | None = None
        self._news: VenueNews | None = None
        self._client_ids: dict[str, str] = {}

    # -- life -------------------------------------------------------------------------------
    async def connect(self, news: VenueNews) -> None:
        """Read once to prove the key, then listen to fills and orders."""
        self._news = news
        await self.rest.balance()
        self._socket = self._socket_of(self._on_frame, lambda sid: None, self._on_state)
        for channel in PRIVATE_CHANNELS:
            self._socket.subscribe(channel)
        self._task = asyncio.create_task(self._socket.run(), name="kalshi-private")

    async def disconnect(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None:
            self._task.cancel()

    def _on_state(self, state: SocketState) -> None:
        if self._news is not None and state in (SocketState.UP, SocketState.DOWN):
            self._news.on_link(state is SocketState.UP)

    def _on_frame(self, frame: schemas.Frame) -> None:
        assert self._news is not None
        if frame.type == "fill":
            self._news.on_fill(self.fill(msgspec.json.decode(frame.msg, type=schemas.FillMsg)))
        elif frame.type == "user_order":
            self._news.on_order(
                self.order(msgspec.json.decode(frame.msg, type=schemas.UserOrderMsg))
            )

    # -- writes -----------------------------------------------------------------------------
    async def submit(self, intent: OrderIntent, price: Decimal) -> VenueOrder:
        """Create the order; a duplicate answer means it is there, and is looked up."""
        ticker, outcome = split_instrument(intent.instrument_id)
        self.sides.remember(intent.client_order_id, outcome)
        wire = to_book(outcome, intent.side, price)
        body = schemas.CreateOrderBody(
            ticker=ticker,
            client_order_id=intent.client_order_id,
            side=wire.side,
            count=format_count(intent.quantity),
            price=format_price(wire.price),
            time_in_force=TIF_WORDS[intent.tif],
            self_trade_prevention_type="taker_at_cross",
            expiration_time=intent.expire_ns // NS_PER_SECOND
            if intent.tif is TimeInForce.GTD
            else None,
            post_only=True if intent.post_only else None,
            cancel_order_on_pause=True,
        )
        try:
            ack = await self.rest.create(body)
        except VenueRefused as exc:
            if exc.status == 409:  # our id is there: an earlier send arrived
                raise VenueUncertain("Kalshi already has this client order id", exc.code) from exc
            raise
        self._client_ids[ack.order_id] = intent.client_order_id
        filled, left = (
            dollars(ack.fill_count, "fill_count"),
            dollars(ack.remaining_count, "remaining_count"),
        )
        if left > 0:
            status = VenueOrderStatus.WORKING
        else:
            status = (
                VenueOrderStatus.FILLED if filled >= intent.quantity else VenueOrderStatus.CANCELED
            )
        at = ack.ts_ms * 1_000_000 or intent.ts_ns
        return VenueOrder(
            ack.order_id,
            intent.client_order_id,
            intent.instrument_id,
            intent.side,
            intent.quantity,
            filled,
            price,
            status,
            at,
            at,
            post_only=intent.post_only,
            expire_ns=intent.expire_ns,
        )

    async def cancel(self, venue_order_id: str, instrument_id: str) -> None:
        """Cancel one order on its market's shard."""
        await self.rest.cancel(venue_order_id, split_instrument(instrument_id)[0])

    async def modify(self, order: VenueOrder, quantity: Decimal, price: Decimal) -> VenueOrder:
        """Amend: count is filled plus wanted, which is the engine's quantity."""
        ticker, outcome = split_instrument(order.instrument_id)
        wire = to_book(outcome, order.side, price)
        await self.rest.amend(order.venue_order_id, ticker, wire.side, wire.price, quantity)
        return self.order(await self.rest.order(order.venue_order_id))

    async def cancel_everything(self) -> list[str]:
        """Cancel all working orders, one by one past errors."""
        working = await self.rest.orders(status="resting")
        return await self.rest.cancel_everything([(o.order_id, o.ticker) for o in working])

    # -- reads ------------------------------------------------------------------------------
    async def find(
        self, client_order_id: str, instrument_id: str, since_ns: int
    ) -> VenueOrder | None:
        """Search live orders of the market, then the archive; None only after both answered."""
        ticker, outcome = split_instrument(instrument_id)
        self.sides.remember(client_order_id, self.sides._outcome.get(client_order_id, outcome))
        since = str(max(since_ns // NS_PER_SECOND - 60, 0))
        for historical in (False, True):
            for row in await self.rest.orders(historical=historical, ticker=ticker, min_ts=since):
                if row.client_order_id == client_order_id:
                    return self.order(row)
        return None

    async def orders(self, *, working_only: bool, since_ns: int) -> list[VenueOrder]:
        """Return resting orders, and terminal ones since a time when asked."""
        rows = await self.rest.orders(status="resting")
        if not working_only:
            since = str(max(since_ns // NS_PER_SECOND, 0))
            seen = {r.order_id for r in rows}
            rows += [r for r in await self.rest.orders(min_ts=since) if r.order_id not in seen]
        return [self.order(row) for row in rows]

    async def fills(self, since_ns: int, venue_order_id: str = "") -> list[VenueFill]:
        """Return executions since a time; REST leaves the client id out, so it is filled in from the orders."""
        params = {"min_ts": str(max(since_ns // NS_PER_SECOND, 0))}
        if venue_order_id:
            params["order_id"] = venue_order_id
        rows = await self.rest.fills(historical=False, **params)
        for order_id in {r.order_id for r in rows} - set(self._client_ids):
            try:
                self.order(await self.rest.order(order_id))
            except VenueRefused:
                self._client_ids[order_id] = ""
        return [self.fill(row) for row in reversed(rows)]

    async def positions(self) -> list[VenuePosition]:
        """Return signed positions as the long outcome they are."""
        out = []
        for row in await self.rest.positions():
            signed = dollars(row.position_fp, "position")
            if signed == 0:
                continue
            cost = dollars(row.market_exposure_dollars, "exposure")
            quantity = abs(signed)
            average = min(max((cost / quantity).quantize(Decimal("0.0001")), ZERO), ONE)
            out.append(
                VenuePosition(
                    instrument_id(row.ticker, YES if signed > 0 else NO), quantity, average
                )
            )
        return out

    async def cash(self) -> VenueCash:
        """Return cash: `balance_dollars` is free of resting collateral, which is added back as locked."""
        balance = await self.rest.balance()
        free = dollars(balance.balance_dollars or str(Decimal(balance.balance) / 100), "balance")
        locked = ZERO
        for row in await self.rest.orders(status="resting"):
            price = dollars(row.yes_price_dollars, "price")
            left = dollars(row.remaining_count_fp, "remaining")
            locked += left * (price if row.book_side == "bid" else ONE - price)
        return VenueCash(free + locked, locked)

    # -- rows -------------------------------------------------------------------------------
    def order(self, row: schemas.OrderMsg) -> VenueOrder:
        """Return a venue order from any of its payloads; counts decide, not the status word."""
        cid = row.client_order_id or self._client_ids.get(row.order_id, "")
        self._client_ids[row.order_id] = cid
        outcome = self.sides.outcome(cid, row.book_side)
        side, price = from_book(outcome, row.book_side, dollars(row.yes_price_dollars, "price"))
        filled, quantity = (
            dollars(row.fill_count_fp, "fill count"),
            dollars(row.initial_count_fp, "count"),
        )
        status = STATUS_WORDS.get(row.status, VenueOrderStatus.WORKING)
        if row.status == "executed":
            status = VenueOrderStatus.FILLED if filled >= quantity else VenueOrderStatus.CANCELED
        if status is VenueOrderStatus.CANCELED and row.last_update_reason == "ExpiryCancel":
            status = VenueOrderStatus.EXPIRED
        created = row.created_ts_ms * 1_000_000 or venue_time_ns(row.created_time)
        updated = (
            row.last_updated_ts_ms * 1_000_000 or venue_time_ns(row.last_update_time) or created
        )
        return VenueOrder(
            row.order_id,
            cid,
            instrument_id(row.ticker, outcome),
            side,
            quantity,
            filled,
            price,
            status,
            created,
            updated,
            reason=row.last_update_reason,
            expire_ns=venue_time_ns(row.expiration_time),
        )

    def fill(self, row: schemas.FillMsg) -> VenueFill:
        """Return an execution from REST or WebSocket."""
        cid = row.client_order_id or self._client_ids.get(row.order_id, "")
        outcome = self.sides.outcome(cid, row.book_side)
        side, price = from_book(outcome, row.book_side, dollars(row.yes_price_dollars, "price"))
        return VenueFill(
            row.trade_id or row.fill_id,
            row.order_id,
            cid,
            instrument_id(row.market_ticker or row.ticker, outcome),
            side,
            dollars(row.count_fp, "count"),
            price,
            dollars(row.fee_cost, "fee"),
            Role.TAKER if row.is_taker else Role.MAKER,
            row.ts_ms * 1_000_000
            or venue_time_ns(row.created_time)
            or (row.ts or 0) * NS_PER_SECOND,
        )


def venue_time_ns(text: str | None) -> int:
    """Return a venue time; absent and the year 1 are 0."""
    if not text or text.startswith("0001"):
        return 0
    return ns_from_iso(text.replace("Z", "+00:00"))
