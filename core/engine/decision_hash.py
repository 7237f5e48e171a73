"""One hash over every decision of a run: equal decisions, equal hash, on any machine.

Left out is what the engine draws at random (event ids, the uuid in settlement order ids). Settlement legs of
one moment are sorted, because the engine creates them in an order of its own.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec

from core.domain.decision import OrderIntent
from core.engine.results import FillRow
from core.engine.units import plain
from core.risk.units import nanos_of_text

#: Decisions encoded at once; encoding in batches costs a tenth of formatting one by one.
BATCH = 512
_LIMIT = 1 << 62
_ENCODER = msgspec.json.Encoder()

Part = str | int | bool | None
Parts = tuple[Part, ...]
#: Texts, then a value whose own parts follow: it is taken apart with its whole batch.
Waiting = Parts | tuple[Part | OrderIntent | FillRow, ...]


def number(value: Decimal) -> Part:
    """Return a number so that equal numbers are equal parts: billionths, or plain text where those do not do."""
    known = nanos_of_text(str(value))
    if known is not None and -_LIMIT < known < _LIMIT:
        return known
    if value.is_finite():
        scaled = value.scaleb(9)
        whole = int(scaled)
        if whole == scaled and -_LIMIT < whole < _LIMIT:
            return whole
        return plain(value)
    return str(value)


def parts_of(intent: OrderIntent) -> Parts:
    """Return every field of an intent that the venue or the gate can tell apart."""
    price = intent.price
    return (
        intent.ts_ns,
        intent.client_order_id,
        intent.strategy_id,
        intent.instrument_id,
        intent.side._value_,
        number(intent.quantity),
        None if price is None else number(price),
        intent.tif._value_,
        intent.post_only,
        intent.expire_ns,
        intent.reason,
    )


def fill_parts(fill: FillRow) -> Parts:
    """Return what a fill decides."""
    return (
        fill.ts_ns,
        fill.order_id,
        fill.side,
        fill.role,
        number(fill.price),
        number(fill.quantity),
        number(fill.fee),
        fill.fee_rule,
    )


class DecisionHash:
    """Incremental sha256 over decisions, each a tuple of texts and integers."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256(b"beta-decisions-1\n")
        self._waiting: list[Waiting] = []
        self._legs: list[Parts] = []
        self._legs_ns = -1

    def add(self, *parts: Part | OrderIntent | FillRow) -> None:
        """Add one decision; numbers go through `number`.

        An intent or a fill may be the last part: its fields take its place. Both are immutable, so they
        are taken apart later, with their batch.
        """
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
        self._sha.update(_ENCODER.encode_lines([_flat(parts) for parts in self._waiting]))
        self._waiting.clear()

    def hexdigest(self) -> str:
        """Return the hash of everything added so far."""
        self._settle_legs()
        self._flush()
        return self._sha.hexdigest()


def _flat(parts: Waiting) -> Waiting:
    """Return a decision with the fields of its intent or fill in their place."""
    last = parts[-1]
    if type(last) is OrderIntent:
        return (*parts[:-1], *parts_of(last))
    if type(last) is FillRow:
        return (*parts[:-1], *fill_parts(last))
    return parts
