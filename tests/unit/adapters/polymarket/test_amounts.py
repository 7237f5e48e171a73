"""Amounts of orders: exact for limits, whole cents for market buys, never more than was approved."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.polymarket.amounts import Amounts, limit_amounts, market_buy_amounts
from adapters.polymarket.grid import TICKS
from core.domain.errors import VenueRefused
from core.domain.fees import Side

D = Decimal
TICK = st.sampled_from(sorted(TICKS))


@st.composite
def on_grid(draw):
    tick = draw(TICK)
    steps = int(1 / tick)
    return tick, tick * draw(st.integers(1, steps - 1))


SIZES = st.integers(1, 100_000_000).map(lambda n: D(n) / 100)


@given(on_grid(), SIZES, st.sampled_from(Side))
def test_limit_amounts_are_price_times_size_without_rounding(grid, size, side):
    tick, price = grid
    found = limit_amounts(side, price, size, tick)
    dollars, shares = price * size * 1_000_000, size * 1_000_000
    expected = (dollars, shares) if side is Side.BUY else (shares, dollars)
    assert (D(found.maker), D(found.taker)) == expected


@given(on_grid(), SIZES)
def test_limit_amounts_keep_the_decimals_that_the_tick_allows(grid, size):
    tick, price = grid
    dollars = limit_amounts(Side.BUY, price, size, tick).maker
    assert dollars % 10 ** (6 - TICKS[tick].amount) == 0


@given(on_grid(), st.integers(10_000, 10**12))
def test_a_market_buy_spends_whole_cents_and_promises_what_they_buy(grid, micro):
    tick, price = grid
    found = market_buy_amounts(micro, price, tick)
    decimals = TICKS[tick].amount
    assert found.maker % 10_000 == 0
    assert micro - 10_000 < found.maker <= micro
    assert found.taker % 10 ** (6 - decimals) == 0
    exact = Fraction(found.maker) / Fraction(price)
    step = Fraction(10) ** (6 - decimals)
    assert exact - step < found.taker <= exact + step / 10_000


def test_the_recorded_market_buy_has_these_amounts():
    assert market_buy_amounts(10_000_000, D("0.37"), D("0.01")) == Amounts(10_000_000, 27_027_000)


@pytest.mark.parametrize(
    ("price", "size", "tick"),
    [
        ("0.415", "10", "0.01"),
        ("0", "10", "0.01"),
        ("1", "10", "0.01"),
        ("0.0075", "10", "0.01"),
        ("0.41", "10.001", "0.01"),
        ("0.41", "0", "0.01"),
        ("0.41", "-1", "0.01"),
        ("NaN", "1", "0.01"),
        ("0.0012", "1", "0.005"),
    ],
)
def test_what_is_off_the_grid_is_refused_not_rounded(price, size, tick):
    with pytest.raises(VenueRefused):
        limit_amounts(Side.BUY, D(price), D(size), D(tick))


def test_less_than_a_cent_buys_nothing():
    with pytest.raises(VenueRefused):
        market_buy_amounts(9_999, D("0.5"), D("0.01"))


@given(on_grid(), SIZES, st.sampled_from(Side))
def test_limit_amounts_equal_the_official_client_but_for_its_floats(grid, size, side):
    builder = pytest.importorskip("py_clob_client_v2.order_builder.builder")
    tick, price = grid
    if size > 100_000:
        return
    config = builder.ROUNDING_CONFIG[format(tick.normalize(), "f")]
    made = builder.OrderBuilder.__new__(builder.OrderBuilder)
    _, maker, taker = made.get_order_amounts(side.value, float(size), float(price), config)
    found = limit_amounts(side, price, size, tick)
    ours, theirs = (
        ((found.taker, found.maker), (taker, maker))
        if side is Side.BUY
        else ((found.maker, found.taker), (maker, taker))
    )
    # It computes in floats: 0.57 * 100 is 56.99..., so it can send a hundredth of a share less than was asked.
    assert ours[0] - theirs[0] in (0, 10_000)
    if ours[0] == theirs[0]:
        assert abs(ours[1] - theirs[1]) <= 1
