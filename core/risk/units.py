"""Exact integers inside the gate: prices and sizes in billionths, money in their product (1e-18 dollar).

A price times a size is then one integer multiplication without any rounding, also for sizes with six
(Polymarket) or eight (bitcoin) decimals. Decimals are turned into integers once, at the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

NANO = 10**9
ATTO = 10**18
#: Largest price or size the gate accepts, in billionths; anything above is a mistake, not an order.
CEILING = 10**21
#: Texts whose number is remembered, before they are worked out anew.
REMEMBERED = 65_536
_NANO = Decimal(NANO)


class Remembered[V](dict[str, V]):
    """What `work_out` made of a text, kept: a look-up of one that is known is one of a dict, and no more.

    By the text, because a Decimal takes ten times longer to be hashed than to be written.
    """

    def __init__(self, work_out: Callable[[str], V]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, text: str) -> V:
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = made = self._work_out(text)
        return made


def nanos_of(value: Decimal) -> int | None:
    """Return a price or size in billionths, or None when it is not finite, too large or finer."""
    return nanos_of_text(str(value))


def _nanos(text: str) -> int | None:
    try:
        scaled = Decimal(text) * _NANO
        whole = int(scaled)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    return whole if whole == scaled and -CEILING <= whole <= CEILING else None


#: Return a price or size written as text in billionths; `nanos_of` says when None. Remembered, because a market
#: has few prices and a strategy few sizes.
nanos_of_text: Callable[[str], int | None] = Remembered(_nanos).__getitem__


def _attos_up(text: str) -> int:
    scaled = Decimal(text).scaleb(18)
    whole = int(scaled)
    return whole if whole == scaled else whole + (scaled > 0)


_attos_up_of_text: Callable[[str], int] = Remembered(_attos_up).__getitem__


def attos_up(money: Decimal) -> int:
    """Return dollars in 1e-18 units, rounded up (a cost or a bound). Remembered: fees of equal fills are equal."""
    return _attos_up_of_text(str(money))


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
