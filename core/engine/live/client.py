"""The execution client of every venue: the last point before bytes leave, and the first that hears back.

Closed here once, for every venue (reference: nautilus_v2_live, sections 0 and 3):

- an order without the gate's approval is denied; the approval is used up at this point;
- the intent is on disk before the first byte leaves;
- no network call is awaited in a command handler: a hung POST never delays a cancel;
- an unclear submit is UNKNOWN: never a rejection, reserved until the venue proves it has it or has it not;
- fills go out before any report may mention them, each trade id once, whichever way it came;
- an uncertain poll raises: the engine then skips the cycle instead of drawing conclusions.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.live.clients import ExecutionClient
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    OmsType,
    TradeId,
    Venue,
    VenueOrderId,
)

from core.domain.decision import OrderIntent
from core.domain.errors import (
    ApprovalInvalid,
    HaltedError,
    LedgerError,
    MarketError,
    VenueRefused,
    VenueUncertain,
)
from core.domain.fees import Role
from core.engine.currency import currency, money
from core.engine.live.beside import guarded
from core.engine.live.cancels import CancelHooks
from core.engine.live.changes import ChangeHooks, Changes
from core.engine.live.closed import ClosedOrders, same_place
from core.engine.live.context import LiveContext
from core.engine.live.conversions import net_after
from core.engine.live.early import EarlyOrders, at_once
from core.engine.live.intents import intent_of
from core.engine.live.journal import HALTED, NOT_ON_DISK
from core.engine.live.leftovers import Leftovers
from core.engine.live.port import (
    Send,
    VenueCash,
    VenueFill,
    VenueOrder,
    VenueOrderStatus,
    VenueVoid,
)
from core.engine.live.reports import ReportHooks
from core.engine.live.sizes import Sizes
from core.engine.live.slices import sliced
from core.engine.live.strangers import Strangers
from core.engine.live.unknowns import UnknownOrders
from core.engine.live.voids import void_event
from core.engine.units import price_of, quantity_of
from core.ledger.acknowledgement import seen

MAX_SEEN_TRADES = 200_000
ROLES = {Role.MAKER: LiquiditySide.MAKER, Role.TAKER: LiquiditySide.TAKER}
CASH_PAUSE_S = 0.2
#: Reading the balance waits for orders on their way, this many times so long.
CASH_GIVES_WAY, CASH_STEP_S = 50, 0.01
ENDED = frozenset({VenueOrderStatus.CANCELED, VenueOrderStatus.EXPIRED, VenueOrderStatus.REJECTED})


class VenueClient(CancelHooks, ChangeHooks, ReportHooks, ExecutionClient):
    """One venue behind one `VenuePort`.

    Parameters
    ----------
    context : LiveContext
        Gate, ledger, port and settings that the node shares with its clients.
    """

    def __init__(
        self,
        *,
        context: LiveContext,
        name: str,
        config: Any,
        cache: Any,
        clock: Any,
        trader_id: Any,
    ) -> None:
        super().__init__(
            name=name, config=config, cache=cache, clock=clock, trader_id=trader_id,
            venue=Venue(context.port.venue), account_id=AccountId(f"{context.port.venue}-001"),
            account_type=AccountType.CASH, oms_type=OmsType.NETTING,
            base_currency=currency(context.currency), instrument_provider=context.provider(),
        )  # fmt: skip
        self.context, self.port, self.gate = context, context.port, context.gate
        self.journal = context.journal(clock.timestamp_ns)
        self.unknowns = UnknownOrders(self)
        self.changes = Changes(self)
        self.seen: OrderedDict[str, None] = OrderedDict()
        self.acks: dict[str, asyncio.Event] = {}
        self.venue_orders: dict[str, VenueOrder] = {}
        self.heard, self.booked = 0, Counter[str]()
        self._ended: set[str] = set()
        self._accepted: set[str] = set()
        self._queried: set[str] = set()
        self.sizes, self.leftovers, self.early = Sizes(self), Leftovers(self), EarlyOrders(self)
        self.strangers, self.closed = Strangers(self), ClosedOrders(self)
        self._cash_task: asyncio.Task[object] | None = None
        self._thread = 0

    # -- life -------------------------------------------------------------------------------
    async def _connect(self) -> None:
        """Open the private side; why it did not is said here, because the engine only says that it failed."""
        try:
            await self._open()
        except Exception as exc:
            self.context.halt(f"the account at {self.port.venue} could not be opened: {exc}"[:500])
            raise

    async def _open(self) -> None:
        """Load instruments, state the account, then listen."""
        self._thread = threading.get_ident()
        if self.instrument_provider is not None:
            await self.instrument_provider.initialize()
        self.port.before_order(lambda: self.context.check_mode(self.clock.timestamp_ns()))
        await self.port.connect(self)
        cash = await self.port.cash()
        if self.context.adopted is None:
            self.gate.on_cash(self.port.venue, cash.settled)
        self._state_account(cash)
        if self.leftovers.left:
            self.create_task(self.leftovers.run(), "leftovers")

    def create_task(self, coroutine: Any, name: str = "background") -> Any:
        """Begin a task; trading halts when it fails (`guarded`)."""
        return super().create_task(guarded(coroutine, name, self.context.halt), name)

    async def _disconnect(self) -> None:
        """Stop chasing unknown orders and close the port."""
        self.unknowns.stop()
        await self.port.disconnect()

    @property
    def in_flight(self) -> bool:
        """Whether an order is on its way, or its fate unknown: it may work at the venue any moment."""
        return bool(self.acks or self.unknowns.ids)

    def _assert_thread(self) -> None:
        """Refuse calls from another thread: the engine would abort the process."""
        if self._thread and threading.get_ident() != self._thread:
            raise RuntimeError(
                "a venue client was called from another thread; use loop.call_soon_threadsafe"
            )

    # -- commands: decide now, send in a task --------------------------------------------------
    async def _submit_order(self, command: Any) -> None:
        self._begin(command.order)

    async def _submit_order_list(self, command: Any) -> None:
        """Send the orders of a list together; one that may not leave holds up no other."""
        found = [self.cache.order(init.client_order_id) for init in command.order_inits]
        orders = [(o, a) for o in found if o is not None and (a := self._admit(o)) is not None]
        if len(orders) == 1:
            self._start(*orders[0])
        elif orders:
            self.create_task(self._send_list(orders), f"submit-list-{len(orders)}")

    def _begin(self, order: Any) -> None:
        """Check the approval and start the task that writes the intent and sends."""
        admitted = self._admit(order)
        if admitted is not None:
            self._start(order, admitted)

    def _start(self, order: Any, admitted: tuple[OrderIntent, Decimal]) -> None:
        intent, price = admitted
        begun = self.early.take(intent, price)
        sending = self._send(order, intent, begun.writing, begun.send)
        at_once(self, sending, f"submit-{intent.client_order_id}")

    def _admit(self, order: Any) -> tuple[OrderIntent, Decimal] | None:
        """Use up the approval; return intent and limit, or None when the order was denied."""
        self._assert_thread()
        cid = order.client_order_id.value
        now = self.clock.timestamp_ns()
        try:
            approved = self.gate.approval(cid)
            if approved is None:
                raise ApprovalInvalid("APPROVAL_MISSING", "the order has not passed the gate", cid)
            self.context.check_mode(now)
            intent = self.gate.redeem(approved, now, intent_of(order, approved.intent))
        except Exception as exc:
            # Whatever goes wrong before the order has left is a denial: nothing may stay half-sent.
            reason = getattr(exc, "code", None) or type(exc).__name__
            self.gate.on_done(cid)
            self.early.drop(cid)
            self.journal.denied(cid, f"{reason}: {exc}"[:300])
            self.generate_order_denied(order, str(reason))
            return None
        self.generate_order_submitted(order)
        self.acks[cid] = asyncio.Event()
        return intent, intent.price if intent.price is not None else approved.worst_price

    def begin_intent(
        self, intent: OrderIntent, venue_order_id: str = "", limit: Decimal | None = None
    ) -> asyncio.Future[None]:
        """Hand the intent to the ledger now; a ledger that refuses it at once answers through the future too."""
        self.context.reached("intent-wanted")
        try:
            return self.journal.intended(intent, venue_order_id, limit)
        except LedgerError as exc:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.add_done_callback(seen)
            refused.set_exception(exc)
            return refused

    async def _intend(self, order: Any, intent: OrderIntent, writing: asyncio.Future[None]) -> bool:
        """Wait for the intent's row; without it on disk the order does not leave and trading halts."""
        try:
            await self.context.ledger.acknowledged(writing)
        except LedgerError as exc:
            self.gate.on_done(intent.client_order_id)
            self._reject(order, f"{NOT_ON_DISK}{exc.what}")
            self.context.halt(f"ledger: {exc.what}")
            return False
        self.context.reached("intent-on-disk")
        return True

    async def _send(
        self, order: Any, intent: OrderIntent, writing: asyncio.Future[None], send: Send
    ) -> None:
        """Send once when the intent is on disk, and say exactly what is known afterwards."""
        if not await self._intend(order, intent, writing):
            return
        answer: VenueOrder | Exception
        try:
            self.context.check_mode(self.clock.timestamp_ns())  # the disk may have taken its time
            answer = await send()
        except Exception as exc:
            answer = exc
        await self._take_answer(order, intent, answer)

    async def _send_list(self, orders: list[tuple[Any, tuple[OrderIntent, Decimal]]]) -> None:
        """Write every intent, send those that are on disk together, and take each answer for itself."""
        begun = [(o, i, p, self.early.row(i, p)) for o, (i, p) in orders]
        ready = [(o, i, p) for o, i, p, writing in begun if await self._intend(o, i, writing)]
        answers: Sequence[VenueOrder | Exception]
        try:
            self.context.check_mode(self.clock.timestamp_ns())
            answers = await self.port.submit_many([(i, p) for _, i, p in ready])
        except HaltedError as exc:  # a part of them may have left before
            answers = [VenueUncertain("halted while a list was sent", exc.seen)] * len(ready)
        except Exception as exc:
            answers = [exc] * len(ready)
        for (order, intent, _), answer in zip(ready, answers, strict=True):
            await self._take_answer(order, intent, answer)

    async def _take_answer(
        self, order: Any, intent: OrderIntent, answer: VenueOrder | Exception
    ) -> None:
        """Book what a venue said to an order: there, a clear no, or unknown."""
        cid = intent.client_order_id
        if isinstance(answer, VenueOrder):
            self.context.reached("order-answered")
            self.on_order(answer)
        elif isinstance(answer, VenueRefused):
            post_only = "post" in answer.code and "only" in answer.code
            # A post-only order that would have taken is no error of the venue or of ours.
            self.gate.on_done(cid, rejected=not post_only)
            why = f"{answer.code}: {answer.what}"
            self._reject(order, why, post_only=post_only, venue_ns=answer.venue_ns)
        elif isinstance(answer, HaltedError):  # halted on its last steps: it has not left
            self.gate.on_done(cid)
            self._reject(order, f"{HALTED}{answer.seen}")
        elif isinstance(answer, VenueUncertain):
            await self.unknowns.add(intent, answer.what)
        else:  # a bug in a port after the bytes may have left is as unclear as a time-out
            await self.unknowns.add(intent, f"{type(answer).__name__}: {answer}")

    def _reject(self, order: Any, reason: str, post_only: bool = False, venue_ns: int = 0) -> None:
        cid = order.client_order_id.value
        self._ended.add(cid)
        self.journal.rejected(cid, reason[:300], venue_ns)
        self.generate_order_rejected(order, reason[:300], self.clock.timestamp_ns(), post_only)
        self._answered(cid)

    def _answered(self, cid: str) -> None:
        event = self.acks.pop(cid, None)
        if event is not None:
            event.set()

    async def _query_account(self, command: Any) -> None:
        self.refresh_cash()

    async def _query_order(self, command: Any) -> None:
        """Look the order up in a task: a venue that cannot be asked now holds up no order and no cancel."""
        cid = command.client_order_id.value
        if cid not in self._queried:
            self._queried.add(cid)
            self.create_task(self._query(cid, command.instrument_id.value), f"query-{cid}")

    async def _query(self, cid: str, instrument_id: str) -> None:
        """Deliver what the venue holds; when it cannot be asked the engine keeps what it knows and asks again."""
        try:
            await self.unknowns.settle(cid, instrument_id)
        finally:
            self._queried.discard(cid)

    # -- news -------------------------------------------------------------------------------
    def instrument(self, instrument_id: str) -> Any:
        """Return an instrument that an order of ours names: the engine has it, or had it (`PaidOut`)."""
        found = self.cache.instrument(InstrumentId.from_str(instrument_id))
        if found is None:
            found = self.closed.paid_out.gone.get(instrument_id)
        if found is None:
            what = "an order of an instrument that is not loaded"
            raise MarketError(what, instrument_id, "start the node with --market of it")
        return found

    def order_of(self, client_order_id: str) -> Any:
        """Return the engine's order, or None."""
        return self.cache.order(ClientOrderId(client_order_id)) if client_order_id else None

    def since_of(self, client_order_id: str) -> int:
        """Return the time from which a read surely meets an order: an old one is older than the look-back."""
        since = self.context.since_ns(self.clock.timestamp_ns())
        ours = self.order_of(client_order_id)
        if ours is not None:
            since = min(since, ours.ts_init - self.context.lookback_ns)
        return max(since, 0)

    def client_id_of(self, order: VenueOrder | VenueFill) -> str:
        """Return our id for a venue order: the venue's word, else what the engine remembers."""
        if order.client_order_id:
            return order.client_order_id
        known = self.cache.client_order_id(VenueOrderId(order.venue_order_id))
        return known.value if known is not None else self.closed.id_of(order.venue_order_id)

    def over(self, client_order_id: str) -> bool:
        """Return whether an order of this run has ended without (more) fills, or has left the engine."""
        return client_order_id in self._ended or client_order_id in self.closed.kept

    def saw(self, trade_id: str) -> None:
        """Note that a trade is booked."""
        self.seen[trade_id] = None
        if len(self.seen) > MAX_SEEN_TRADES:
            self.seen.popitem(last=False)

    def on_order(self, order: VenueOrder) -> None:
        """Turn a venue order into accepted, canceled or expired. Fills are never invented from it."""
        self._assert_thread()
        self.heard += 1
        cid = self.client_id_of(order)
        ours = self.order_of(cid)
        self._about(ours, order)
        if ours is None:
            self.closed.about(cid, order)
            return
        if self._is_late(cid, order) or cid in self._ended:
            return
        if ours.is_closed and cid in self.context.owners:
            return  # of an earlier run: the start has told all of it
        before = self.venue_orders.get(cid)
        if before is not None and order.filled < before.filled:
            return  # an older message; counts never go back
        self.changes.heard(order, cid, ours)
        self.venue_orders[cid] = order
        if cid not in self._accepted:
            self._accepted.add(cid)
            self.unknowns.resolved(cid)
            self.gate.on_working(cid)
            self.journal.accepted(order, cid)
            self.generate_order_accepted(ours, VenueOrderId(order.venue_order_id), order.ts_ns)
            for fill in self.strangers.claimed(order.venue_order_id):
                self.on_fill(fill)
        self._answered(cid)
        if order.status in ENDED or self.sizes.ended_full(order):
            self.create_task(self._end(order, cid), f"end-{cid}")

    async def _end(self, order: VenueOrder, cid: str) -> None:
        """End an order only after every fill the venue counts has been delivered."""
        try:
            await self.deliver_fills_of(order, cid)
        except (VenueRefused, VenueUncertain):
            return  # the continuous check will come back to it
        ours = self.order_of(cid)
        if cid in self._ended or ours is None:
            return
        self._ended.add(cid)
        self.gate.on_done(cid, rejected=order.status is VenueOrderStatus.REJECTED)
        if self.sizes.full(cid):
            return  # its fills have ended it
        expired = order.status is VenueOrderStatus.EXPIRED
        self.journal.ended(order, cid, expired)
        self.context.reached("end-row-queued")
        make = self.generate_order_expired if expired else self.generate_order_canceled
        make(ours, VenueOrderId(order.venue_order_id), order.ts_last_ns)
        self.refresh_cash()

    def tell_gate(self, fill: VenueFill, client_order_id: str, strategy_id: str) -> None:
        """Let the gate book a fill, and count that it did."""
        self.booked[fill.instrument_id] += 1
        self.gate.on_fill(
            client_order_id, fill.trade_id, fill.quantity, fill.price, fill.fee,
            provisional=fill.provisional, instrument_id=fill.instrument_id, strategy_id=strategy_id,
            side=fill.side,
        )  # fmt: skip

    def on_fill(self, fill: VenueFill) -> None:
        """Book an execution once: gate, ledger, engine, in this order."""
        self._assert_thread()
        self.heard += 1
        cid = self.client_id_of(fill)
        if fill.trade_id in self.seen:
            if not fill.provisional and fill.trade_id in self.gate.book.provisional:
                self.gate.on_confirmed(fill.trade_id)
                self.journal.confirmed(fill, cid)
            return
        ours = self.order_of(cid)
        self._about(ours, fill)
        if ours is None and (self.closed.take(fill, cid) or self.leftovers.take(fill, cid)):
            return
        if ours is None:
            self.strangers.note(fill, cid)
            return
        if self.leftovers.known(fill, cid):
            return
        late = self._is_late(cid, fill)
        self.context.reached("fill-heard")
        if cid not in self._accepted and not late:
            self._accept_from(fill, cid, ours)
        self.saw(fill.trade_id)
        strategy = self.context.owners.get(cid) or ours.strategy_id.value
        self.tell_gate(fill, cid, strategy)
        self.journal.filled(fill, cid, strategy)
        net_after(self, fill)
        self.context.reached("fill-row-queued")
        if late:
            self.refresh_cash()
            return
        instrument = self.instrument(fill.instrument_id)
        if not self.sizes.make_room(ours, fill):
            self.refresh_cash()
            return
        self.generate_order_filled(
            ours,
            VenueOrderId(fill.venue_order_id),
            None,
            TradeId(fill.trade_id),
            quantity_of(fill.quantity, instrument.size_precision),
            price_of(fill.price, instrument.price_precision),
            currency(self.context.currency),
            money(fill.fee, self.context.currency),
            ROLES[fill.role],
            fill.ts_ns,
        )
        self.refresh_cash()

    @staticmethod
    def _about(ours: Any, news: VenueOrder | VenueFill) -> None:
        """Raise `VenueUncertain` for news of an order of ours on an instrument or a side that it is not on."""
        if ours is not None:
            same_place(ours.instrument_id.value, ours.side.name, news)

    def _is_late(self, cid: str, news: VenueOrder | VenueFill) -> bool:
        return self.unknowns.is_late(cid, news.venue_order_id, news.instrument_id)

    def _accept_from(self, fill: VenueFill, cid: str, ours: Any) -> None:
        """A fill proves that the venue has the order."""
        self._accepted.add(cid)
        self.unknowns.resolved(cid)
        self.gate.on_working(cid)
        self.journal.proved(fill, cid)
        self.generate_order_accepted(ours, VenueOrderId(fill.venue_order_id), fill.ts_ns)

    def on_void(self, void: VenueVoid) -> None:
        """Take back an execution in gate, ledger and engine."""
        self._assert_thread()
        self.heard += 1
        known = self.cache.client_order_id(VenueOrderId(void.venue_order_id))
        ours = self.cache.order(known) if known is not None else None
        if ours is None and self.closed.take_back(void):
            return
        if ours is None or not self.gate.on_fill_voided(void.trade_id):
            self.leftovers.take_back(void)
            return
        self.journal.voided(void, ours.client_order_id.value)
        self.sizes.voided(ours, void.trade_id)
        event = void_event(self, ours, void)
        if event is not None:
            self._handle_event(event)
        self.refresh_cash()

    def on_cash(self, cash: VenueCash) -> None:
        """Show the balance."""
        self._assert_thread()
        self._state_account(cash)

    def on_link(self, up: bool) -> None:
        """After a break in private news read everything again."""
        self._assert_thread()
        self.context.link(self.port.venue, up)
        if up:
            self.create_task(self._catch_up(), "catch-up")

    async def _catch_up(self) -> None:
        try:
            await self.deliver_since(self.context.since_ns(self.clock.timestamp_ns()))
            since = self.context.since_ns(self.clock.timestamp_ns())
            async for order in sliced(await self.port.orders(working_only=False, since_ns=since)):
                self.on_order(order)
        except (VenueRefused, VenueUncertain):
            return  # the open-order check repeats it

    # -- fills before reports ------------------------------------------------------------------
    async def deliver_since(self, since_ns: int) -> None:
        """Deliver every unseen execution since a time."""
        for fill in await self.port.fills(since_ns):
            self.on_fill(fill)

    async def deliver_fills_of(self, order: VenueOrder, cid: str) -> None:
        """Deliver the executions of one order and wait until the engine has booked them."""
        ours = self.order_of(cid)
        booked = ours.filled_qty.as_decimal() if ours is not None else self.closed.filled(cid)
        if booked is None or booked >= order.filled:
            return
        for fill in await self.port.fills(
            order.ts_ns - self.context.lookback_ns, order.venue_order_id
        ):
            self.on_fill(fill)
        await self.wait_booked(cid, order.filled)

    async def take_report(self, order: VenueOrder, cid: str) -> None:
        """Take what a read found like news: gate, ledger and engine hear of it, and only then the engine's check."""
        await self.deliver_fills_of(order, cid)
        ours = self.order_of(cid)
        if ours is None or ours.is_closed:
            return
        self.on_order(order)
        if order.status in ENDED or self.sizes.ended_full(order):
            await self._end(order, cid)
            await self._wait(lambda: (o := self.order_of(cid)) is None or bool(o.is_closed))

    async def wait_booked(self, cid: str, filled: Decimal) -> bool:
        """Wait (at most a second) until the engine's order has `filled` shares; return whether it has."""

        def booked() -> bool:
            ours = self.order_of(cid)
            return ours is None or ours.filled_qty.as_decimal() >= filled

        return await self._wait(booked)

    async def _wait(self, done: Callable[[], bool]) -> bool:
        """Wait (at most a second) for the engine's queue; return whether it came to that."""
        for _ in range(200):
            if done():
                return True
            await asyncio.sleep(0.005)
        return False

    # -- account ----------------------------------------------------------------------------
    def _state_account(self, cash: VenueCash) -> None:
        code = self.context.currency
        locked = min(cash.locked, cash.total)
        balance = AccountBalance(
            money(cash.total, code), money(locked, code), money(cash.total - locked, code)
        )
        self.generate_account_state([balance], [], True, self.clock.timestamp_ns())

    def refresh_cash(self) -> None:
        """Read the balance soon; many fills ask once."""
        if self._cash_task is None or self._cash_task.done():
            self._cash_task = self.create_task(self._read_cash(), "cash")

    async def _read_cash(self) -> None:
        await asyncio.sleep(CASH_PAUSE_S)
        for _ in range(CASH_GIVES_WAY):  # its signature and answer would take the order's time
            if not self.acks:
                break
            await asyncio.sleep(CASH_STEP_S)
        try:
            self._state_account(await self.port.cash())
        except (VenueRefused, VenueUncertain):
            return  # the next fill or check reads it again
