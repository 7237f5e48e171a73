"""How a producer learns that its row is on disk: by blocking, or by a future on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable

from core.domain.errors import LedgerError


class Ack:
    """A one-shot answer for one row. A bare lock is the cheapest thing a thread can wait on."""

    __slots__ = ("_done", "error", "future", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        future: asyncio.Future[None] | None = None,
    ) -> None:
        self.loop = loop
        self.future = future
        self.error: LedgerError | None = None
        self._done = threading.Lock()
        if future is None:
            self._done.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Block until answered; False when the time ran out."""
        return self._done.acquire(timeout=timeout_s)

    def release(self, error: LedgerError | None) -> None:
        """Answer a blocked thread."""
        self.error = error
        self._done.release()


def settle(acks: Iterable[Ack], error: LedgerError | None) -> None:
    """Answer many at once: threads directly, each event loop with one wake-up."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for ack in acks:
        if ack.loop is None or ack.future is None:
            ack.release(error)
        else:
            by_loop.setdefault(ack.loop, []).append(ack.future)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, futures, error)


def seen(written: asyncio.Future[None]) -> None:
    """Look at an answer, so that asyncio does not complain of an error that nobody waited for."""
    if not written.cancelled():
        written.exception()


def _resolve(futures: list[asyncio.Future[None]], error: LedgerError | None) -> None:
    """Set results on the loop's own thread; a cancelled waiter is passed over."""
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
