from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

import adapters.crypto.history as crypto
import adapters.kalshi.history as kalshi
import adapters.polymarket.history as polymarket
from adapters.download import RawStore, Retry
from adapters.download.request import FetchOptions, Span
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import UsageError, VenueError
from tests.unit.adapters.download.history_server import (
    HistoryServer,
    crypto_server,
    kalshi_server,
    polymarket_server,
)

FAST = Retry(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, timeout_s=3)


def seconds(text: str) -> int:
    return ns_from_iso(text) // NS_PER_SECOND


def options(server: HistoryServer, **more: Any) -> FetchOptions:
    names = ("kalshi", "gamma", "data", "clob", "binance", "kraken")
    return FetchOptions(base_urls=dict.fromkeys(names, server.url), retry=FAST, speed=1.0, **more)


async def within(server: HistoryServer, download: Any, raw: Path, request: Any) -> Any:
    async with server:
        return await download(raw, request, options(server))


def rows(raw: Path, identity: dict[str, Any], table: str) -> list[Any]:
    with RawStore(raw, identity) as store:
        return [row.value for row in store.rows(table)]


@pytest.fixture
def kalshi_world(shared_fixtures: Path, shared_data: Path) -> HistoryServer:
    return kalshi_server(shared_fixtures, shared_data / "kalshi_api_samples")


@pytest.fixture
def polymarket_world(shared_fixtures: Path, shared_data: Path) -> HistoryServer:
    return polymarket_server(shared_fixtures, shared_data)


LONG = Span(seconds("2025-06-01"), seconds("2026-09-01"))


def test_a_kalshi_series_comes_with_events_terms_and_candles(kalshi_world, tmp_path):
    request = kalshi.KalshiRequest(LONG, series=("KXHIGHNY",))
    outcome, counts = asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    assert outcome.failed == {}
    assert {m["ticker"] for m in rows(tmp_path, kalshi.IDENTITY, "markets")} == {
        "KXHIGHNY-26JUL19-T80",
        "KXHIGHNY-26JUL19-B80.5",
    }
    assert rows(tmp_path, kalshi.IDENTITY, "series")[0]["fee_type"] == "quadratic"
    assert len(rows(tmp_path, kalshi.IDENTITY, "candles")) == 4
    asked = kalshi_world.count()
    assert asked["/series/KXHIGHNY/markets/KXHIGHNY-26JUL19-T80/candlesticks"] >= 1
    assert counts["requests"] == sum(asked.values())


def test_kalshi_history_before_the_cut_comes_from_the_archive(kalshi_world, tmp_path):
    request = kalshi.KalshiRequest(LONG, series=("KXRAINNYCM",))
    outcome, _ = asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    assert outcome.failed == {}
    asked = kalshi_world.count()
    assert asked["/historical/markets/KXRAINNYCM-25DEC-1/candlesticks"] == 1
    assert asked["/historical/trades"] == 3
    assert asked["/markets/trades"] == 0


def test_kalshi_trades_are_split_at_the_cut(kalshi_world, tmp_path):
    request = kalshi.KalshiRequest(LONG, tickers=("KXELONMARS-99",), what=frozenset({"trades"}))
    outcome, _ = asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    assert outcome.failed == {}
    cut = seconds("2026-05-01")
    queries = [(p, q) for p, q in kalshi_world.seen if p.endswith("/trades")]
    periods = {p: (int(q["min_ts"]), int(q["max_ts"])) for p, q in queries}
    assert periods["/historical/trades"][1] == cut == periods["/markets/trades"][0]


def test_kalshi_pages_follow_the_cursor_through_faults(kalshi_world, tmp_path):
    ticker = "KXMLBGAME-26AUG081610LAAMIA-MIA"
    kalshi_world.trades[ticker] = [{"trade_id": str(i)} for i in range(2500)]
    kalshi_world.fail("/markets/trades", "429", "500", None, "truncated", None, "reset")
    request = kalshi.KalshiRequest(LONG, tickers=(ticker,), what=frozenset({"trades"}))
    outcome, counts = asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    assert outcome.failed == {}
    assert counts["retries"] >= 3
    got = [t["trade_id"] for t in rows(tmp_path, kalshi.IDENTITY, "trades")]
    assert got == [str(i) for i in range(2500)]


