"""Kalshi tick grids, from a market's `price_ranges` alone: the structure's name is free text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.domain.errors import MarketError
from core.domain.grid import Band, TickGrid
from core.domain.money import decimal_of


def grid_from_price_ranges(price_ranges: Sequence[Mapping[str, Any]]) -> TickGrid:
    """Return the grid of a market from the ``price_ranges`` of its payload.

    Parameters
    ----------
    price_ranges : sequence of mapping
        ``{"start", "end", "step"}`` as dollar strings, in any order.

    Raises
    ------
    MarketError
        If the list is empty, a field is missing or not a number, or bands do not touch.
    """
    try:
        bands = sorted(
            (
                Band(
                    decimal_of(row["start"], "start"),
                    decimal_of(row["end"], "end"),
                    decimal_of(row["step"], "step"),
                )
                for row in price_ranges
            ),
            key=lambda band: band.start,
        )
    except (KeyError, TypeError) as exc:
        raise MarketError(
            "a price range needs start, end and step",
            price_ranges,
            "fetch the market again: its price_ranges name the grid",
        ) from exc
    if not bands:
        raise MarketError(
            "the market lists no price_ranges",
            price_ranges,
            "fetch the market again; price_level_structure is not a grid",
        )
    return TickGrid(tuple(bands))
