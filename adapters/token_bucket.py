"""Token buckets for venue limits: wait for tokens in order, cancels before everything else."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from enum import IntEnum

from core.domain.errors import VenueRefused

#: After a 429 without a word on how long: doubled each time, up to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.125, 8.0
#: While the venue has asked for a longer pause than this, an order is refused instead of kept waiting.
ORDER_PATIENCE_S = 1.0


class Limited(VenueRefused):
    """The venue wants a pause that an order does not outlive: what it was decided on will have changed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "rate_limited",
            f"the venue asked for a pause of {seconds:.0f} s: nothing was sent",
            429,
            "send fewer orders; new ones are taken again after the pause",
        )


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
        self._blocked_until, self._strikes = 0.0, 0

    def _refill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def resize(self, rate: float, capacity: float) -> None:
        """Take over another allowance; what has been spent stays spent."""
        self._refill()
        self.rate, self.capacity = rate * self.share, max(capacity * self.share, 1.0)
        self._tokens = min(self._tokens, self.capacity)

    def penalise(self, seconds: float | None = None) -> float:
        """Let nothing leave after a 429; return for how long.

        Parameters
        ----------
        seconds : float, optional
            What the venue asked for. Without it, or where it asks for less, the pause doubles with each 429 in a row.
        """
        if self._monotonic() >= self._blocked_until:  # answers that were on their way count once
            self._strikes += 1
        pause: float = max(
            seconds or 0.0, min(FIRST_PAUSE_S * 2 ** (self._strikes - 1), LAST_PAUSE_S)
        )
        self._blocked_until = max(self._blocked_until, self._monotonic() + pause)
        self._tokens = 0.0
        if pause > ORDER_PATIENCE_S:
            for lane, _, _, future in self._waiting:
                if lane == Lane.ORDER and not future.done():
                    future.set_exception(Limited(pause))
        return pause

    def relax(self) -> None:
        """Forget earlier 429s: the venue has taken a request again."""
        self._strikes = 0

    async def take(self, cost: float, lane: Lane = Lane.READ) -> None:
        """Wait until `cost` tokens are there; a cost above the capacity is taken when the bucket is full.

        Raises
        ------
        Limited
            For an order while a 429 is waited out for longer than `ORDER_PATIENCE_S`.
        """
        self._refill()
        cost = min(cost, self.capacity)
        left = self._blocked_until - self._monotonic()
        if lane is Lane.ORDER and left > ORDER_PATIENCE_S:
            raise Limited(left)
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
            _, _, cost, future = self._waiting[0]
            if future.done():  # its caller has gone, or it was refused
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
