"""Changes of working orders: approved by the gate, on disk before they are asked for, booked as the venue holds them.

A change whose answer was lost stays open, with the worse of both terms reserved, until the venue was asked:

==================  ==================================================================================
heard               done
==================  ==================================================================================
the new terms       booked, by look-up or by news
the order's end     booked; the change went with it
the old terms       counted; after `absent_proofs` in a row and `absent_after_s` the change never arrived
not asked           counted as nothing
==================  ==================================================================================
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
from core.engine.live.port import VenueOrder, VenueOrderStatus
from core.engine.live.unknowns import FIRST_PAUSE_S, LONGEST_PAUSE_S, NoOrder, not_working
from core.engine.units import price_of, quantity_of

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was asked for: the order as it stood, and the terms wanted."""

    known: VenueOrder
    quantity: Decimal
    price: Decimal

    def made(self, order: VenueOrder) -> bool:
        """Return whether `order` is as wanted."""
        return (order.quantity, order.price) == (self.quantity, self.price)

    def moved(self, order: VenueOrder) -> bool:
        """Return whether `order` is no longer as it stood; of an ended one the shares show it."""
        if order.price != self.known.price or order.filled > self.known.quantity:
            return True
        works = order.status is VenueOrderStatus.WORKING
        return works and order.quantity != self.known.quantity


class Changes:
    """Changes that the venue has not answered, and those that it surely has not made."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self.open: dict[str, Change] = {}
        self._lost: dict[str, Change] = {}

    def heard(self, order: VenueOrder, cid: str, ours: Any) -> None:
        """Take news of an order, before anything else is made of it: it may answer a change."""
        change = self.open.get(cid)
        told = order.filled <= ours.filled_qty.as_decimal()  # else its fills come first
        if change is not None and change.made(order) and told:
            self.booked(ours, order, change)
        lost = self._lost.get(cid)
        if lost is not None and lost.made(order) and order.status is VenueOrderStatus.WORKING:
            del self._lost[cid]
            self._client.context.halt(
                f"a change of order {cid} was proven lost and was made; restart the node"
            )
            self._client.gate.adopt_change(cid, order.quantity, order.price, order.ts_last_ns)
            self.booked(ours, order, lost)

    def booked(self, ours: Any, changed: VenueOrder, change: Change) -> None:
        """Book the terms that the venue now holds."""
        client, cid = self._client, ours.client_order_id.value
        self.open.pop(cid, None)
        if cid in client._ended:
            return
        quantity = max(changed.quantity, changed.filled)
        client.venue_orders[cid] = changed
        client.sizes.modified(cid, quantity)
        client.journal.modified(changed, cid)
        instrument = client.instrument(ours.instrument_id.value)
        client.generate_order_updated(
            ours,
            VenueOrderId(changed.venue_order_id),
            quantity_of(quantity, instrument.size_precision),
            price_of(changed.price or change.price, instrument.price_precision),
            None,
            None,
            client.clock.timestamp_ns(),
        )

    def rejected(self, ours: Any, reason: str) -> None:
        """Book that the old terms hold."""
        client, cid = self._client, ours.client_order_id.value
        self.open.pop(cid, None)
        client.journal.modify_rejected(cid, reason)
        if cid not in client._ended and not ours.is_closed:
            client.generate_order_modify_rejected(
                ours, ours.venue_order_id, reason, client.clock.timestamp_ns()
            )

    async def find_out(self, ours: Any, why: str) -> None:
        """Ask until the venue has said what became of a change."""
        client, cid = self._client, ours.client_order_id.value
        client.journal.modify_unknown(cid, why)
        clock, pause, proofs = asyncio.get_running_loop().time, FIRST_PAUSE_S, 0
        began = clock()
        while not client.unknowns.stopped and (change := self.open.get(cid)) is not None:
            found = await client.unknowns.look_up(cid, ours.instrument_id.value, tries=1)
            if isinstance(found, NoOrder):
                proofs = 0  # it works: "absent" is no answer either
            elif cid in self.open and await self._settled(ours, found, change):
                await client.unknowns.settle(cid, ours.instrument_id.value)
                return
            else:
                proofs += 1
            old_enough = clock() - began >= client.context.absent_after_s
            if proofs >= client.context.absent_proofs and old_enough and cid in self.open:
                self._lost[cid] = change
                self.rejected(ours, f"it never arrived: {why}")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _settled(self, ours: Any, found: VenueOrder, change: Change) -> bool:
        """Book what a look-up says of a change; False when it says nothing certain."""
        if change.moved(found):
            return await self.take(ours, found, change)
        if found.status is VenueOrderStatus.WORKING:
            return False
        self.rejected(ours, "the order ended under its old terms")
        return True

    async def take(self, ours: Any, found: VenueOrder, change: Change) -> bool:
        """Book new terms after every fill the venue counts: some may be of the old ones. False when unread."""
        try:
            await self._client.deliver_fills_of(found, ours.client_order_id.value)
        except (VenueRefused, VenueUncertain):
            return False
        if self.open.get(ours.client_order_id.value) is change:  # else news of it came first
            self.booked(ours, found, change)
        return True


class ChangeHooks:
    """The part of `VenueClient` that modifies orders."""

    def _client(self) -> VenueClient:
        return self  # type: ignore[return-value]

    async def _modify_order(self, command: Any) -> None:
        client = self._client()
        client._assert_thread()
        client.create_task(client._modify(command), f"modify-{command.client_order_id.value}")

    async def _modify(self, command: Any) -> None:
        """Amend at the venue. The gate reviews the change before the strategy may ask for it."""
        client = self._client()
        cid, changes = command.client_order_id.value, client.changes
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
        change = changes.open[cid] = Change(known, quantity, price)
        try:
            changed = await client.port.modify(known, quantity, price)
        except HaltedError:
            changes.rejected(order, "HALTED")
        except VenueRefused as exc:
            changes.rejected(order, exc.code)
            if not_working(exc):
                await client.unknowns.follow(cid, order.instrument_id.value)
        except VenueUncertain as exc:
            await changes.find_out(order, exc.what[:300])
        except (
            Exception
        ) as exc:  # a bug in a port after the bytes may have left: as unclear as a time-out
            await changes.find_out(order, f"{type(exc).__name__}: {exc}"[:300])
        else:
            if await changes.take(order, changed, change):
                client.on_order(changed)
            else:
                await changes.find_out(order, "the fills before it could not be read")

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
