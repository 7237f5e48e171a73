"""Tick grids accept exactly the prices a venue accepts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import MarketError, PriceOffGrid
from core.domain.grid import Band, TickGrid

D = Decimal
TAPERED = TickGrid(
    (
        Band(D("0"), D("0.1"), D("0.001")),
        Band(D("0.1"), D("0.9"), D("0.01")),
        Band(D("0.9"), D("1"), D("0.001")),
    )
)
prices = st.decimals(min_value="0", max_value="1", places=4)


def test_a_tapered_grid_has_fine_steps_only_near_the_ends():
    assert TAPERED.contains(D("0.099"))
    assert TAPERED.contains(D("0.10"))
    assert not TAPERED.contains(D("0.105"))
    assert TAPERED.contains(D("0.901"))


@pytest.mark.parametrize("price", ["0", "1", "1.2", "-0.01"])
def test_zero_one_and_beyond_are_never_orderable(price):
    assert not TAPERED.contains(D(price))
    assert not TickGrid.uniform(D("0.01")).contains(D(price))


@given(prices)
def test_snapping_stays_on_the_grid_and_never_improves_the_price(price):
    down, up = TAPERED.snap_down(price), TAPERED.snap_up(price)
    if down is not None:
        assert TAPERED.contains(down)
        assert down <= price
    if up is not None:
        assert TAPERED.contains(up)
        assert up >= price
    if TAPERED.contains(price):
        assert down == up == price


@given(prices)
def test_the_mirrored_grid_holds_the_opposite_price(price):
    assert TAPERED.contains(price) == TAPERED.mirrored().contains(1 - price)


def test_an_off_grid_price_is_refused_with_its_neighbours():
    with pytest.raises(PriceOffGrid) as caught:
        TAPERED.require(D("0.505"))
    assert "0.50" in caught.value.mend
    assert "0.51" in caught.value.mend


def test_bands_that_do_not_touch_are_refused():
    with pytest.raises(MarketError):
        TickGrid((Band(D("0"), D("0.1"), D("0.01")), Band(D("0.2"), D("1"), D("0.01"))))
