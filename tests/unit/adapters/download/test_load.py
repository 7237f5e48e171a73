from __future__ import annotations

import asyncio
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapters.crypto.history as crypto
import adapters.crypto.history_load as crypto_load
import adapters.kalshi.history as kalshi
import adapters.kalshi.history_load as kalshi_load
import adapters.polymarket.history as polymarket
import adapters.polymarket.history_load as polymarket_load
from adapters.download.request import Span
from core.domain.errors import OverlappingData
from core.domain.market import MarketStatus
from core.engine.catalog import BarColumns, Catalog, CatalogWriter, Kind, Pair
from tests.unit.adapters.download.history_server import (
    crypto_server,
    kalshi_server,
    polymarket_server,
)
from tests.unit.adapters.download.test_venues import LONG, bars, options, seconds

ALL = kalshi.WHAT


async def fetch(server: Any, download: Any, raw: Path, request: Any) -> None:
    async with server:
        outcome, _ = await download(raw, request, options(server))
        assert outcome.failed == {}


def kalshi_catalog(
    shared_fixtures: Path, shared_data: Path, tmp_path: Path, change: Any = None, **request: Any
) -> Any:
    server = kalshi_server(shared_fixtures, shared_data / "kalshi_api_samples")
    if change:
        change(server)
    wanted = kalshi.KalshiRequest(LONG, **request)
    asyncio.run(fetch(server, kalshi.download, tmp_path / "raw", wanted))
    report = kalshi_load.build(tmp_path / "raw", tmp_path / "cat", assumed_size=D(25))
    return Catalog.open(tmp_path / "cat"), report


def trade(i: int, **more: Any) -> dict[str, Any]:
    return {
        "trade_id": f"t{i:04}",
        "ticker": TICKER,
        "count_fp": "3.00",
        "yes_price_dollars": "0.6100",
        "no_price_dollars": "0.3900",
        "taker_book_side": "bid" if i % 2 else "ask",
        "created_time": f"2026-08-07T12:{i // 60 % 60:02}:{i % 60:02}.{i:06}Z",
        "is_block_trade": False,
    } | more


TICKER = "KXMLBGAME-26AUG081610LAAMIA-MIA"


def with_trades(rows: list[Any]) -> Any:
    return lambda server: server.trades.update({TICKER: rows})


def test_a_kalshi_download_becomes_markets_with_terms_and_settlements(
    shared_fixtures, shared_data, tmp_path
):
    catalog, report = kalshi_catalog(
        shared_fixtures,
        shared_data,
        tmp_path,
        with_trades([trade(i) for i in reversed(range(1500))]),
        series=("KXMLBGAME", "KXHIGHNY", "KXRAINNYCM"),
    )
    markets = catalog.markets()
    assert len(markets) == 4 + 2 + 3
    won = markets[TICKER]
    assert won.status is MarketStatus.RESOLVED
    assert [o.payout for o in won.outcomes] == [1, 0]
    assert (won.fees.kind, won.fees.multiplier) == ("quadratic_with_maker_fees", D("0.5"))
    assert won.series == "KXMLBGAME"
    assert markets["KXRAINNYCM-25DEC-1"].strike == 1
    rain = markets["KXHIGHNY-26JUL19-B80.5"]
    assert (rain.strike_type, rain.strike, rain.strike_high) == ("between", 80, 81)
    assert rain.neg_risk_id == "KXHIGHNY-26JUL19"
    event = catalog.events()["KXHIGHNY-26JUL19"]
    assert (event.exclusive, event.complete) == (True, False)
    assert (report.settled, report.markets) == (7, 9)


