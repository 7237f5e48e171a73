"""The stand-in of Kraken: recorded spot in step with the market, whatever was cut out of it."""

import numpy as np
import pytest

from adapters.fake.kalshi.process import with_spot
from adapters.fake.replay import load_tape, moved_times, squeezed
from adapters.fake.spot import base_of, load_spot, spot_rows
from core.domain.errors import MissingData
from core.engine.catalog import Pair, TradeColumns
from core.engine.catalog.reader import Catalog
from core.engine.catalog.writer import CatalogWriter
from tests.integration.kalshi_session import START_NS, TICKERS, write_catalog

S = 1_000_000_000


@pytest.fixture
def catalog(tmp_path):
    from dataclasses import replace

    path = write_catalog(tmp_path / "walk", steps=40)
    base = Catalog.open(path)
    named = [
        replace(m, underlying="BTC-USD.TEST" if m.market_id == TICKERS[0] else "")
        for m in base.markets().values()
    ]
    times = START_NS + np.arange(-200, 60, dtype=np.int64) * S // 10
    with CatalogWriter(path, name="walk", synthetic=True, mode="extend") as writer:
        writer.markets(named)
        writer.pairs([Pair("BTC-USD.TEST", "BTC", "USD")])
        writer.trades(
            "BTC-USD.TEST",
            TradeColumns(
                ts_event=times,
                price_precision=2,
                size_precision=6,
                price=8_000_000 + np.arange(len(times), dtype=np.int64),
                size=np.ones(len(times), dtype=np.int64),
                aggressor=np.zeros(len(times), dtype=np.uint8),
            ),
        )
    return Catalog.open(path)


def test_only_markets_with_recorded_spot_are_chosen(catalog):
    assert with_spot(catalog) == [TICKERS[0]]
    markets = catalog.markets()
    assert base_of(catalog, markets[TICKERS[0]]) == "BTC"
    assert base_of(catalog, markets[TICKERS[1]]) == ""
    assert spot_rows(catalog, markets[TICKERS[0]]) > 30
    assert spot_rows(catalog, markets[TICKERS[1]]) == 0


def test_a_catalog_without_spot_is_refused(tmp_path):
    plain = Catalog.open(write_catalog(tmp_path / "plain", steps=12))
    with pytest.raises(MissingData, match="spot"):
        with_spot(plain)


def test_spot_begins_with_the_tape_and_ends_with_its_markets(catalog):
    tape = load_tape(catalog, [TICKERS[0]])
    (spot,) = load_spot(catalog, tape, tape)
    assert spot.symbol == "BTC/USD"
    assert spot.ts_ns[0] >= tape.ts_ns[0]
    assert spot.ts_ns[-1] <= tape.markets[0].close_ns
    assert (np.diff(spot.ts_ns) > 0).all()


def test_spot_moves_along_where_quiet_stretches_are_cut(catalog):
    tape = load_tape(catalog, [TICKERS[0]])
    cut = squeezed(tape, 20_000_000)
    (whole,), (spot,) = load_spot(catalog, tape, tape), load_spot(catalog, tape, cut)
    assert 0 < len(spot.ts_ns) < len(whole.ts_ns), "what lies in a cut is left out"
    assert (np.diff(spot.ts_ns) >= 0).all()
    assert spot.ts_ns[-1] <= cut.ts_ns[-1]
    moved, inside = moved_times(tape, cut, tape.ts_ns)
    assert (moved == cut.ts_ns).all()
    assert inside.all()
