"""Fixed pieces of work that depend on the machine and the interpreter alone: they put other figures in proportion.

A figure of one machine is compared with that of another by the ratio of these rows: most of our own time is
interpreted code and Decimal arithmetic, most of the engine's is compiled code on memory.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np

LOOPS = 1_000_000
COMMAND = "make bench ONLY=calibration"


class Point:
    """Something with an attribute and a method, as interpreted code has them."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, more: int) -> None:
        """Add."""
        self.value += more


def interpreted() -> None:
    """Call a method, look a key up and add, a million times."""
    point, table = Point(), dict.fromkeys(range(64), 1)
    for n in range(LOOPS):
        point.add(table[n & 63])


def decimals() -> None:
    """Multiply, add and compare Decimals, 200,000 times."""
    total, price, size = Decimal(0), Decimal("0.47"), Decimal("12.50")
    for _ in range(LOOPS // 5):
        total += price * size
        if total > 1_000:
            total = Decimal(0)


def digests() -> None:
    """Hash 64 MB."""
    digest, block = hashlib.sha256(), bytes(1 << 20)
    for _ in range(64):
        digest.update(block)


def copies() -> None:
    """Copy 1.6 GB of memory, in pieces that no cache holds."""
    source = np.ones(25_000_000, dtype=np.int64)
    for _ in range(8):
        source.copy()


def rows(quick: bool = False) -> list[dict[str, object]]:
    """Measure; none has a bar."""
    times = 3 if quick else 7
    work: tuple[tuple[str, Callable[[], None]], ...] = (
        ("python_loop_s", interpreted),
        ("decimal_s", decimals),
        ("sha256_64mb_s", digests),
        ("copy_1_6gb_s", copies),
    )
    return [
        {
            "id": f"calibration.{name}",
            "value": round(best_of(times, piece), 4),
            "unit": "s",
            "bar": None,
            "better": "lower",
            "command": COMMAND,
        }
        for name, piece in work
    ]


def best_of(times: int, piece: Callable[[], None]) -> float:
    """Return the shortest wall seconds of `times` runs."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        piece()
        best = min(best, time.perf_counter() - began)
    return best