def test_kalshi_trades_are_written_for_both_outcomes_mirrored_and_in_time_order(
    shared_fixtures, shared_data, tmp_path
):
    rows = [trade(i) for i in reversed(range(1500))]
    catalog, report = kalshi_catalog(
        shared_fixtures, shared_data, tmp_path, with_trades(rows), tickers=(TICKER,)
    )
    yes = catalog.trades(f"{TICKER}-YES.KALSHI")
    no = catalog.trades(f"{TICKER}-NO.KALSHI")
    assert len(yes) == len(no) == 1500
    assert (yes.ts_event[1:] > yes.ts_event[:-1]).all()
    assert (yes.price + no.price == 10_000).all()
    assert (yes.aggressor + no.aggressor == 3).all()
    assert set(yes.size) == {300}
    assert report.issues == {} or set(report.issues) <= {"unresolved"}


def test_january_payloads_with_cents_and_taker_side_are_read_too(
    shared_fixtures, shared_data, tmp_path
):
    catalog, _ = kalshi_catalog(shared_fixtures, shared_data, tmp_path, tickers=("KXELONMARS-99",))
    yes = catalog.trades("KXELONMARS-99-YES.KALSHI")
    assert list(yes.price) == [600] * len(yes)
    assert set(yes.aggressor) == {2}


BAD = [
    (trade(1, yes_price_dollars=None), "not_a_number"),
    (trade(1, yes_price_dollars="abc"), "not_a_number"),
    (trade(1, yes_price_dollars="NaN"), "not_a_number"),
    (trade(1, yes_price_dollars="1.0000"), "bad_price"),
    (trade(1, yes_price_dollars="-0.1"), "bad_price"),
    (trade(1, count_fp="0.00"), "bad_size"),
    (trade(1, count_fp="-3"), "bad_size"),
    (trade(1, taker_book_side="up"), "bad_side"),
    (trade(1, taker_book_side=None), "bad_side"),
    (trade(1, created_time="yesterday"), "bad_time"),
    (trade(1, created_time=None), "bad_time"),
    (trade(1, trade_id=None), "not_a_number"),
    (trade(1, trade_id="x" * 40), "not_a_number"),
    ("a text", "not_a_number"),
    (None, "not_a_number"),
    (7, "not_a_number"),
]


def test_every_bad_row_is_reported_with_its_place_and_none_stops_the_rest(
    shared_fixtures, shared_data, tmp_path
):
    good = [trade(i) for i in range(100, 110)]
    catalog, report = kalshi_catalog(
        shared_fixtures,
        shared_data,
        tmp_path,
        with_trades([row for row, _ in BAD] + good),
        tickers=(TICKER,),
    )
    assert len(catalog.trades(f"{TICKER}-YES.KALSHI")) == len(good)
    for code in {code for _, code in BAD}:
        assert report.issues[code]["rows"] == sum(c == code for _, c in BAD)
        first = report.issues[code]["first"][0]
        assert first["file"].startswith("trades/part-")
        assert first["row"] >= 0
        assert first["fate"] == "dropped"


def test_rounded_numbers_doubles_and_block_trades_are_named(shared_fixtures, shared_data, tmp_path):
    rows = [
        trade(1),
        trade(1),
        trade(2, yes_price_dollars="0.61004"),
        trade(3, count_fp="1.239"),
        trade(4, is_block_trade=True),
    ]
    catalog, report = kalshi_catalog(
        shared_fixtures, shared_data, tmp_path, with_trades(rows), tickers=(TICKER,)
    )
    assert report.issues["duplicate"]["rows"] == 1
    assert report.issues["off_precision"]["rows"] == 2
    assert any("1 block trades" in note for note in catalog.meta.notes)
    assert list(catalog.trades(f"{TICKER}-YES.KALSHI").size) == [300, 300, 123]


