"""Cancels of working orders: asked for once, and again when the answer was lost, until the end of the order is known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import ClientOrderId

from core.domain.errors import VenueRefused, VenueUncertain
from core.engine.live.port import VenueOrder, VenueOrderStatus
from core.engine.live.unknowns import FIRST_PAUSE_S, LONGEST_PAUSE_S, not_working

TOO_MANY = 429

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient


class CancelHooks:
    """The part of `VenueClient` that cancels."""

    def _client(self) -> VenueClient:
        return self  # type: ignore[return-value]

    async def _cancel_order(self, command: Any) -> None:
        client = self._client()
        client._assert_thread()
        client.create_task(
            client._cancel(command.client_order_id), f"cancel-{command.client_order_id.value}"
        )

    async def _cancel_all_orders(self, command: Any) -> None:
        client = self._client()
        for order in client.cache.orders_open(instrument_id=command.instrument_id):
            client.create_task(
                client._cancel(order.client_order_id), f"cancel-{order.client_order_id.value}"
            )

    async def _batch_cancel_orders(self, command: Any) -> None:
        client = self._client()
        client._assert_thread()
        ids = [c.client_order_id for c in command.cancels]
        client.create_task(client._cancel_many(ids), f"cancel-{len(ids)}")

    async def _cancel_many(self, ids: Sequence[ClientOrderId]) -> None:
        """Cancel what works in as few requests as the venue allows; what is unclear goes one by one."""
        client = self._client()
        known = {i.value: o for i in ids if (o := client.venue_orders.get(i.value)) is not None}
        ready = {c: o for c, o in known.items() if c not in client._ended and c not in client.acks}
        left: dict[str, VenueRefused | VenueUncertain] = {}
        if ready:
            left = await client.port.cancel_many(
                [(o.venue_order_id, o.instrument_id) for o in ready.values()]
            )
        for client_order_id in ids:
            cid = client_order_id.value
            answer = left.get(ready[cid].venue_order_id) if cid in ready else None
            limited = isinstance(answer, VenueRefused) and answer.status == TOO_MANY
            if cid not in ready or limited or isinstance(answer, VenueUncertain):
                client.create_task(client._cancel(client_order_id), f"cancel-{cid}")
                continue
            refused = answer if isinstance(answer, VenueRefused) else None
            client.create_task(
                client._cancelled(client_order_id, ready[cid].instrument_id, refused), f"end-{cid}"
            )

    async def _cancel(self, client_order_id: ClientOrderId) -> None:
        """Cancel once the venue id is known. A cancel repeats harmlessly, so a lost one is asked for again."""
        client, cid = self._client(), client_order_id.value
        order = client.cache.order(client_order_id)
        if order is None:
            return
        event = client.acks.get(cid)
        if event is not None:
            try:
                await asyncio.wait_for(event.wait(), client.context.ack_wait_s)
            except TimeoutError:
                self._cancel_rejected(client_order_id, "the venue has not answered the order yet")
                return
        order = client.cache.order(client_order_id) or order
        vid, iid = self._venue_id(cid, order), order.instrument_id.value
        if client.over(cid) or vid is None:
            self._cancel_rejected(client_order_id, "the order is not working")
            return
        pause = FIRST_PAUSE_S
        while not client.unknowns.stopped and not client.over(cid):
            client.context.reached("cancel-wanted")
            try:
                await client.port.cancel(vid, iid)
            except VenueRefused as exc:
                if exc.status == TOO_MANY:  # not taken: asked again, ahead of everything else
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_S)
                    continue
                await self._cancelled(client_order_id, iid, exc)
                return
            except VenueUncertain:
                found = await client.unknowns.settle(cid, iid)
                if isinstance(found, VenueOrder) and found.status is not VenueOrderStatus.WORKING:
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            await self._cancelled(client_order_id, iid, None)
            return

    async def _cancelled(
        self, client_order_id: ClientOrderId, instrument_id: str, refused: VenueRefused | None
    ) -> None:
        """Find out how the order ended; a refusal that means "not working" is looked up, not believed."""
        client, cid = self._client(), client_order_id.value
        if refused is None or not_working(refused):
            await client.unknowns.follow(cid, instrument_id)
        if refused is not None:
            self._cancel_rejected(client_order_id, refused.code)

    def _cancel_rejected(self, client_order_id: ClientOrderId, reason: str) -> None:
        client = self._client()
        order = client.cache.order(client_order_id)
        if order is not None and not order.is_closed and client_order_id.value not in client._ended:
            client.generate_order_cancel_rejected(
                order, order.venue_order_id, reason, client.clock.timestamp_ns()
            )

    def _venue_id(self, cid: str, order: Any) -> str | None:
        known = self._client().venue_orders.get(cid)
        if known is not None:
            return known.venue_order_id
        return order.venue_order_id.value if order.venue_order_id is not None else None
