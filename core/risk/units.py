"""Exact integers inside the gate: prices and sizes in billionths, money in their product (1e-18 dollar).

A price times a size is then one integer multiplication without any rounding, also for sizes with six
(Polymarket) or eight (bitcoin) decimals. Decimals are turned into integers once, at the edge.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

NANO = 10**9
ATTO = 10**18
#: Largest price or size the gate accepts, in billionths; anything above is a mistake, not an order.
CEILING = 10**21
_NANO = Decimal(NANO)


def nanos_of(value: Decimal) -> int | None:
    """Return a price or size in billionths, or None when it is not finite, too large or finer."""
    return nanos_of_text(str(value))


@lru_cache(maxsize=65_536)
def nanos_of_text(text: str) -> int | None:
    """Return a price or size written as text in billionths; `nanos_of` says when None.

    Remembered, because a market has few prices and a strategy few sizes; by the text, because a Decimal
    takes ten times longer to be hashed than to be written.
    """
    try:
        scaled = Decimal(text) * _NANO
        whole = int(scaled)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    return whole if whole == scaled and -CEILING <= whole <= CEILING else None


def attos_up(money: Decimal) -> int:
    """Return dollars in 1e-18 units, rounded up (a cost or a bound)."""
    return _attos_up_of_text(str(money))


@lru_cache(maxsize=65_536)
def _attos_up_of_text(text: str) -> int:
    """Return an amount written as text, rounded up; remembered, because fees of equal fills are equal."""
    scaled = Decimal(text).scaleb(18)
    whole = int(scaled)
    return whole if whole == scaled else whole + (scaled > 0)


def attos_down(money: Decimal) -> int:
    """Return dollars in 1e-18 units, rounded down (a balance)."""
    return -attos_up(-money)


def dollars(attos: int) -> Decimal:
    """Return 1e-18 units as dollars, with no more digits than needed."""
    return Decimal(text_of(attos, 18))


def shares(nanos: int) -> Decimal:
    """Return billionths as a price or size, with no more digits than needed."""
    return Decimal(text_of(nanos, 9))


def text_of(value: int, digits: int) -> str:
    """Return ``value / 10**digits`` exactly as text, without an exponent or trailing zeros."""
    if value < 0:
        return "-" + text_of(-value, digits)
    text = str(value).rjust(digits + 1, "0")
    tail = text[-digits:].rstrip("0")
    return f"{text[:-digits]}.{tail}" if tail else text[:-digits]
