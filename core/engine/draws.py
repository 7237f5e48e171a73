"""The seeded random source of a strategy: what it draws at the moment of a decision becomes rows of the ledger.

A run repeats all draws from its seed. The rows say which of them a decision stood on, and their numbers how many
came before: a replay that draws otherwise, or once more or less, differs at the first such row.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Self

#: Draws kept of one moment, the newest: a simulation of thousands is named by its last ones and their numbers.
MOST = 16


class Draws(random.Random):
    """`random.Random` that remembers what was drawn at the present moment.

    Attributes
    ----------
    stream : str
        Strategy id.
    run_seed : int
        Seed of the run; the stream is seeded by it and its name.
    rows : list of int
        Ledger rows of the draws of this moment.
    """

    stream: str
    run_seed: int
    rows: list[int]

    @classmethod
    def of(cls, stream: str, seed: int, clock: Callable[[], int], within_ns: int = 0) -> Self:
        """Return the source of one strategy.

        Parameters
        ----------
        clock : callable
            Time of the engine, nanoseconds.
        within_ns : int
            What counts as one moment: 0 where the clock stands still during a callback.
        """
        made = cls(seeded_by(seed, stream))
        made.stream, made.run_seed, made.rows = stream, seed, []
        made._clock, made._within, made._at, made._count = clock, within_ns, -1, 0
        made._unwritten = []
        return made

    _clock: Callable[[], int]
    _within: int
    _at: int
    _count: int
    _unwritten: list[tuple[int, str]]

    def random(self) -> float:
        """Draw a number from [0, 1)."""
        value = super().random()
        self._note(repr(value))
        return value

    def getrandbits(self, k: int, /) -> int:
        """Draw `k` bits."""
        value = super().getrandbits(k)
        self._note(str(value))
        return value

    def taken(self, now_ns: int) -> list[tuple[int, str]]:
        """Return (number, value) of the draws of this moment that have no row yet; older ones are forgotten."""
        if now_ns - self._at > self._within:
            self._begin(now_ns)
        new, self._unwritten = self._unwritten, []
        return new

    def _note(self, value: str) -> None:
        now = self._clock()
        if now - self._at > self._within:
            self._begin(now)
        waiting = self._unwritten
        waiting.append((self._count, value))
        self._count += 1
        if len(waiting) > MOST:
            del waiting[0]

    def _begin(self, now_ns: int) -> None:
        self._at = now_ns
        self._unwritten, self.rows = [], []


def seeded_by(seed: int, stream: str) -> str:
    """Return what the stream of a strategy is seeded by."""
    return f"{seed}:{stream}"
