"""Room in the engine's order for every fill: an order sent for dollars can buy more shares than asked (ADR 0078).

The engine ends an order that has its shares and refuses what comes after. So the fill that would end an order
for dollars first raises the order's quantity: to what has filled when no dollar is left, else a lot beyond, and
the venue's word ends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import VenueOrderId

from core.domain.money import ZERO
from core.engine.live.port import VenueFill, VenueOrder, VenueOrderStatus
from core.engine.units import quantity_of

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

LOT = Decimal("0.01")


class Sizes:
    """What the engine was told of each order's quantity and fills; its own book lags by a queue."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._quantity: dict[str, Decimal] = {}
        self._filled: dict[str, Decimal] = {}
        self._trades: dict[str, Decimal] = {}

    def quantity(self, order: Any) -> Decimal:
        """Return the quantity that the engine holds the order for."""
        known = self._quantity.get(order.client_order_id.value)
        return known if known is not None else order.quantity.as_decimal()

    def modified(self, client_order_id: str, quantity: Decimal) -> None:
        """Note a quantity that the engine was told."""
        self._quantity[client_order_id] = quantity

    def full(self, client_order_id: str) -> bool:
        """Return whether the engine has ended the order, or will when it has booked what it was told."""
        order = self._client.order_of(client_order_id)
        filled = self._filled.get(client_order_id, ZERO)
        return order is not None and filled > 0 and filled >= self.quantity(order)

    def ended_full(self, order: VenueOrder) -> bool:
        """Return whether the venue ended an order for dollars as filled."""
        return (
            order.status is VenueOrderStatus.FILLED
            and self._client.port.most_shares(order.venue_order_id) is not None
        )

    def make_room(self, order: Any, fill: VenueFill) -> bool:
        """Make the engine's order large enough for `fill`; False when the engine has ended it.

        Then the fill is in gate and ledger, trading halts, and the next start reconciles the engine.
        """
        client, cid = self._client, order.client_order_id.value
        held, before = self.quantity(order), self._filled.get(cid, ZERO)
        if before >= held:
            client.context.halt(f"order {cid} filled beyond its {held} shares; restart the node")
            return False
        total = before + fill.quantity
        self._filled[cid] = total
        self._trades[fill.trade_id] = fill.quantity
        if total < held:
            return True
        most = client.port.most_shares(fill.venue_order_id)
        wanted = total if most is None or most <= total else total + LOT
        if wanted > held:
            self._raise(order, fill, wanted)
        if wanted == total:
            client.gate.on_done(cid)
        return True

    def _raise(self, order: Any, fill: VenueFill, quantity: Decimal) -> None:
        client = self._client
        instrument = client.instrument(fill.instrument_id)
        self._quantity[order.client_order_id.value] = quantity
        client.journal.resized(fill, order.client_order_id.value, quantity)
        client.generate_order_updated(
            order,
            VenueOrderId(fill.venue_order_id),
            quantity_of(quantity, instrument.size_precision),
            getattr(order, "price", None),
            None,
            None,
            client.clock.timestamp_ns(),
        )

    def told(self, client_order_id: str) -> Decimal:
        """Return the shares of an order that the engine was told of."""
        return self._filled.get(client_order_id, ZERO)

    def forget(self, client_order_id: str, trade_ids: Iterable[str]) -> None:
        """Drop what is known of an order that the engine no longer has."""
        self._quantity.pop(client_order_id, None)
        self._filled.pop(client_order_id, None)
        for trade_id in trade_ids:
            self._trades.pop(trade_id, None)

    def voided(self, order: Any, trade_id: str) -> None:
        """Take a fill back."""
        cid = order.client_order_id.value
        self._filled[cid] = self._filled.get(cid, ZERO) - self._trades.pop(trade_id, ZERO)
