"""An event loop whose time jumps to the next timer whenever nothing can be read: minutes of waiting cost nothing."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

#: Real seconds that bytes on loopback get to arrive before time moves on.
GRACE_S = 0.0004
#: Steps of the clock up to this length need no grace: nothing in a run is decided by so little.
STEP_S = 0.05
EPOCH_NS = 1_790_000_000_000_000_000


class _Jumping(selectors.DefaultSelector):
    """Never sleeps: an idle wait becomes a step of the virtual clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; when nothing is, move the clock by `timeout`."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or timeout > STEP_S:
            ready = super().select(GRACE_S if timeout is not None else 1.0)
        if not ready and timeout is not None:
            self.now += max(timeout, 1e-6)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop in virtual time. Work handed to threads runs at once, so that order is repeatable."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.now

    def time_ns(self) -> int:
        """Return virtual wall time."""
        return EPOCH_NS + int(self.time() * 1_000_000_000)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """Run `func` now."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(contextvars.copy_context().run(func, *args))
        except Exception as exc:
            future.set_exception(exc)
        return future


def run_virtual(work: Callable[[VirtualLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in virtual time and leave nothing behind."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work(loop))
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
