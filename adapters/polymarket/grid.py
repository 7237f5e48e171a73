"""Polymarket tick grids and the decimals each tick allows for price, size and amount."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.errors import MarketError
from core.domain.grid import TickGrid
from core.domain.money import decimal_of


@dataclass(frozen=True, slots=True)
class TickDecimals:
    """Decimals the venue accepts at one tick size."""

    price: int
    size: int
    amount: int


#: Tick -> decimals of price, size and amount.
TICKS: dict[Decimal, TickDecimals] = {
    Decimal("0.1"): TickDecimals(1, 2, 3),
    Decimal("0.01"): TickDecimals(2, 2, 4),
    Decimal("0.005"): TickDecimals(3, 2, 5),
    Decimal("0.0025"): TickDecimals(4, 2, 6),
    Decimal("0.001"): TickDecimals(3, 2, 5),
    Decimal("0.0001"): TickDecimals(4, 2, 6),
}


def tick_of(value: str | float | Decimal) -> Decimal:
    """Return a venue tick as an exact Decimal.

    Raises
    ------
    MarketError
        If the venue does not know this tick.
    """
    tick = decimal_of(value, "tick size")
    for known in TICKS:
        if tick == known:
            return known
    raise MarketError(
        "unknown Polymarket tick size", value, f"known ticks: {', '.join(map(str, TICKS))}"
    )


def grid_from_tick(value: str | float | Decimal) -> TickGrid:
    """Return the grid of prices ``tick .. 1 - tick``."""
    return TickGrid.uniform(tick_of(value))


def decimals_of(value: str | float | Decimal) -> TickDecimals:
    """Return the decimals of price, size and amount at this tick."""
    return TICKS[tick_of(value)]
