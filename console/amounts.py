"""Amounts as they are typed: an option's text becomes an exact number, or an error that names the option."""

from __future__ import annotations

from decimal import Decimal

from core.domain.errors import MarketError, UsageError
from core.domain.money import decimal_of


def amount_of(text: str, option: str, *, zero: bool = True, example: str = "10") -> Decimal:
    """Return dollars or shares.

    Parameters
    ----------
    zero : bool
        Whether 0 is one.
    example : str
        What the mend shows.

    Raises
    ------
    UsageError
        If it is no number, or negative.
    """
    mend = f"{option} {example}"
    try:
        number = decimal_of(text, option)
    except MarketError as exc:
        raise UsageError(exc.what, text, mend) from exc
    if number < 0:
        raise UsageError(f"{option} is negative", text, mend)
    if not number and not zero:
        raise UsageError(f"{option} must be more than zero", text, mend)
    return number
