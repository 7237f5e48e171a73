"""What the execution path writes: one row for each step of an order, intents and unknowns durably."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from core.domain.decision import OrderIntent, Verdict
from core.engine.journal import Journal, OrderRecord, data_ns, judged, snapshot
from core.engine.live.port import VenueFill, VenueOrder, VenueVoid
from core.engine.results import FillRow
from core.engine.session import Level
from core.ledger import Ledger, Payload
from core.ledger.kinds import VerdictGiven
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


class LiveJournal(Journal):
    """The strategy side's journal in paper and live: what was thought and judged.

    What becomes of an order is written by `OrderJournal`, at the wire; here it is only kept in memory for
    results, parity and the decision hash.
    """

    def __init__(
        self, ledger: Ledger, currency_of: dict[str, str], link: Callable[[str, int], None]
    ) -> None:
        super().__init__(ledger, currency_of)
        self._link = link

    def sent(
        self,
        record: OrderRecord,
        verdict: Callable[[], Verdict] | None,
        seen: tuple[Level | None, Level | None] | None,
    ) -> None:
        """Write snapshot and verdict, and hand the verdict's row to the order's intent."""
        ledger, intent = self.ledger, record.intent
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
        """Keep a change in memory."""
        with self._silent():
            super().event(record, status, ts_ns, reason)

    def modifying(self, record: OrderRecord, intent: OrderIntent, verdict: Verdict | None) -> None:
        """Write the verdict on a change and hand its row to the change; keep the change in memory."""
        with self._silent():
            super().modifying(record, intent, None)
        if self.ledger is not None and verdict is not None:
            seq = self.ledger.append(VerdictGiven.of(verdict), ts_event=intent.ts_ns)
            self._link(intent.client_order_id, seq)

    def modified(self, record: OrderRecord, ts_ns: int) -> None:
        """Keep a confirmed change in memory."""
        with self._silent():
            super().modified(record, ts_ns)

    def modify_rejected(self, record: OrderRecord, ts_ns: int, reason: str) -> None:
        """Keep nothing: the execution client writes the row."""

    def fill(
        self, record: OrderRecord, fill: FillRow, trade_id: str, venue_order_id: str
    ) -> FillRow:
        """Keep a fill in memory."""
        with self._silent():
            return super().fill(record, fill, trade_id, venue_order_id)

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Write nothing meanwhile: the execution client does."""
        ledger, self.ledger = self.ledger, None
        try:
            yield
        finally:
            self.ledger = ledger


class OrderJournal:
    """Rows of orders with their parents.

    Parameters
    ----------
    clock : callable
        Engine time, nanoseconds.
    currency : str
        Currency of fees.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], int], venue: str, currency: str) -> None:
        self.ledger, self.clock, self.venue, self.currency = ledger, clock, venue, currency
        self._last: dict[str, int] = {}
        self._judged: dict[str, int] = {}

    def _parents(self, client_order_id: str) -> tuple[int, ...]:
        seqs = (self._last.get(client_order_id), self._judged.pop(client_order_id, None))
        return tuple(seq for seq in seqs if seq)

    def _write(self, client_order_id: str, payload: Payload, durable: bool = False) -> int:
        seq = self.ledger.append(
            payload, ts_event=self.clock(), parents=self._parents(client_order_id), durable=durable
        )
        if client_order_id:
            self._last[client_order_id] = seq
        return seq

    def link(self, client_order_id: str, seq: int) -> None:
        """Name a verdict that the next row of this order comes from too."""
        self._judged[client_order_id] = seq

    async def intended(self, intent: OrderIntent) -> int:
        """Write the intent and return once it is on disk. Only then may the order leave."""
        cid = intent.client_order_id
        seq = await self.ledger.append_durable_async(
            OrderIntended.of(intent), ts_event=self.clock(), parents=self._parents(cid)
        )
        self._last[cid] = seq
        return seq

    async def unknown(self, client_order_id: str, reason: str) -> int:
        """Write that the fate of an order is unknown; on disk when it returns."""
        seq = await self.ledger.append_durable_async(
            OrderUnknown(client_order_id=client_order_id, reason=reason),
            ts_event=self.clock(),
            parents=self._parents(client_order_id),
        )
        self._last[client_order_id] = seq
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

    def rejected(self, client_order_id: str, reason: str) -> int:
        """Write a venue's no."""
        return self.event(OrderRejected, client_order_id, reason=reason)

    def denied(self, client_order_id: str, reason: str) -> int:
        """Write our own no: it never left."""
        return self.event(OrderDenied, client_order_id, reason=reason)

    def absent(self, client_order_id: str) -> int:
        """Write the proof that the venue never had it."""
        return self.event(OrderAbsent, client_order_id, reason="NOT_FOUND_CONFIRMED")

    def ended(self, order: VenueOrder, client_order_id: str, expired: bool) -> int:
        """Write that it is off the book."""
        if expired:
            return self.event(OrderExpired, client_order_id, order.venue_order_id, order.reason)
        row = OrderCanceled(
            client_order_id=client_order_id,
            venue_order_id=order.venue_order_id,
            reason=order.reason,
            venue_ns=order.ts_last_ns,
        )
        return self._write(client_order_id, row)

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
        return self._write(
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