def test_candles_become_bars_and_quotes_known_at_their_end(shared_fixtures, shared_data, tmp_path):
    catalog, _ = kalshi_catalog(
        shared_fixtures, shared_data, tmp_path, series=("KXHIGHNY", "KXRAINNYCM")
    )
    name = "KXHIGHNY-26JUL19-T80-YES.KALSHI"
    yes = catalog.bars(f"{name}-1-HOUR-LAST-EXTERNAL")
    assert yes.ts_event[0] == 1784386800 * 10**9
    assert (yes.open[0], yes.high[0], yes.low[0], yes.close[0]) == (2000, 2900, 2000, 2100)
    assert yes.volume[0] == 21329
    no = catalog.bars("KXHIGHNY-26JUL19-T80-NO.KALSHI-1-HOUR-LAST-EXTERNAL")
    assert (no.open[0], no.high[0], no.low[0], no.close[0]) == (8000, 8000, 7100, 7900)
    quotes = catalog.quotes(name)
    assert (quotes.bid[0], quotes.ask[0], quotes.bid_size[0]) == (2000, 2100, 2500)
    mirrored = catalog.quotes("KXHIGHNY-26JUL19-T80-NO.KALSHI")
    assert (mirrored.bid[0], mirrored.ask[0]) == (7900, 8000)
    assert any("assumed to hold 25" in note for note in catalog.meta.notes)


def test_a_market_without_known_terms_is_left_out_and_named(shared_fixtures, shared_data, tmp_path):
    def hide(server: Any) -> None:
        server.routes["/events/*"] = lambda request: None

    catalog, report = kalshi_catalog(
        shared_fixtures,
        shared_data,
        tmp_path,
        hide,
        series=("KXHIGHNY",),
        tickers=("KXELONMARS-99",),
    )
    assert "KXELONMARS-99" not in catalog.markets()
    assert "series is not known" in report.issues["unknown_market"]["first"][0]["seen"]


def test_a_past_change_of_fees_is_charged_at_its_time(shared_fixtures, shared_data, tmp_path):
    def change(server: Any) -> None:
        rows = [
            {"series_ticker": "KXRAINNYCM", "fee_type": "quadratic_with_maker_fees",
             "fee_multiplier": 2, "scheduled_ts": "2025-12-20T00:00:00Z"},
            {"series_ticker": "KXRAINNYCM", "fee_type": "quadratic",
             "fee_multiplier": 1, "scheduled_ts": "2026-02-01T00:00:00Z"},
        ]  # fmt: skip
        server.routes["/series/fee_changes"] = lambda _: {"series_fee_change_arr": rows}

    catalog, _ = kalshi_catalog(
        shared_fixtures, shared_data, tmp_path, change, series=("KXRAINNYCM",)
    )
    fees = catalog.markets()["KXRAINNYCM-25DEC-1"].fees  # closed on 2026-01-01
    assert (fees.kind, fees.multiplier) == ("quadratic_with_maker_fees", 2)


def test_the_same_download_gives_the_same_catalog(shared_fixtures, shared_data, tmp_path):
    rows = [trade(i) for i in range(50)]
    first, _ = kalshi_catalog(
        shared_fixtures, shared_data, tmp_path / "a", with_trades(rows), tickers=(TICKER,)
    )
    second, _ = kalshi_catalog(
        shared_fixtures, shared_data, tmp_path / "b", with_trades(rows[::-1]), tickers=(TICKER,)
    )
    assert first.meta.content_sha == second.meta.content_sha


def test_a_catalog_from_elsewhere_is_never_replaced(shared_fixtures, shared_data, tmp_path):
    with CatalogWriter(tmp_path / "cat", name="mine", synthetic=True, source="by hand") as writer:
        writer.pairs([Pair("AB.BINANCE", "A", "B")])
        ones = np.array([1], dtype=np.int64)
        writer.bars("AB.BINANCE-1-HOUR-LAST-EXTERNAL", BarColumns(
            ts_event=ones, open=ones, high=ones, low=ones, close=ones, volume=ones,
            price_precision=2, size_precision=6,
        ))  # fmt: skip
    with pytest.raises(OverlappingData, match="did not come from this download"):
        kalshi_catalog(shared_fixtures, shared_data, tmp_path, tickers=(TICKER,))
    assert Catalog.open(tmp_path / "cat").meta.source == "by hand"


# -- Polymarket -------------------------------------------------------------------------------

