"""Kalshi L2 sessions: exact books from good rows; every class of bad row reported and never traded on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adapters.history.report import IngestReport
from adapters.history.sets import ingest
from core.domain.errors import CorruptData, MissingData, UsageError
from core.engine.catalog import Catalog
from core.engine.catalog.tops import tops_of
from core.engine.catalog.verify import verify_catalog

CLOSE = datetime(2026, 5, 11, 12, 15, tzinfo=UTC)
TICKER = "KXBTC15M-26MAY110815-15"
YES, NO = f"{TICKER}-YES.KALSHI", f"{TICKER}-NO.KALSHI"


def delta(seq: int, side: str, price: float, change: float, **more: Any) -> dict[str, Any]:
    base = {
        "ticker": TICKER,
        "conn": "c1",
        "seq": seq,
        "exchange_ts": CLOSE - timedelta(minutes=10) + timedelta(milliseconds=100 * seq),
        "side": side,
        "price": price,
        "delta": change,
    }
    return {**base, **more}


GOOD = [
    delta(2, "yes", 0.45, 10.0),
    delta(3, "no", 0.52, 25.5),
    delta(4, "yes", 0.45, -10.0),
    delta(5, "yes", 0.42, 5.0),
]


def make_set(
    folder: Path,
    deltas: list[dict[str, Any]],
    *,
    ticker: list[dict[str, Any]] | None = None,
    conns: tuple[str, ...] = ("c1",),
    result: str | None = "yes",
    source: str | None = "recorded",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    schema = {
        "ticker": pl.String,
        "conn": pl.String,
        "seq": pl.Int64,
        "exchange_ts": pl.Datetime("us", "UTC"),
        "side": pl.String,
        "price": pl.Float64,
        "delta": pl.Float64,
    }
    pl.DataFrame(deltas, schema=schema).write_parquet(folder / "deltas.parquet")
    pl.DataFrame(
        {
            "ticker": [TICKER] * len(conns),
            "conn": list(conns),
            "seq": [1] * len(conns),
            "yes": [[[0.40, 100.0], [0.42, 50.0]]] * len(conns),
            "no": [[[0.50, 80.0]]] * len(conns),
        }
    ).write_parquet(folder / "snapshots.parquet")
    pl.DataFrame(
        {
            "ticker": [TICKER],
            "result": [result],
            "settlement_ts": ["2026-05-11T12:15:14.5Z"],
            "close_time": ["2026-05-11T12:15:00Z"],
            "strike": [80938.41],
            "settlement_price": [81000.0],
            "result_source": [source],
        }
    ).write_csv(folder / "markets.csv")
    if ticker is not None:
        pl.DataFrame(ticker).write_parquet(folder / "ticker.parquet")
    return folder


def run(tmp_path: Path, deltas: list[dict[str, Any]], **more: Any) -> tuple[IngestReport, Catalog]:
    source = make_set(tmp_path / "set", deltas, **more)
    report = ingest("kalshi_btc15m_l2", source, tmp_path / "catalogs" / "k")
    return report, Catalog.open(tmp_path / "catalogs" / "k")


def listed(report: IngestReport, code: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path(report.issues_file).read_text().splitlines()]
    return [line for line in lines if line["code"] == code]


def test_both_books_mirror_each_other_at_every_moment(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, GOOD)
    yes, no = tops_of(catalog.deltas(YES)), tops_of(catalog.deltas(NO))
    # Snapshot and first change share a moment, four changes in all, then the final clear.
    assert yes.bid.tolist() == [4500, 4500, 4200, 4200, 0]
    assert yes.bid_size.tolist() == [1000, 1000, 5000, 5500, 0]
    assert yes.ask.tolist() == [5000, 4800, 4800, 4800, 10000]
    assert yes.ask_size.tolist() == [8000, 2550, 2550, 2550, 0]
    assert no.bid.tolist() == [5000, 5200, 5200, 5200, 0]
    assert no.ask.tolist() == [5500, 5500, 5800, 5800, 10000]
    assert no.ask_size.tolist() == yes.bid_size.tolist()
    assert report.issues == {}
    assert verify_catalog(catalog).findings == []


def test_the_market_carries_strike_close_and_settlement(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, GOOD)
    market = catalog.markets()[TICKER]
    assert market.strike == Decimal("80938.41")
    assert market.outcomes[0].payout == 1
    assert market.outcomes[1].payout == 0
    assert market.grid.contains(Decimal("0.095"))
    assert not market.grid.contains(Decimal("0.105"))
    assert (report.markets, report.settled, report.unresolved) == (1, 1, 0)


def test_a_market_without_a_result_is_flagged_and_never_settled(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, GOOD, result=None, source=None)
    assert report.unresolved == 1
    assert report.issues["unresolved"]["first"][0]["subject"] == TICKER
    assert not catalog.markets()[TICKER].resolved


def test_a_derived_result_is_left_open_on_request(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", GOOD, source="next_strike_rule")
    target = tmp_path / "catalogs" / "k"
    report = ingest("kalshi_btc15m_l2", source, target, options={"official_only": True})
    assert report.unresolved == 1
    assert report.issues["unofficial_label"]["rows"] == 1
    report = ingest("kalshi_btc15m_l2", source, target, mode="replace")
    assert report.settled == 1


BAD = {
    "nan price": ("not_a_number", {"price": float("nan")}),
    "null size": ("not_a_number", {"delta": None}),
    "infinite size": ("not_a_number", {"delta": float("inf")}),
    "price finer than 4 decimals": ("off_precision", {"price": 0.45001}),
    "size finer than 2 decimals": ("off_precision", {"delta": 1.005}),
    "price of one dollar": ("bad_price", {"price": 1.0}),
    "price below zero": ("bad_price", {"price": -0.2}),
    "no change": ("bad_size", {"delta": 0.0}),
    "unknown side": ("bad_side", {"side": "maybe"}),
    "no time": ("bad_time", {"exchange_ts": None}),
    "negative level": ("negative_level", {"delta": -11.0}),
    "missing sequence number": ("sequence_gap", {"seq": 7}),
    "repeated sequence number": ("duplicate", {"seq": 3}),
    "crossed book": ("crossed", {"side": "no", "price": 0.60, "delta": 5.0}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_ends_the_session_and_is_reported_with_its_place(
    tmp_path: Path, name: str
) -> None:
    code, change = BAD[name]
    rows = [*GOOD[:2], {**GOOD[2], **change}, {**GOOD[3], "seq": change.get("seq", 4) + 1}]
    report, catalog = run(tmp_path, rows)
    (entry,) = listed(report, code)
    assert entry["file"] == "deltas"
    assert entry["row"] == 2
    assert TICKER in entry["subject"]
    yes = tops_of(catalog.deltas(YES))
    assert yes.bid.tolist() == [4500, 4500, 0]  # the sound part, then nothing to trade against
    dropped = report.issues[code]["fate"]["dropped"] + report.issues["after_break"]["rows"]
    assert dropped >= 2
    assert verify_catalog(catalog).passed


def test_an_off_grid_price_is_kept_and_reported(tmp_path: Path) -> None:
    report, _ = run(tmp_path, [*GOOD, delta(6, "yes", 0.415, 5.0)])
    (entry,) = listed(report, "off_grid")
    assert (entry["row"], entry["fate"], entry["seen"]) == (4, "kept", "0.415")


def test_of_two_recordings_of_one_time_the_longer_is_used(tmp_path: Path) -> None:
    other = [{**GOOD[0], "conn": "c2"}, {**GOOD[1], "conn": "c2"}]
    report, catalog = run(tmp_path, [*GOOD, *other], conns=("c1", "c2"))
    (entry,) = listed(report, "overlap")
    assert (entry["subject"], entry["rows"]) == (f"{TICKER} c2", 2)
    assert len(tops_of(catalog.deltas(YES))) == 5


def test_recordings_after_each_other_are_joined_with_a_clear_between(tmp_path: Path) -> None:
    later = [
        {**d, "conn": "c2", "exchange_ts": d["exchange_ts"] + timedelta(minutes=5)} for d in GOOD
    ]
    report, catalog = run(tmp_path, [*GOOD, *later], conns=("c1", "c2"))
    assert report.issues == {}
    assert tops_of(catalog.deltas(YES)).bid.tolist() == [4500, 4500, 4200, 4200, 0] * 2


def test_the_ticker_channel_is_a_witness(tmp_path: Path) -> None:
    def row(seq: int, bid: float, ask: float, bid_size: float, ask_size: float) -> dict[str, Any]:
        ts = GOOD[seq - 2]["exchange_ts"]
        sizes = {"yes_bid_size": bid_size, "yes_ask_size": ask_size}
        return {"ticker": TICKER, "exchange_ts": ts, "yes_bid": bid, "yes_ask": ask, **sizes}

    right, wrong = row(3, 0.45, 0.48, 10.0, 25.5), row(4, 0.45, 0.48, 10.0, 25.5)
    report, _ = run(tmp_path, GOOD, ticker=[right, wrong])
    check = report.checks[0]
    assert (check.checked, check.failed, check.passed) == (2, 1, False)
    assert listed(report, "mismatch")[0]["row"] == 1


def test_a_missing_file_names_it(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", GOOD)
    (source / "snapshots.parquet").unlink()
    with pytest.raises(MissingData) as caught:
        ingest("kalshi_btc15m_l2", source, tmp_path / "k")
    assert "snapshots.parquet" in str(caught.value.seen)
    assert not (tmp_path / "k").exists()


def test_a_damaged_file_names_it_and_leaves_no_catalog(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", GOOD)
    path = source / "deltas.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptData) as caught:
        ingest("kalshi_btc15m_l2", source, tmp_path / "k")
    assert str(path) in str(caught.value.seen)
    assert not (tmp_path / "k").exists()


def test_a_missing_column_names_it(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", GOOD)
    frame = pl.read_parquet(source / "deltas.parquet").drop("seq")
    frame.write_parquet(source / "deltas.parquet")
    with pytest.raises(CorruptData, match="lacks columns seq"):
        ingest("kalshi_btc15m_l2", source, tmp_path / "k")


def test_an_empty_set_makes_no_catalog(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [])
    with pytest.raises(MissingData):
        ingest("kalshi_btc15m_l2", source, tmp_path / "k")
    assert not (tmp_path / "k").exists()


def test_rows_of_an_unknown_market_are_reported(tmp_path: Path) -> None:
    other = [{**d, "ticker": "KXBTC15M-OTHER-00"} for d in GOOD]
    source = make_set(tmp_path / "set", [*GOOD, *other])
    snapshots = pl.read_parquet(source / "snapshots.parquet")
    more = snapshots.with_columns(ticker=pl.lit("KXBTC15M-OTHER-00"))
    pl.concat([snapshots, more]).write_parquet(source / "snapshots.parquet")
    report = ingest("kalshi_btc15m_l2", source, tmp_path / "k")
    assert report.issues["unknown_market"]["rows"] == 4


def test_unknown_sets_and_options_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ingest("nosuch", tmp_path)
    assert "kalshi_btc15m_l2" in caught.value.mend
    with pytest.raises(UsageError, match="no such option"):
        ingest("kalshi_btc15m_l2", tmp_path, options={"part": "x"})


@pytest.mark.slow
def test_the_real_recording_replays_to_the_recorded_ticker(
    shared_data: Path, tmp_path: Path
) -> None:
    report = ingest("kalshi_btc15m_l2", shared_data / "kalshi_btc15m_l2", tmp_path / "k")
    assert report.rows_in["deltas"] == 1_430_105
    assert report.rows_in["snapshots"] == 64
    assert [(c.checked, c.failed) for c in report.checks] == [
        (14_825, 0),  # the recorded ticker
        (1_430_105, 0),  # no gap
        (1_430_105, 0),  # no negative level
        (1_430_105, 0),  # no crossed book
    ]
    assert set(report.issues) == {"unresolved"}
    assert (report.markets, report.settled) == (26, 25)
    # Two books per change, plus snapshots, one CLEAR before and one after each of 38 sessions.
    assert report.rows_out["deltas"] == 2_875_430
    assert report.rows_out["trades"] == 206_475
    result = verify_catalog(Catalog.open(tmp_path / "k"))
    assert result.passed
    assert {f.code for f in result.findings} == {"unresolved"}
