"""The dead man's switch: while it beats our orders live; when it stops the venue cancels them all."""

from __future__ import annotations

import asyncio

from adapters.polymarket.rest import ClobRest
from core.domain.errors import VenueRefused, VenueUncertain


class Heartbeat:
    """Beats at the venue.

    Attributes
    ----------
    missed : int
        Beats not answered; two missed in a row mean that the venue may have cancelled everything.
    """

    def __init__(self, rest: ClobRest, every_s: float = 4.0) -> None:
        self.rest, self.every_s = rest, every_s
        self.missed = 0
        self._id = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Enroll and go on beating; `every_s` 0 turns it off. Starting twice is starting once."""
        if self.every_s <= 0 or self._task is not None:
            return
        await self._beat()
        self._task = asyncio.create_task(self._run(), name="polymarket-heartbeat")

    def stop(self) -> None:
        """Stop beating: within its window the venue cancels every order of this key."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _beat(self) -> None:
        self._id = await self.rest.heartbeat(self._id)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            try:
                await self._beat()
            except (VenueRefused, VenueUncertain):
                self.missed += 1
