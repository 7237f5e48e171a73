"""Venues' public history on loopback: recorded answers, paged, with a schedule of faults."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Any]


def load(path: Path) -> Any:
    """Return the JSON of a plain or gzipped file."""
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


class HistoryServer:
    """A venue that answers from recordings and misbehaves on demand.

    `faults` maps a path to a queue of faults; each request of that path takes the next one:
    ``429``, ``500``, ``truncated``, ``reset``, ``html`` or a callable that changes the body.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Handler] = {}
        self.faults: dict[str, deque[Any]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> HistoryServer:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    def fail(self, path: str, *faults: Any) -> None:
        """Queue faults for a path."""
        self.faults.setdefault(path, deque()).extend(faults)

    def count(self) -> Counter[str]:
        """Return how often each path was asked for."""
        return Counter(path for path, _ in self.seen)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path, query = request.path, dict(request.query)
        self.seen.append((path, query))
        handler = next((h for prefix, h in self.routes.items() if _matches(prefix, path)), None)
        queue = self.faults.get(path)
        fault = queue.popleft() if queue else None
        if fault == "429":
            return web.json_response(
                {"error": "too many requests"}, status=429, headers={"Retry-After": "0.05"}
            )
        if fault == "500":
            return web.Response(status=500, text="oops")
        if fault == "html":
            return web.Response(status=403, text="<html>blocked</html>")
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if handler is None:
            return web.json_response({"error": {"code": "not_found"}}, status=404)
        body = handler(request)
        if body is None:
            return web.json_response({"error": {"code": "not_found"}}, status=404)
        if callable(fault):
            body = fault(body)
        text = json.dumps(body)
        if fault == "truncated":
            text = text[: len(text) // 2]
        return web.Response(text=text, content_type="application/json")


def _matches(pattern: str, path: str) -> bool:
    want, have = pattern.split("/"), path.split("/")
    return len(want) == len(have) and all(
        w == h or w == "*" for w, h in zip(want, have, strict=True)
    )


def paged(rows: list[Any], query: dict[str, str], cursor_name: str) -> tuple[list[Any], str | None]:
    """Return one page of `rows` and the cursor of the next."""
    at, limit = int(query.get(cursor_name) or 0), int(query.get("limit", 100))
    more = at + limit < len(rows)
    return rows[at : at + limit], str(at + limit) if more else None


def kalshi_server(fixtures: Path, samples: Path) -> HistoryServer:
    """Kalshi from recorded markets, events, series and candles."""
    folder = fixtures / "kalshi"
    server = HistoryServer()
    nested = load(folder / "rest_events_nested.json")["events"]
    live = [m for e in nested for m in e["markets"]]
    live += load(folder / "rest_markets_settled.json")["markets"]
    mars = load(samples / "event_single_response.json.gz")["response"]
    live += mars["markets"]
    old = load(folder / "rest_historical_markets.json")["markets"]
    events = {e["event_ticker"]: {k: v for k, v in e.items() if k != "markets"} for e in nested}
    events["KXELONMARS-99"] = mars["event"]
    for market in live:  # events of the recorded games, which were recorded without their events
        ticker = market["event_ticker"]
        if ticker.startswith("KXMLBGAME"):
            events[ticker] = {
                "event_ticker": ticker,
                "series_ticker": "KXMLBGAME",
                "title": market["title"],
                "mutually_exclusive": True,
            }
    series = {
        s["ticker"]: s for s in load(samples / "series_list_response.json.gz")["response"]["series"]
    }
    series |= {t: b["series"] for t, b in load(folder / "rest_series.json").items()}
    series["KXELONMARS"] = dict(series["KXHIGHNY"], ticker="KXELONMARS")
    series["KXU3MAX"] = dict(series["KXHIGHNY"], ticker="KXU3MAX")
    candles = load(folder / "rest_candlesticks.json")["candlesticks"]
    old_candles = load(folder / "rest_historical_candlesticks.json")["candlesticks"]
    server.trades = {  # type: ignore[attr-defined]
        "KXELONMARS-99": load(samples / "trades_list_response.json.gz")["response"]["trades"]
    }
    event_of = {m["ticker"]: m["event_ticker"] for m in live + old}
    prefix = {"KXRAINNYCM-25DEC": "KXRAINNYCM"}

    def series_of(market: dict[str, Any]) -> str:
        event = market["event_ticker"]
        return events.get(event, {}).get("series_ticker") or prefix.get(event, event.split("-")[0])

    def markets(rows: list[Any]) -> Handler:
        def handler(request: web.Request) -> Any:
            q = dict(request.query)
            found = [
                m
                for m in rows
                if q.get("series_ticker", series_of(m)) == series_of(m)
                and q.get("event_ticker", m["event_ticker"]) == m["event_ticker"]
                and m["ticker"] in q.get("tickers", m["ticker"]).split(",")
            ]
            page, cursor = paged(found, q, "cursor")
            return {"markets": page, "cursor": cursor or ""}

        return handler

    def trades(request: web.Request) -> Any:
        q = dict(request.query)
        rows = server.trades.get(q["ticker"], [])  # type: ignore[attr-defined]
        page, cursor = paged(rows, q, "cursor")
        return {"trades": page, "cursor": cursor or ""}

    def listed_events(request: web.Request) -> Any:
        q = dict(request.query)
        rows = [e for e in events.values() if e["series_ticker"] == q.get("series_ticker")]
        page, cursor = paged(rows, q, "cursor")
        return {"events": page, "cursor": cursor or ""}

    def one(table: dict[str, Any], name: str) -> Handler:
        def handler(request: web.Request) -> Any:
            row = table.get(request.path.rsplit("/", 1)[-1])
            return None if row is None else {name: row}

        return handler

    def candle(rows: list[Any], ticker: str) -> Handler:
        def handler(request: web.Request) -> Any:
            if event_of.get(request.path.split("/")[-2]) is None:
                return None
            low, high = int(request.query["start_ts"]), int(request.query["end_ts"])
            mine = rows if request.path.split("/")[-2] == ticker else []
            return {"candlesticks": [c for c in mine if low <= c["end_period_ts"] <= high]}

        return handler

    server.routes = {
        "/historical/cutoff": lambda _: {
            "market_settled_ts": "2026-05-01T00:00:00Z",
            "trades_created_ts": "2026-05-01T00:00:00Z",
        },
        "/markets": markets(live),
        "/historical/markets": markets(old),
        "/events": listed_events,
        "/events/*": one(events, "event"),
        "/series/fee_changes": lambda _: {"series_fee_change_arr": []},
        "/series/*": one(series, "series"),
        "/markets/trades": trades,
        "/historical/trades": trades,
        "/series/*/markets/*/candlesticks": candle(candles, "KXHIGHNY-26JUL19-T80"),
        "/historical/markets/*/candlesticks": candle(old_candles, "KXRAINNYCM-25DEC-1"),
    }
    return server


def polymarket_server(fixtures: Path, data: Path) -> HistoryServer:
    """Gamma, Data v2 and CLOB from recorded markets, events, trades and price points."""
    folder = fixtures / "polymarket"
    server = HistoryServer()
    events = load(folder / "gamma" / "event_negrisk_augmented.json")
    markets = [load(p) for p in sorted((folder / "gamma").glob("market_*.json"))]
    crawl = [
        m
        for name in ("raw_page_00003.json.gz", "raw_page_00400.json.gz")
        for m in load(data / "polymarket_gamma" / name)["markets"]
    ]
    markets += crawl
    trades = load(folder / "data_v2" / "trades.json")
    prices = load(folder / "data_v2" / "prices-history.json")
    server.markets, server.trades, server.prices = markets, trades, prices  # type: ignore[attr-defined]

    def gamma(rows: list[Any], name: str) -> Handler:
        def handler(request: web.Request) -> Any:
            q = dict(request.query)
            found = [
                r
                for r in rows
                if q.get("slug", r.get("slug")) == r.get("slug")
                and q.get("condition_ids", r.get("conditionId")) == r.get("conditionId")
                and (q.get("closed", "false") == "true") == bool(r.get("closed"))
                and ("tag_slug" not in q or name == "events")
            ]
            page, cursor = paged(found, q, "after_cursor")
            return {name: page, "next_cursor": cursor}

        return handler

    def enveloped(rows_of: Callable[[dict[str, str]], list[Any]]) -> Handler:
        def handler(request: web.Request) -> Any:
            q = dict(request.query)
            page, cursor = paged(rows_of(q), q, "cursor")
            more = {"has_more": cursor is not None, "next_cursor": cursor}
            return {"data": page, "pagination": {"limit": 1000, "offset": 0, **more}}

        return handler

    def of_condition(q: dict[str, str]) -> list[Any]:
        low, high = int(q["start"]), int(q["end"])
        return [
            t
            for t in server.trades  # type: ignore[attr-defined]
            if t["condition_id"] == q["condition_id"] and low <= t["timestamp"] <= high
        ]

    def points(q: dict[str, str]) -> list[Any]:
        low, high = int(q["start"]), int(q["end"])
        return [p for p in server.prices if low <= p["timestamp"] <= high]  # type: ignore[attr-defined]

    def clob(request: web.Request) -> Any:
        low, high = int(request.query["startTs"]), int(request.query["endTs"])
        rows = [p for p in server.prices if low <= p["timestamp"] <= high]  # type: ignore[attr-defined]
        return {"history": [{"t": p["timestamp"], "p": p["price"]} for p in rows]}

    server.routes = {
        "/markets/keyset": gamma(markets, "markets"),
        "/events/keyset": gamma(events, "events"),
        "/v2/trades": enveloped(of_condition),
        "/v2/prices-history": enveloped(points),
        "/prices-history": clob,
    }
    return server


def crypto_server(bars: list[list[Any]]) -> HistoryServer:
    """Binance and Kraken with the same bars: ``[open_s, o, h, l, c, volume]`` as numbers or text."""
    server = HistoryServer()
    server.bars = bars  # type: ignore[attr-defined]

    def klines(request: web.Request) -> Any:
        q = request.query
        low, high, limit = int(q["startTime"]), int(q["endTime"]), int(q["limit"])
        found = [b for b in server.bars if low <= b[0] * 1000 <= high]  # type: ignore[attr-defined]
        return [
            [b[0] * 1000, *b[1:6], b[0] * 1000 + 3_599_999, "0", 1, "0", "0", "0"]
            for b in found[:limit]
        ]

    def ohlc(request: web.Request) -> Any:
        since = int(request.query["since"])
        rows = [[b[0], *b[1:5], "0", b[5], 1] for b in server.bars if b[0] > since]  # type: ignore[attr-defined]
        return {"error": [], "result": {"XXBTZUSD": rows[-720:], "last": 0}}

    server.routes = {
        "/api/v3/klines": klines,
        "/api/v3/exchangeInfo": lambda request: {
            "symbols": [
                {
                    "symbol": request.query["symbol"],
                    "baseAsset": "BTC",
                    "quoteAsset": "USDT",
                    "filters": [
                        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
                        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
                    ],
                }
            ]
        },
        "/0/public/OHLC": ohlc,
        "/0/public/AssetPairs": lambda _: {
            "error": [],
            "result": {
                "XXBTZUSD": {
                    "altname": "XBTUSD",
                    "wsname": "XBT/USD",
                    "pair_decimals": 1,
                    "lot_decimals": 8,
                }
            },
        },
    }
    return server


@contextmanager
def running(server: HistoryServer) -> Iterator[HistoryServer]:
    """Run `server` in a thread of its own, for callers that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        yield server
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
