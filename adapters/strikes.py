"""Books that were not the venue's: the first time is forgiven after many equal looks, the second bars the market."""

from __future__ import annotations

from collections import Counter

FORGET_LOOKS = 100


class Strikes:
    """Counts differences by book."""

    def __init__(self) -> None:
        self._strikes: Counter[str] = Counter()
        self._equal: Counter[str] = Counter()

    def differs(self, name: str) -> bool:
        """Count a book that differs; return whether it did so before."""
        self._equal[name] = 0
        self._strikes[name] += 1
        return self._strikes[name] > 1

    def equal(self, name: str) -> None:
        """Count a look that found the venue's book; `FORGET_LOOKS` of them forget what was before."""
        if not self._strikes[name]:
            return
        self._equal[name] += 1
        if self._equal[name] >= FORGET_LOOKS:
            del self._strikes[name], self._equal[name]
