"""Polymarket top of book: quotes that end where the recording ends, labels from the API only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from adapters.history.report import IngestReport
from adapters.history.sets import ingest
from core.domain.errors import UsageError
from core.engine.catalog import Catalog
from core.engine.catalog.verify import verify_catalog

DAY = datetime(2026, 7, 10, tzinfo=UTC)


def quote(slug: str, minutes: float, bid: float | None, ask: float | None) -> dict[str, Any]:
    return {"ts": DAY + timedelta(minutes=minutes), "slug": slug, "bid": bid, "ask": ask}


def market(slug: str, last_minutes: float, **more: Any) -> dict[str, Any]:
    base = {
        "slug": slug,
        "question": f"{slug}?",
        "category": "politics",
        "last_ts": (DAY + timedelta(minutes=last_minutes)).replace(tzinfo=None),
        "resolved_yes": 1,
        "label_source": "api",
    }
    return {**base, **more}


GOOD = [
    quote("a-1", 60, 0.40, 0.45),
    quote("a-1", 62, None, 0.45),
    quote("a-1", 64, 0.41, None),
    quote("a-1", 24 * 60 + 1, 0.42, 0.44),  # the next day goes on
    quote("a-1", 5 * 24 * 60, 0.50, 0.52),  # after days that are missing
    quote("z", 24 * 60 - 2, 0.10, 0.80),  # another market shows that the first day was whole,
    quote("z", 24 * 60 + 600, 0.10, 0.90),  # and the second one ten hours long
    *(quote("z", minute, 0.10, 0.80) for minute in range(80, 24 * 60 + 600, 20)),
]
MARKETS = [market("a-1", 5 * 24 * 60 + 30), market("z", 24 * 60 + 600, resolved_yes=0)]


def run(
    tmp_path: Path, quotes: list[dict[str, Any]], markets: list[dict[str, Any]], **options: Any
) -> tuple[IngestReport, Catalog]:
    source = tmp_path / "set"
    source.mkdir(exist_ok=True)
    schema = {
        "ts": pl.Datetime("us", "UTC"),
        "slug": pl.String,
        "bid": pl.Float64,
        "ask": pl.Float64,
    }
    pl.DataFrame(quotes, schema=schema).write_parquet(source / "quotes.parquet")
    labels = {"resolved_yes": pl.Int32, "label_source": pl.String}
    pl.DataFrame(markets, schema_overrides=labels).write_parquet(source / "markets.parquet")
    report = ingest("polymarket_bbo_2026", source, tmp_path / "c", options=options, mode="replace")
    return report, Catalog.open(tmp_path / "c")


def minutes(ts: Any) -> list[float]:
    start = int(DAY.timestamp()) * 10**9
    return [(t - start) / 60e9 for t in ts.tolist()]


def test_a_quote_ends_where_nobody_watched(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, GOOD, MARKETS)
    yes = catalog.quotes("a-1-YES.POLYMARKET")
    day = 24 * 60
    # The second day was recorded until minute 600 (plus one poll); the last day until its own last poll.
    assert minutes(yes.ts) == [60, 62, 64, day + 1, day + 602, 5 * day, 5 * day + 2]
    assert yes.bid.tolist() == [4000, 0, 4100, 4200, 0, 5000, 0]
    assert yes.ask.tolist() == [4500, 4500, 10000, 4400, 10000, 5200, 10000]
    assert yes.bid_size.tolist() == [2500, 0, 2500, 2500, 0, 2500, 0]
    no = catalog.quotes("a-1-NO.POLYMARKET")
    assert no.bid.tolist() == [5500, 5500, 0, 5600, 0, 4800, 0]
    assert no.ask_size.tolist() == yes.bid_size.tolist()
    assert {k: v["rows"] for k, v in report.issues.items()} == {"time_gap": 1}
    assert report.issues["time_gap"]["first"][0]["row"] == 4
    assert verify_catalog(catalog).findings == []


def test_no_quote_outlives_an_outage_of_the_recorder(tmp_path: Path) -> None:
    rows = [
        quote("a-1", 60, 0.40, 0.45),
        quote("z", 70, 0.10, 0.80),  # then nothing of any market for ten hours
        quote("z", 670, 0.10, 0.90),
        quote("a-1", 900, 0.50, 0.52),
        quote("z", 905, 0.10, 0.90),
    ]
    rows += [quote("filler", m, 0.2, 0.3) for m in range(680, 900, 20)]
    markets = [market(name, 910) for name in ("a-1", "z", "filler")]
    report, catalog = run(tmp_path, rows, markets)
    yes = catalog.quotes("a-1-YES.POLYMARKET")
    assert minutes(yes.ts) == [60, 72, 900, 907]
    assert yes.bid_size.tolist() == [2500, 0, 2500, 0]
    gap = report.issues["time_gap"]
    assert (gap["rows"], gap["first"][0]["row"]) == (1, 2)
    assert "T01:10:00" in gap["first"][0]["seen"]
    assert "T11:10:00" in gap["first"][0]["seen"]


def test_a_market_settles_two_minutes_after_its_last_poll(tmp_path: Path) -> None:
    _, catalog = run(tmp_path, GOOD, MARKETS)
    found = catalog.markets()["a-1"]
    assert found.outcomes[0].payout == 1
    assert minutes(np.array([catalog.span_ns("a-1-YES.POLYMARKET")[1]])) == [5 * 24 * 60 + 32]
    assert found.close_ns == 0  # when a market was last polled was not known before
    assert catalog.markets()["z"].outcomes[0].payout == 0


def test_inferred_labels_never_settle(tmp_path: Path) -> None:
    markets = [
        market("a-1", 9000, label_source="convergence"),
        market("z", 9000, label_source=None, resolved_yes=None),
    ]
    report, catalog = run(tmp_path, GOOD, markets)
    assert report.unresolved == 2
    assert report.issues["unofficial_label"]["first"][0]["seen"] == "convergence 1"
    assert not any(m.resolved for m in catalog.markets().values())


def test_the_assumed_size_is_a_choice_and_is_stated(tmp_path: Path) -> None:
    report, catalog = run(tmp_path, GOOD, MARKETS, assumed_size=Decimal("7.5"))
    assert catalog.quotes("z-YES.POLYMARKET").bid_size.tolist()[0] == 750
    assert catalog.markets()["z"].info["assumed_size"] == "7.5"
    assert any("7.5 shares are assumed" in note for note in report.notes)
    with pytest.raises(UsageError, match="assumed size"):
        run(tmp_path, GOOD, MARKETS, assumed_size=Decimal("0.001"))


def test_sub_cent_prices_make_a_finer_grid(tmp_path: Path) -> None:
    rows = [quote("a-1", 1, 0.004, 0.01), quote("z", 1, 0.4, 0.5)]
    _, catalog = run(tmp_path, rows, MARKETS)
    markets = catalog.markets()
    assert markets["a-1"].grid.finest == Decimal("0.001")
    assert markets["z"].grid.finest == Decimal("0.01")


BAD = {
    "crossed": (0.6, 0.5),
    "bad_price": (1.0, None),
    "off_precision": (0.40001, 0.5),
    "not_a_number": (float("nan"), 0.5),
}


@pytest.mark.parametrize("code", BAD)
def test_bad_rows_are_dropped_and_named(tmp_path: Path, code: str) -> None:
    report, catalog = run(tmp_path, [*GOOD, quote("a-1", 66, *BAD[code])], MARKETS)
    first = report.issues[code]["first"][0]
    assert (first["file"], first["row"], first["subject"]) == ("quotes", len(GOOD), "a-1")
    assert len(catalog.quotes("a-1-YES.POLYMARKET")) == 7


def test_repeated_moments_and_unknown_markets_are_named(tmp_path: Path) -> None:
    rows = [*GOOD, quote("a-1", 64, 0.2, 0.3), quote("nobody", 1, 0.2, 0.3)]
    report, _ = run(tmp_path, rows, [*MARKETS, market("silent", 10)])
    assert report.issues["duplicate"]["rows"] == 1
    stranger = report.issues["unknown_market"]["first"][0]
    assert (stranger["row"], stranger["subject"]) == (len(rows) - 1, "nobody")
    assert report.issues["no_data"]["first"][0]["subject"] == "silent"


def test_markets_that_share_a_question_share_an_event_but_no_guarantee(tmp_path: Path) -> None:
    rows = [quote("who-x", 1, 0.2, 0.3), quote("who-y", 1, 0.2, 0.3)]
    markets = [market("who-x", 10, question="Who?"), market("who-y", 10, question="Who?")]
    _, catalog = run(tmp_path, rows, markets)
    event = catalog.events()["who"]
    assert event.market_ids == ("who-x", "who-y")
    assert not event.exclusive
    assert not event.no_basket_allowed


@pytest.mark.slow
def test_the_real_recording(shared_data: Path, tmp_path: Path) -> None:
    report = ingest("polymarket_bbo_2026", shared_data / "polymarket_bbo_2026", tmp_path / "c")
    assert report.rows_in == {"quotes": 1_212_239, "markets": 4_991}
    assert report.issues["crossed"]["rows"] == 18
    assert report.issues["no_data"]["rows"] == 773
    assert (
        report.issues["time_gap"]["rows"] == 9
    )  # missing days, and outages of 51 minutes to 10.6 hours
    assert (report.markets, report.settled) == (4_218, 2_611)
    catalog = Catalog.open(tmp_path / "c")
    kept = report.rows_in["quotes"] - 18
    silences = report.rows_out["quotes"] // 2 - kept
    assert silences == 13_416
    labelled = [m for m in catalog.markets().values() if m.resolved]
    assert all(m.info["label_source"] == "api" for m in labelled)
