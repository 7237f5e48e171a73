"""The way to the ledger's writer: a row that somebody waits for wakes it, the others go along.

A decision writes two or three rows that nobody waits for, and then the one that its order waits for. A writer woken
by the first would be in the middle of a commit when the last comes, and would take the interpreter from the thread
that is about to send the order.
"""

from __future__ import annotations

import time
from collections import deque
from queue import Empty, SimpleQueue

from core.ledger.acknowledgement import Ack
from core.ledger.rows import Waiting

#: A row or a mere barrier, and who waits for it. A genesis row without payload means: begin a new file.
Item = tuple[Waiting | None, Ack | None]

#: A row that nobody waits for is written after at most twice this long.
LINGER_S = 0.025


class LingeringQueue:
    """A queue from many threads to one that sleeps through what is not urgent.

    Parameters
    ----------
    full : int
        So many items wake the reader even when nobody waits for any of them.
    linger_s : float
        Step in which the reader looks for items by itself.
    """

    def __init__(self, full: int, linger_s: float = LINGER_S) -> None:
        self._full, self._linger_s = full, linger_s
        self._items: deque[Item | None] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._rung = False
        self._awake = False  # once awake, the reader takes all there is

    def put(self, item: Item | None) -> None:
        """Add an item; None (stop) and whatever is waited for wake the reader."""
        items = self._items
        items.append(item)
        urgent = item is None or item[1] is not None or len(items) >= self._full
        if urgent and not self._rung:
            self._rung = True
            self._bell.put(None)

    def get(self, timeout: float) -> Item | None:
        """Return the next item when one is urgent or has waited; the reader's thread only.

        Raises
        ------
        Empty
            If there was none for `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while True:
            self._rung = False  # before looking: whatever is added after the look rings again
            if self._awake and self._items:
                return self._items.popleft()
            waiting = bool(self._items)
            self._awake = self._wait() or waiting
            if not self._items and time.monotonic() >= end:
                raise Empty

    def _wait(self) -> bool:
        """Return whether somebody rang within one step."""
        try:
            self._bell.get(timeout=self._linger_s)
        except Empty:
            return False
        return True

    def get_nowait(self) -> Item | None:
        """Return the next item.

        Raises
        ------
        Empty
            If there is none.
        """
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._items
