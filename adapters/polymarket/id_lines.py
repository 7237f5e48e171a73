"""The lines of sent orders follow the orders: together, on a worker thread, off the way of the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from adapters.polymarket.order_ids import OrderIds
from core.engine.live.port import SentOrder

#: Lines go to disk this long after the first of them.
FLUSH_S = 0.25
#: A disk that refused them is asked again after this.
AGAIN_S = 5.0


class IdLines:
    """Orders whose ids the ledger has before they leave.

    Parameters
    ----------
    spawn : callable
        Starts a task of a name that ends with its owner.

    Attributes
    ----------
    refused : str
        Why the disk did not take the last lines; empty when it did. Until it does, an order waits for its own line.
    """

    def __init__(
        self, ids: OrderIds, spawn: Callable[[Coroutine[Any, Any, None], str], None]
    ) -> None:
        self._ids, self._spawn = ids, spawn
        self._due = False
        self.refused = ""

    def note(self, order: SentOrder) -> None:
        """Know an order now, and write its line soon."""
        self._ids.note(order)
        self._soon(FLUSH_S)

    def _soon(self, after_s: float) -> None:
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            loop.call_later(after_s, lambda: self._spawn(self._flush(), "polymarket-ids"))

    async def _flush(self) -> None:
        """Write; a disk that refuses is asked again, the ledger has them meanwhile."""
        self._due = False
        try:
            await asyncio.to_thread(self._ids.flush)
            self.refused = ""
        except OSError as exc:
            self.refused = str(exc)
            self._soon(AGAIN_S)
