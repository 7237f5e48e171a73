"""Polymarket's private side as a `VenuePort`: hash known before sending, fills provisional until confirmed.

The venue's order id is the order's hash. It is on disk with our own id before a byte leaves, so an order whose
answer was lost is looked up by it: live, traded, or, after long enough, proven absent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import msgspec

from adapters.certainty import certain
from adapters.connection import OnState
from adapters.mends import GONE_MEND
from adapters.polymarket import schemas
from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.collector import TokenCollector
from adapters.polymarket.executions import Executions
from adapters.polymarket.fees import PolymarketFeeBook
from adapters.polymarket.heartbeat import Heartbeat
from adapters.polymarket.id_lines import IdLines
from adapters.polymarket.order_ids import OrderIds
from adapters.polymarket.orders import (
    SignedOrder,
    build,
    cash_micro,
    needs_own_end,
    sized_in_cash,
    status_of,
)
from adapters.polymarket.preflight import check
from adapters.polymarket.registry import Registry
from adapters.polymarket.rest import ClobRest
from adapters.polymarket.retention import Retention
from adapters.polymarket.signing import ApiKey, Wallet
from adapters.polymarket.sockets import OnEvent, Socket
from adapters.polymarket.trades import TradeState, side_of, state_of, venue_time_ns
from adapters.private_side import PrivateSide, Watched
from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent
from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.fees import Side
from core.domain.money import ZERO
from core.engine.live.port import (
    BatchAnswer,
    Prepared,
    SentOrder,
    VenueCash,
    VenueFill,
    VenueNews,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
    VenueVoid,
)
from core.engine.live.slices import sliced

SHARE_MICRO = Decimal(1_000_000)
LOT = Decimal("0.01")
MARGIN_S = 60
PRIME_NS = 3600 * NS_PER_SECOND
UserSocket = Callable[[OnEvent, OnState], Socket]


class PolymarketPort(PrivateSide[ClobRest]):
    """One Polymarket wallet.

    Parameters
    ----------
    ids : OrderIds
        Sent orders, on disk before they leave.
    socket_of : callable
        Makes the user channel from its two callbacks.
    settle_s : float
        A submit is not proven absent before this many seconds (plus the market's own delay) have passed.
    """

    venue = "POLYMARKET"
    channel = "user"
    names_orders = True
    buys_in_cash = True
    share_dust = LOT
    collector: TokenCollector | None = None

    def __init__(
        self,
        rest: ClobRest,
        catalogue: Catalogue,
        registry: Registry,
        ids: OrderIds,
        socket_of: UserSocket,
        *,
        builder: str = "0x" + "00" * 32,
        heartbeat_s: float = 4.0,
        settle_s: float = 5.0,
        preflight: bool = True,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(rest)
        self.catalogue, self.registry, self.ids = catalogue, registry, ids
        self.builder, self.settle_s, self.preflight, self.clock = (
            builder,
            settle_s,
            preflight,
            clock,
        )
        self.executions = Executions(registry, ids, PolymarketFeeBook(), clock)
        self.retention = Retention(ids, self.executions, clock())
        self.heartbeat = Heartbeat(rest, heartbeat_s, self._lost_news)
        self.errors: list[str] = []
        self._socket_of = socket_of
        self._tasks: set[asyncio.Task[object]] = set()
        self._lines = IdLines(ids, self._spawn)
        self._accepted: set[str] = set()
        self._ended: dict[str, VenueOrder] = {}
        self._final: set[str] = set()
        self._primed = False

    # -- life -------------------------------------------------------------------------------
    async def connect(self, news: VenueNews) -> None:
        """Check that trading is allowed, prove the key, then listen and beat.

        Raises
        ------
        GateClosed
            From a blocked place, with a closed-only account, a wrong clock or an unknown order version.
        """
        self._news = news
        if self.preflight:
            await check(self.rest, self.catalogue, lambda: self.clock() / NS_PER_SECOND)
        await self.rest.balance()
        await self.heartbeat.start()
        self._socket = self._socket_of(self._on_event, self._on_state)
        self._socket.on_unreadable = self._lost_news
        self._spawn(self._socket.run(), "polymarket-user")

    @property
    def connections(self) -> dict[str, Watched]:
        """Those of every venue, and the heartbeat."""
        return {**super().connections, f"{self.venue} heartbeat": self.heartbeat}

    async def disconnect(self) -> None:
        """Close the socket and stop beating: the venue then cancels what still works."""
        self.heartbeat.stop()
        if self._socket is not None:
            await self._socket.close()
        for task in list(self._tasks):
            task.cancel()

    def _spawn(self, work: object, name: str) -> None:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(work, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_event(self, event: bytes) -> None:
        """Take one frame of the user channel; what cannot be read is read again over REST."""
        try:
            self._take(event)
        except Exception:
            self._lost_news()
            raise

    def _take(self, event: bytes) -> None:
        """Take one frame; orders carry ``original_size``, trades ``maker_orders``."""
        assert self._news is not None
        kind = msgspec.json.decode(event, type=schemas.EventKind)
        if kind.event_type == "trade" or kind.type == "TRADE":
            self.take_trade(msgspec.json.decode(event, type=schemas.TradeMsg))
        elif kind.event_type == "order" or kind.type in ("PLACEMENT", "UPDATE", "CANCELLATION"):
            order = self.order(msgspec.json.decode(event, type=schemas.OrderMsg))
            if order is not None:
                self._news.on_order(self._note(order))

    def take_trade(self, trade: schemas.TradeMsg) -> None:
        """Report the executions of one trade, or take them back."""
        assert self._news is not None
        for item in self.executions.take(trade, self._owner()):
            self.retention.heard(item.venue_order_id, self.clock())
            if isinstance(item, VenueVoid):
                self.errors.append(f"trade failed on chain: {trade.id}")
                self._news.on_void(item)
            else:
                self._news.on_fill(item)

    def _owner(self) -> str:
        """Return the API key: the owner of our orders in the venue's messages."""
        key = self.rest.api_key
        return key.key.get_secret_value() if key is not None else ""

    # -- writes -----------------------------------------------------------------------------
    def prepare(self, intent: OrderIntent, price: Decimal) -> Prepared:
        """Sign, so that the intent's row can have the id; its line here follows.

        Without a key yet, or while the disk refuses such lines, it is signed when it is sent, and waits for its own line.
        """
        wallet, key = self.rest.wallet, self.rest.api_key
        if wallet is None or key is None or self._lines.refused:
            return Prepared(lambda: self.submit(intent, price))
        signed, sent = self._sign(intent, price, wallet, key)
        self._lines.note(sent)
        return Prepared(lambda: self._create(intent, signed), signed.order_id)

    async def submit(self, intent: OrderIntent, price: Decimal) -> VenueOrder:
        """Sign, write the id down, send once."""
        return await self._create(intent, await self._signed(intent, price))

    async def _create(self, intent: OrderIntent, signed: SignedOrder) -> VenueOrder:
        """Send once.

        A refusal for a stale order version is not repeated under another version: the intent was approved once.
        """
        try:
            answer = await self.rest.create(signed.body)
        except VenueRefused as exc:
            raise self._there(exc) from exc
        return self._sent(intent, signed, answer)

    async def submit_many(self, orders: Sequence[tuple[OrderIntent, Decimal]]) -> list[BatchAnswer]:
        """Sign all, write their ids down, send them fifteen a request; each is answered for itself."""
        out: list[BatchAnswer] = []
        signed: dict[int, SignedOrder] = {}
        for number, (intent, price) in enumerate(orders):
            try:
                signed[number] = await self._signed(intent, price)
                out.append(VenueUncertain("not answered"))
            except VenueRefused as exc:
                out.append(exc)
        answers = await self.rest.create_batch([s.body for s in signed.values()])
        for (number, order), answer in zip(signed.items(), answers, strict=True):
            if isinstance(answer, VenueRefused):
                out[number] = self._there(answer)
            elif isinstance(answer, VenueUncertain):
                out[number] = answer
            else:
                try:
                    out[number] = self._sent(orders[number][0], order, answer)
                except VenueUncertain as exc:
                    out[number] = exc
        return out

    @staticmethod
    def _there(exc: VenueRefused) -> VenueRefused | VenueUncertain:
        """Return what a refusal means: our hash being there already means that an earlier send arrived."""
        if exc.code == "duplicate_order":
            return VenueUncertain("Polymarket already has this order", exc.code)
        return exc

    async def _signed(self, intent: OrderIntent, price: Decimal) -> SignedOrder:
        """Sign an order, and write its id down on a worker thread."""
        signed, sent = self._sign(intent, price, *await self.rest.keys())
        await asyncio.to_thread(self.ids.write, sent)
        return signed

    def _sign(
        self, intent: OrderIntent, price: Decimal, wallet: Wallet, key: ApiKey
    ) -> tuple[SignedOrder, SentOrder]:
        """Return a signed order, and what finds it again."""
        market, outcome = self.registry.token(intent.instrument_id)
        terms = self.registry.terms[market.market_id]
        owner = key.key.get_secret_value()
        signed = build(intent, price, outcome.token_id, terms, wallet, owner, self.builder)
        sent = SentOrder(
            signed.order_id,
            intent.client_order_id,
            intent.instrument_id,
            intent.side,
            intent.quantity,
            price,
            self.clock(),
            intent.post_only,
            intent.expire_ns,
            intent.tif.value,
        )
        return signed, sent

    def _sent(
        self, intent: OrderIntent, signed: SignedOrder, answer: schemas.OrderAnswer
    ) -> VenueOrder:
        """Return the order as the venue took it."""
        if answer.orderID != signed.order_id:
            raise VenueUncertain("Polymarket answered with another order id", str(answer.orderID))
        if needs_own_end(intent):
            self._spawn(self._cancel_at(signed.order_id, intent.expire_ns), "polymarket-gtd")
        return self._note(self._answered(signed.order_id, answer))

    def _answered(self, order_id: str, answer: schemas.OrderAnswer) -> VenueOrder:
        """Return the order as the answer leaves it. Only a FAK or FOK ends here, and only when it was matched."""
        sent = self.ids.order(order_id)
        assert sent is not None, "written down before it was sent"
        shares = answer.takingAmount if sent.side is Side.BUY else answer.makingAmount
        filled = schemas.number(shares, "amount") // LOT * LOT
        self.executions.expect(order_id, filled)
        status = VenueOrderStatus.WORKING
        ended = answer.status == "matched" and sent.tif in ("IOC", "FOK")
        if ended:
            self._final.add(order_id)
        if filled >= sent.quantity and (ended or not sized_in_cash(sent.side, sent.tif)):
            status = VenueOrderStatus.FILLED
        elif ended:
            status = VenueOrderStatus.CANCELED
        return self._venue_order(sent, filled, status, self.clock())

    def most_shares(self, venue_order_id: str) -> Decimal | None:
        """Return what an order for dollars has filled plus what the rest of its dollars buys at the lowest price."""
        sent = self.ids.order(venue_order_id)
        if sent is None or not sized_in_cash(sent.side, sent.tif):
            return None
        filled = self.executions.filled(venue_order_id)
        if venue_order_id in self._final:
            return max(filled, self.executions.expected(venue_order_id) or ZERO)
        known = self.registry.by_instrument.get(sent.instrument_id)
        if known is None:
            return filled
        tick = self.registry.terms[known[0]].tick
        cash = Decimal(cash_micro(sent.quantity, sent.price, tick)) / SHARE_MICRO
        left = max(cash - self.executions.spent(venue_order_id), ZERO)
        return filled + left / tick // LOT * LOT

    async def _cancel_at(self, order_id: str, at_ns: int) -> None:
        """Cancel a GTD order at its own time: the venue's shortest life is longer than some orders want."""
        await asyncio.sleep(max((at_ns - self.clock()) / NS_PER_SECOND, 0.0))
        if order_id in self._ended or not self.ids.kept(order_id):
            return
        try:
            await self.rest.cancel([order_id])
        except (VenueRefused, VenueUncertain) as exc:
            self.errors.append(f"cancel at expiry: {exc.what}")

    async def cancel(self, venue_order_id: str, instrument_id: str) -> None:
        """Cancel one order; not cancelled means it is not working (404), which the caller looks up."""
        left = await self.rest.cancel([venue_order_id])
        if venue_order_id in left:
            raise VenueRefused(
                "not_found", f"not cancelled: {left[venue_order_id]}", 404, GONE_MEND
            )

    async def cancel_many(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[str, VenueRefused | VenueUncertain]:
        """Cancel several in one request; those not cancelled are not working (404)."""
        ids = [order_id for order_id, _ in orders]
        try:
            left = await self.rest.cancel(ids)
        except (VenueRefused, VenueUncertain) as exc:
            return dict.fromkeys(ids, exc)
        return {
            i: VenueRefused("not_found", f"not cancelled: {why}", 404, GONE_MEND)
            for i, why in left.items()
        }

    async def modify(self, order: VenueOrder, quantity: Decimal, price: Decimal) -> VenueOrder:
        """Refuse: Polymarket has no amend; cancel and send again."""
        raise VenueRefused(
            "no_amend", "Polymarket cannot change an order", 0, "cancel and send again"
        )

    @certain
    async def cancel_everything(self) -> list[str]:
        """Cancel all orders of this key, then read back what still works."""
        await self.rest.cancel_all()
        working = await self.rest.orders()
        if working:
            await self.rest.cancel([o.id for o in working])
            working = await self.rest.orders()
        return [o.id for o in working]

    async def engage_kill_switch(self) -> list[str]:
        """Stop beating, so that the venue cancels everything even if we cannot, then cancel everything ourselves.

        The venue has nothing that refuses new orders: the gate does.
        """
        self.heartbeat.stop()
        return await self.cancel_everything()

    async def release_kill_switch(self) -> None:
        """Beat again."""
        await self.heartbeat.start()

    # -- reads ------------------------------------------------------------------------------
    @certain
    async def find(
        self, client_order_id: str, instrument_id: str, since_ns: int
    ) -> VenueOrder | None:
        """Look one order up by the id it was given before sending.

        Raises
        ------
        VenueUncertain
            While it may still be on its way: too young, or in a market that holds taker orders back.
        """
        sent = self.ids.of_client(client_order_id)
        if sent is None:
            return None  # ids are on disk before sending: what is not there has never left
        found = await self.rest.order(sent.order_id)
        if found is not None and (order := self.order(found)) is not None:
            return self._note(order)
        return await self._gone(sent)

    async def _gone(self, sent: SentOrder) -> VenueOrder | None:
        """Return how an order that is not live ended; None when it never was."""
        if sent.order_id in self._ended:
            return self._ended[sent.order_id]
        await self.fills(sent.sent_ns - MARGIN_S * NS_PER_SECOND, sent.order_id)
        filled = self.executions.filled(sent.order_id)
        age_s = (self.clock() - sent.sent_ns) / NS_PER_SECOND
        known = self.registry.by_instrument.get(sent.instrument_id)
        delay_s = self.registry.terms[known[0]].delay_s if known else 0.0
        full = filled >= sent.quantity
        if full and self._nothing_more(sent, filled):
            return self._note(
                self._venue_order(sent, filled, VenueOrderStatus.FILLED, self.clock())
            )
        if age_s < self.settle_s + delay_s:
            raise VenueUncertain("the order may still be on its way", f"{age_s:.1f} s old")
        if filled == 0 and sent.order_id not in self._accepted:
            return None
        self._final.add(sent.order_id)
        status = VenueOrderStatus.FILLED if full else VenueOrderStatus.CANCELED
        return self._note(self._venue_order(sent, filled, status, self.clock(), "not live"))

    def _nothing_more(self, sent: SentOrder, filled: Decimal) -> bool:
        """Return whether an order that has its shares can fill no more of them."""
        most = self.most_shares(sent.order_id)
        return most is None or filled >= most

    @certain
    async def orders(self, *, working_only: bool, since_ns: int) -> list[VenueOrder]:
        """Return live orders, and how those of ours that are no longer live ended."""
        self._let_go()
        rows = await self.rest.orders()
        live = [o async for row in sliced(rows) if (o := self.order(row)) is not None]
        if working_only:
            return [self._note(o) for o in live]
        seen = {o.venue_order_id for o in live}
        out = [self._note(o) for o in live]
        async for sent in sliced(self.ids.since(since_ns)):
            if sent.order_id in seen:
                continue
            try:
                ended = await self._gone(sent)
            except VenueUncertain:
                continue  # not old enough to say; the next check asks again
            if ended is not None:
                out.append(ended)
        return out

    @certain
    async def fills(self, since_ns: int, venue_order_id: str = "") -> list[VenueFill]:
        """Return executions since a time. FAILED trades are reported as voids, not returned.

        Raises
        ------
        VenueUncertain
            When the answer to an order spoke of shares that no trade shows yet.
        """
        after = str(max(since_ns // NS_PER_SECOND - 1, 0))
        out: list[VenueFill] = []
        for trade in await self.rest.trades(after=after):
            if state_of(trade.status) is TradeState.FAILED:
                if self._news is not None:
                    self.take_trade(trade)
                continue
            for item in self.executions.take(trade, self._owner()):
                if isinstance(item, VenueFill):
                    self.retention.heard(item.venue_order_id, self.clock())
                    out.append(item)
        if venue_order_id:
            out = [f for f in out if f.venue_order_id == venue_order_id]
            if self.executions.awaiting(venue_order_id):
                raise VenueUncertain(
                    "Polymarket's trades do not show all shares yet", venue_order_id
                )
        return out

    @certain
    async def positions(self) -> list[VenuePosition]:
        """Return holdings: which tokens from the indexer and our own trades, how many from the order book service.

        Trades that are matched but not mined are not in the venue's balance yet, so they are added.
        """
        if not self._primed:  # what is matched but not mined yet is only known from the trades
            await self.fills(self.clock() - PRIME_NS)
            self._primed = True
        averages: dict[str, Decimal] = {}
        wallet, _ = await self.rest.keys()
        for row in await self.catalogue.positions(wallet.funder):
            averages[row.token_id] = schemas.number(row.avg_price, "average price")
        out = []
        for token in sorted(set(averages) | self.executions.tokens()):
            known = self.registry.by_token.get(token)
            if known is None or self.registry.markets[known[0]].resolved:
                continue
            v2 = self.registry.terms[known[0]].v2
            micro = await self.rest.balance(token, v2)
            held = Decimal(micro) / SHARE_MICRO + self.executions.pending_shares(token)
            quantity = held // LOT * LOT
            if quantity > 0:
                average = averages.get(token)
                if average is not None:
                    average = min(max(average.quantize(Decimal("0.0001")), ZERO), Decimal(1))
                out.append(VenuePosition(known[1].instrument_id, quantity, average))
        return out

    @certain
    async def cash(self) -> VenueCash:
        """Return the balance; our own resting BUYs, their fees and unmined purchases are what is locked."""
        total = Decimal(await self.rest.balance()) / SHARE_MICRO
        locked = self.executions.pending_cost()
        for row in await self.rest.orders():
            order = self.order(row)
            if order is None or order.side is not Side.BUY or order.price is None:
                continue
            left = order.quantity - order.filled
            locked += left * order.price + self.executions.worst_fee(order, left)
        return VenueCash(total, min(locked, total), self.executions.pending_cash())

    # -- rows -------------------------------------------------------------------------------
    def _note(self, order: VenueOrder) -> VenueOrder:
        """Remember that the venue has it, and how it ended."""
        self._accepted.add(order.venue_order_id)
        if order.status is not VenueOrderStatus.WORKING:
            self._ended[order.venue_order_id] = order
            self.retention.over(order.venue_order_id, self.clock())
        return order

    def _let_go(self) -> None:
        """Forget what is long over."""
        for order_id in self.retention.step(self.clock()):
            self._accepted.discard(order_id)
            self._ended.pop(order_id, None)
            self._final.discard(order_id)

    def _venue_order(
        self,
        sent: SentOrder,
        filled: Decimal,
        status: VenueOrderStatus,
        ts_last_ns: int,
        reason: str = "",
    ) -> VenueOrder:
        cash = sized_in_cash(sent.side, sent.tif)
        return VenueOrder(
            sent.order_id,
            sent.client_order_id,
            sent.instrument_id,
            sent.side,
            max(sent.quantity, filled) if cash else sent.quantity,
            filled if cash else min(filled, sent.quantity),
            sent.price,
            status,
            sent.sent_ns,
            ts_last_ns,
            reason,
            sent.post_only,
            sent.expire_ns,
        )

    def order(self, row: schemas.OrderMsg) -> VenueOrder | None:
        """Return a venue order from any of its payloads; None for a token that is not loaded.

        The status is an open word: only words that say so end an order, and counts outrank words.
        """
        sent = self.ids.order(row.id)
        known = self.registry.by_token.get(row.asset_id)
        if sent is None and known is None:
            return None
        matched = schemas.number(row.size_matched, "matched size") // LOT * LOT
        last = venue_time_ns(row.timestamp) or venue_time_ns(row.created_at) or self.clock()
        if sent is None:
            assert known is not None
            sent = SentOrder(
                row.id,
                "",
                known[1].instrument_id,
                side_of(row.side),
                schemas.number(row.original_size, "size") // LOT * LOT,
                schemas.number(row.price, "price"),
                venue_time_ns(row.created_at) or last,
            )
        filled = max(matched - self.executions.voided(row.id), ZERO)
        word = row.status.upper()
        full = filled >= sent.quantity and self._nothing_more(sent, filled)
        status = status_of(word, row.type, full)
        return replace(
            self._venue_order(sent, filled, status, last, row.status[:200]),
            expire_ns=sent.expire_ns,
        )
