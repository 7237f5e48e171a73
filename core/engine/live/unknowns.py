"""Orders of unknown fate: asked for until the venue proves them there or proves them absent.

================  ====================================================================================
heard             done
================  ====================================================================================
news of it        resolved: accepted, filled or ended like any other order
found             the same, from the look-up
not found, sure   counted; after `absent_proofs` in a row and `absent_after_s` it never existed: rejected
                  with NOT_FOUND_CONFIRMED, and only then its reservation is released
not asked         counted as nothing, and the row of "not found" starts again
================  ====================================================================================

A look-up has three results, and only one of them is proof: the order, ABSENT, or UNASKED.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from nautilus_trader.model import ClientOrderId

from core.domain.decision import OrderIntent
from core.domain.errors import LedgerError, VenueRefused, VenueUncertain
from core.engine.live.port import VenueOrder

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


def not_working(refused: VenueRefused) -> bool:
    """Return whether a refusal means that the order does not work: how it ended is to be looked up."""
    return refused.status == 404 or "not_found" in refused.code


class NoOrder(Enum):
    """Why a look-up has no order: the venue surely does not have it, or the venue could not be asked."""

    ABSENT = "absent"
    UNASKED = "could not be asked"


#: What a look-up of one order comes to.
LookUp = VenueOrder | NoOrder


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

    def concerns(self, cid: str) -> bool:
        """Return whether the fate of an order is asked for, or was once proven wrongly or rightly absent."""
        return cid in self._intents or cid in self._proven_absent

    def resolved(self, client_order_id: str) -> None:
        """Stop looking: news of the order has come."""
        self._intents.pop(client_order_id, None)

    def stop(self) -> None:
        """End every chase; reservations stay."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether nothing is to be chased any more."""
        return self._stopped

    async def _chase(self, intent: OrderIntent) -> None:
        cid, pause, proofs = intent.client_order_id, FIRST_PAUSE_S, 0
        clock = asyncio.get_running_loop().time
        started = clock()
        while cid in self._intents and not self._stopped:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            found = await self.settle(cid, intent.instrument_id, tries=1)
            if found is NoOrder.UNASKED:
                proofs = 0
                continue
            if found is not NoOrder.ABSENT or cid not in self._intents:
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

    async def settle(self, cid: str, instrument_id: str, *, tries: int = 5) -> LookUp:
        """Look one order up now and deliver what is found, its fills too; UNASKED when not all of it was told."""
        found = await self.look_up(cid, instrument_id, tries=tries)
        if isinstance(found, NoOrder):
            return found
        try:
            self._client.on_order(found)
            await self._client.deliver_fills_of(found, cid)
        except (VenueUncertain, VenueRefused):
            return NoOrder.UNASKED
        return found

    async def follow(self, cid: str, instrument_id: str) -> None:
        """Settle an order that may have ended, for as long as the venue cannot be asked."""
        pause = FIRST_PAUSE_S
        while await self.settle(cid, instrument_id) is NoOrder.UNASKED:
            if self._stopped or self._client.over(cid):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def look_up(self, cid: str, instrument_id: str, *, tries: int = 5) -> LookUp:
        """Return what the venue holds under an id now, ABSENT when surely nothing, UNASKED when nobody can say."""
        client = self._client
        since_ns = client.since_of(cid)
        for attempt in range(tries):
            try:
                found = await client.port.find(cid, instrument_id, since_ns)
            except (VenueUncertain, VenueRefused):
                if attempt < tries - 1:
                    await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
                continue
            return NoOrder.ABSENT if found is None else found
        return NoOrder.UNASKED
