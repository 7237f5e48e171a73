"""What the data showed at a moment: nothing from after it."""

from __future__ import annotations

import pytest

from core.domain.errors import MissingData, UsageError
from core.engine.catalog import Catalog
from core.engine.catalog.moment import market_at
from tests.unit.core.engine.rig import D, Tape, level, market, ns, snapshot, write


@pytest.fixture
def catalog(tmp_path):
    books = [*snapshot(1, [("0.40", "50")], [("0.50", "5")]), *level(5, 1, "0.44", "7")]
    tapes = {
        "M-YES.PM": Tape(books=books, trades=[(3, "0.50", "2", 1), (9, "0.44", "1", 2)]),
        "M-NO.PM": Tape(quotes=[(2, "0.45", "0.60", "10", "0")]),
    }
    return Catalog.open(write(tmp_path / "c", [market()], tapes))


def test_the_newest_rows_up_to_the_moment_are_told(catalog):
    at = market_at(catalog, "M-YES.PM", ns(5))
    assert at["book"]["ts_ns"] == ns(5)
    assert (at["book"]["bid"], at["book"]["bid_size"]) == (D("0.44"), D(7))
    assert (at["trade"]["price"], at["trade"]["ts_ns"]) == (D("0.50"), ns(3))


def test_nothing_after_the_moment_is_told(catalog):
    at = market_at(catalog, "M-YES.PM", ns(5) - 1)
    assert at["book"]["bid"] == D("0.40")
    assert market_at(catalog, "M-NO.PM", ns(60))["quote"]["ask_size"] == 0


def test_a_moment_before_the_data_and_an_unknown_instrument_are_refused(catalog):
    with pytest.raises(MissingData, match="yet"):
        market_at(catalog, "M-YES.PM", ns(0))
    with pytest.raises(UsageError, match="no data of this instrument"):
        market_at(catalog, "X-YES.PM", ns(5))
