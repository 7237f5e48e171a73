"""Polymarket's public history: Gamma markets and events, Data v2 trades, price points of Data v2 or CLOB.

Phases: markets (by market filters) and events (by event filters); then trades per condition and price
points per outcome token. Price points come in windows of at most 15 days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.download import Download, Outcome, Page, PublicClient, RawStore, TokenBucket, Unit
from adapters.download.request import FetchOptions, Span
from adapters.download.run import Watch
from adapters.mends import SHAPE_MEND
from adapters.polymarket.history_rows import life_of, markets_of, tokens_of
from core.domain.clock import NS_PER_SECOND, iso_from_ns
from core.domain.errors import UsageError, VenueError

BASE_URLS = {
    "gamma": "https://gamma-api.polymarket.com",
    "data": "https://data-api.polymarket.com",
    "clob": "https://clob.polymarket.com",
}
#: Requests per second by service: the tightest published limit of what we call there.
RATES = {"gamma": 30.0, "data": 20.0, "clob": 100.0}
IDENTITY = {"venue": "POLYMARKET", "format": 1}
WHAT = frozenset({"markets", "trades", "prices"})
INTERVALS: dict[str, int] = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86_400}
WINDOW_S = 15 * 86_400
STATES = ("closed", "open", "any")


@dataclass(frozen=True, slots=True)
class PolymarketRequest:
    """What to download.

    Attributes
    ----------
    slugs, conditions : tuple of str
        Markets by slug or condition id.
    event_slugs, tags : tuple of str
        Events by slug or tag slug, with all their markets.
    state : str
        ``closed``, ``open`` or ``any``: which markets of a tag.
    what : frozenset of str
        Among ``markets``, ``trades``, ``prices``; markets are always part of it.
    interval : str
        Spacing of price points.
    prices_from : str
        ``data`` (Data API v2) or ``clob``.
    """

    span: Span
    slugs: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    event_slugs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    state: str = "closed"
    what: frozenset[str] = WHAT
    interval: str = "1h"
    prices_from: str = "data"

    def __post_init__(self) -> None:
        """Refuse an empty selection and unknown words."""
        if not (self.slugs or self.conditions or self.event_slugs or self.tags):
            raise UsageError(
                "say which markets to download",
                "nothing selected",
                "--event-slug fed-decision-in-january",
            )
        for value, known, option in (
            (self.state, STATES, "--state"),
            (self.interval, tuple(INTERVALS), "--interval"),
            (self.prices_from, ("data", "clob"), "--prices-from"),
            *((word, tuple(sorted(WHAT)), "--what") for word in sorted(self.what)),
        ):
            if value not in known:
                raise UsageError(
                    f"{option} must be one of {', '.join(known)}", value, f"{option} {known[0]}"
                )


class PolymarketHistory:
    """The venue as a `adapters.download.Source`."""

    phases = 2

    def __init__(self, clients: Mapping[str, PublicClient], request: PolymarketRequest) -> None:
        self.clients = clients
        self.request = request

    def plan(self, phase: int, store: RawStore) -> list[Unit]:
        """Return the units of one phase."""
        return list(self._listings() if phase == 0 else self._history(store))

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        """Return one page of a unit."""
        match unit.table:
            case "markets" | "events":
                return await self._listing(unit, cursor)
            case "trades":
                return await self._trades(unit, cursor)
            case "prices":
                return await self._prices(unit, cursor)
        raise UsageError(
            "unknown table of Polymarket history", unit.table, "--what markets,trades,prices"
        )

    # -- planning -----------------------------------------------------------------------------

    def _listings(self) -> Iterator[Unit]:
        request = self.request
        states = {"closed": ("true",), "open": ("false",), "any": ("true", "false")}
        single = ("true", "false")  # a named market is wanted whatever its state
        for table, name, values, closed in (
            ("markets", "slug", request.slugs, single),
            ("markets", "condition_ids", request.conditions, single),
            ("events", "slug", request.event_slugs, single),
            ("events", "tag_slug", request.tags, states[request.state]),
        ):
            for value in values:
                for word in closed:
                    key = f"{name}={value}&closed={word}"
                    if name == "tag_slug":  # bounded by the period; a named market is not
                        key += f"&end_date_min={_iso(request.span.start_s)}"
                    yield Unit(table, key)

    def _history(self, store: RawStore) -> Iterator[Unit]:
        for condition, market in sorted(markets_of(store).items()):
            life = life_of(market, self.request.span.end_s)
            span = self.request.span.clip(*life) if life else None
            if span is None:
                continue
            if "trades" in self.request.what:
                yield Unit("trades", condition, span.start_s, span.end_s)
            if "prices" in self.request.what:
                for token in tokens_of(market):
                    key = f"{token}:{self.request.interval}"
                    yield Unit("prices", key, span.start_s, span.end_s, self.request.prices_from)

    # -- fetching -----------------------------------------------------------------------------

    async def _listing(self, unit: Unit, cursor: str | None) -> Page:
        query: dict[str, Any] = dict(part.split("=", 1) for part in unit.key.split("&"))
        query |= {"limit": 100, "after_cursor": cursor}
        answer = await self.clients["gamma"].get(f"/{unit.table}/keyset", query)
        return Page(_list(answer, unit.table), _text(answer.get("next_cursor")))

    async def _trades(self, unit: Unit, cursor: str | None) -> Page:
        query = {
            "condition_id": unit.key,
            "taker_only": "true",
            "start": unit.start_s,
            "end": unit.end_s,
            "limit": 1000,
            "cursor": cursor,
        }
        answer = await self.clients["data"].get("/v2/trades", query)
        return Page(_list(answer, "data"), _next(answer))

    async def _prices(self, unit: Unit, cursor: str | None) -> Page:
        token, _, interval = unit.key.rpartition(":")
        low_text, _, inner = (cursor or f"{unit.start_s}|").partition("|")
        low = int(low_text)
        high = min(unit.end_s, low + WINDOW_S)
        more: str | None = None
        if unit.tier == "clob":
            query: dict[str, Any] = {"market": token, "startTs": low, "endTs": high}
            query |= {"fidelity": max(1, INTERVALS[interval] // 60)}
            rows = _list(await self.clients["clob"].get("/prices-history", query), "history")
        else:
            query = {"token_id": token, "start": low, "end": high, "limit": 10_000}
            query |= {"bucket_seconds": INTERVALS[interval], "cursor": inner or None}
            answer = await self.clients["data"].get("/v2/prices-history", query)
            rows, more = _list(answer, "data"), _next(answer)
        if more:
            return Page(rows, f"{low}|{more}")
        return Page(rows, f"{high}|" if high < unit.end_s else None, window=True)


async def download(
    raw: Path, request: PolymarketRequest, options: FetchOptions, watch: Watch | None = None
) -> tuple[Outcome, dict[str, int]]:
    """Download what `request` asks for into `raw`; return the outcome and request counts."""
    with RawStore(raw, IDENTITY, options.restart) as store:
        async with AsyncExitStack() as stack:
            clients = {}
            for name, rate in RATES.items():
                bucket = TokenBucket(rate * options.speed, rate * options.speed * 2)
                base = options.base_urls.get(name, BASE_URLS[name])
                client = PublicClient(base, bucket, options.retry, options.seed)
                clients[name] = await stack.enter_async_context(client)
            source = PolymarketHistory(clients, request)
            run = Download(source, store, workers=options.workers, watch=watch)
            outcome = await run.run()
            return outcome, {
                "requests": sum(c.requests for c in clients.values()),
                "retries": sum(c.retries for c in clients.values()),
            }


def _iso(seconds: int) -> str:
    return iso_from_ns(seconds * NS_PER_SECOND)


def _list(answer: Any, name: str) -> list[Any]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise VenueError(
            "Polymarket sent another shape than documented", f"no list {name!r}", SHAPE_MEND
        )
    return rows


def _next(answer: Mapping[str, Any]) -> str | None:
    pagination = answer.get("pagination")
    if not isinstance(pagination, Mapping) or pagination.get("has_more") is False:
        return None
    return _text(pagination.get("next_cursor"))


def _text(value: Any) -> str | None:
    return str(value) if value else None
