"""Orders between the gate and the execution client: intent row and signature begin while the engine still has them.

The engine takes a millisecond from a strategy's call to the client's handler. The disk and the signer work meanwhile; what
makes an order leave does not change: the client uses up the approval, waits for the row, and looks for a halt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from core.domain.decision import OrderIntent
from core.engine.live.port import Prepared, Send, VenueOrder

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient


class Begun(NamedTuple):
    """What was begun for an order: its row on the way to the disk, and what sends it."""

    intent: OrderIntent
    price: Decimal
    writing: asyncio.Future[None]
    send: Send


def at_once(client: VenueClient, sending: Coroutine[Any, Any, None], name: str) -> None:
    """Begin to send here and now, as far as nothing is to wait for; the engine watches over the rest as over every task.

    With the row on disk already the bytes leave without another turn of the loop. No answer is waited for.
    """
    work = asyncio.Task(sending, loop=asyncio.get_running_loop(), eager_start=True, name=name)

    async def rest() -> None:
        await work

    watch = client.create_task(rest(), name)
    watch.add_done_callback(lambda w: work.cancel() if w.cancelled() else None)  # before it began


class EarlyOrders:
    """Orders that the gate has approved and the client has not seen yet."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._begun: dict[str, Begun] = {}

    def __bool__(self) -> bool:
        return bool(self._begun)

    def begin(self, intent: OrderIntent, price: Decimal) -> None:
        """Hand an approved intent to the ledger and begin its signature, just before the engine gets the order."""
        if self._client.context.halted():  # it will be denied, and nothing was intended
            return
        self._begun[intent.client_order_id] = self._now(intent, price)

    def take(self, intent: OrderIntent, price: Decimal) -> Begun:
        """Return what was begun for an order about to be sent; one that was not, or with other terms, begins now."""
        return self._same(intent, price) or self._now(intent, price)

    def row(self, intent: OrderIntent, price: Decimal) -> asyncio.Future[None]:
        """Return the row on its way of an order that is prepared with others."""
        begun = self._same(intent, price)
        return begun.writing if begun is not None else self._client.begin_intent(intent)

    def _same(self, intent: OrderIntent, price: Decimal) -> Begun | None:
        begun = self._begun.pop(intent.client_order_id, None)
        if begun is None or begun.intent != intent or begun.price != price:
            return None
        return begun

    def _now(self, intent: OrderIntent, price: Decimal) -> Begun:
        """Begin an order. The disk works while it is signed, except where the row needs the id that is the signed order's."""
        client = self._client
        if client.port.names_orders:
            send, venue_order_id = self._prepared(intent, price)
            limit = price if venue_order_id and intent.price is None else None
            return Begun(intent, price, client.begin_intent(intent, venue_order_id, limit), send)
        writing = client.begin_intent(intent)
        return Begun(intent, price, writing, self._prepared(intent, price).send)

    def _prepared(self, intent: OrderIntent, price: Decimal) -> Prepared:
        """Prepare an order; what goes wrong is raised, and answered for, where it is sent."""
        try:
            return self._client.port.prepare(intent, price)
        except Exception as exc:
            error = exc

        async def refuse() -> VenueOrder:
            raise error

        return Prepared(refuse)

    def drop(self, client_order_id: str) -> bool:
        """Forget an order that will not leave; return whether it was begun."""
        return self._begun.pop(client_order_id, None) is not None

    def denied(self, client_order_id: str, reason: str) -> None:
        """Write the end of an order that the engine itself refused after its intent."""
        if self.drop(client_order_id):
            self._client.journal.denied(client_order_id, reason[:300])