def test_long_kalshi_candles_come_in_windows_the_venue_allows(kalshi_world, tmp_path):
    request = kalshi.KalshiRequest(
        LONG, tickers=("KXELONMARS-99",), what=frozenset({"candles"}), interval="1h"
    )
    asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    spans = [
        (int(q["start_ts"]), int(q["end_ts"]))
        for p, q in kalshi_world.seen
        if p.endswith("/KXELONMARS-99/candlesticks")
    ]
    assert len(spans) > 1
    assert all((high - low) <= kalshi.CANDLES_PER_CALL * 3600 for low, high in spans)
    assert all(one[1] == after[0] for one, after in itertools.pairwise(spans))


def test_a_payload_of_another_shape_fails_the_unit_and_says_so(kalshi_world, tmp_path):
    ticker = "KXELONMARS-99"
    kalshi_world.fail("/markets/trades", lambda body: {"orders": []})
    request = kalshi.KalshiRequest(LONG, tickers=(ticker,), what=frozenset({"trades"}))
    outcome, _ = asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    assert [name for name in outcome.failed if name.startswith("trades|")]
    assert "another shape" in next(iter(outcome.failed.values()))


def test_a_market_that_crosses_the_cut_is_found_in_the_archive(kalshi_world, tmp_path):
    path = "/series/KXHIGHNY/markets/KXHIGHNY-26JUL19-T80/candlesticks"
    del kalshi_world.routes["/series/*/markets/*/candlesticks"]
    request = kalshi.KalshiRequest(LONG, series=("KXHIGHNY",), what=frozenset({"candles"}))
    outcome, _ = asyncio.run(within(kalshi_world, kalshi.download, tmp_path, request))
    assert outcome.failed == {}
    asked = kalshi_world.count()
    assert asked[path] == asked["/historical/markets/KXHIGHNY-26JUL19-T80/candlesticks"] == 1


def test_polymarket_events_bring_all_their_markets(polymarket_world, tmp_path):
    slug = "democratic-presidential-nominee-2028"
    request = polymarket.PolymarketRequest(
        LONG, event_slugs=(slug,), what=frozenset({"prices"}), interval="1d"
    )
    outcome, _ = asyncio.run(within(polymarket_world, polymarket.download, tmp_path, request))
    assert outcome.failed == {}
    with RawStore(tmp_path, polymarket.IDENTITY) as store:
        assert len(polymarket.markets_of(store)) == 2
    spans = [
        (int(q["start"]), int(q["end"]))
        for p, q in polymarket_world.seen
        if p == "/v2/prices-history"
    ]
    assert max(high - low for low, high in spans) <= 15 * 86_400


def test_polymarket_trades_page_by_cursor(polymarket_world, tmp_path):
    market = next(m for m in polymarket_world.markets if m.get("closedTime", "") > "2026-05-09")
    base = seconds("2026-05-01")
    polymarket_world.trades = [
        {"condition_id": market["conditionId"], "timestamp": base + i, "n": i} for i in range(2300)
    ]
    request = polymarket.PolymarketRequest(
        LONG, conditions=(market["conditionId"],), what=frozenset({"trades"})
    )
    outcome, _ = asyncio.run(within(polymarket_world, polymarket.download, tmp_path, request))
    assert outcome.failed == {}
    got = rows(tmp_path, polymarket.IDENTITY, "trades")
    assert [t["n"] for t in got] == list(range(2300))


def test_polymarket_prices_can_come_from_the_clob(polymarket_world, tmp_path):
    market = next(m for m in polymarket_world.markets if not m["closed"])
    request = polymarket.PolymarketRequest(
        Span(seconds("2026-09-01"), seconds("2026-09-10")),
        slugs=(market["slug"],),
        what=frozenset({"prices"}),
        prices_from="clob",
    )
    outcome, _ = asyncio.run(within(polymarket_world, polymarket.download, tmp_path, request))
    assert outcome.failed == {}
    assert polymarket_world.count()["/prices-history"] >= 2
    assert {r["p"] for r in rows(tmp_path, polymarket.IDENTITY, "prices")} == {0.955}


