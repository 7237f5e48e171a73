"""Retention: hot data untouched, warm data thinned to minutes, cold data to hourly bars, nothing half done."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.domain.errors import UsageError
from core.engine.catalog import Catalog, CatalogWriter, Kind, TradeColumns
from core.engine.catalog.retention import HOUR_NS, MINUTE_NS, Windows, clean_catalog
from core.engine.catalog.tops import tops_of
from core.engine.catalog.verify import verify_catalog
from tests.unit.core.engine.catalog.conftest import (
    NO,
    YES,
    S,
    make_deltas,
    make_market,
    make_quotes,
)

DAY = 24 * HOUR_NS
#: A whole day, so that minutes and hours are easy to count.
START = 20_000 * DAY


@pytest.fixture
def long_catalog(tmp_path: Path) -> Path:
    """Six hours of a book and of quotes, one change every ten seconds, and a trade every minute."""
    path, n = tmp_path / "long", 6 * 360
    deltas = make_deltas(n, START)
    deltas.ts_event[1:] = START + np.arange(n - 1, dtype=np.int64) * 10 * S
    quotes = make_quotes(n, START)
    quotes.ts_event[:] = START + np.arange(n, dtype=np.int64) * 10 * S
    quotes.bid[:] = 4000 + 100 * (np.arange(n) % 3)
    quotes.ask[:] = quotes.bid + 200
    trades = TradeColumns(
        ts_event=START + np.arange(360, dtype=np.int64) * MINUTE_NS,
        price=np.full(360, 4100, dtype=np.int64),
        size=np.full(360, 50, dtype=np.int64),
        aggressor=np.ones(360, dtype=np.uint8),
    )
    with CatalogWriter(path, name="long") as writer:
        writer.markets([make_market(close_ns=0).resolved_as((Decimal(1), Decimal(0)))])
        writer.deltas(YES, deltas)
        writer.quotes(NO, quotes)
        writer.trades(YES, trades)
        writer.closes(YES, START + DAY, Decimal(1))
        writer.closes(NO, START + DAY, Decimal(0))
    return path


def windows(hot_hours: float, warm_hours: float) -> Windows:
    return Windows(hot_hours / 24, warm_hours / 24)


NOW = START + 6 * HOUR_NS


def test_hot_warm_and_cold_have_their_detail(long_catalog: Path) -> None:
    before = Catalog.open(long_catalog)
    done = clean_catalog(long_catalog, windows(2, 4), NOW)
    after = Catalog.open(long_catalog)
    assert done.applied
    assert done.rows_after < done.rows_before / 2
    assert after.meta.full_from_ns == START + 4 * HOUR_NS
    assert after.meta.minutes_from_ns == START + 2 * HOUR_NS
    quotes, old = after.quotes(NO), before.quotes(NO)
    np.testing.assert_array_equal(
        quotes.ts[quotes.ts >= after.meta.full_from_ns], old.ts[old.ts >= after.meta.full_from_ns]
    )
    warm = quotes.ts[quotes.ts < after.meta.full_from_ns]
    assert len(warm) == 120
    assert warm.min() >= after.meta.minutes_from_ns
    bars = after.bars(f"{NO}-1-HOUR-MID-EXTERNAL")
    assert bars.ts.tolist() == [START + HOUR_NS, START + 2 * HOUR_NS]
    assert (bars.high.max(), bars.low.min()) == (4300, 4100)
    assert len(after.trades(YES)) == 240
    assert after.bars(f"{YES}-1-HOUR-MID-EXTERNAL").volume.tolist() == [60 * 50, 60 * 50]
    assert after.kinds(YES) >= {Kind.CLOSES, Kind.BARS, Kind.DELTAS, Kind.QUOTES}
    assert verify_catalog(after).findings == []


def test_the_hot_book_begins_whole(long_catalog: Path) -> None:
    before = tops_of(Catalog.open(long_catalog).deltas(YES))
    clean_catalog(long_catalog, windows(2, 4), NOW)
    catalog = Catalog.open(long_catalog)
    after = tops_of(catalog.deltas(YES))
    hot = before.ts >= catalog.meta.full_from_ns
    for name in ("ts_event", "bid", "ask", "bid_size", "ask_size"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name)[hot])


def test_a_dry_run_changes_nothing(long_catalog: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in long_catalog.rglob("*")}
    done = clean_catalog(long_catalog, windows(0, 0), NOW, dry_run=True)
    assert not done.applied
    assert done.rows_after < done.rows_before
    assert {p: p.stat().st_mtime_ns for p in long_catalog.rglob("*")} == before


def test_cleaning_again_goes_on_where_it_stopped(long_catalog: Path) -> None:
    clean_catalog(long_catalog, windows(4, 5), NOW)
    clean_catalog(long_catalog, windows(2, 4), NOW)
    twice = Catalog.open(long_catalog)
    assert twice.bars(f"{NO}-1-HOUR-MID-EXTERNAL").ts.tolist() == [
        START + HOUR_NS,
        START + 2 * HOUR_NS,
    ]
    assert verify_catalog(twice).findings == []


def test_nothing_old_means_nothing_done(long_catalog: Path) -> None:
    sha = Catalog.open(long_catalog).meta.content_sha
    done = clean_catalog(long_catalog, Windows(30, 180), NOW)
    assert (done.series, done.applied) == (0, False)
    assert Catalog.open(long_catalog).meta.content_sha == sha


@pytest.mark.parametrize("bad", [(-1.0, 2.0), (3.0, 2.0)])
def test_windows_that_make_no_sense_are_refused(
    long_catalog: Path, bad: tuple[float, float]
) -> None:
    with pytest.raises(UsageError):
        clean_catalog(long_catalog, Windows(*bad), NOW)
