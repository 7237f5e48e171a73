"""How far the engine is behind what it was told, so that a socket is read no faster than news is worked off.

The engine's own queue has no end. A reader that takes whatever the socket holds fills it while the strategies still
work on older news: memory grows and books are old without looking it. With this the queue waits where it has a
bound, in the socket's buffers, and the venue feels it.
"""

from __future__ import annotations

import asyncio
import time

#: How much younger the newest told news may be than the newest seen.
AHEAD_NS = 10_000_000
#: Frames that have come together are read together for this long, then others have their turn: an order waits no longer.
SLICE_S = 0.001
#: Turns of the loop that the engine gets before the reader pauses for it.
TURNS, PAUSE_S = 4, 0.0005
#: News that nobody has seen for this long has no follower: it is not waited for.
PATIENCE_S = 1.0


class Backlog:
    """Receive times of the newest news handed to the engine, and of the newest that an actor has seen.

    Attributes
    ----------
    waits : int
        How often a reader was held.
    unseen : int
        News that was waited for in vain.
    """

    def __init__(self) -> None:
        self._told_ns = self._seen_ns = self._lag_ns = self._delay_ns = 0
        self.waits = self.unseen = 0
        self._slice_ends = 0.0

    def told(self, ts_ns: int, event_ns: int = 0) -> None:
        """Note news that the engine gets now; times rise. `event_ns` is the venue's own time of it."""
        self._told_ns = ts_ns
        if event_ns and ts_ns - event_ns > self._delay_ns:
            self._delay_ns = ts_ns - event_ns

    def saw(self, ts_ns: int) -> None:
        """Note news that has arrived at an actor."""
        self._seen_ns = ts_ns
        lag = time.time_ns() - ts_ns
        if lag > self._lag_ns:
            self._lag_ns = lag

    def behind(self, ts_ns: int) -> bool:
        """Return whether news that was told may be older than `ts_ns` and has not been seen."""
        return self._seen_ns < self._told_ns and self._seen_ns < ts_ns

    def worst_lag_s(self) -> float:
        """Return the longest way from reader to actor since the last call, in seconds."""
        lag, self._lag_ns = self._lag_ns, 0
        return lag / 1e9

    def worst_delay_s(self) -> float:
        """Return the longest way from venue to reader since the last call, in seconds; clocks differ a little."""
        delay, self._delay_ns = self._delay_ns, 0
        return delay / 1e9

    async def worked_off(self) -> None:
        """Let the engine have its turn, once in `SLICE_S`; return when it is at most `AHEAD_NS` behind."""
        if time.monotonic() < self._slice_ends:
            return
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if self._told_ns - self._seen_ns <= AHEAD_NS:
                self._slice_ends = time.monotonic() + SLICE_S
                return
        end = time.monotonic() + PATIENCE_S
        self.waits += 1
        while self._told_ns - self._seen_ns > AHEAD_NS:
            if time.monotonic() > end:
                self.unseen += 1
                self._seen_ns = self._told_ns
                return
            await asyncio.sleep(PAUSE_S)
