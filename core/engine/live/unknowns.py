"""Orders of unknown fate: asked for until the venue proves them there or proves them absent.

================  ====================================================================================
heard             done
================  ====================================================================================
news of it        resolved: accepted, filled or ended like any other order
found             the same, from the look-up
not found, sure   counted; after `absent_proofs` in a row and `absent_after_s` it never existed: rejected
                  with NOT_FOUND_CONFIRMED, and only then its reservation is released
uncertain         counted as nothing, and the row of "not found" starts again
================  ====================================================================================
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nautilus_trader.model import ClientOrderId

from core.domain.decision import OrderIntent
from core.domain.errors import LedgerError, VenueRefused, VenueUncertain

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient
    from core.engine.live.port import VenueOrder

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class UnknownOrders:
    """The chase after each order whose submit was not answered."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._intents: dict[str, OrderIntent] = {}
        self._stopped = False
        self._proven_absent: set[str] = set()
        self.late: set[str] = set()

    @property
    def ids(self) -> tuple[str, ...]:
        """Client order ids of unknown fate."""
        return tuple(self._intents)

    async def add(self, intent: OrderIntent, why: str) -> None:
        """Note that the fate of `intent` is unknown and begin to find out."""
        cid = intent.client_order_id
        if cid in self._client._accepted:
            return  # news of it came before the time-out
        self._intents[cid] = intent
        self._client.gate.on_unknown(cid)
        try:
            await self._client.journal.unknown(cid, why[:300])
        except LedgerError as exc:
            self._client.context.halt(f"ledger: {exc.what}")
        self._client.create_task(self._chase(intent), f"unknown-{cid}")

    def is_late(self, cid: str, venue_order_id: str, instrument_id: str) -> bool:
        """Return whether this is news of an order that was proven absent: then trading halts and it is cancelled.

        The engine has closed it as rejected and takes no more events for it; gate and ledger book what it
        does, and the next start reconciles.
        """
        if cid not in self._proven_absent:
            return False
        if cid not in self.late:
            self.late.add(cid)
            self._client.context.halt(
                f"order {cid} was proven absent and appeared; restart the node"
            )
            self._client.create_task(self._withdraw(venue_order_id, instrument_id), f"late-{cid}")
        return True

    async def _withdraw(self, venue_order_id: str, instrument_id: str) -> None:
        """Cancel a late order, past failures."""
        for attempt in range(8):
            try:
                await self._client.port.cancel(venue_order_id, instrument_id)
                return
            except VenueRefused as exc:
                if exc.status != 429:
                    return  # filled or gone
            except VenueUncertain:
                pass
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)

    def resolved(self, client_order_id: str) -> None:
        """Stop looking: news of the order has come."""
        self._intents.pop(client_order_id, None)

    def stop(self) -> None:
        """End every chase; reservations stay."""
        self._stopped = True

    async def _chase(self, intent: OrderIntent) -> None:
        cid, pause, proofs = intent.client_order_id, FIRST_PAUSE_S, 0
        clock = asyncio.get_running_loop().time
        started = clock()
        while cid in self._intents and not self._stopped:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            try:
                found = await self.settle(cid, intent.instrument_id, since_ns=intent.ts_ns)
            except (VenueUncertain, VenueRefused):
                proofs = 0
                continue
            if found or cid not in self._intents:
                return
            proofs += 1
            old_enough = clock() - started >= self._client.context.absent_after_s
            if proofs >= self._client.context.absent_proofs and old_enough:
                self._absent(cid)
                return

    def _absent(self, cid: str) -> None:
        """The venue never had it: say so, and release what was reserved."""
        client = self._client
        self._intents.pop(cid, None)
        order = client.cache.order(ClientOrderId(cid))
        self._proven_absent.add(cid)
        client.journal.absent(cid)
        client.gate.on_done(cid)
        client._ended.add(cid)
        client._answered(cid)
        if order is not None:
            client.generate_order_rejected(
                order, "NOT_FOUND_CONFIRMED", client.clock.timestamp_ns(), False
            )

    async def settle(
        self, cid: str, instrument_id: str, *, since_ns: int = 0, lost_cancel: bool = False
    ) -> bool:
        """Look one order up now and deliver what is found; return whether the venue has it.

        Raises
        ------
        VenueUncertain
            When the venue could not be asked, unless `lost_cancel`: then the chase goes on by itself.
        """
        client = self._client
        since = (
            since_ns - client.context.lookback_ns
            if since_ns
            else client.context.since_ns(client.clock.timestamp_ns())
        )
        tries = 5 if lost_cancel else 1
        for attempt in range(tries):
            try:
                found = await client.port.find(cid, instrument_id, max(since, 0))
            except (VenueUncertain, VenueRefused):
                if attempt == tries - 1:
                    if lost_cancel:
                        return False  # the open-order check of the engine goes on asking
                    raise
                await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
                continue
            if found is None:
                return False
            client.on_order(found)
            await client.deliver_fills_of(found, cid)
            return True
        return False

    async def look_up(self, cid: str, instrument_id: str, tries: int = 5) -> VenueOrder | None:
        """Return what the venue holds under an id now; None when it has nothing or cannot be asked."""
        client = self._client
        since = max(client.context.since_ns(client.clock.timestamp_ns()), 0)
        for attempt in range(tries):
            try:
                return await client.port.find(cid, instrument_id, since)
            except (VenueUncertain, VenueRefused):
                await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        return None
