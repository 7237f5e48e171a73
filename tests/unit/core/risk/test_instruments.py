"""The integer grid says what the market's tick grid says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import MarketError
from core.domain.grid import Band, TickGrid
from core.domain.market import MarketStatus
from core.risk.instruments import Grid, MarketState
from core.risk.units import shares
from tests.unit.core.risk.world import D, market

GRIDS = [
    TickGrid.uniform(D("0.01")),
    TickGrid.uniform(D("0.001")),
    TickGrid((Band(D(0), D("0.1"), D("0.001")), Band(D("0.1"), D("0.9"), D("0.01")),
              Band(D("0.9"), D(1), D("0.001")))),
    TickGrid((Band(D(0), D(1_000_000), D("0.01")),)),
]  # fmt: skip


@given(st.sampled_from(GRIDS), st.decimals("-0.01", "1.01", places=4))
def test_the_integer_grid_agrees_with_the_tick_grid(grid: TickGrid, price: Decimal):
    own = Grid.of(grid)
    nanos = int(price * 10**9)
    assert own.contains(nanos) is grid.contains(price)
    assert own.contains(own.floor(nanos))
    assert own.contains(own.ceil(nanos))
    if grid.lowest <= price <= grid.highest:
        assert shares(own.floor(nanos)) == grid.snap_down(price)
        assert shares(own.ceil(nanos)) == grid.snap_up(price)
        assert shares(own.step_at(nanos)) in {b.step for b in grid.bands}


def test_a_market_moves_only_as_markets_do():
    state = MarketState(market("KALSHI", "K1", open_ns=10, close_ns=20))
    assert state.closed_because(9) == "before open"
    assert state.closed_because(10) == ""
    assert state.closed_because(20) == "past close"
    state.move(MarketStatus.RESOLVED)
    state.move(MarketStatus.ACTIVE)
    assert state.closed_because(15) == "resolved"


def test_a_grid_finer_than_a_billionth_is_refused():
    with pytest.raises(MarketError):
        Grid.of(TickGrid.uniform(D("1e-10")))
