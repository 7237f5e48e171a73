"""Off the book after a halt: working orders are cancelled until none is left, whatever fails, ledger or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from core.domain.errors import BetaError
from core.engine.live.port import VenuePort

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0


class Sweep:
    """Cancels everything at the venue, again and again, until nothing works and nothing is on its way.

    Parameters
    ----------
    port : VenuePort
    in_flight : callable
        Whether an order may still arrive at the venue.
    say : callable
        Takes an event name and values for the node's log. The ledger is not needed: it may be what failed.

    Attributes
    ----------
    clean : bool
        Whether the venue has said, since the sweep began, that nothing works.
    """

    def __init__(
        self,
        port: VenuePort,
        in_flight: Callable[[], bool],
        say: Callable[..., None],
    ) -> None:
        self._port, self._in_flight, self._say = port, in_flight, say
        self._task: asyncio.Task[None] | None = None
        self._engaged = self.clean = False

    def start(self, reason: str, *, kill_switch: bool) -> None:
        """Begin (again), now; with the kill switch the venue itself refuses new orders where it can."""
        self._begin(self._run(reason, kill_switch))

    def lift(self) -> None:
        """Trading goes on: let the venue take orders again."""
        self._begin(self._release())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self.stop()
        self.clean = False
        self._task = asyncio.get_running_loop().create_task(work, name="halt-sweep")

    def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _release(self) -> None:
        """Release the kill switch, past failures."""
        pause = FIRST_PAUSE_S
        while self._engaged:
            try:
                await self._port.release_kill_switch()
                self._engaged = False
            except Exception as exc:
                self._say("halt.release_failed", error=_said(exc))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _once(self, kill_switch: bool) -> list[str]:
        """Cancel everything once; return what is still there."""
        if kill_switch:
            self._engaged = True
            return await self._port.engage_kill_switch()
        if self._engaged:
            await self._port.release_kill_switch()
            self._engaged = False
        return await self._port.cancel_everything()

    async def _run(self, reason: str, kill_switch: bool) -> None:
        loop = asyncio.get_running_loop()
        began, pause, tries = loop.time(), FIRST_PAUSE_S, 0
        while True:
            tries += 1
            waiting = self._in_flight()
            try:
                left: Any = await self._once(kill_switch)
            except Exception as exc:
                # An error of ours too: nobody else takes the orders off the book.
                left = [str(exc)]
                self._say("halt.cancel_failed", reason=reason, error=_said(exc), tries=tries)
            if not left and not waiting and not self._in_flight():
                self.clean = True
                seconds = round(loop.time() - began, 3)
                self._say("halt.nothing_works", reason=reason, seconds=seconds, tries=tries)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _said(error: Exception) -> str:
    return (str(error) if isinstance(error, BetaError) else f"{type(error).__name__}: {error}")[
        :300
    ]
