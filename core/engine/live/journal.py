"""What the execution path writes: one row for each step of an order, intents and unknowns durably."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from core.domain.decision import OrderIntent, Verdict
from core.domain.money import ZERO
from core.engine.journal import Causes, Journal, OrderRecord, data_ns, judged, snapshot
from core.engine.live.over import MOST_OVER, packed, unpacked
from core.engine.live.port import VenueFill, VenueOrder, VenueVoid
from core.engine.references import References
from core.engine.results import FillRow
from core.engine.session import Level
from core.ledger import Ledger, Payload
from core.ledger.kinds import ClockRead, Fault, VerdictGiven
from core.ledger.kinds.orders import (
    FillConfirmed,
    FillVoided,
    OrderAbsent,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderModified,
    OrderModifyRejected,
    OrderModifyRequested,
    OrderModifyUnknown,
    OrderRejected,
    OrderUnknown,
)
from core.risk.breaker import BreakerState
from core.risk.governor import DAILY_LOSS
from core.risk.states import RiskEvent, TradingState, Trigger

#: What a denial begins with whose approval had run out.
EXPIRED = "APPROVAL_EXPIRED"
#: What a rejection begins with that is our own: a halt or the ledger stopped an order on its last steps.
HALTED, NOT_ON_DISK = "HALTED: ", "LEDGER: "


class LiveJournal(Journal):
    """The strategy side's journal in paper and live: what was thought and judged.

    What becomes of an order is written by `OrderJournal`, at the wire. Here it goes into the decision hash, and orders
    are kept until they have left the engine (`ClosedOrders`); a node makes no result, so there are no lists.

    Attributes
    ----------
    asked, filled : int
        Orders sent, and their fills.
    fees : Decimal
        Fees of the fills.
    """

    def __init__(
        self,
        ledger: Ledger,
        currency_of: dict[str, str],
        link: Callable[[str, int], None],
        causes: Causes | None = None,
    ) -> None:
        super().__init__(ledger, currency_of, causes)
        self._link = link
        self.asked = self.filled = 0
        self.fees = ZERO
        self._over: dict[str, bytes] = {}
        self.arrivals, self.fills, self.settlements = (
            deque(maxlen=0),
            deque(maxlen=0),
            deque(maxlen=0),
        )
        self.merges, self.forecasts, self.risks = deque(maxlen=0), deque(maxlen=0), deque(maxlen=0)

    def forget(self, client_order_id: str) -> None:
        """Keep of an order that is over only what news of it would need, in a tenth of the room."""
        record = self.orders.get(client_order_id)
        if record is not None and not record.is_open:
            del self.orders[client_order_id]
            self._over[client_order_id] = packed(record)
            if len(self._over) > MOST_OVER:
                del self._over[next(iter(self._over))]

    def recall(self, client_order_id: str, references: References) -> None:
        """Take a forgotten order back: there is news of it."""
        body = self._over.pop(client_order_id, None)
        if body is not None:
            self.orders[client_order_id] = unpacked(client_order_id, body, references)

    def sent(
        self,
        record: OrderRecord,
        verdict: Callable[[], Verdict] | None,
        seen: tuple[Level | None, Level | None] | None,
    ) -> None:
        """Write snapshot and verdict, and hand the verdict's row to the order's intent."""
        ledger, intent = self.ledger, record.intent
        self.asked += 1
        with self._silent():
            super().sent(record, verdict, seen)
        if ledger is None or verdict is None:
            return
        parents = self._thought(intent)
        if seen is not None:
            row = snapshot(record.ref.iid, seen, data_ns(record.ref))
            parents = (*parents, ledger.append(row, ts_event=intent.ts_ns, parents=self._source()))
        given = ledger.append(judged(verdict), ts_event=intent.ts_ns, parents=parents)
        self._link(intent.client_order_id, given)

    def event(self, record: OrderRecord, status: str, ts_ns: int, reason: str = "") -> None:
        """Keep a change in memory; a strategy has heard of the end of its order."""
        with self._silent():
            super().event(record, status, ts_ns, reason)
        if status != "ACCEPTED" and self.causes.hearing is not None:
            self.causes.hearing.told(record.intent.client_order_id)

    def modifying(self, record: OrderRecord, intent: OrderIntent, verdict: Verdict | None) -> None:
        """Write the verdict on a change and hand its row to the change; keep the change in memory."""
        with self._silent():
            super().modifying(record, intent, None)
        if self.ledger is not None and verdict is not None:
            parents = self._thought(intent) or self._source()
            given = VerdictGiven.of(verdict)
            seq = self.ledger.append(given, ts_event=intent.ts_ns, parents=parents)
            self._link(intent.client_order_id, seq)

    def modified(self, record: OrderRecord, ts_ns: int) -> None:
        """Keep a confirmed change in memory."""
        with self._silent():
            super().modified(record, ts_ns)

    def modify_rejected(self, record: OrderRecord, ts_ns: int, reason: str) -> None:
        """Keep nothing: the execution client writes the row."""

    def fill(self, record: OrderRecord, fill: FillRow, trade_id: str, event: Any) -> FillRow:
        """Count a fill that a strategy has heard of."""
        self.filled += 1
        self.fees += fill.fee
        if self.causes.hearing is not None:
            self.causes.hearing.told(fill.order_id, event.trade_id.value)
        with self._silent():
            return super().fill(record, fill, trade_id, event)

    def _moved_by(self, event: RiskEvent) -> tuple[int, ...]:
        """Return the rows behind a move of the risk layer; a move that time alone makes has a reading of the clock."""
        parents = super()._moved_by(event)
        if self.ledger is None or not moved_by_time(event):
            return parents
        read = ClockRead(purpose=f"{event.machine} {event.subject}", value_ns=event.ts_ns)
        return (*parents, self.ledger.append(read, ts_event=event.ts_ns))

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Write nothing meanwhile: the execution client does."""
        ledger, self.ledger = self.ledger, None
        try:
            yield
        finally:
            self.ledger = ledger


