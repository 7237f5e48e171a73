"""Token bucket: never ask a venue faster than it allows, whatever the number of workers."""

from __future__ import annotations

import asyncio
import time

from core.domain.errors import UsageError


class TokenBucket:
    """Tokens refill at `rate_per_s` up to `capacity`; a request waits until its cost is there.

    Waiters are served in order. `penalise` empties the bucket for a while, after a 429.

    Parameters
    ----------
    rate_per_s : float
        Tokens per second.
    capacity : float
        Largest burst, in tokens.
    """

    def __init__(self, rate_per_s: float, capacity: float) -> None:
        if rate_per_s <= 0 or capacity <= 0:
            raise UsageError("a rate limit must be positive", (rate_per_s, capacity), "--speed 0.8")
        self.rate_per_s = rate_per_s
        self.capacity = capacity
        self._tokens = capacity
        self._at = time.monotonic()
        self._lock = asyncio.Lock()

    async def acquire(self, cost: float = 1.0) -> None:
        """Wait until `cost` tokens are there and take them.

        Raises
        ------
        UsageError
            If the cost is more than the bucket can ever hold.
        """
        if cost > self.capacity:
            raise UsageError(
                "a request costs more than the rate limit's burst", cost, "--speed 0.8"
            )
        async with self._lock:
            self._refill()
            while self._tokens < cost:
                await asyncio.sleep((cost - self._tokens) / self.rate_per_s)
                self._refill()
            self._tokens -= cost

    def penalise(self, seconds: float) -> None:
        """Let nobody through for `seconds`."""
        self._refill()
        self._tokens = min(self._tokens, 0.0) - seconds * self.rate_per_s
        floor = -120.0 * self.rate_per_s
        self._tokens = max(self._tokens, floor)

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate_per_s)
        self._at = now
