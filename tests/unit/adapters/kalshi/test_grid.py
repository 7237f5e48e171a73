from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path

import pytest

from adapters.kalshi.grid import grid_from_price_ranges
from core.domain.errors import MarketError


def test_a_tapered_grid_is_fine_at_the_tails_and_coarse_between():
    grid = grid_from_price_ranges(
        [
            {"start": "0.9000", "end": "1.0000", "step": "0.0010"},
            {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
            {"start": "0.1000", "end": "0.9000", "step": "0.0100"},
        ]
    )
    assert grid.contains(D("0.005"))
    assert not grid.contains(D("0.105"))
    assert grid.snap_down(D("0.115")) == D("0.11")
    assert grid.lowest == D("0.001")
    assert grid.highest == D("0.999")


def test_every_recorded_market_has_a_grid_that_holds_its_quotes(shared_fixtures: Path):
    seen = 0
    for name in ("rest_markets_settled.json", "rest_markets_combo_mve.json", "rest_market.json"):
        body = json.loads((shared_fixtures / "kalshi" / name).read_text())
        for market in body.get("markets") or [body["market"]]:
            grid = grid_from_price_ranges(market["price_ranges"])
            for key in ("yes_bid_dollars", "yes_ask_dollars"):
                price = D(market[key])
                assert price in (0, 1) or grid.contains(price)
            seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [{"start": "0", "end": "1"}],
        [{"start": "0", "end": "1", "step": "0"}],
        [{"start": "0", "end": "1", "step": "abc"}],
        [{"start": "0", "end": "0.4", "step": "0.1"}, {"start": "0.5", "end": "1", "step": "0.1"}],
        [None],
    ],
)
def test_ranges_that_are_no_grid_are_refused(ranges):
    with pytest.raises(MarketError):
        grid_from_price_ranges(ranges)