SPORT = "0x202abb9a80673068ec5ce9294d60e31eeaf3ab5c82fb21fb0c9142e5d0cab385"


def polymarket_catalog(
    shared_fixtures: Path, shared_data: Path, tmp_path: Path, change: Any = None, **request: Any
) -> Any:
    server = polymarket_server(shared_fixtures, shared_data)
    if change:
        change(server)
    wanted = polymarket.PolymarketRequest(LONG, **request)
    asyncio.run(fetch(server, polymarket.download, tmp_path / "raw", wanted))
    report = polymarket_load.build(tmp_path / "raw", tmp_path / "cat")
    return Catalog.open(tmp_path / "cat"), report


def sport_trades(server: Any) -> None:
    market = next(m for m in server.markets if m["conditionId"] == SPORT)
    tokens = polymarket_load.markets_of.__globals__["tokens_of"](market)
    at = seconds("2026-04-05T15:00:00")
    server.prices[:] = [
        {"timestamp": at + 60 * i, "price": p, "resolution_seconds": 60}
        for i, p in enumerate([0.5, 0.955, 0.9, 0.0, 1.0, None])
    ]
    server.trades[:] = [
        {"condition_id": SPORT, "token_id": tokens[i % 2], "side": side, "size": size,
         "price": price, "timestamp": at + i, "transaction_hash": f"0x{i}"}
        for i, (side, size, price) in enumerate([
            ("BUY", 78.55, 0.62), ("SELL", 0.07, 0.38), ("BUY", 21.739129, 0.62),
            ("BUY", 5, 0.3799996), ("HOLD", 5, 0.5), ("BUY", 0.001, 0.5), ("BUY", 5, 1.5),
            ("BUY", None, 0.5),
        ])
    ] + [{"condition_id": SPORT, "token_id": "1", "side": "BUY", "size": 1, "price": 0.5,
          "timestamp": at}]  # fmt: skip


def test_a_polymarket_download_becomes_resolved_markets_trades_and_points(
    shared_fixtures, shared_data, tmp_path
):
    catalog, report = polymarket_catalog(
        shared_fixtures, shared_data, tmp_path, sport_trades, conditions=(SPORT,)
    )
    market = catalog.markets()[SPORT]
    assert [o.payout for o in market.outcomes] == [1, 0]
    assert (market.fees.rate, market.fees.kind) == (D("0.03"), "curve")
    assert market.close_ns == seconds("2026-04-05T21:10:00") * 10**9  # scheduled, not resolved
    first, second = market.outcomes
    trades = catalog.trades(first.instrument_id)
    assert list(trades.price) == [6200, 6200]
    assert list(trades.size) == [7855, 2173]
    assert list(catalog.trades(second.instrument_id).price) == [3800, 3800]
    assert report.issues["off_precision"]["rows"] == 2
    assert report.issues["bad_side"]["rows"] == 1
    assert report.issues["bad_size"]["rows"] == 1
    assert report.issues["unknown_market"]["rows"] == 1
    points = catalog.bars(f"{first.instrument_id}-1-HOUR-LAST-EXTERNAL")
    assert list(points.close) == [5000, 9550, 9000]
    # One trade price above 1, and for each token the price points 0, 1 and nothing.
    assert report.issues["bad_price"]["rows"] == 1 + 2 * 2
    assert report.issues["not_a_number"]["rows"] == 1 + 2


def test_a_neg_risk_event_that_can_grow_is_not_complete(shared_fixtures, shared_data, tmp_path):
    catalog, report = polymarket_catalog(
        shared_fixtures,
        shared_data,
        tmp_path,
        lambda server: server.prices.append({"timestamp": seconds("2026-08-01"), "price": 0.01}),
        event_slugs=("democratic-presidential-nominee-2028",),
        what=frozenset({"prices"}),
    )
    (event,) = catalog.events().values()
    assert (event.exclusive, event.augmented, event.complete) == (True, True, False)
    assert not event.yes_basket_allowed
    assert {m.neg_risk_id for m in catalog.markets().values()} == {event.neg_risk_id}
    assert report.unresolved == 2


