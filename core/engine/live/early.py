"""Orders between the gate and the execution client: intent row and signature begin while the engine still has them.

The engine takes a millisecond from a strategy's call to the client's handler. The disk and the signer work meanwhile; what
makes an order leave does not change: the client uses up the approval, waits for the row, and looks for a halt.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from core.domain.decision import OrderIntent
from core.engine.live.port import Send

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient


class Begun(NamedTuple):
    """What was begun for an order: its row on the way to the disk, and what sends it (None: still to prepare)."""

    intent: OrderIntent
    price: Decimal
    writing: asyncio.Future[None]
    send: Send | None


class EarlyOrders:
    """Orders that the gate has approved and the client has not seen yet."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._begun: dict[str, Begun] = {}

    def __bool__(self) -> bool:
        return bool(self._begun)

    def begin(self, intent: OrderIntent, price: Decimal) -> None:
        """Hand an approved intent to the ledger and begin its signature, just before the engine gets the order."""
        client = self._client
        if client.context.halted():  # it will be denied, and nothing was intended
            return
        writing, send = client.begin_intent(intent), None
        with suppress(Exception):  # it is raised again, and answered for, where the order is sent
            send = client.port.prepare(intent, price)
        self._begun[intent.client_order_id] = Begun(intent, price, writing, send)

    def take(self, intent: OrderIntent, price: Decimal) -> tuple[asyncio.Future[None], Send | None]:
        """Return the row on its way of an order about to be sent, and what sends it where that is prepared.

        The row of an order that was not begun, or with other terms, begins now.
        """
        begun = self._begun.pop(intent.client_order_id, None)
        if begun is None or begun.intent != intent or begun.price != price:
            return self._client.begin_intent(intent), None
        return begun.writing, begun.send

    def drop(self, client_order_id: str) -> bool:
        """Forget an order that will not leave; return whether it was begun."""
        return self._begun.pop(client_order_id, None) is not None

    def denied(self, client_order_id: str, reason: str) -> None:
        """Write the end of an order that the engine itself refused after its intent."""
        if self.drop(client_order_id):
            self._client.journal.denied(client_order_id, reason[:300])
