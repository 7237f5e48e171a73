"""Orders of an earlier run that have no end in the ledger: each is looked up until its end is known and written.

A kill can leave an order anywhere: never sent, on its way, working, filled, cancelled at the start of this run.
None of them is known to this run's engine. What the start's fill reports did not bring is booked here by gate and
ledger; a fill that comes after them also halts trading, because only a restart tells the engine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.domain.errors import VenueRefused, VenueUncertain
from core.engine.live.conversions import net_away
from core.engine.live.memory import Leftover
from core.engine.live.port import VenueFill, VenueOrder, VenueOrderStatus, VenueVoid
from core.risk.states import taken_back

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
#: An order this old that the venue does not have never arrived.
ARRIVED_AFTER_S = 10.0


class Leftovers:
    """The chase after orders of earlier runs.

    Attributes
    ----------
    left : dict
        Client order id to what is known, until its end is written.
    """

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self.left: dict[str, Leftover] = dict(client.context.leftovers)
        self._began = 0.0

    async def run(self) -> None:
        """Look at each until all have ended."""
        loop = asyncio.get_running_loop()
        self._began, pause = loop.time(), FIRST_PAUSE_S
        while self.left:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            if self._client.context.resume_ns:
                continue  # the start's own reads go first: they tell the engine
            for cid, order in list(self.left.items()):
                try:
                    await self._look(cid, order)
                except (VenueRefused, VenueUncertain):
                    continue  # asked again

    async def _look(self, cid: str, left: Leftover) -> None:
        client = self._client
        since = max(left.ts_ns - client.context.lookback_ns, 0)
        found = await client.port.find(cid, left.instrument_id, since)
        if found is None:
            if asyncio.get_running_loop().time() - self._began >= ARRIVED_AFTER_S:
                client.journal.absent(cid)
                del self.left[cid]
            return
        if found.status is VenueOrderStatus.WORKING:
            await client.port.cancel(found.venue_order_id, left.instrument_id)
            return
        for fill in await client.port.fills(since, found.venue_order_id):
            self.take(fill, cid)
        self._end(found, cid)

    def _end(self, order: VenueOrder, cid: str) -> None:
        if order.status is not VenueOrderStatus.FILLED or order.filled < self.left[cid].quantity:
            expired = order.status is VenueOrderStatus.EXPIRED
            self._client.journal.ended(order, cid, expired)
        del self.left[cid]

    def take(self, fill: VenueFill, cid: str) -> bool:
        """Book a fill of an order that this run's engine does not know; False when it is none of these."""
        client, context = self._client, self._client.context
        if cid not in context.owners or client.order_of(cid) is not None:
            return False
        if self.known(fill, cid):
            return True
        if context.resume_ns:
            return False  # the start has not read its fills yet: they come as reports
        self._write(fill, cid)
        self.missed(fill, context.owners[cid], cid)
        net_away(client, fill, context.owners[cid])
        context.halt(f"order {cid} of an earlier run filled after the start; restart the node")
        return True

    def known(self, fill: VenueFill, cid: str) -> bool:
        """Take news of a trade that the ledger has or the gate began with: it is never booked again.

        The engine may know its order all the same, from the start's reports. False when the trade is none of these.
        """
        client, context = self._client, self._client.context
        if fill.trade_id in client.seen or fill.trade_id in context.known_trades:
            self.confirm(fill, cid)
            return True
        if context.resume_ns or cid not in context.owners:
            return False
        if fill.trade_id not in (context.adopted or ()):
            return False
        self._write(fill, cid)
        net_away(client, fill, context.owners[cid])
        return True

    def _write(self, fill: VenueFill, cid: str) -> None:
        context = self._client.context
        self._client.saw(fill.trade_id)
        context.known_trades.add(fill.trade_id)
        self._client.journal.filled(fill, cid, context.owners[cid])

    def missed(self, fill: VenueFill, owner: str, cid: str) -> None:
        """Let the gate book a fill that neither its start nor an order of this run has told it."""
        client = self._client
        if fill.trade_id in (client.context.adopted or ()):
            return
        if fill.instrument_id in client.gate.rules:
            client.tell_gate(fill, cid, owner)

    def confirm(self, fill: VenueFill, cid: str) -> None:
        """Write that a fill which an earlier run has written is final."""
        waiting = self._client.context.provisional
        if not fill.provisional and waiting.pop(fill.trade_id, None) is not None:
            self._client.journal.confirmed(fill, cid)

    def take_back(self, void: VenueVoid) -> None:
        """Book that a trade which an earlier run has written was taken back; its market is barred."""
        client, context = self._client, self._client.context
        cid = context.provisional.pop(void.trade_id, None)
        if cid is None:
            return
        client.journal.voided(void, cid)
        client.gate.on_barred(context.markets.get(cid, ""), taken_back(void.trade_id))
