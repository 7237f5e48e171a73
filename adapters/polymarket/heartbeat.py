"""The dead man's switch: while it beats our orders live; when it stops the venue cancels them all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapters.connection import SocketState, SocketStats
from adapters.polymarket.rest import ClobRest

#: So many beats missed in a row are longer than the venue waits before it cancels everything.
TOO_MANY = 2


class Heartbeat:
    """Beats at the venue.

    Parameters
    ----------
    heard_again : callable
        Called at the first answer after `TOO_MANY` missed ones: the venue may have cancelled everything since.

    Attributes
    ----------
    missed : int
        Beats not answered.
    state, stats
        As a connection shows them: ``down`` from `TOO_MANY` missed in a row until the next answer.
    """

    def __init__(
        self, rest: ClobRest, every_s: float = 4.0, heard_again: Callable[[], None] = lambda: None
    ) -> None:
        self.rest, self.every_s, self._heard_again = rest, every_s, heard_again
        self.missed = self._in_a_row = 0
        self.state, self.stats = SocketState.CONNECTING, SocketStats()
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
        self._in_a_row = 0
        if self.state is not SocketState.UP:
            again, self.state = self.state is SocketState.DOWN, SocketState.UP
            self.stats.connects += 1
            if again:
                self._heard_again()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            try:
                await self._beat()
            except Exception as exc:  # an error of ours too: nobody else beats again
                self._miss(str(exc))

    def _miss(self, error: str) -> None:
        self.missed, self._in_a_row = self.missed + 1, self._in_a_row + 1
        if self._in_a_row == TOO_MANY:
            self.state = SocketState.DOWN
            self.stats.note(
                f"{TOO_MANY} beats missed: the venue may have cancelled every order; {error}"
            )
