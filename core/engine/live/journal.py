"""What the execution path writes: one row for each step of an order, intents and unknowns durably."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.decision import OrderIntent
from core.engine.live.port import VenueFill, VenueOrder, VenueVoid
from core.ledger import Ledger, Payload
from core.ledger.kinds.orders import (
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
    OrderRejected,
    OrderUnknown,
)


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

    def _parents(self, client_order_id: str) -> tuple[int, ...]:
        seq = self._last.get(client_order_id)
        return (seq,) if seq else ()

    def _write(self, client_order_id: str, payload: Payload, durable: bool = False) -> int:
        seq = self.ledger.append(
            payload, ts_event=self.clock(), parents=self._parents(client_order_id), durable=durable
        )
        if client_order_id:
            self._last[client_order_id] = seq
        return seq

    def link(self, client_order_id: str, seq: int) -> None:
        """Name the row (a verdict) that the next row of this order comes from."""
        self._last[client_order_id] = seq

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
        return self.event(OrderAccepted, client_order_id, order.venue_order_id)

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
        kind = OrderExpired if expired else OrderCanceled
        return self.event(kind, client_order_id, order.venue_order_id, order.reason)

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
