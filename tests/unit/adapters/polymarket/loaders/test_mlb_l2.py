"""Polymarket book streams: snapshots replace, changes state sizes, nothing resolves by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adapters.history.report import IngestReport
from adapters.history.sets import ingest
from core.engine.catalog import Catalog
from core.engine.catalog.tops import tops_of
from core.engine.catalog.verify import verify_catalog

GAME, A, B = "mlb-aaa-bbb-2025-06-19", "111", "222"
T0 = 1_750_361_007_000


def row(
    seq: int, token: str, ms: int, kind: str, side: str, price: float, size: float, digest: str = ""
) -> dict[str, Any]:
    return {
        "market_slug": GAME,
        "asset_id": token,
        "outcome_name": None,
        "seq": seq,
        "ts_ms": T0 + ms,
        "event_type": kind,
        "side": side,
        "price": price,
        "size": size,
        "hash": digest or f"h{seq}",
    }


def game() -> list[dict[str, Any]]:
    """Both tokens: a snapshot, a change, a second snapshot that forgets the first."""
    rows = []
    for token, bid, ask in ((A, 0.40, 0.45), (B, 0.55, 0.60)):
        rows += [
            row(0, token, 0, "book", "bid", bid, 100.0, f"s1{token}"),
            row(1, token, 0, "book", "ask", ask, 50.0, f"s1{token}"),
        ]
    rows += [
        row(2, A, 500, "price_change", "ask", 0.44, 10.0),
        row(3, B, 500, "price_change", "bid", 0.56, 10.0),
        row(4, A, 900, "book", "bid", 0.30, 7.0, "s2"),
        row(5, A, 900, "book", "ask", 0.50, 8.0, "s2"),
        row(6, B, 900, "book", "bid", 0.50, 8.0, "s3"),
        row(7, B, 900, "book", "ask", 0.70, 7.0, "s3"),
    ]
    return rows


def run(
    tmp_path: Path, rows: list[dict[str, Any]], winner: str | None = "1"
) -> tuple[IngestReport, Catalog]:
    source = tmp_path / "set"
    source.mkdir()
    schema = {"outcome_name": pl.String}
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(source / "events.parquet")
    pl.DataFrame(
        {
            "market_slug": [GAME, GAME],
            "asset_id": [A, B],
            "last_best_bid": [0.30, 0.50],
            "last_best_ask": [0.50, 0.70],
            "implied_winner": [winner, None],
        }
    ).write_csv(source / "markets.csv")
    report = ingest("polymarket_l2_mlb_2025", source, tmp_path / "c")
    return report, Catalog.open(tmp_path / "c")


def book(catalog: Catalog, token: str) -> list[tuple[int, int]]:
    tops = tops_of(catalog.deltas(f"{GAME}-{token}.POLYMARKET"))
    return list(zip(tops.bid.tolist(), tops.ask.tolist(), strict=True))


def test_a_new_book_hash_replaces_the_book(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, game())
    assert book(catalog, A) == [(4000, 4500), (4000, 4400), (3000, 5000), (0, 10000)]
    assert book(catalog, B) == [(5500, 6000), (5600, 6000), (5000, 7000), (0, 10000)]
    assert report.passed
    assert verify_catalog(catalog).passed


def test_an_inferred_winner_never_settles_a_market(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, game())
    assert (report.settled, report.unresolved) == (0, 1)
    assert report.issues["unofficial_label"]["first"][0]["seen"] == "implied_winner 1"
    assert report.issues["unresolved"]["rows"] == 1
    assert not catalog.markets()[GAME].resolved
    assert "closes" not in report.rows_out


def test_a_crossed_stretch_is_cleared_and_restored(tmp_path: Path) -> None:
    rows = [
        *game()[:6],
        row(8, A, 600, "price_change", "bid", 0.47, 5.0),  # above the ask of 0.44
        row(9, A, 700, "price_change", "bid", 0.20, 5.0),
        row(10, A, 800, "price_change", "bid", 0.47, 0.0),
    ]
    report, catalog = run(tmp_path, rows)
    assert book(catalog, A) == [(4000, 4500), (4000, 4400), (0, 10000), (4000, 4400), (0, 10000)]
    assert report.issues["crossed"]["fate"] == {"repaired": 2}
    restored = catalog.deltas(f"{GAME}-{A}.POLYMARKET")
    assert 2000 in restored.price.tolist()  # what changed during the stretch is in the new snapshot


def test_an_outage_is_not_tradeable(tmp_path: Path) -> None:
    rows = game()
    for late in rows[6:]:
        late["ts_ms"] += 400_000
    report, catalog = run(tmp_path, rows)
    assert book(catalog, A)[1:4] == [(4000, 4400), (0, 10000), (3000, 5000)]
    assert report.issues["time_gap"]["fate"] == {"repaired": 2}


BAD = {
    "not_a_number": {"price": float("nan")},
    "off_precision": {"size": 1.234},
    "bad_price": {"price": 1.0},
    "bad_size": {"size": -1.0},
    "bad_side": {"side": "left"},
    "bad_time": {"ts_ms": 0},
}


@pytest.mark.parametrize("code", BAD)
def test_bad_rows_are_dropped_and_named(tmp_path: Path, code: str) -> None:
    rows = game()
    rows[4] = {**rows[4], **BAD[code]}
    report, catalog = run(tmp_path, rows)
    first = report.issues[code]["first"][0]
    assert (first["file"], first["row"], first["fate"]) == ("events", 4, "dropped")
    assert book(catalog, A) == [(4000, 4500), (3000, 5000), (0, 10000)]


def test_an_unknown_tick_is_kept_and_named(tmp_path: Path) -> None:
    rows = game()
    rows[4]["price"] = 0.4405
    report, catalog = run(tmp_path, rows)
    assert report.issues["off_grid"]["first"][0]["row"] == 4
    assert book(catalog, A)[1] == (4000, 4405)


def test_rows_before_the_first_snapshot_are_dropped(tmp_path: Path) -> None:
    rows = [row(0, A, -100, "price_change", "bid", 0.35, 4.0), *game()]
    report, _ = run(tmp_path, rows)
    assert report.issues["after_break"]["rows"] == 1


def test_a_game_with_one_token_is_not_imported(tmp_path: Path) -> None:
    other = [{**r, "market_slug": "mlb-one"} for r in game() if r["asset_id"] == A]
    report, catalog = run(tmp_path, [*game(), *other])
    assert report.issues["unknown_market"]["first"][0]["subject"] == "mlb-one"
    assert set(catalog.markets()) == {GAME}


@pytest.mark.slow
def test_the_real_recording(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "polymarket_l2_mlb_2025"
    report = ingest("polymarket_l2_mlb_2025", source, tmp_path / "c")
    assert report.rows_in["events"] == 172_006
    checks = {c.name: (c.checked, c.failed) for c in report.checks}
    assert checks["last best bid and ask equal those stated in markets.csv"] == (42, 0)
    assert checks["no book is crossed at the end of a batch"][1] == 0
    shared, unlike = checks["the two tokens mirror each other at the end of every shared moment"]
    assert shared > 38_000
    assert unlike == 6  # as recorded: messages of one token arrived without the other's
    assert report.settled == 0
    assert report.issues["crossed"]["fate"] == {"repaired": 493}
    assert verify_catalog(Catalog.open(tmp_path / "c")).passed
