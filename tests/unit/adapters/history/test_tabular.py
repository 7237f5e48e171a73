"""Users' own tables: exact round trips, mirrored outcomes, and every class of bad row named."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from adapters.history.report import IngestReport
from adapters.history.tabular import TableOptions, export_table, ingest_table
from core.domain.errors import CorruptData, MissingData, UsageError
from core.engine.catalog import Catalog
from core.engine.catalog.tops import tops_of
from core.engine.catalog.verify import verify_catalog

T0 = "2026-03-01T00:00:00Z"
NS = 1_772_323_200_000_000_000
YES, NO = "m1-YES.POLYMARKET", "m1-NO.POLYMARKET"

TRADES = """ts,market,price,size,taker,id
2026-03-01T00:00:00Z,m1,0.41,10,buy,a
2026-03-01T00:00:01.5Z,m1,0.40,2.25,sell,b
1772323202,m1,0.405,7,,c
"""
QUOTES = """ts,market,bid,bid_size,ask,ask_size
2026-03-01T00:00:00Z,m1,0.40,100,0.42,50
2026-03-01 00:00:01,m1,,,0.43,25
1772323202000,m1,0.41,5,,
"""
DELTAS = """ts,market,side,price,size,snapshot
2026-03-01T00:00:00Z,m1,bid,0.40,100,1
2026-03-01T00:00:00Z,m1,ask,0.42,50,1
2026-03-01T00:00:01Z,m1,bid,0.41,20,
2026-03-01T00:00:02Z,m1,bid,0.41,0,
2026-03-01T00:00:03Z,m1,bid,0.30,7,1
2026-03-01T00:00:03Z,m1,ask,0.50,8,1
"""
BARS = """ts,instrument,open,high,low,close,volume
2026-03-01T00:00:00Z,BTCUSDT.BINANCE,100.5,101,99.25,100,12.5
2026-03-01T01:00:00Z,BTCUSDT.BINANCE,100,102,100,101.75,3
"""


def run(tmp_path: Path, fmt: str, text: str, **options: Any) -> tuple[IngestReport, Catalog]:
    source = tmp_path / f"{fmt}.csv"
    source.write_text(text)
    report = ingest_table(source, fmt, tmp_path / "c", TableOptions(**options), mode="replace")
    return report, Catalog.open(tmp_path / "c")


def test_trades_are_exact_and_mirrored_to_the_other_outcome(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, "trades", TRADES)
    yes, no = catalog.trades(YES), catalog.trades(NO)
    assert yes.ts_event.tolist() == [NS, NS + 1_500_000_000, NS + 2_000_000_000]
    assert yes.price.tolist() == [4100, 4000, 4050]
    assert yes.size.tolist() == [1000, 225, 700]
    assert yes.aggressor.tolist() == [1, 2, 0]
    assert no.price.tolist() == [5900, 6000, 5950]
    assert no.aggressor.tolist() == [2, 1, 0]
    assert report.issues["unresolved"]["rows"] == 1
    assert verify_catalog(catalog).passed


def test_an_empty_price_is_a_side_without_an_order(tmp_path: Path) -> None:
    _, catalog = run(tmp_path, "quotes", QUOTES)
    yes, no = catalog.quotes(YES), catalog.quotes(NO)
    assert yes.bid.tolist() == [4000, 0, 4100]
    assert yes.bid_size.tolist() == [10000, 0, 500]
    assert yes.ask.tolist() == [4200, 4300, 10000]
    assert no.bid.tolist() == [5800, 5700, 0]
    assert no.ask.tolist() == [6000, 10000, 5900]
    assert no.ask_size.tolist() == [10000, 0, 500]


def test_a_snapshot_replaces_the_book(tmp_path: Path) -> None:
    _, catalog = run(tmp_path, "deltas", DELTAS)
    tops = tops_of(catalog.deltas(YES))
    assert tops.bid.tolist() == [4000, 4100, 4000, 3000, 0]
    assert tops.ask.tolist() == [4200, 4200, 4200, 5000, 10000]
    assert tops_of(catalog.deltas(NO)).ask.tolist() == [6000, 5900, 6000, 7000, 10000]


def test_bars_are_dated_to_their_close(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, "bars", BARS, bar="1-HOUR")
    bars = catalog.bars("BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL")
    assert bars.ts_event.tolist() == [NS + 3_600 * 10**9, NS + 7_200 * 10**9]
    assert bars.low.tolist() == [9925, 10000]
    assert bars.volume.tolist() == [12_500_000, 3_000_000]
    assert report.issues == {}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("fmt", ["trades", "quotes", "deltas"])
def test_what_is_exported_comes_back_the_same(tmp_path: Path, fmt: str, suffix: str) -> None:
    _, first = run(tmp_path, fmt, {"trades": TRADES, "quotes": QUOTES, "deltas": DELTAS}[fmt])
    out = tmp_path / "out" / f"again.{suffix}"
    assert export_table(first, fmt, NO, out) > 0
    ingest_table(out, fmt, tmp_path / "again", TableOptions())
    second = Catalog.open(tmp_path / "again")
    for iid in (YES, NO):
        a, b = (getattr(c, fmt)(iid) for c in (first, second))
        for name in a.__dataclass_fields__:
            x, y = getattr(a, name), getattr(b, name)
            if isinstance(x, np.ndarray) and name not in ("sequence",):
                np.testing.assert_array_equal(x, y, err_msg=f"{iid} {name}")
    assert export_table(first, fmt, YES, tmp_path / "yes.csv") > 0


def test_exported_bars_come_back_the_same(tmp_path: Path) -> None:
    _, first = run(tmp_path, "bars", BARS, bar="1-HOUR")
    key = "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"
    export_table(first, "bars", key, tmp_path / "b.csv")
    ingest_table(tmp_path / "b.csv", "bars", tmp_path / "again", TableOptions(bar="1-HOUR"))
    again = Catalog.open(tmp_path / "again").bars(key)
    np.testing.assert_array_equal(again.close, first.bars(key).close)
    np.testing.assert_array_equal(again.ts, first.bars(key).ts)


MARKETS = """market,question,event,tick,close_time,result,settled_time,strike,strike_type
m1,Will it?,e1,0.01,2026-03-02T00:00:00Z,yes,2026-03-02T01:00:00Z,100.5,greater
m2,Void?,e1,0.01,2026-03-02,0.5,2026-03-03,,
m3,Bad?,e1,zero,2026-03-02,,,,
,No id,,,,,,,
m1,Again?,e1,0.01,2026-03-02,no,,,
m4,Late?,e1,0.01,,yes,,,
"""


def test_market_descriptions_settle_and_bad_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "markets.csv").write_text(MARKETS)
    text = TRADES + "2026-03-01T00:00:03Z,m2,0.5,1,buy,d\n2026-03-01T00:00:03Z,m9,0.5,1,buy,e\n"
    report, catalog = run(tmp_path, "trades", text, markets=tmp_path / "markets.csv")
    markets = catalog.markets()
    assert markets["m1"].outcomes[0].payout == 1
    assert markets["m1"].strike == Decimal("100.5")
    assert [o.payout for o in markets["m2"].outcomes] == [Decimal("0.5"), Decimal("0.5")]
    assert catalog.events()["e1"].market_ids == ("m1", "m2")
    assert not catalog.events()["e1"].complete
    lines = [json.loads(x) for x in Path(report.issues_file).read_text().splitlines()]
    bad = [(x["row"], x["subject"]) for x in lines if x["code"] == "bad_market"]
    assert bad == [(2, "m3"), (3, ""), (4, "m1"), (5, "m4")]
    assert report.issues["unknown_market"]["first"][0]["subject"] == "m9"


BAD_TRADES = {
    "not_a_number": "2026-03-01T00:00:05Z,m1,nan,1,buy,x",
    "off_precision": "2026-03-01T00:00:05Z,m1,0.41234,1,buy,x",
    "bad_price": "2026-03-01T00:00:05Z,m1,1.0,1,buy,x",
    "bad_size": "2026-03-01T00:00:05Z,m1,0.4,0,buy,x",
    "bad_side": "2026-03-01T00:00:05Z,m1,0.4,1,both,x",
    "bad_time": "yesterday,m1,0.4,1,buy,x",
    "duplicate": "2026-03-01T00:00:05Z,m1,0.4,1,buy,a",
    "ragged": "2026-03-01T00:00:05Z,m1,0.4,1,buy,x,surplus",
}


@pytest.mark.parametrize("code", BAD_TRADES)
def test_a_bad_row_is_dropped_and_named(tmp_path: Path, code: str) -> None:
    report, catalog = run(tmp_path, "trades", TRADES + BAD_TRADES[code] + "\n")
    first = report.issues[code]["first"][0]
    assert (first["file"], first["row"], first["fate"]) == ("trades.csv", 3, "dropped")
    assert len(catalog.trades(YES)) == 3


def test_rows_out_of_order_are_sorted_and_named(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, "trades", TRADES + "2026-03-01T00:00:01Z,m1,0.4,1,buy,x\n")
    assert report.issues["out_of_order"]["fate"] == {"repaired": 1}
    assert (np.diff(catalog.trades(YES).ts) >= 0).all()


def test_crossed_quotes_and_books_do_not_reach_a_strategy(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, "quotes", QUOTES + "1772323203,m1,0.5,1,0.4,1\n")
    assert report.issues["crossed"]["fate"] == {"dropped": 1}
    assert len(catalog.quotes(YES)) == 3
    crossing = DELTAS + "2026-03-01T00:00:04Z,m1,bid,0.60,5,\n2026-03-01T00:00:05Z,m1,bid,0.60,0,\n"
    report, catalog = run(tmp_path, "deltas", crossing)
    assert report.issues["crossed"]["fate"] == {"repaired": 1}
    assert verify_catalog(catalog).passed


def test_gaps_between_bars_are_named(tmp_path: Path) -> None:
    text = BARS + "2026-03-01T05:00:00Z,BTCUSDT.BINANCE,100,102,100,101.75,3\n"
    report, _ = run(tmp_path, "bars", text, bar="1-HOUR")
    assert report.issues["time_gap"]["rows"] == 3


@pytest.mark.parametrize(
    ("fmt", "options", "message"),
    [
        ("candles", {}, "unknown table format"),
        ("trades", {"venue": "no where"}, "venue code"),
        ("bars", {"bar": "hourly"}, "bars need their step"),
    ],
)
def test_wrong_arguments_are_refused(
    tmp_path: Path, fmt: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, fmt, BARS, **options)
    assert not (tmp_path / "c").exists()


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingData):
        ingest_table(tmp_path / "nosuch.csv", "trades", tmp_path / "c")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(MissingData):
        ingest_table(tmp_path / "empty.csv", "trades", tmp_path / "c")
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    with pytest.raises(CorruptData, match="cannot be read"):
        ingest_table(tmp_path / "x.parquet", "trades", tmp_path / "c")
    (tmp_path / "y.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorruptData, match="lacks columns ts, market, price, size"):
        ingest_table(tmp_path / "y.csv", "trades", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_unknown_series_cannot_be_exported(tmp_path: Path) -> None:
    _, catalog = run(tmp_path, "trades", TRADES)
    with pytest.raises(UsageError, match="no such instrument"):
        export_table(catalog, "trades", "x.POLYMARKET", tmp_path / "o.csv")
    with pytest.raises(UsageError, match="unknown table format"):
        export_table(catalog, "ticks", YES, tmp_path / "o.csv")
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        export_table(catalog, "trades", YES, tmp_path / "o.xlsx")
    with pytest.raises(MissingData):
        export_table(catalog, "quotes", YES, tmp_path / "o.csv")


def test_parquet_with_real_types_is_read(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "ts": pl.Series([NS, NS + 1]).cast(pl.Datetime("ns", "UTC")),
            "market": ["m1", "m1"],
            "price": [0.41, 0.42],
            "size": [1.0, 2.5],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    ingest_table(tmp_path / "t.parquet", "trades", tmp_path / "c")
    trades = Catalog.open(tmp_path / "c").trades(YES)
    assert trades.ts.tolist() == [NS, NS + 1]
    assert trades.price.tolist() == [4100, 4200]
