"""Token buckets for venue limits: wait for tokens in order, cancels before everything else."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from enum import IntEnum


class Lane(IntEnum):
    """Who goes first when tokens are short."""

    CANCEL = 0
    ORDER = 1
    READ = 2


class TokenBucket:
    """A bucket that never lets more than the venue allows leave.

    Parameters
    ----------
    rate : float
        Tokens per second.
    capacity : float
        Largest burst.
    share : float
        Part of the venue's allowance that we use, so that clocks and retries never reach the ban level.
    """

    def __init__(
        self,
        rate: float,
        capacity: float,
        share: float = 0.8,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if rate <= 0 or capacity <= 0 or not 0 < share <= 1:
            raise ValueError(
                f"bucket needs positive rate, capacity and share, got {rate}, {capacity}, {share}"
            )
        self.share = share
        self.rate, self.capacity = rate * share, max(capacity * share, 1.0)
        self._monotonic = monotonic
        self._tokens, self._at = self.capacity, monotonic()
        self._waiting: list[tuple[int, int, float, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._pump: asyncio.Task[None] | None = None
        self._blocked_until = 0.0

    def _refill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def resize(self, rate: float, capacity: float) -> None:
        """Take over another allowance; what has been spent stays spent."""
        self._refill()
        self.rate, self.capacity = rate * self.share, max(capacity * self.share, 1.0)
        self._tokens = min(self._tokens, self.capacity)

    def penalise(self, seconds: float) -> None:
        """Let nothing leave for `seconds` (after a 429)."""
        self._blocked_until = max(self._blocked_until, self._monotonic() + seconds)
        self._tokens = 0.0

    async def take(self, cost: float, lane: Lane = Lane.READ) -> None:
        """Wait until `cost` tokens are there; a cost above the capacity is taken when the bucket is full."""
        self._refill()
        cost = min(cost, self.capacity)
        if not self._waiting and self._monotonic() >= self._blocked_until and self._tokens >= cost:
            self._tokens -= cost
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (int(lane), next(self._order), cost, future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve(), name="token-bucket")
        await future

    async def _serve(self) -> None:
        while self._waiting:
            lane, order, cost, future = self._waiting[0]
            if future.cancelled():
                heapq.heappop(self._waiting)
                continue
            self._refill()
            wait = max((cost - self._tokens) / self.rate, self._blocked_until - self._monotonic())
            if wait > 0:
                await asyncio.sleep(min(wait, 0.05))  # a cancel may have come in front meanwhile
                continue
            heapq.heappop(self._waiting)
            self._tokens -= cost
            future.set_result(None)
            del lane, order
