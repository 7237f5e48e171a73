"""Microseconds of one exact fee."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

from adapters.kalshi.fees import KalshiFeeBook
from adapters.polymarket.fees import PolymarketFeeBook
from core.domain.clock import ns_from_iso
from core.domain.fees import FeeFill, FeeSchedule, Role, Side

COMMAND = "make bench ONLY=fees"


def rows(quick: bool = False) -> list[dict[str, object]]:
    """Return the rows of this area."""
    n = 2_000 if quick else 20_000
    ts_ns = ns_from_iso("2026-09-17")
    kalshi = FeeSchedule("KALSHI", kind="quadratic", multiplier=Decimal("0.5"))
    polymarket = FeeSchedule("POLYMARKET", category="politics")
    fill = FeeFill("o", Side.BUY, Role.TAKER, Decimal("0.37"), Decimal(25), ts_ns)
    return [
        _row("fees.kalshi_charge_us", KalshiFeeBook().charge, kalshi, fill, n),
        _row("fees.polymarket_charge_us", PolymarketFeeBook().charge, polymarket, fill, n),
    ]


def _row(
    name: str, charge: Callable[..., object], terms: FeeSchedule, fill: FeeFill, n: int
) -> dict[str, object]:
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(n):
            charge(terms, fill)
        best = min(best, (time.perf_counter() - started) / n)
    return {
        "id": name,
        "value": round(best * 1e6, 2),
        "unit": "us",
        "bar": 50,
        "better": "lower",
        "command": COMMAND,
    }
