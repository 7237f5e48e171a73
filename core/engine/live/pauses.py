"""Short pauses: threads that hand the interpreter over soon, and cyclic garbage collected between orders.

The interpreter collects when enough has been allocated, and an order on its way allocates most: one order in fifty
paid a millisecond or two for the garbage of those before it. A node therefore collects by itself, little at a time,
on its own loop (the engine's objects must not be freed on the ledger's thread), while no order waits for an answer.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable

#: A thread that computes gives the interpreter back this often; the default of 5 ms would be seen in an order's way.
SWITCH_S = 0.0005
#: How often the loop looks whether there is something to collect, and how much is worth it (0.2 ms of work).
LOOK_S = 0.05
YOUNG = 300
#: Every tenth collection takes those that survived one; a full one comes at most this often, and seldom when it is long.
OLDER = 10
FULL_S, FULL_SHARE = 60.0, 0.0005
#: An order that is never answered puts off by so much at most what waits for it.
PATIENCE_S = 0.5
#: After each piece of its work a thread leaves the interpreter to the loop for so long, and looks so often for an order.
GIVE_WAY_S, LOOK_AGAIN_S = 0.0002, 0.002


def keep_pauses_short() -> None:
    """Leave what was made before trading out of every later collection, so that each of them is short.

    They stay frequent: what waits for a seldom collection is memory of the node (50 MB in 25 minutes).
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)


class Collections:
    """Collects in the place of the interpreter's own moment, for as long as `run` runs.

    Parameters
    ----------
    busy : callable
        Whether an order waits for its answer.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._waits_since = 0.0
        self._young = 0
        self._full_at = time.monotonic() + FULL_S

    async def run(self) -> None:
        """Collect until cancelled."""
        before = gc.isenabled()
        gc.disable()
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                self.look(time.monotonic())
        finally:
            if before:
                gc.enable()

    def look(self, now_s: float) -> int:
        """Collect when that is due and nothing waits; return the generation, -1 for none."""
        if gc.get_count()[0] < YOUNG:
            return -1
        if self._busy():
            self._waits_since = self._waits_since or now_s
            if now_s - self._waits_since < PATIENCE_S:
                return -1
        self._waits_since = 0.0
        generation = self._next(now_s)
        gc.collect(generation)
        if generation == 2:
            took = time.monotonic() - now_s
            self._full_at = now_s + max(FULL_S, took / FULL_SHARE)
        return generation

    def _next(self, now_s: float) -> int:
        self._young += 1
        if self._young % OLDER:
            return 0
        return 2 if now_s >= self._full_at else 1


class GiveWay:
    """The pause between two pieces of a thread's work: a moment, and longer while an order is on its way.

    Parameters
    ----------
    busy : callable
        As in `Collections`; called on the thread.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy, self._patience_s = busy, PATIENCE_S

    def __call__(self) -> None:
        """Sleep; all pauses together wait `PATIENCE_S` for orders at most."""
        time.sleep(GIVE_WAY_S)
        while self._patience_s > 0 and self._busy():
            self._patience_s -= LOOK_AGAIN_S
            time.sleep(LOOK_AGAIN_S)
