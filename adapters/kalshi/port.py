"""Kalshi's private side as a `VenuePort`: two long-only outcomes over one signed position."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from adapters.certainty import certain
from adapters.connection import OnState
from adapters.kalshi import schemas
from adapters.kalshi.cash import free_by_shard, locked_by, unit_cost
from adapters.kalshi.groups import KillSwitch
from adapters.kalshi.parsing import (
    NO,
    YES,
    dollars,
    format_count,
    format_price,
    from_book,
    instrument_id,
    ns_of_ms,
    split_instrument,
    to_book,
)
from adapters.kalshi.ready import SignedHeaders
from adapters.kalshi.rest import KalshiRest
from adapters.kalshi.socket import KalshiSocket, OnFrame, OnGap
from adapters.mends import NEWS_MEND
from adapters.private_side import PrivateSide
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import CorruptData, VenueRefused, VenueUncertain
from core.domain.fees import Role, Side
from core.domain.money import ONE, ZERO
from core.engine.live.port import (
    Prepared,
    VenueCash,
    VenueFill,
    VenueNews,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
)
from core.engine.live.slices import sliced

TIF_WORDS = {
    TimeInForce.GTC: "good_till_canceled",
    TimeInForce.GTD: "good_till_canceled",
    TimeInForce.IOC: "immediate_or_cancel",
    TimeInForce.FOK: "fill_or_kill",
}
STATUS_WORDS = {"resting": VenueOrderStatus.WORKING, "canceled": VenueOrderStatus.CANCELED}
PRIVATE_CHANNELS = ("fill", "user_orders")
SocketFactory = Callable[[OnFrame, OnGap, OnState], KalshiSocket]
CUTOFF_AGE_S = 3600.0
#: An order that the venue names and denies this often is somebody's whose rows it no longer has.
STRANGE_TIMES = 5


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


class KalshiPort(PrivateSide[KalshiRest]):
    """One Kalshi account.

    Parameters
    ----------
    rest : KalshiRest
        Signed REST client.
    socket_of : callable
        Makes the private WebSocket from its three callbacks.
    shards : mapping of str to int, optional
        Exchange shard of each market; cash on another shard backs nothing.
    group_contracts : int
        Limit of the order groups that are the venue-side kill switch; 0 = none.
    """

    venue = "KALSHI"
    channel = "private"
    buys_in_cash = False
    share_dust = ZERO

    def __init__(
        self,
        rest: KalshiRest,
        socket_of: SocketFactory,
        sides: Sides | None = None,
        *,
        shards: Mapping[str, int] | None = None,
        group_contracts: int = 0,
    ) -> None:
        super().__init__(rest)
        self.shards = shards or {}
        self.kill_switch = KillSwitch(rest, group_contracts)
        self.errors: list[str] = []
        self._free: dict[int, Decimal] = {}
        self._cutoff: tuple[float, int] | None = None
        self.sides = sides or Sides()
        self._socket_of = socket_of
        self._task: asyncio.Task[None] | None = None
        self._client_ids: dict[str, str] = {}
        self._strange: Counter[str] = Counter()
        self._totals: dict[str, Decimal] = {}

    def most_shares(self, venue_order_id: str) -> Decimal | None:
        """Return None: orders are for contracts."""
        return None

    # -- life -------------------------------------------------------------------------------
    async def connect(self, news: VenueNews) -> None:
        """Read once to prove the key, fit the limiter to the account, arm the kill switch, then listen."""
        self._news = news
        self._free = free_by_shard(await self.rest.balance())
        try:
            await self.rest.read_limits()
        except (VenueRefused, VenueUncertain) as exc:  # the smallest tier's numbers stay in force
            self.errors.append(f"limits of the account not read: {exc.what}")
        await self.kill_switch.arm(self.shards.values() or (0,))
        self.rest.keep_ready()
        self._socket = socket = self._socket_of(self._on_frame, lambda sid: None, self._on_state)
        socket.on_unreadable = self._lost_news
        for channel in PRIVATE_CHANNELS:
            socket.subscribe(channel)
        self._task = asyncio.create_task(socket.run(), name="kalshi-private")

    async def disconnect(self) -> None:
        """Close the socket."""
        self.rest.close()
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None:
            self._task.cancel()
        await self.kill_switch.disarm()

    def _on_frame(self, frame: schemas.Frame) -> None:
        assert self._news is not None
        try:
            if frame.type == "fill":
                self._news.on_fill(self.fill(msgspec.json.decode(frame.msg, type=schemas.FillMsg)))
            elif frame.type == "user_order":
                self._news.on_order(
                    self.order(msgspec.json.decode(frame.msg, type=schemas.UserOrderMsg))
                )
        except Exception:
            self._lost_news()
            raise

    # -- writes -----------------------------------------------------------------------------
    def prepare(self, intent: OrderIntent, price: Decimal) -> Prepared:
        """Begin the signature; it covers time and path, not the order."""
        signed = self.rest.sign_create()
        return Prepared(lambda: self.submit(intent, price, signed))

    async def submit(
        self, intent: OrderIntent, price: Decimal, signed: SignedHeaders | None = None
    ) -> VenueOrder:
        """Create the order; a duplicate answer means it is there, and is looked up."""
        await self._check_shard(intent, price)
        try:
            ack = await self.rest.create(self._body(intent, price), signed)
        except VenueRefused as exc:
            raise self._there(exc) from exc
        return self._acked(
            intent, price, ack.order_id, ack.fill_count, ack.remaining_count, ack.ts_ms
        )

    async def submit_many(
        self, orders: Sequence[tuple[OrderIntent, Decimal]]
    ) -> list[VenueOrder | VenueRefused | VenueUncertain]:
        """Create several in batches that fit the write bucket; each is answered for itself."""
        out: list[VenueOrder | VenueRefused | VenueUncertain] = []
        answers = await self.rest.create_batch([self._body(i, p) for i, p in orders])
        for (intent, price), item in zip(orders, answers, strict=True):
            if isinstance(item, VenueRefused):
                out.append(self._there(item))
            elif isinstance(item, VenueUncertain):
                out.append(item)
            else:
                order_id, filled, left = item.order_id or "", item.fill_count, item.remaining_count
                try:
                    out.append(self._acked(intent, price, order_id, filled, left, item.ts_ms))
                except (
                    CorruptData
                ) as exc:  # one item nobody can read leaves the others what they are
                    out.append(VenueUncertain(exc.what, exc.seen))
        return out

    @staticmethod
    def _there(exc: VenueRefused) -> VenueRefused | VenueUncertain:
        """Return what a refusal means: our id being there already means that an earlier send arrived."""
        if exc.status == 409:
            return VenueUncertain("Kalshi already has this client order id", exc.code)
        return exc

    def _body(self, intent: OrderIntent, price: Decimal) -> schemas.CreateOrderBody:
        ticker, outcome = split_instrument(intent.instrument_id)
        self.sides.remember(intent.client_order_id, outcome)
        wire = to_book(outcome, intent.side, price)
        gtd = intent.tif is TimeInForce.GTD
        return schemas.CreateOrderBody(
            ticker=ticker,
            client_order_id=intent.client_order_id,
            side=wire.side,
            count=format_count(intent.quantity),
            price=format_price(wire.price),
            time_in_force=TIF_WORDS[intent.tif],
            self_trade_prevention_type="taker_at_cross",
            expiration_time=intent.expire_ns // NS_PER_SECOND if gtd else None,
            post_only=True if intent.post_only else None,
            cancel_order_on_pause=True,
            order_group_id=self.kill_switch.of(self.shards.get(ticker, 0)),
        )

    async def _check_shard(self, intent: OrderIntent, price: Decimal) -> None:
        """Refuse an order that its own shard cannot pay for, while the account looks rich.

        Raises
        ------
        VenueRefused
            With the shards that have the money.
        """
        ticker, outcome = split_instrument(intent.instrument_id)
        shard = self.shards.get(ticker, 0)
        if len(self._free) < 2 and shard in self._free:
            return
        wire = to_book(outcome, intent.side, price)
        cost = unit_cost(wire.side, wire.price) * intent.quantity
        if intent.side is Side.SELL or self._free.get(shard, ZERO) >= cost:
            return  # a sale closes; the gate holds that it is covered
        self._free = free_by_shard(await self.rest.balance())
        if self._free.get(shard, ZERO) < cost:
            rich = ", ".join(f"{s}: ${v}" for s, v in sorted(self._free.items()) if v > 0)
            raise VenueRefused(
                "shard_without_cash",
                f"{ticker} is on shard {shard}, which has ${self._free.get(shard, ZERO)}",
                0,
                f"move collateral to shard {shard} at the venue (cash by shard: {rich or 'none'})",
            )

    def _acked(
        self,
        intent: OrderIntent,
        price: Decimal,
        order_id: str,
        fill_count: str | None,
        remaining_count: str | None,
        ts_ms: int,
    ) -> VenueOrder:
        self._client_ids[order_id] = intent.client_order_id
        filled = dollars(fill_count, "fill_count")
        if dollars(remaining_count, "remaining_count") > 0:
            status = VenueOrderStatus.WORKING
        elif filled >= intent.quantity:
            status = VenueOrderStatus.FILLED
        else:
            status = VenueOrderStatus.CANCELED
        at = ns_of_ms(ts_ms) or intent.ts_ns
        return VenueOrder(
            order_id,
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

    async def cancel_many(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[str, VenueRefused | VenueUncertain]:
        """Cancel (order id, instrument id) pairs in batches; return those that were not cancelled."""
        return await self.rest.cancel_batch([(v, split_instrument(i)[0]) for v, i in orders])

    @certain
    async def modify(self, order: VenueOrder, quantity: Decimal, price: Decimal) -> VenueOrder:
        """Amend: count is filled plus wanted, which is the engine's quantity.

        A smaller size at the same price is a decrease: it keeps the place in the queue, and names no price that
        a grid changed meanwhile could refuse.
        """
        ticker, outcome = split_instrument(order.instrument_id)
        if price == order.price and quantity < order.quantity:
            await self.rest.decrease(order.venue_order_id, ticker, order.quantity - quantity)
        else:
            wire = to_book(outcome, order.side, price)
            await self.rest.amend(order.venue_order_id, ticker, wire.side, wire.price, quantity)
        try:
            return self.order(await self.rest.order(order.venue_order_id))
        except VenueRefused as exc:  # the change is made; only its reading back is refused
            raise VenueUncertain("a change could not be read back", exc.code) from exc

    @certain
    async def cancel_everything(self) -> list[str]:
        """Cancel all working orders in batches, then read back what still works."""
        working = await self.rest.orders(status="resting")
        if not working:
            return []
        await self.rest.cancel_batch([(o.order_id, o.ticker) for o in working])
        return [o.order_id for o in await self.rest.orders(status="resting")]

    async def engage_kill_switch(self) -> list[str]:
        """Close our order groups at the venue, then cancel whatever else works; return ids still there."""
        await self.kill_switch.engage()
        return await self.cancel_everything()

    async def release_kill_switch(self) -> None:
        """Open our order groups again."""
        await self.kill_switch.release()

    # -- reads ------------------------------------------------------------------------------
    @certain
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

    async def _archived(self, since_ns: int) -> bool:
        """Return whether own data since a time is partly in the archive; asked of the venue once an hour."""
        now = asyncio.get_running_loop().time()
        if self._cutoff is None or now - self._cutoff[0] > CUTOFF_AGE_S:
            told = await self.rest.cutoff()
            moved = (venue_time_ns(told.orders_updated_ts), venue_time_ns(told.trades_created_ts))
            self._cutoff = now, max(moved)
        return since_ns < self._cutoff[1]

    @certain
    async def orders(self, *, working_only: bool, since_ns: int) -> list[VenueOrder]:
        """Return resting orders, and terminal ones since a time when asked, from the archive too."""
        rows = await self.rest.orders(status="resting")
        if not working_only:
            since = str(max(since_ns // NS_PER_SECOND, 0))
            seen = {r.order_id for r in rows}
            for historical in (False, True) if await self._archived(since_ns) else (False,):
                found = await self.rest.orders(historical=historical, min_ts=since)
                rows += [r for r in found if r.order_id not in seen]
                seen |= {r.order_id for r in found}
        return [self.order(row) async for row in sliced(rows)]

    @certain
    async def fills(self, since_ns: int, venue_order_id: str = "") -> list[VenueFill]:
        """Return executions since a time, oldest first; REST leaves the client id out, so the orders give it."""
        params = {"min_ts": str(max(since_ns // NS_PER_SECOND, 0))}
        if venue_order_id:
            params["order_id"] = venue_order_id
        rows = await self.rest.fills(historical=False, **params)
        if await self._archived(since_ns):
            seen = {r.fill_id for r in rows}
            found = await self.rest.fills(historical=True, **params)
            rows += [r for r in found if r.fill_id not in seen]
        for order_id in {r.order_id for r in rows if r.order_id not in self._client_ids}:
            await self._learn(order_id)
        return [self.fill(row) for row in reversed(rows)]

    async def _learn(self, order_id: str) -> None:
        """Find out which of our orders a venue id is: live, else in the archive."""
        try:
            self.order(await self.rest.order(order_id))
            return
        except VenueRefused as exc:
            if exc.status != 404:
                raise
        async for row in sliced(await self.rest.orders(historical=True)):
            self.order(row)
        if order_id in self._client_ids:
            return
        self._strange[order_id] += 1
        if self._strange[order_id] < STRANGE_TIMES:  # a fill booked to nobody is never ours again
            raise VenueUncertain(
                "Kalshi names a fill of an order that it does not have", order_id[:80]
            )
        self._client_ids[order_id] = ""

    @certain
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

    @certain
    async def cash(self) -> VenueCash:
        """Return the cash that backs our markets: free on their shards, plus what our resting orders lock there."""
        self._free = free_by_shard(await self.rest.balance())
        ours = set(self.shards.values()) or set(self._free)
        free = sum((v for shard, v in self._free.items() if shard in ours), ZERO)
        resting = await self.rest.orders(status="resting")
        held = {}
        if resting:
            held = {
                p.ticker: dollars(p.position_fp, "position") for p in await self.rest.positions()
            }
        shard_of = {r.ticker: self.shards.get(r.ticker, r.exchange_index) for r in resting}
        locked = sum((v for t, v in locked_by(resting, held).items() if shard_of[t] in ours), ZERO)
        return VenueCash(free + locked, locked)

    # -- rows -------------------------------------------------------------------------------
    def order(self, row: schemas.OrderMsg) -> VenueOrder:
        """Return a venue order from any of its payloads; counts decide, not the status word."""
        if not row.order_id:
            raise CorruptData("Kalshi sent an order without an id", row.ticker[:80], NEWS_MEND)
        cid = row.client_order_id or self._client_ids.get(row.order_id, "")
        self._client_ids[row.order_id] = cid
        outcome = self.sides.outcome(cid, row.book_side)
        side, price = from_book(outcome, row.book_side, dollars(row.yes_price_dollars, "price"))
        filled = dollars(row.fill_count_fp, "fill count")
        status = STATUS_WORDS.get(row.status, VenueOrderStatus.WORKING)
        quantity = self._total(row, filled)
        if row.status == "executed":
            status = VenueOrderStatus.FILLED if filled >= quantity else VenueOrderStatus.CANCELED
        if status is VenueOrderStatus.CANCELED and row.last_update_reason == "ExpiryCancel":
            status = VenueOrderStatus.EXPIRED
        created = ns_of_ms(row.created_ts_ms) or venue_time_ns(row.created_time)
        updated = ns_of_ms(row.last_updated_ts_ms) or venue_time_ns(row.last_update_time) or created
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

    def _total(self, row: schemas.OrderMsg, filled: Decimal) -> Decimal:
        """Return an order's size: the count at first is no longer it after a change, and nothing is left at the end."""
        if row.status == "resting":
            left = dollars(row.remaining_count_fp, "remaining count")
            self._totals[row.order_id] = filled + left
        known = self._totals.get(row.order_id)
        return max(known if known is not None else dollars(row.initial_count_fp, "count"), filled)

    def fill(self, row: schemas.FillMsg) -> VenueFill:
        """Return an execution from REST or WebSocket."""
        cid = row.client_order_id or self._client_ids.get(row.order_id, "")
        outcome = self.sides.outcome(cid, row.book_side)
        side, price = from_book(outcome, row.book_side, dollars(row.yes_price_dollars, "price"))
        count, name = dollars(row.count_fp, "count"), row.trade_id or row.fill_id
        if not ZERO < price < ONE or count <= 0 or not name or not row.order_id:
            raise CorruptData(
                "Kalshi sent an impossible fill", (name, str(price), str(count)), NEWS_MEND
            )
        return VenueFill(
            name,
            row.order_id,
            cid,
            instrument_id(row.market_ticker or row.ticker, outcome),
            side,
            count,
            price,
            dollars(row.fee_cost, "fee"),
            Role.TAKER if row.is_taker else Role.MAKER,
            ns_of_ms(row.ts_ms)
            or venue_time_ns(row.created_time)
            or ns_of_ms((row.ts or 0) * 1_000),
        )


def venue_time_ns(text: str | None) -> int:
    """Return a venue time; absent and the year 1 are 0."""
    if not text or text.startswith("0001"):
        return 0
    return ns_from_iso(text.replace("Z", "+00:00"))
