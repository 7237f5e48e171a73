"""Exact money and probability: Decimal in the open, integer micro-units where rows are stored."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Decimal,
    InvalidOperation,
)

from core.domain.errors import MarketError

MICRO = Decimal("0.000001")
ZERO = Decimal(0)
ONE = Decimal(1)


def decimal_of(value: str | int | float | Decimal, what: str = "value") -> Decimal:
    """Return `value` as a finite Decimal.

    Floats go through their shortest repr, so ``0.1`` is exactly ``Decimal("0.1")``.

    Raises
    ------
    MarketError
        If the value is not a finite number.
    """
    try:
        out = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation as exc:
        raise MarketError(
            f"{what} is not a number", value, "give a finite number, for example 0.42"
        ) from exc
    if not out.is_finite():
        raise MarketError(f"{what} is not finite", value, "give a finite number, for example 0.42")
    return out


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` up to a multiple of `step`."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` down (towards minus infinity) to a multiple of `step`."""
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


def half_even_to(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` to the nearest multiple of `step`, ties to even."""
    return (value / step).to_integral_value(rounding=ROUND_HALF_EVEN) * step
