"""Instruments that are paid out leave the engine, with their books: what a cleared book keeps is more than the rest.

A book of two hundred levels keeps 50 KB after a CLEAR (ADR 0103), and each market has two. So an instrument leaves
when it has been paid out for the grace and the engine has no order and no position of it. What comes later for
one of its orders is booked by its terms in the provider (`VenueClient.instrument`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nautilus_trader.model import InstrumentId

if TYPE_CHECKING:
    from core.engine.live.context import LiveContext


class PaidOut:
    """Takes instruments that are paid out from the engine; asked at each of its checks of orders.

    Attributes
    ----------
    gone : dict
        Instrument id to the terms of what the engine no longer has; None where it never had it.
    """

    def __init__(self, context: LiveContext) -> None:
        self._context = context
        self._since: dict[str, float] = {}
        self.gone: dict[str, Any] = {}

    def step(self, cache: Any) -> None:
        """Drop what nothing refers to any more."""
        context, since = self._context, self._since
        now = asyncio.get_running_loop().time()
        for iid in context.resolved - self.gone.keys():
            native = InstrumentId.from_str(iid)
            instrument = cache.instrument(native)
            if instrument is None:
                self.gone[iid] = None
            elif now - since.setdefault(iid, now) >= context.closed_grace_s and _unused(
                cache, native
            ):
                cache.purge_instrument(native)
                del since[iid]
                self.gone[iid] = instrument


def _unused(cache: Any, native: InstrumentId) -> bool:
    """Return whether the engine has neither an order nor a position of an instrument."""
    return not (
        cache.orders_total_count(instrument_id=native)
        or cache.positions_total_count(instrument_id=native)
    )
