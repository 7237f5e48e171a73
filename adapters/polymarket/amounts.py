"""Prices and sizes as the two chain amounts of an order, in whole millionths: no float, no hidden rounding."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.polymarket.grid import decimals_of
from core.domain.errors import VenueRefused
from core.domain.fees import Side

MICRO = 1_000_000
PRICE_UNITS = 10_000
SIZE_UNITS = 100
CENT_MICRO = 10_000


@dataclass(frozen=True, slots=True)
class Amounts:
    """What the maker gives and what he takes, in millionths of a dollar or of a share."""

    maker: int
    taker: int


def whole(value: Decimal, units: int, what: str) -> int:
    """Return `value` times `units`, which must be whole.

    Raises
    ------
    VenueRefused
        If the value is finer than the venue's decimals: it is refused here, not rounded.
    """
    scaled = value * units
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or scaled <= 0:
        raise VenueRefused(
            f"invalid_{what}",
            f"Polymarket cannot take this {what}: {value}",
            mend="correct the number; nothing was sent",
        )
    return int(scaled)


def price_units(price: Decimal, tick: Decimal) -> int:
    """Return a price in ten-thousandths; refuse what is off the grid ``tick .. 1 - tick``."""
    units, step = whole(price, PRICE_UNITS, "price"), int(tick * PRICE_UNITS)
    if units % step or not step <= units <= PRICE_UNITS - step:
        raise VenueRefused(
            "invalid_price",
            f"price {price} is not on the grid of {tick}",
            mend=f"use a multiple of {tick}; nothing was sent",
        )
    return units


def limit_amounts(side: Side, price: Decimal, size: Decimal, tick: Decimal) -> Amounts:
    """Return the amounts of a limit order: price (4 decimals) times size (2 decimals) is exact in millionths."""
    shares = whole(size, SIZE_UNITS, "size")
    dollars = price_units(price, tick) * shares
    micro_shares = shares * (MICRO // SIZE_UNITS)
    if side is Side.BUY:
        return Amounts(maker=dollars, taker=micro_shares)
    return Amounts(maker=micro_shares, taker=dollars)


def market_buy_amounts(dollars_micro: int, price: Decimal, tick: Decimal) -> Amounts:
    """Return the amounts of a market BUY: whole cents of dollars for shares at the worst price.

    Shares have the decimals of the tick's `amount` column. Like the official client, the quotient is first
    rounded up at four decimals more, then down, so that a quotient one part in ten thousand below a step counts
    as the step.

    Raises
    ------
    VenueRefused
        If it is less than one cent, or the price is off the grid.
    """
    cents = dollars_micro // CENT_MICRO
    if cents <= 0:
        raise VenueRefused(
            "invalid_amount",
            "a market BUY of less than a cent",
            mend="order more; nothing was sent",
        )
    units, decimals = price_units(price, tick), decimals_of(tick).amount
    finer = 10 ** (decimals + 4)
    up = -(-cents * PRICE_UNITS * finer // (SIZE_UNITS * units))
    taker = up // 10**4 * 10 ** (6 - decimals)
    return Amounts(maker=cents * CENT_MICRO, taker=taker)
