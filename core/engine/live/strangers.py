"""Fills of orders that no node of ours has sent: the owner of the account trades by hand, or another program does.

They move shares and cash like any other fill, so they are booked: gate, then ledger. They are nobody's
unless a strategy of ours claims the instrument, and the gate counts an anomaly. The engine is not told: nothing of ours
reads its positions.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.engine.live.conversions import net_after
from core.engine.live.port import VenueFill

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

#: A fill without our id may overtake the answer to its order; it waits this long, and while one is on its way.
PATIENCE_S, MOST_S, PAUSE_S = 5.0, 60.0, 0.5
MOST_WAITING = 10_000


class Strangers:
    """Fills that belong to no order of the engine, until their order is heard of or they are booked."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._waiting: dict[str, list[VenueFill]] = {}

    def note(self, fill: VenueFill, cid: str) -> None:
        """Keep a fill; it is booked as a stranger's when no order of ours has claimed it.

        Those that the node found at its start are not: its holdings hold them already.
        """
        context = self._client.context
        if fill.trade_id in context.known_trades or fill.trade_id in (context.adopted or ()):
            return
        waiting = self._waiting.setdefault(fill.venue_order_id, [])
        if any(f.trade_id == fill.trade_id for f in waiting) or len(self._waiting) > MOST_WAITING:
            return
        waiting.append(fill)
        # Our own orders are in the engine before they leave: an id it does not know is never ours.
        self._client.create_task(
            self._book_later(fill, cid, 0.0 if cid else PATIENCE_S), f"stranger-{fill.trade_id}"
        )

    @property
    def waiting(self) -> bool:
        """Whether a fill waits for its order, or to be booked without one."""
        return bool(self._waiting)

    def claimed(self, venue_order_id: str) -> list[VenueFill]:
        """Return and forget the fills of an order that turned out to be ours."""
        return self._waiting.pop(venue_order_id, [])

    async def _book_later(self, fill: VenueFill, cid: str, patience_s: float) -> None:
        client, waited = self._client, 0.0
        while waited < patience_s or (patience_s and client.in_flight and waited < MOST_S):
            await asyncio.sleep(PAUSE_S)
            waited += PAUSE_S
        waiting = self._waiting.get(fill.venue_order_id, [])
        if fill in waiting:
            waiting.remove(fill)
            if not waiting:
                del self._waiting[fill.venue_order_id]
            self._book(fill, cid)

    def _book(self, fill: VenueFill, cid: str) -> None:
        client, context = self._client, self._client.context
        if fill.trade_id in client.seen:
            return  # a report of the start came before
        owner = context.owner_of(fill.instrument_id, cid)
        client.saw(fill.trade_id)
        client.leftovers.missed(fill, owner, cid or fill.venue_order_id)
        context.known_trades.add(fill.trade_id)
        client.journal.stranger(fill, cid, owner)
        net_after(client, fill)
        client.refresh_cash()
