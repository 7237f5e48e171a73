"""Kalshi's public history: which endpoints, in which order, and on which side of the live/historical cut.

Phases: markets and the cut; their events; their series; then trades and candles. Markets that settled
before the cut, and trades made before it, are served by the ``/historical`` endpoints only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.download import (
    Download,
    NotFound,
    Outcome,
    Page,
    PublicClient,
    RawStore,
    TokenBucket,
    Unit,
)
from adapters.download.request import FetchOptions, Span
from adapters.download.run import Watch
from adapters.kalshi.history_rows import (
    cutoff_of,
    life_of,
    markets_of,
    may_have_traded,
    seconds_of,
    series_of_markets,
)
from adapters.mends import SHAPE_MEND
from core.domain.errors import UsageError, VenueError

BASE_URL = "https://external-api.kalshi.com/trade-api/v2"
IDENTITY = {"venue": "KALSHI", "format": 1}
#: Basic tier: 200 read tokens a second, two seconds of burst, 10 tokens a request.
READ_TOKENS_PER_S, READ_BURST, READ_COST = 200.0, 400.0, 10.0
#: Candles asked for in one call; the venue allows a few thousand.
CANDLES_PER_CALL = 4_000
INTERVALS: dict[str, int] = {"1m": 1, "1h": 60, "1d": 1440}
WHAT = frozenset({"markets", "trades", "candles"})
LIVE, HISTORICAL = "live", "historical"


@dataclass(frozen=True, slots=True)
class KalshiRequest:
    """What to download.

    Attributes
    ----------
    series, events, tickers : tuple of str
        Selection; at least one of them.
    what : frozenset of str
        Among ``markets``, ``trades``, ``candles``; markets are always part of it.
    interval : str
        Of candles: ``1m``, ``1h`` or ``1d``.
    """

    span: Span
    series: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    tickers: tuple[str, ...] = ()
    what: frozenset[str] = WHAT
    interval: str = "1h"

    def __post_init__(self) -> None:
        """Refuse an empty selection and unknown words."""
        if not (self.series or self.events or self.tickers):
            raise UsageError(
                "say which markets to download", "nothing selected", "--series KXBTC15M"
            )
        if self.what - WHAT:
            raise UsageError(
                "unknown kind of Kalshi history",
                ", ".join(sorted(self.what - WHAT)),
                f"--what {','.join(sorted(WHAT))}",
            )
        if self.interval not in INTERVALS:
            raise UsageError(
                "unknown candle interval", self.interval, f"use one of {', '.join(INTERVALS)}"
            )


class KalshiHistory:
    """The venue as a `adapters.download.Source`."""

    phases = 4

    def __init__(self, client: PublicClient, request: KalshiRequest) -> None:
        self.client = client
        self.request = request
        self._series: dict[str, str] = {}

    def plan(self, phase: int, store: RawStore) -> list[Unit]:
        """Return the units of one phase."""
        if phase == 0:
            return [Unit("cutoff", "cutoff"), *self._market_listings()]
        if phase == 1:
            return self._event_listings(store)
        self._series = series_of_markets(store)
        if phase == 2:
            wanted = sorted(set(self._series.values()) | set(self.request.series))
            return [Unit(t, s) for s in wanted for t in ("series", "fee_changes")]
        return list(self._history(store))

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        """Return one page of a unit."""
        match unit.table:
            case "cutoff":
                return Page([await self._get("/historical/cutoff", {})])
            case "markets" | "events":
                return await self._listing(unit, cursor)
            case "series":
                return Page([_inner(await self._get(f"/series/{unit.key}", {}), "series")])
            case "fee_changes":
                query = {"series_ticker": unit.key, "show_historical": "true"}
                answer = await self._get("/series/fee_changes", query)
                return Page(_rows(answer, "series_fee_change_arr"))
            case "trades":
                return await self._trades(unit, cursor)
            case "candles":
                return await self._candles(unit, cursor)
        raise UsageError(
            "unknown table of Kalshi history", unit.table, "--what markets,trades,candles"
        )

    # -- planning -----------------------------------------------------------------------------

    def _market_listings(self) -> Iterator[Unit]:
        wanted = {
            "series_ticker": self.request.series,
            "event_ticker": self.request.events,
            "tickers": self.request.tickers,
        }
        for name, values in wanted.items():
            for value in values:
                for tier in (LIVE, HISTORICAL):
                    yield Unit("markets", f"{tier}:{name}={value}", tier=tier)

    def _event_listings(self, store: RawStore) -> list[Unit]:
        units = [Unit("events", f"series_ticker={s}") for s in self.request.series]
        if self.request.events or self.request.tickers:
            known = {m.get("event_ticker", "") for m in markets_of(store).values()}
            units += [Unit("events", e) for e in sorted(known | set(self.request.events)) if e]
        return units

    def _history(self, store: RawStore) -> Iterator[Unit]:
        cut = cutoff_of(store)
        for ticker, market in sorted(markets_of(store).items()):
            if not self._selected(market):
                continue
            life = life_of(market)
            span = self.request.span.clip(*life) if life else None
            if span is None:
                continue
            if "trades" in self.request.what and may_have_traded(market):
                yield from _split(Unit("trades", ticker, span.start_s, span.end_s), cut["trades"])
            if "candles" in self.request.what:
                settled = seconds_of(market.get("settlement_ts"))
                tier = HISTORICAL if 0 < settled < cut["markets"] else LIVE
                key = f"{ticker}:{self.request.interval}"
                yield Unit("candles", key, span.start_s, span.end_s, tier)

    def _selected(self, market: Mapping[str, Any]) -> bool:
        ticker = str(market.get("ticker"))
        return (
            ticker in self.request.tickers
            or str(market.get("event_ticker")) in self.request.events
            or self._series.get(ticker) in self.request.series
        )

    # -- fetching -----------------------------------------------------------------------------

    async def _get(self, path: str, query: Mapping[str, Any]) -> Any:
        return await self.client.get(path, query, READ_COST)

    async def _listing(self, unit: Unit, cursor: str | None) -> Page:
        name, equals, value = unit.key.removeprefix(f"{unit.tier}:").partition("=")
        if unit.table == "events" and not equals:
            try:
                return Page([_inner(await self._get(f"/events/{name}", {}), "event")])
            except NotFound:
                return Page([])
        query: dict[str, Any] = {name: value, "cursor": cursor}
        if unit.table == "events":
            answer = await self._get("/events", query | {"limit": 200})
        elif unit.tier == HISTORICAL:
            answer = await self._get("/historical/markets", query | {"limit": 1000})
        else:
            more = {"limit": 1000, "mve_filter": "" if name == "tickers" else "exclude"}
            answer = await self._get("/markets", query | more)
        return Page(_rows(answer, unit.table), _cursor(answer))

    async def _trades(self, unit: Unit, cursor: str | None) -> Page:
        path = "/historical/trades" if unit.tier == HISTORICAL else "/markets/trades"
        query = {
            "ticker": unit.key,
            "min_ts": unit.start_s,
            "max_ts": unit.end_s,
            "limit": 1000,
            "cursor": cursor,
        }
        answer = await self._get(path, query)
        return Page(_rows(answer, "trades"), _cursor(answer))

    async def _candles(self, unit: Unit, cursor: str | None) -> Page:
        ticker, _, interval = unit.key.rpartition(":")
        minutes = INTERVALS[interval]
        low = int(cursor) if cursor else unit.start_s
        high = min(unit.end_s, low + CANDLES_PER_CALL * minutes * 60)
        query = {"start_ts": low, "end_ts": high, "period_interval": minutes}
        rows = await self._candle_rows(unit, ticker, query)
        return Page(rows, str(high) if high < unit.end_s else None, window=True)

    async def _candle_rows(self, unit: Unit, ticker: str, query: dict[str, int]) -> list[Any]:
        old = f"/historical/markets/{ticker}/candlesticks"
        series = self._series.get(ticker, "")
        if unit.tier == HISTORICAL or not series:
            return _rows(await self._get(old, query), "candlesticks")
        try:
            path = f"/series/{series}/markets/{ticker}/candlesticks"
            return _rows(await self._get(path, query), "candlesticks")
        except NotFound:  # the market crossed the cut between the plan and this call
            return _rows(await self._get(old, query), "candlesticks")


async def download(
    raw: Path, request: KalshiRequest, options: FetchOptions, watch: Watch | None = None
) -> tuple[Outcome, dict[str, int]]:
    """Download what `request` asks for into `raw`; return the outcome and request counts."""
    bucket = TokenBucket(READ_TOKENS_PER_S * options.speed, READ_BURST * options.speed)
    base = options.base_urls.get("kalshi", BASE_URL)
    with RawStore(raw, IDENTITY, options.restart) as store:
        async with PublicClient(base, bucket, options.retry, options.seed) as client:
            source = KalshiHistory(client, request)
            run = Download(source, store, workers=options.workers, watch=watch)
            outcome = await run.run()
            return outcome, {"requests": client.requests, "retries": client.retries}


def _split(unit: Unit, cut_s: int) -> Iterator[Unit]:
    if unit.start_s < cut_s:
        end = min(unit.end_s, cut_s)
        yield Unit(unit.table, unit.key, unit.start_s, end, HISTORICAL)
    if unit.end_s > cut_s:
        yield Unit(unit.table, unit.key, max(unit.start_s, cut_s), unit.end_s, LIVE)


def _rows(answer: Any, name: str) -> list[Any]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise VenueError(
            "Kalshi sent another shape than documented", f"no list {name!r}", SHAPE_MEND
        )
    return rows


def _inner(answer: Any, name: str) -> Any:
    inner = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(inner, dict):
        raise VenueError(
            "Kalshi sent another shape than documented", f"no object {name!r}", SHAPE_MEND
        )
    return inner


def _cursor(answer: dict[str, Any]) -> str | None:
    return str(answer["cursor"]) if answer.get("cursor") else None
