from __future__ import annotations

from decimal import Decimal as D

import pytest

from adapters.polymarket.grid import TICKS, decimals_of, grid_from_tick
from core.domain.errors import MarketError


@pytest.mark.parametrize(
    ("tick", "decimals"),
    [
        ("0.1", (1, 2, 3)),
        ("0.01", (2, 2, 4)),
        ("0.005", (3, 2, 5)),
        ("0.0025", (4, 2, 6)),
        ("0.001", (3, 2, 5)),
        ("0.0001", (4, 2, 6)),
    ],
)
def test_every_tick_has_its_grid_and_decimals(tick, decimals):
    grid = grid_from_tick(tick)
    assert (grid.lowest, grid.highest) == (D(tick), 1 - D(tick))
    assert grid.contains(1 - D(tick))
    assert not grid.contains(D(tick) / 2)
    got = decimals_of(tick)
    assert (got.price, got.size, got.amount) == decimals
    assert round(D(tick), got.price) == D(tick)


def test_a_float_tick_is_read_exactly():
    assert grid_from_tick(0.001).lowest == D("0.001")
    assert decimals_of(0.0025) is TICKS[D("0.0025")]


@pytest.mark.parametrize("tick", ["0.02", "0", "-0.01", "NaN", "x"])
def test_an_unknown_tick_is_refused(tick):
    with pytest.raises(MarketError):
        grid_from_tick(tick)
