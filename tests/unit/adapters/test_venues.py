from __future__ import annotations

import pytest

from core.engine.venues import VENUE_PATHS, load_venue


@pytest.mark.parametrize("code", sorted(VENUE_PATHS))
def test_every_venue_loads_by_its_import_string(code):
    venue = load_venue(code)
    assert venue.code == code
    assert venue.fee_book() is not venue.fee_book()


def test_only_kalshi_nets_outcomes():
    assert [c for c in sorted(VENUE_PATHS) if load_venue(c).nets_outcomes] == ["KALSHI"]
