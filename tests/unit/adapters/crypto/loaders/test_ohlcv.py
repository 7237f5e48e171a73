"""Crypto bars: dated to their close, bad bars dropped, gaps named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adapters.history.report import IngestReport
from adapters.history.sets import ingest
from core.domain.errors import MissingData, UsageError
from core.engine.catalog import Catalog
from core.engine.catalog.verify import verify_catalog

START = datetime(2024, 1, 1, tzinfo=UTC)
NS = int(START.timestamp()) * 10**9
BAR = "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"


def bar(hour: int, **more: Any) -> dict[str, Any]:
    base = {"open": 100.0, "high": 102.5, "low": 99.0, "close": 101.0, "volume": 3.25}
    return {"ts": START + timedelta(hours=hour), **base, **more}


def run(
    tmp_path: Path, bars: list[dict[str, Any]], polls: list[dict[str, Any]] | None = None
) -> tuple[IngestReport, Catalog]:
    source = tmp_path / "set"
    source.mkdir(exist_ok=True)
    pl.DataFrame(bars).write_parquet(source / "btcusdt_1h_binance.parquet")
    if polls is not None:
        pl.DataFrame(polls).write_parquet(source / "spot_polls_2026-06.parquet")
    part = {"part": "bars" if polls is None else "polls"}
    report = ingest("crypto_ohlcv", source, tmp_path / "c", mode="replace", options=part)
    return report, Catalog.open(tmp_path / "c")


def test_a_bar_is_known_at_its_close(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, [bar(0), bar(1, close=101.5)])
    bars = catalog.bars(BAR)
    assert bars.ts.tolist() == [NS + 3_600 * 10**9, NS + 7_200 * 10**9]
    assert bars.close.tolist() == [10_100, 10_150]
    assert bars.volume.tolist() == [3_250_000, 3_250_000]
    assert report.issues == {}
    assert verify_catalog(catalog).passed


BAD = {
    "not_a_number": {"close": float("nan")},
    "off_precision": {"close": 101.00123},
    "bad_price": {"high": 100.5},
    "bad_size": {"volume": -1.0},
    "bad_time": {"ts": START + timedelta(minutes=90)},
    "duplicate": {"ts": START},
}


@pytest.mark.parametrize("code", BAD)
def test_bad_bars_are_dropped_and_named(tmp_path: Path, code: str) -> None:
    report, catalog = run(tmp_path, [bar(0), bar(1), {**bar(2), **BAD[code]}])
    first = report.issues[code]["first"][0]
    assert (first["file"], first["row"], first["fate"]) == ("btcusdt_1h_binance", 2, "dropped")
    assert len(catalog.bars(BAR)) == 2


def test_missing_bars_are_counted(tmp_path: Path) -> None:
    report, _ = run(tmp_path, [bar(0), bar(1), bar(5)])
    assert report.issues["time_gap"]["rows"] == 3


def test_bars_out_of_order_are_sorted_and_named(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, [bar(1), bar(0)])
    assert report.issues["out_of_order"]["fate"] == {"repaired": 1}
    assert len(catalog.bars(BAR)) == 2


def test_polls_are_prices_of_the_smallest_size(tmp_path: Path) -> None:
    polls = [
        {"ts": START, "asset": "XRP", "price": 0.523456},
        {"ts": START, "asset": "XRP", "price": 0.5},
        {"ts": START + timedelta(seconds=30), "asset": "XRP", "price": 0.6},
    ]
    report, catalog = run(tmp_path, [bar(0)], polls)
    trades = catalog.trades("XRP-USD.POLLED")
    assert trades.price.tolist() == [523_456, 600_000]
    assert trades.size.tolist() == [1, 1]
    assert report.issues["duplicate"]["rows"] == 1


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(UsageError, match="no such part"):
        ingest("crypto_ohlcv", tmp_path / "set", tmp_path / "c", options={"part": "ticks"})


def test_a_folder_without_files_of_the_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(MissingData):
        ingest("crypto_ohlcv", tmp_path / "set", tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_the_real_bars(shared_data: Path, tmp_path: Path) -> None:
    report = ingest("crypto_ohlcv", shared_data / "crypto_ohlcv", tmp_path / "c")
    assert report.rows_out["bars"] == 832_500
    assert report.issues["time_gap"]["rows"] == 2
    assert set(report.issues) == {"time_gap"}
    polls = ingest(
        "crypto_ohlcv", shared_data / "crypto_ohlcv", tmp_path / "p", options={"part": "polls"}
    )
    assert polls.rows_out["trades"] == 145_323
    catalog = Catalog.open(tmp_path / "c")
    assert verify_catalog(catalog).passed
    minutes = catalog.bars("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
    assert len(minutes) == 457_920
