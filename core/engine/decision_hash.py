"""One hash over every decision of a run: equal decisions, equal hash, on any machine.

Left out is what the engine draws at random (event ids, the uuid in settlement order ids). Settlement legs of
one moment are sorted, because the engine creates them in an order of its own.
"""

from __future__ import annotations

import hashlib


class DecisionHash:
    """Incremental sha256 over canonical lines."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256(b"beta-decisions-1\n")
        self._legs: list[str] = []
        self._legs_ns = -1
        self.lines = 0

    def add(self, line: str) -> None:
        """Add one line; the caller writes numbers with `units.plain`."""
        if self._legs:
            self._flush()
        self._sha.update(line.encode())
        self._sha.update(b"\n")
        self.lines += 1

    def add_leg(self, ts_ns: int, line: str) -> None:
        """Add a settlement leg; legs of one moment are sorted before they count."""
        if ts_ns != self._legs_ns and self._legs:
            self._flush()
        self._legs_ns = ts_ns
        self._legs.append(line)

    def _flush(self) -> None:
        for line in sorted(self._legs):
            self._sha.update(line.encode())
            self._sha.update(b"\n")
            self.lines += 1
        self._legs.clear()

    def hexdigest(self) -> str:
        """Return the hash of everything added so far."""
        self._flush()
        return self._sha.hexdigest()