def bars(count: int, start: int = 1_760_000_400, step: int = 3600) -> list[list[Any]]:
    return [[start + i * step, "100.00", "101.00", "99.00", "100.50", "3.5"] for i in range(count)]


def test_binance_bars_are_synced_incrementally_and_never_include_an_open_bar(tmp_path):
    world = crypto_server(bars(2500))
    first = world.bars[0][0]

    def request(count: int, extra: int = 0) -> crypto.CryptoRequest:
        return crypto.CryptoRequest(
            Span(first, first + count * 3600 + extra), "binance", ("BTCUSDT",)
        )

    outcome, _ = asyncio.run(within(world, crypto.download, tmp_path, request(2200, 1800)))
    who = {"venue": "BINANCE", "format": 1}
    assert outcome.failed == {}
    assert [b[0] // 1000 for b in rows(tmp_path, who, "bars")] == [b[0] for b in world.bars[:2200]]
    world.seen.clear()
    asyncio.run(within(world, crypto.download, tmp_path, request(2500)))
    asked = [q for p, q in world.seen if p == "/api/v3/klines"]
    assert [int(q["startTime"]) for q in asked] == [world.bars[2200][0] * 1000]
    assert len(rows(tmp_path, who, "bars")) == 2500


def test_kraken_serves_its_latest_bars_and_waits_when_told_to_slow_down(tmp_path, monkeypatch):
    monkeypatch.setattr(crypto, "KRAKEN_PAUSE_S", 0.02)
    world = crypto_server(bars(800))
    world.fail("/0/public/OHLC", lambda body: {"error": ["EAPI:Rate limit exceeded"]})
    first = world.bars[0][0]
    request = crypto.CryptoRequest(Span(first, first + 800 * 3600), "kraken", ("XBTUSD",))
    outcome, _ = asyncio.run(within(world, crypto.download, tmp_path, request))
    assert outcome.failed == {}
    assert len(rows(tmp_path, {"venue": "KRAKEN", "format": 1}, "bars")) == 720


def test_an_unknown_kraken_pair_is_refused(tmp_path):
    world = crypto_server([])
    world.fail("/0/public/AssetPairs", lambda body: {"error": ["EQuery:Unknown asset pair"]})
    request = crypto.CryptoRequest(Span(1, 3601 * 3), "kraken", ("NOPE",))
    outcome, _ = asyncio.run(within(world, crypto.download, tmp_path, request))
    assert "Unknown asset pair" in outcome.failed["symbols|NOPE|0|0"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: kalshi.KalshiRequest(LONG),
        lambda: kalshi.KalshiRequest(LONG, series=("A",), what=frozenset({"books"})),
        lambda: kalshi.KalshiRequest(LONG, series=("A",), interval="7m"),
        lambda: polymarket.PolymarketRequest(LONG),
        lambda: polymarket.PolymarketRequest(LONG, tags=("a",), state="maybe"),
        lambda: polymarket.PolymarketRequest(LONG, tags=("a",), what=frozenset({"x"})),
        lambda: polymarket.PolymarketRequest(LONG, tags=("a",), interval="7m"),
        lambda: polymarket.PolymarketRequest(LONG, tags=("a",), prices_from="moon"),
        lambda: crypto.CryptoRequest(LONG, "mtgox", ("A",)),
        lambda: crypto.CryptoRequest(LONG, "binance", ()),
        lambda: crypto.CryptoRequest(LONG, "binance", ("A",), interval="7m"),
        lambda: Span(5, 5),
        lambda: Span(-5, 5),
        lambda: FetchOptions(speed=0),
        lambda: FetchOptions(workers=0),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_sent(make):
    with pytest.raises(UsageError):
        make()


def test_a_venue_that_is_down_is_named(tmp_path):
    request = kalshi.KalshiRequest(LONG, series=("KXA",))
    nowhere = FetchOptions(base_urls={"kalshi": "http://127.0.0.1:9"}, retry=FAST)
    with pytest.raises(VenueError, match=r"127\.0\.0\.1"):
        asyncio.run(kalshi.download(tmp_path, request, nowhere))