def moved_by_time(event: RiskEvent) -> bool:
    """Return whether nothing but the clock made this move: a new day, calm, a pause that is over."""
    match event.machine:
        case "trading":
            return event.subject == DAILY_LOSS and event.after == TradingState.RUNNING
        case "posture":
            return event.subject == Trigger.CALM
        case "breaker":
            return event.after == BreakerState.PROBING and event.reason != "operator"
    return False


class OrderJournal:
    """Rows of orders with their parents.

    Parameters
    ----------
    clock : callable
        Engine time, nanoseconds.
    currency : str
        Currency of fees.
    causes : Causes, optional
        Shared with the strategies' journal.
    last : mapping, optional
        Newest row of each order of earlier runs: what becomes of it now comes from there.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        venue: str,
        currency: str,
        causes: Causes | None = None,
        last: Mapping[str, int] | None = None,
    ) -> None:
        self.ledger, self.clock, self.venue, self.currency = ledger, clock, venue, currency
        self.causes = causes or Causes()
        self._last: dict[str, int] = dict(last or {})
        self._judged: dict[str, int] = {}

    def _parents(self, client_order_id: str) -> tuple[int, ...]:
        seqs = (self._last.get(client_order_id), self._judged.pop(client_order_id, None))
        return tuple(seq for seq in seqs if seq) or tuple(filter(None, (self.causes.source,)))

    def _write(self, client_order_id: str, payload: Payload, durable: bool = False) -> int:
        seq = self.ledger.append(
            payload, ts_event=self.clock(), parents=self._parents(client_order_id), durable=durable
        )
        if client_order_id:
            self._last[client_order_id] = seq
        return seq

    def forget(self, client_order_id: str) -> int:
        """Forget the newest row of an order that is over and return it; `resume` takes it back."""
        return self._last.pop(client_order_id, 0)

    def resume(self, client_order_id: str, seq: int) -> None:
        """Let the next row of an order come from `seq`, unless there was a later one."""
        self._last.setdefault(client_order_id, seq)

    def link(self, client_order_id: str, seq: int) -> None:
        """Name a verdict that the next row of this order comes from too."""
        self._judged[client_order_id] = seq

    def intended(
        self, intent: OrderIntent, venue_order_id: str = "", limit: Decimal | None = None
    ) -> asyncio.Future[None]:
        """Hand the intent to the ledger now; only when `Ledger.acknowledged` has returned may the order leave."""
        cid = intent.client_order_id
        seq, written = self.ledger.begin_durable(
            OrderIntended.of(intent, venue_order_id, limit),
            ts_event=self.clock(),
            parents=self._parents(cid),
        )
        self._last[cid] = seq
        return written

    async def unknown(self, client_order_id: str, reason: str) -> int:
        """Write that the fate of an order is unknown; on disk when it returns."""
        seq = await self.ledger.append_durable_async(
            OrderUnknown(client_order_id=client_order_id, reason=reason),
            ts_event=self.clock(),
            parents=self._parents(client_order_id),
        )
        self._last[client_order_id] = seq
        return seq

    def _ended(self, client_order_id: str, row: OrderEvent) -> int:
        """Write the end of an order, which its strategy hears of later."""
        seq = self._write(client_order_id, row)
        if self.causes.hearing is not None:
            self.causes.hearing.booked(client_order_id, "", seq)
        return seq

    def event(
        self,
        kind: type[OrderEvent],
        client_order_id: str,
        venue_order_id: str = "",
        reason: str = "",
    ) -> int:
        """Write a plain order event."""
        return self._write(
            client_order_id,
            kind(client_order_id=client_order_id, venue_order_id=venue_order_id, reason=reason),
        )

    def accepted(self, order: VenueOrder, client_order_id: str) -> int:
        """Write that the venue has it."""
        row = OrderAccepted(
            client_order_id=client_order_id,
            venue_order_id=order.venue_order_id,
            venue_ns=order.ts_ns,
        )
        return self._write(client_order_id, row)

    def proved(self, fill: VenueFill, client_order_id: str) -> int:
        """Write that the venue has it, as a fill proves."""
        row = OrderAccepted(
            client_order_id=client_order_id,
            venue_order_id=fill.venue_order_id,
            reason="proved by a fill",
            venue_ns=fill.ts_ns,
        )
        return self._write(client_order_id, row)

    def rejected(self, client_order_id: str, reason: str, venue_ns: int = 0) -> int:
        """Write a venue's no."""
        row = OrderRejected(client_order_id=client_order_id, reason=reason, venue_ns=venue_ns)
        return self._ended(client_order_id, row)

    def clock_read(self, purpose: str, client_order_id: str) -> None:
        """Write what the clock said; the next row of this order comes from it too."""
        now = self.clock()
        seq = self.ledger.append(
            ClockRead(purpose=purpose, value_ns=now),
            ts_event=now,
            parents=self._parents(client_order_id),
        )
        self.link(client_order_id, seq)

    def denied(self, client_order_id: str, reason: str) -> int:
        """Write our own no: it never left."""
        if reason.startswith(EXPIRED):
            self.clock_read("expiry of an approval", client_order_id)
        return self._ended(
            client_order_id, OrderDenied(client_order_id=client_order_id, reason=reason)
        )

    def absent(self, client_order_id: str) -> int:
        """Write the proof that the venue never had it: it was asked often, and for long enough."""
        self.clock_read("age of an order of unknown fate", client_order_id)
        row = OrderAbsent(client_order_id=client_order_id, reason="NOT_FOUND_CONFIRMED")
        return self._ended(client_order_id, row)

    def ended(self, order: VenueOrder, client_order_id: str, expired: bool) -> int:
        """Write that it is off the book."""
        cid, there, why = client_order_id, order.venue_order_id, order.reason
        if expired:
            return self._ended(
                cid, OrderExpired(client_order_id=cid, venue_order_id=there, reason=why)
            )
        row = OrderCanceled(
            client_order_id=cid, venue_order_id=there, reason=why, venue_ns=order.ts_last_ns
        )
        return self._ended(cid, row)

    async def modify_requested(
        self, client_order_id: str, quantity: Decimal, price: Decimal
    ) -> int:
        """Write an approved change and return once it is on disk. Only then may it leave."""
        seq = await self.ledger.append_durable_async(
            OrderModifyRequested(client_order_id=client_order_id, quantity=quantity, price=price),
            ts_event=self.clock(),
            parents=self._parents(client_order_id),
        )
        self._last[client_order_id] = seq
        return seq

    def modify_rejected(self, client_order_id: str, reason: str) -> int:
        """Write that the old terms hold."""
        return self.event(OrderModifyRejected, client_order_id, reason=reason)

    def modify_unknown(self, client_order_id: str, reason: str) -> int:
        """Write that the fate of a change is unknown: either terms may hold."""
        return self.event(OrderModifyUnknown, client_order_id, reason=reason)

    def modified(self, order: VenueOrder, client_order_id: str) -> int:
        """Write a change of price or size."""
        return self._write(
            client_order_id,
            OrderModified(
                client_order_id=client_order_id,
                venue_order_id=order.venue_order_id,
                quantity=order.quantity,
                price=order.price,
            ),
        )

    def resized(self, fill: VenueFill, client_order_id: str, quantity: Decimal) -> int:
        """Write that an order for dollars can hold more shares than asked."""
        return self._write(
            client_order_id,
            OrderModified(
                client_order_id=client_order_id,
                venue_order_id=fill.venue_order_id,
                quantity=quantity,
                price=None,
            ),
        )

    def filled(self, fill: VenueFill, client_order_id: str, strategy_id: str) -> int:
        """Write an execution."""
        seq = self._write(
            client_order_id,
            OrderFilled(
                client_order_id=client_order_id,
                venue_order_id=fill.venue_order_id,
                trade_id=fill.trade_id,
                strategy_id=strategy_id,
                venue=self.venue,
                instrument_id=fill.instrument_id,
                side=fill.side,
                quantity=fill.quantity,
                price=fill.price,
                fee=fill.fee,
                currency=self.currency,
                liquidity=fill.role.value,
                provisional=fill.provisional,
            ),
        )
        self.causes.filled(strategy_id, fill.instrument_id, seq)
        if self.causes.hearing is not None:
            self.causes.hearing.booked(client_order_id, fill.trade_id, seq)
        return seq

    def stranger(self, fill: VenueFill, client_order_id: str, strategy_id: str) -> int:
        """Write an execution of an order that no node of ours has sent, after a row that says so."""
        told = Fault(
            where=self.venue,
            error="a fill of an order that no node of ours has sent",
            action=f"booked for {strategy_id}",
            detail=f"trade {fill.trade_id} of {fill.instrument_id}"[:300],
        )
        self.link(client_order_id, self.ledger.append(told, ts_event=self.clock()))
        return self.filled(fill, client_order_id, strategy_id)

    def confirmed(self, fill: VenueFill, client_order_id: str) -> int:
        """Write that a provisional execution is final."""
        return self._write(
            client_order_id,
            FillConfirmed(
                client_order_id=client_order_id, trade_id=fill.trade_id, venue=self.venue
            ),
        )

    def voided(self, void: VenueVoid, client_order_id: str) -> int:
        """Write that an execution was taken back."""
        return self._write(
            client_order_id,
            FillVoided(
                client_order_id=client_order_id,
                trade_id=void.trade_id,
                venue=self.venue,
                reason=void.reason,
            ),
        )
