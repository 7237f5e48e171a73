"""Changes of working orders: approved by the gate, on disk before they are asked for, booked as the venue holds them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import VenueOrderId

from core.domain.errors import (
    ApprovalInvalid,
    HaltedError,
    LedgerError,
    VenueRefused,
    VenueUncertain,
)
from core.engine.live.port import VenueOrder
from core.engine.units import price_of, quantity_of

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient


class ChangeHooks:
    """The half of `VenueClient` that modifies orders."""

    def _client(self) -> VenueClient:
        return self  # type: ignore[return-value]

    async def _modify_order(self, command: Any) -> None:
        client = self._client()
        client._assert_thread()
        client.create_task(client._modify(command), f"modify-{command.client_order_id.value}")

    async def _modify(self, command: Any) -> None:
        """Amend at the venue. The gate reviews the change before the strategy may ask for it."""
        client = self._client()
        cid = command.client_order_id.value
        order, known = client.cache.order(command.client_order_id), client.venue_orders.get(cid)
        if order is None:
            return
        if known is None or not client._change_approved(cid):
            client._modify_rejected(order, "the change has not passed the gate")
            return
        quantity = command.quantity.as_decimal() if command.quantity is not None else known.quantity
        price = command.price.as_decimal() if command.price is not None else known.price
        assert price is not None
        try:
            await client.journal.modify_requested(cid, quantity, price)
        except LedgerError as exc:
            client.context.halt(f"ledger: {exc.what}")
            client._modify_rejected(order, "the change could not be recorded")
            return
        try:
            changed = await client.port.modify(known, quantity, price)
        except HaltedError:
            client.journal.modify_rejected(cid, "HALTED")
            client._modify_rejected(order, "HALTED")
            return
        except VenueRefused as exc:
            client.journal.modify_rejected(cid, exc.code)
            client._modify_rejected(order, exc.code)
            return
        except VenueUncertain as exc:
            found = await client.unknowns.look_up(cid, order.instrument_id.value)
            if found is None or (found.quantity, found.price) == (known.quantity, known.price):
                client.journal.modify_rejected(cid, exc.what)
                client._modify_rejected(order, exc.what)
                return
            changed = found  # the answer was lost, the change (or a part of it) was not
        client._modified(order, changed, price)

    def _modified(self, order: Any, changed: VenueOrder, price: Decimal) -> None:
        """Book the terms that the venue now holds."""
        client = self._client()
        cid = order.client_order_id.value
        if cid in client._ended:
            return
        client.venue_orders[cid] = changed
        client.sizes.modified(cid, changed.quantity)
        client.journal.modified(changed, cid)
        instrument = client.instrument(order.instrument_id.value)
        client.generate_order_updated(
            order,
            VenueOrderId(changed.venue_order_id),
            quantity_of(changed.quantity, instrument.size_precision),
            price_of(changed.price or price, instrument.price_precision),
            None,
            None,
            client.clock.timestamp_ns(),
        )

    def _change_approved(self, cid: str) -> bool:
        """Use up the gate's approval of a change; without one nothing is asked of the venue."""
        client = self._client()
        approved = client.gate.approval(cid)
        if approved is None or client.context.halted():
            return False
        try:
            client.gate.redeem(approved, client.clock.timestamp_ns())
        except (ApprovalInvalid, HaltedError):
            return False
        return True

    def _modify_rejected(self, order: Any, reason: str) -> None:
        client = self._client()
        client.generate_order_modify_rejected(
            order, order.venue_order_id, reason, client.clock.timestamp_ns()
        )