def test_recorded_markets_of_all_kinds_are_read_or_named(shared_fixtures, shared_data, tmp_path):
    server = polymarket_server(shared_fixtures, shared_data)
    slugs = tuple(sorted({m["slug"] for m in server.markets}))
    catalog, report = polymarket_catalog(
        shared_fixtures, shared_data, tmp_path, slugs=slugs, what=frozenset({"markets"})
    )
    kept = catalog.markets()
    left_out = report.issues.get("unknown_market", {"rows": 0})["rows"]
    assert len(kept) + left_out == len(slugs)
    # The market-maker markets of 2020 and 2021 closed without a payout that can be trusted.
    strange = [m for m in kept.values() if m.info["slug"] in {
        market["slug"] for market in server.markets
        if str(market.get("closedTime") or "9") < "2022"
    }]  # fmt: skip
    assert strange
    assert not any(m.resolved for m in strange)
    assert report.issues["conflict"]["rows"] == len(strange)
    for market in kept.values():
        if market.resolved:
            assert sum(o.payout for o in market.outcomes) == 1


# -- crypto -----------------------------------------------------------------------------------


def crypto_catalog(tmp_path: Path, venue: str, rows: list[Any], count: int) -> Any:
    server = crypto_server(rows)
    first = bars(1)[0][0]
    symbol = "BTCUSDT" if venue == "binance" else "XBTUSD"
    wanted = crypto.CryptoRequest(Span(first, first + count * 3600), venue, (symbol,))
    asyncio.run(fetch(server, crypto.download, tmp_path / "raw", wanted))
    report = crypto_load.build(venue, tmp_path / "raw", tmp_path / "cat")
    return Catalog.open(tmp_path / "cat"), report


@pytest.mark.parametrize(
    ("venue", "iid"), [("binance", "BTCUSDT.BINANCE"), ("kraken", "BTCUSD.KRAKEN")]
)
def test_spot_bars_are_known_at_their_close(tmp_path, venue, iid):
    rows = bars(48)
    catalog, report = crypto_catalog(tmp_path, venue, rows, 48)
    got = catalog.bars(f"{iid}-1-HOUR-LAST-EXTERNAL")
    assert len(got) == 48
    assert got.ts_event[0] == (rows[0][0] + 3600) * 10**9
    scale = D(1).scaleb(-got.price_precision)
    assert int(got.high[0]) * scale == 101
    assert report.issues == {}


def test_missing_and_broken_bars_are_reported(tmp_path):
    rows = bars(20)
    del rows[5:8]
    rows[10] = [rows[10][0], "100", "99", "98", "100", "1"]  # high below the body
    rows[12] = [rows[12][0], "100", "x", "98", "100", "1"]
    catalog, report = crypto_catalog(tmp_path, "binance", rows, 25)
    assert len(catalog.bars("BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL")) == 15
    assert report.issues["bad_price"]["rows"] == 1
    assert report.issues["not_a_number"]["rows"] == 1
    assert report.issues["time_gap"]["rows"] == 3 + 1 + 1 + 5


def test_bars_from_before_a_coarser_tick_keep_their_decimals(tmp_path):
    rows = bars(3)
    rows[0] = [rows[0][0], "100.123", "101.00", "99.00", "100.50", "0.123456"]
    catalog, report = crypto_catalog(tmp_path, "binance", rows, 3)
    got = catalog.bars("BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL")
    assert (got.price_precision, got.size_precision) == (3, 6)
    assert list(got.open) == [100_123, 100_000, 100_000]
    assert report.issues == {}


def test_definitions_are_written_once_per_outcome(shared_fixtures, shared_data, tmp_path):
    catalog, _ = kalshi_catalog(shared_fixtures, shared_data, tmp_path, tickers=(TICKER,))
    assert sum(e.kind is Kind.OPTIONS for e in catalog.manifest()) == 2
