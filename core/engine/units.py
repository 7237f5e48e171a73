"""Engine prices and quantities to Decimal and back, exactly and cheaply.

``Price.as_decimal`` costs half a microsecond and ``Price.from_decimal_dp`` two; both are remembered here.
The memories are bounded: prediction markets have at most 10,000 prices.
"""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model import Price, Quantity

from core.domain.errors import MarketError

#: Entries of each memory; when full it is emptied (a run on many sizes stays bounded).
MEMORY = 8_192

_decimals: dict[Price | Quantity, Decimal] = {}
_prices: dict[tuple[Decimal, int], Price] = {}
_quantities: dict[tuple[Decimal, int], Quantity] = {}


def exact(value: Price | Quantity) -> Decimal:
    """Return an engine price or quantity as a Decimal."""
    found = _decimals.get(value)
    if found is None:
        if len(_decimals) >= MEMORY:
            _decimals.clear()
        found = _decimals[value] = value.as_decimal()
    return found


def price_of(value: Decimal, precision: int) -> Price:
    """Return `value` as an engine price with `precision` decimals.

    Raises
    ------
    MarketError
        If the value has more decimals.
    """
    found = _prices.get((value, precision))
    if found is None:
        found = Price.from_decimal_dp(value, precision)
        if found.as_decimal() != value:
            raise MarketError(
                f"price has more than {precision} decimals",
                value,
                "round it to the tick grid of the market",
            )
        if len(_prices) >= MEMORY:
            _prices.clear()
        _prices[(value, precision)] = found
    return found


def quantity_of(value: Decimal, precision: int) -> Quantity:
    """Return `value` as an engine quantity with `precision` decimals.

    Raises
    ------
    MarketError
        If the value has more decimals.
    """
    found = _quantities.get((value, precision))
    if found is None:
        found = Quantity.from_decimal_dp(value, precision)
        if found.as_decimal() != value:
            raise MarketError(
                f"quantity has more than {precision} decimals",
                value,
                "round it down to the size step of the market",
            )
        if len(_quantities) >= MEMORY:
            _quantities.clear()
        _quantities[(value, precision)] = found
    return found


def plain(value: Decimal) -> str:
    """Return `value` without exponent and trailing zeros: equal numbers, equal text."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
