"""Orders on their way to the paper venue arrive at a time of the market, not of the machine.

An order decided at t arrives at t + latency and meets the book of exactly that moment: it is matched before any news
that came later, and after all that came before, however late the machine gets to it. A replay of the recorded news
finds the same book.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: Seconds after its arrival at which an order is matched although no later news has come: news that was received
#: before has been handled by then, or is waited for, in steps and not for ever (nobody may follow it).
GRACE_S, STEP_S, MOST_STEPS = 0.01, 0.001, 200
#: The same news for the other outcome has the next nanosecond (`core.engine.live.books.Stamps.beside`).
AFTER_NEWS_NS = 2


@dataclass(order=True, slots=True)
class _Waiting:
    due_ns: int
    number: int
    act: Callable[[int], Any] = field(compare=False)
    done: asyncio.Future[Any] = field(compare=False)


class ArrivalQueue:
    """What is on its way, by arrival.

    Parameters
    ----------
    clock : callable
        Time of the machine, nanoseconds.
    latency_ns : int
        Way to the venue.

    Attributes
    ----------
    behind : callable
        Returns whether news that was received before a moment is still on its way to the book.
    """

    def __init__(self, clock: Callable[[], int], latency_ns: int) -> None:
        self.clock, self.latency_ns = clock, latency_ns
        self.last_ns = 0
        self.behind: Callable[[int], bool] = lambda ts_ns: False
        self._queue: list[_Waiting] = []
        self._count = 0

    async def at(self, decided_ns: int, act: Callable[[int], Any]) -> Any:
        """Run ``act(moment)`` when what was decided at `decided_ns` arrives; return or raise what it does."""
        due = decided_ns + self.latency_ns
        if due <= self.last_ns:
            return act(self.last_ns + AFTER_NEWS_NS)
        loop = asyncio.get_running_loop()
        self._count += 1
        one = _Waiting(due, self._count, act, loop.create_future())
        heapq.heappush(self._queue, one)
        left_ns = min(max(due - self.clock(), 0), self.latency_ns)
        timer = loop.call_later(left_ns / 1e9 + GRACE_S, self._overdue, due, MOST_STEPS)
        try:
            return await one.done
        finally:
            timer.cancel()

    def news(self, ts_ns: int) -> int:
        """Let everything arrive that was due before this news; return the moment of the news."""
        if self._queue:
            self._run_until(ts_ns - 1)
        self.last_ns = max(self.last_ns, ts_ns)
        return ts_ns

    def _overdue(self, due_ns: int, steps: int) -> None:
        """Let what was due arrive, once news from before it is handled."""
        if steps and self._queue and self.behind(due_ns):
            asyncio.get_running_loop().call_later(STEP_S, self._overdue, due_ns, steps - 1)
            return
        self._run_until(due_ns)

    def _run_until(self, ts_ns: int) -> None:
        while self._queue and self._queue[0].due_ns <= ts_ns:
            one = heapq.heappop(self._queue)
            if one.done.cancelled():
                continue
            try:
                result = one.act(max(one.due_ns, self.last_ns + AFTER_NEWS_NS))
            except Exception as exc:
                one.done.set_exception(exc)
            else:
                one.done.set_result(result)
