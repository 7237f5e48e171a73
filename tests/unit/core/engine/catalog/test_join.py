"""Catalogs as one: everything of each, nothing twice, made again when a part changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.domain.errors import MissingData, OverlappingData, UsageError
from core.domain.market import MarketStatus
from core.engine.catalog import Catalog, CatalogWriter, Pair, TradeColumns
from core.engine.catalog.join import find_catalogs, joined
from core.engine.catalog.verify import verify_catalog
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.rig import D, Tape, market, ns, run, snapshot, write

SPOT = "BTCUSDT.BINANCE"


def spot(path, name="spot", price=100_00):
    with CatalogWriter(path / name, synthetic=False, source=name) as out:
        out.pairs([Pair(SPOT, "BTC", "USDT", 2, 6)])
        out.trades(
            SPOT,
            TradeColumns(
                ts_event=np.array([ns(2), ns(4)], dtype=np.int64),
                price=np.array([price, price + 1], dtype=np.int64),
                size=np.array([1, 1], dtype=np.int64),
                aggressor=np.zeros(2, dtype=np.uint8),
                price_precision=2,
                size_precision=6,
            ),
        )
        out.note(f"note of {name}")
    return path / name


def books(path, name="books", **changes):
    tape = Tape(books=snapshot(1, [("0.40", "50")], [("0.50", "50")]), close=(20, "1"))
    other = Tape(books=snapshot(1, [("0.45", "50")], [("0.60", "50")]), close=(20, "0"))
    paid = [replace(o, payout=D(n)) for n, o in zip("10", market().outcomes, strict=True)]
    resolved = market(outcomes=tuple(paid), status=MarketStatus.RESOLVED, **changes)
    return write(path / name, [resolved], {"M-YES.PM": tape, "M-NO.PM": other})


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BETA_CATALOGS", str(tmp_path))
    return tmp_path


def test_two_catalogs_named_together_hold_what_each_holds(home):
    books(home), spot(home)
    both = find_catalogs("books,spot")
    assert both.root == home / "books+spot"
    assert both.instrument_ids() == (SPOT, "M-NO.PM", "M-YES.PM")
    assert both.meta.synthetic, "one part is synthetic"
    assert "note of spot" in both.meta.notes
    assert verify_catalog(both).passed
    sums = {e.path: e.sha256 for e in both.manifest() if e.kind.value in ("deltas", "trades")}
    for part in ("books", "spot"):
        for entry in Catalog.open(home / part).manifest():
            assert entry.path not in sums or sums[entry.path] == entry.sha256


class SeesBoth(BetaStrategy):
    seen: tuple = ()

    def on_start(self) -> None:
        type(self).seen = ()
        self.watch_trades(SPOT)
        self.watch_quotes("M-YES.PM")

    def on_trade(self, trade) -> None:
        type(self).seen += (("spot", trade.ts_init),)

    def on_quote(self, quote) -> None:
        type(self).seen += (("book", quote.ts_init),)


def test_a_run_sees_both_in_the_order_of_time(home):
    books(home), spot(home)
    run(find_catalogs("books,spot").root, SeesBoth)
    assert SeesBoth.seen == (("book", ns(1)), ("spot", ns(2)), ("spot", ns(4)))


def test_it_is_used_again_until_a_part_changes(home):
    books(home), spot(home)
    first = find_catalogs("books,spot")
    made = (first.root / "catalog.json").stat().st_ino
    again = find_catalogs("books,spot")
    assert (again.root / "catalog.json").stat().st_ino == made
    import shutil

    shutil.rmtree(home / "spot")
    spot(home, price=200_00)
    changed = find_catalogs("books,spot")
    assert changed.meta.content_sha != first.meta.content_sha
    assert changed.trades(SPOT).price[0] == 200_00


def test_the_same_data_twice_is_refused(home):
    spot(home, "a"), spot(home, "b")
    with pytest.raises(OverlappingData, match="already there"):
        find_catalogs("a,b")
    assert sorted(p.name for p in home.iterdir() if not p.name.startswith(".")) == ["a", "b"]


def test_markets_that_differ_are_refused_and_a_payout_is_kept(home):
    one, two = market(), replace(market(), question="another?")
    quotes = {"M-YES.PM": Tape(quotes=[(3, "0.4", "0.5", "1", "1")])}
    books(home)
    write(home / "known", [one], quotes)
    write(home / "other", [two], quotes)
    assert find_catalogs("books,known").markets()["M"].resolved
    assert find_catalogs("known,books").markets()["M"].resolved
    with pytest.raises(OverlappingData, match="differently"):
        find_catalogs("books,other")


def test_bad_names_are_refused(home):
    spot(home)
    with pytest.raises(UsageError, match="twice"):
        find_catalogs("spot,spot")
    with pytest.raises(MissingData, match="no such catalog"):
        find_catalogs("spot,nowhere")


def test_a_name_that_is_taken_is_not_overwritten(home):
    books(home), spot(home), spot(home, "mine")
    parts = [Catalog.open(home / "books"), Catalog.open(home / "spot")]
    with pytest.raises(OverlappingData, match="exists already"):
        joined(parts, home / "mine")


class BuysOnSpot(BetaStrategy):
    """A decision that needs both catalogs: spot trades say when, the book says at what price."""

    def on_start(self) -> None:
        self.watch_trades(SPOT)

    def on_trade(self, trade) -> None:
        ask = self.best_ask("M-YES.PM")
        if ask is not None and not self.position("M-YES.PM"):
            self.buy("M-YES.PM", D(5), ask.price, reason="spot")


def test_a_run_on_both_is_found_and_repeated_by_its_ledger(home):
    from core.engine.replay.recorded import catalog_for, recorded_run

    books(home), spot(home)
    result = run(find_catalogs("books,spot").root, BuysOnSpot, ledger=home / "ledger")
    assert [f.price for f in result.fills if f.role == "taker"] == [D("0.50")]
    recorded = recorded_run(home / "ledger")
    assert catalog_for(recorded).root == home / "books+spot"
    again = run(catalog_for(recorded).root, BuysOnSpot)
    assert again.decision_hash == result.decision_hash
