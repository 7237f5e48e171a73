"""Kalshi trades and polls: exact columns, results that follow from strikes, stale prices that end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adapters.history.report import IngestReport
from adapters.history.sets import ingest
from core.domain.errors import UsageError
from core.engine.catalog import Catalog, Kind
from core.engine.catalog.verify import verify_catalog

UTC_TIME = pl.Datetime("us", "UTC")
NOON = datetime(2025, 11, 8, 12, tzinfo=UTC)
NS = int(NOON.timestamp()) * 10**9


def trade(second: float, price: float, count: float, side: str, tid: str) -> dict[str, Any]:
    return {
        "ts": NOON + timedelta(seconds=second),
        "ticker": "KXT-25-A",
        "yes_price": price,
        "count": count,
        "taker_side": side,
        "trade_id": tid,
    }


TRADES = [trade(1, 0.55, 10, "yes", "a"), trade(2, 0.54, 3, "no", "b")]


def run_trades(
    tmp_path: Path, trades: list[dict[str, Any]], **market: Any
) -> tuple[IngestReport, Catalog]:
    source = tmp_path / "set"
    source.mkdir(exist_ok=True)
    pl.DataFrame(trades, schema_overrides={"ts": UTC_TIME}).write_parquet(source / "trades.parquet")
    row = {
        "ticker": "KXT-25-A",
        "event_ticker": "KXT-25",
        "category": "Sports",
        "close_time": "2025-11-08T13:00:00Z",
        "result": "yes",
        "settlement_value": "100",
        "title": "A wins?",
        "series_ticker": "KXT",
    }
    pl.DataFrame([{**row, **market}]).write_parquet(source / "markets.parquet")
    report = ingest("kalshi_trades_2025-11", source, tmp_path / "c", mode="replace")
    return report, Catalog.open(tmp_path / "c")


def test_a_trade_is_seen_from_both_outcomes(tmp_path: Path) -> None:
    report, catalog = run_trades(tmp_path, TRADES)
    yes, no = (catalog.trades(f"KXT-25-A-{o}.KALSHI") for o in ("YES", "NO"))
    assert yes.price.tolist() == [5500, 5400]
    assert yes.aggressor.tolist() == [1, 2]
    assert no.price.tolist() == [4500, 4600]
    assert no.aggressor.tolist() == [2, 1]
    assert yes.trade_id == ["a", "b"]
    assert catalog.markets()["KXT-25-A"].outcomes[0].payout == 1
    assert report.issues == {}
    assert verify_catalog(catalog).findings == []


BAD = {
    "not_a_number": {"count": float("nan")},
    "off_precision": {"yes_price": 0.55001},
    "bad_price": {"yes_price": 1.0},
    "bad_size": {"count": 0.0},
    "bad_side": {"taker_side": "maybe"},
    "duplicate": {"trade_id": "a"},
}


@pytest.mark.parametrize("code", BAD)
def test_bad_trades_are_dropped_and_named(tmp_path: Path, code: str) -> None:
    bad = {**trade(3, 0.5, 1, "yes", "c"), **BAD[code]}
    report, catalog = run_trades(tmp_path, [*TRADES, bad])
    first = report.issues[code]["first"][0]
    assert (first["file"], first["row"]) == ("trades", 2)
    assert len(catalog.trades("KXT-25-A-YES.KALSHI")) == 2


def test_an_unknown_tick_is_kept_and_named(tmp_path: Path) -> None:
    report, catalog = run_trades(tmp_path, [*TRADES, trade(3, 0.555, 1, "yes", "c")])
    assert report.issues["off_grid"]["fate"] == {"kept": 1}
    assert len(catalog.trades("KXT-25-A-YES.KALSHI")) == 3


def test_a_result_that_contradicts_its_value_settles_nothing(tmp_path: Path) -> None:
    report, catalog = run_trades(tmp_path, TRADES, settlement_value="0")
    assert report.issues["conflict"]["rows"] == 1
    assert report.unresolved == 1
    assert not catalog.markets()["KXT-25-A"].resolved


def test_a_trade_after_the_close_is_named(tmp_path: Path) -> None:
    report, _ = run_trades(tmp_path, [*TRADES, trade(3700, 0.9, 1, "yes", "c")])
    assert report.issues["after_close"]["fate"] == {"kept": 1}


def test_only_scheduled_closes_are_known_before(tmp_path: Path) -> None:
    _, catalog = run_trades(tmp_path, TRADES)
    assert catalog.markets()["KXT-25-A"].close_ns == NS + 3_600 * 10**9
    _, catalog = run_trades(tmp_path, TRADES, close_time="2025-11-08T12:42:58.5Z")
    assert catalog.markets()["KXT-25-A"].close_ns == 0
    assert catalog.rows(Kind.STATUSES) == 2


# -- polls ---------------------------------------------------------------------------------------

CLOSE = NOON + timedelta(hours=1)


def poll(ticker: str, minute: float, bid: float, ask: float, **more: Any) -> dict[str, Any]:
    base = {
        "captured_at": NOON + timedelta(minutes=minute),
        "event_ticker": "KXBTC-25NOV0813",
        "ticker": ticker,
        "open_time": NOON,
        "close_time": CLOSE,
        "strike_type": "between",
        "floor_strike": 100_000.0,
        "cap_strike": 100_099.99,
        "yes_bid": bid,
        "yes_ask": ask,
        "no_bid": round(1 - ask, 6),
        "no_ask": round(1 - bid, 6),
    }
    return {**base, **more}


B1, B2 = "KXBTC-25NOV0813-B100050", "KXBTC-25NOV0813-B100150"
POLLS = [
    poll(B1, 20, 0.30, 0.35),
    poll(B1, 55, 0.0, 0.02),
    poll(B2, 20, 0.0, 0.01, floor_strike=100_100.0, cap_strike=100_199.99),
]


def run_tape(
    tmp_path: Path, polls: list[dict[str, Any]], result: str = "no", **options: Any
) -> tuple[IngestReport, Catalog]:
    source = tmp_path / "set"
    source.mkdir(exist_ok=True)
    pl.DataFrame(polls).write_parquet(source / "crypto_hourly_bbo.parquet")
    pl.DataFrame(
        {
            "ticker": [B1],
            "close_time": [CLOSE],
            "settlement_ts": [None],
            "result": [result],
            "expiration_value": ["100,150.00"],
        },
        schema_overrides={"close_time": UTC_TIME, "settlement_ts": UTC_TIME},
    ).write_parquet(source / "settlements.parquet")
    report = ingest("kalshi_tape_2026-07", source, tmp_path / "c", options=options, mode="replace")
    return report, Catalog.open(tmp_path / "c")


def test_a_poll_is_a_price_for_the_hold_and_no_longer(tmp_path: Path) -> None:
    report, catalog = run_tape(tmp_path, POLLS, hold_s=90)
    yes = catalog.quotes(f"{B1}-YES.KALSHI")
    assert [(t - NS) // 10**9 for t in yes.ts.tolist()] == [1200, 1290, 3300, 3390]
    assert yes.bid.tolist() == [3000, 0, 0, 0]
    assert yes.ask.tolist() == [3500, 10000, 200, 10000]
    assert yes.ask_size.tolist() == [2500, 0, 2500, 0]
    assert report.issues["one_sided"]["first"][0]["subject"] == B2
    (check,) = report.checks
    assert (check.checked, check.failed) == (1, 0)


def test_a_market_is_not_seen_before_its_first_two_sided_quote(tmp_path: Path) -> None:
    early = poll(B1, 10, 0.0, 0.01)
    report, catalog = run_tape(tmp_path, [early, *POLLS])
    assert (catalog.quotes(f"{B1}-YES.KALSHI").ts[0] - NS) // 10**9 == 1200
    dropped = {i["subject"]: i["rows"] for i in report.issues["one_sided"]["first"]}
    assert dropped == {B1: 1, B2: 1}
    _, catalog = run_tape(tmp_path, [early, *POLLS], part="crypto_all")
    assert (catalog.quotes(f"{B1}-YES.KALSHI").ts[0] - NS) // 10**9 == 600
    assert catalog.markets()[B2].resolved is False


def test_brackets_carry_strikes_and_the_index_behind_them(tmp_path: Path) -> None:
    _, catalog = run_tape(tmp_path, POLLS)
    market = catalog.markets()[B1]
    assert (market.strike, market.strike_high) == (Decimal("100000.0"), Decimal("100099.99"))
    assert market.strike_type == "between"
    assert market.underlying == "BTC-USD.CFBENCHMARKS"
    assert market.outcomes[0].payout == 0
    index = catalog.trades("BTC-USD.CFBENCHMARKS")
    assert index.price.tolist() == [10_015_000]
    # Known five minutes after the close, as the result is.
    assert index.ts.tolist() == [NS + 3_600 * 10**9 + 300 * 10**9]
    event = catalog.events()["KXBTC-25NOV0813"]
    assert event.exclusive
    assert not event.complete


def test_a_result_that_the_index_contradicts_fails_the_check(tmp_path: Path) -> None:
    report, _ = run_tape(tmp_path, POLLS, result="yes")
    assert not report.passed


BAD_POLLS = {
    "crossed": {"yes_bid": 0.5, "no_ask": 0.5, "yes_ask": 0.4, "no_bid": 0.6},
    "conflict": {"no_ask": 0.5},
    "not_a_number": {"yes_bid": None},
    "off_precision": {"yes_bid": 0.300001, "no_ask": 0.699999},
    "bad_price": {"yes_bid": -0.1, "no_ask": 1.1},
    "bad_time": {"captured_at": None},
}


@pytest.mark.parametrize("code", BAD_POLLS)
def test_bad_polls_are_dropped_and_named(tmp_path: Path, code: str) -> None:
    bad = {**poll(B1, 30, 0.30, 0.35), **BAD_POLLS[code]}
    report, catalog = run_tape(tmp_path, [*POLLS, bad])
    first = report.issues[code]["first"][0]
    assert (first["row"], first["subject"], first["fate"]) == (3, B1, "dropped")
    assert len(catalog.quotes(f"{B1}-YES.KALSHI")) == 4


def test_a_poll_after_the_close_is_dropped(tmp_path: Path) -> None:
    report, catalog = run_tape(tmp_path, [*POLLS, poll(B1, 61, 0.3, 0.4)])
    assert report.issues["after_close"]["fate"] == {"dropped": 1}
    assert len(catalog.quotes(f"{B1}-YES.KALSHI")) == 4


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        run_tape(tmp_path, POLLS, part="weather")
    assert "crypto" in caught.value.mend


@pytest.mark.slow
def test_the_real_trades(shared_data: Path, tmp_path: Path) -> None:
    report = ingest("kalshi_trades_2025-11", shared_data / "kalshi_trades_2025-11", tmp_path / "c")
    assert report.rows_in == {"trades": 27_977, "markets": 589}
    assert report.rows_out["trades"] == 2 * 27_977
    assert (report.markets, report.settled) == (157, 157)
    assert verify_catalog(Catalog.open(tmp_path / "c")).passed


@pytest.mark.slow
def test_the_real_tape(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "kalshi_tape_2026-07"
    report = ingest("kalshi_tape_2026-07", source, tmp_path / "crypto")
    (check,) = report.checks
    assert (check.checked, check.failed) == (2_384, 0)
    assert (report.markets, report.settled) == (2_666, 2_384)
    assert report.issues["one_sided"]["rows"] == 125_218
    sports = ingest("kalshi_tape_2026-07", source, tmp_path / "s", options={"part": "sports"})
    assert (sports.markets, sports.settled) == (1_495, 224)
    econ = ingest("kalshi_tape_2026-07", source, tmp_path / "e", options={"part": "econ"})
    assert (econ.markets, econ.settled) == (308, 0)
