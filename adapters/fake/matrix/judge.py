"""What is watched while a run goes on: limits at every fill, halts, secrets in anything written, faults that show."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.risk.gate import Gate
from core.risk.units import dollars

HALT_NS = 250_000_000


class Judge:
    """Notes of one run.

    Attributes
    ----------
    notes : list of (invariant, text)
        What may not happen, and did.
    said : list of (event, values)
        Lines that a node would have in its log.
    halted_at : int
        Virtual time of the halt, nanoseconds; 0 without one.
    """

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.links: list[bool] = []
        self.halted_at = 0

    def wrong(self, invariant: str, text: str) -> None:
        """Note what may not happen."""
        self.notes.append((invariant, text))

    def say(self, event: str, **values: Any) -> None:
        """Take a line for the log."""
        self.said.append((event, values))

    def watch(self, gate: Gate) -> None:
        """I5: only an approval may raise the money at risk, so no fill may (ADR 0025)."""
        inner = gate.on_fill

        def on_fill(client_order_id: str, *args: Any, **options: Any) -> bool:
            approved, before = client_order_id in gate.book.orders, gate.book.committed
            booked = inner(client_order_id, *args, **options)
            after = gate.book.committed
            if approved and after > before:
                self.wrong(
                    "I5",
                    f"a fill of {client_order_id} raised the money at risk by {dollars(after - before)}",
                )
            return booked

        gate.on_fill = on_fill  # type: ignore[method-assign]

    def orders_after_halt(self, sent_ns: Iterable[int]) -> None:
        """I8: no order leaves later than 250 ms after the halt."""
        late = [t for t in sent_ns if self.halted_at and t > self.halted_at + HALT_NS]
        if late:
            self.wrong("I8", f"{len(late)} orders left after the halt")


def leaks(root: Path, said: object, secrets: Iterable[bytes]) -> list[str]:
    """I7: return where a secret is found in what was written: raw, hex, base64 or its first eight bytes in hex."""
    needles = []
    for secret in secrets:
        needles += [
            secret,
            secret.hex().encode(),
            base64.b64encode(secret),
            base64.urlsafe_b64encode(secret),
            secret[:8].hex().encode(),
        ]
    texts = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    texts["log"] = repr(said).encode()
    return sorted({name for name, data in texts.items() for n in needles if n in data})
