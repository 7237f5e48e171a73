"""What every fee rule may rely on: a finite price, a positive size, a known time."""

from __future__ import annotations

from decimal import Decimal

from core.domain.errors import FeeError
from core.domain.money import ONE, ZERO


def require_probability(price: Decimal) -> None:
    """Refuse a price that is not a finite number of dollars between 0 and 1.

    Raises
    ------
    FeeError
        For NaN, infinities and prices outside [0, 1].
    """
    if not (price.is_finite() and ZERO <= price <= ONE):
        raise FeeError("price must lie between 0 and 1", price, "give dollars, for example 0.42")


def require_price(price: Decimal) -> None:
    """Refuse a price that is not finite and positive.

    Raises
    ------
    FeeError
        For NaN, infinities, zero and negative prices.
    """
    if not (price.is_finite() and price > ZERO):
        raise FeeError("price must be a positive number", price, "give the price in quote currency")


def require_size(quantity: Decimal) -> None:
    """Refuse a size that is not finite and positive.

    Raises
    ------
    FeeError
        For NaN, infinities, zero and negative sizes.
    """
    if not (quantity.is_finite() and quantity > ZERO):
        raise FeeError("size must be a positive number", quantity, "give contracts or shares")


def widest_variance(price: Decimal) -> Decimal:
    """Return the largest ``p * (1 - p)`` over all prices ``0 < p <= price`` (a buy can fill better)."""
    half = Decimal("0.5")
    at = min(price, half)
    return at * (ONE - at)
