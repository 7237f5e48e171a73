"""One hash over every decision of a run: equal decisions, equal hash, on any machine.

Left out is what the engine draws at random (event ids, the uuid in settlement order ids). Settlement legs of
one moment are sorted, because the engine creates them in an order of its own.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec

from core.engine.units import plain

#: Decisions encoded at once; encoding in batches costs a tenth of formatting one by one.
BATCH = 512
_LIMIT = 1 << 62
_ENCODER = msgspec.json.Encoder()

Part = str | int | bool | None


def number(value: Decimal) -> Part:
    """Return a number so that equal numbers are equal parts: billionths, or plain text where those do not do."""
    if value.is_finite():
        scaled = value.scaleb(9)
        whole = int(scaled)
        if whole == scaled and -_LIMIT < whole < _LIMIT:
            return whole
        return plain(value)
    return str(value)


class DecisionHash:
    """Incremental sha256 over decisions, each a tuple of texts and integers."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256(b"beta-decisions-1\n")
        self._waiting: list[tuple[Part, ...]] = []
        self._legs: list[tuple[Part, ...]] = []
        self._legs_ns = -1

    def add(self, *parts: Part) -> None:
        """Add one decision; numbers go through `number`."""
        if self._legs:
            self._settle_legs()
        waiting = self._waiting
        waiting.append(parts)
        if len(waiting) >= BATCH:
            self._flush()

    def add_leg(self, ts_ns: int, *parts: Part) -> None:
        """Add a settlement leg; legs of one moment are sorted before they count."""
        if ts_ns != self._legs_ns and self._legs:
            self._settle_legs()
        self._legs_ns = ts_ns
        self._legs.append(("settled", ts_ns, *parts))

    def _settle_legs(self) -> None:
        self._waiting.extend(sorted(self._legs, key=repr))
        self._legs.clear()

    def _flush(self) -> None:
        # One decision a line, so that the size of a batch does not show in the hash.
        self._sha.update(_ENCODER.encode_lines(self._waiting))
        self._waiting.clear()

    def hexdigest(self) -> str:
        """Return the hash of everything added so far."""
        self._settle_legs()
        self._flush()
        return self._sha.hexdigest()
