"""Exact integers inside the gate: prices and sizes in billionths, money in their product (1e-18 dollar).

A price times a size is then one integer multiplication without any rounding, also for sizes with six
(Polymarket) or eight (bitcoin) decimals. Decimals are turned into integers once, at the edge.
"""

from __future__ import annotations

from decimal import Decimal

NANO = 10**9
ATTO = 10**18
#: Largest price or size the gate accepts; anything above is a mistake, not an order.
CEILING = Decimal(10) ** 12


def nanos_of(value: Decimal) -> int | None:
    """Return a price or size in billionths, or None when it is not finite, too large or finer."""
    if not value.is_finite() or abs(value) > CEILING:
        return None
    scaled = value.scaleb(9)
    whole = int(scaled)
    return whole if whole == scaled else None


def attos_up(money: Decimal) -> int:
    """Return dollars in 1e-18 units, rounded up (a cost or a bound)."""
    scaled = money.scaleb(18)
    whole = int(scaled)
    return whole if whole == scaled else whole + (scaled > 0)


def attos_down(money: Decimal) -> int:
    """Return dollars in 1e-18 units, rounded down (a balance)."""
    return -attos_up(-money)


def dollars(attos: int) -> Decimal:
    """Return 1e-18 units as dollars, with no more digits than needed."""
    return trimmed(attos, 18)


def shares(nanos: int) -> Decimal:
    """Return billionths as a price or size, with no more digits than needed."""
    return trimmed(nanos, 9)


def trimmed(value: int, digits: int) -> Decimal:
    """Return ``value / 10**digits`` exactly, without trailing zeros and without an exponent."""
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**digits)
    tail = str(part).rjust(digits, "0").rstrip("0")
    return Decimal(f"{sign}{whole}.{tail}" if tail else f"{sign}{whole}")
