"""`beta data fetch`: download public history of a venue, resumably, and make a catalog of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from adapters.download.request import FetchOptions, Span

app = typer.Typer(
    help="Download public history of a venue; run the same command again to continue or to update.",
    no_args_is_help=True,
)

Start = Annotated[str, typer.Option(help="First moment, ISO 8601.")]
End = Annotated[str, typer.Option(help="End, ISO 8601; default a minute ago.")]
To = Annotated[str, typer.Option(help="Catalog name or folder.")]
Raw = Annotated[str, typer.Option(help="Folder of the raw rows; default beside the catalog.")]
BaseUrl = Annotated[list[str], typer.Option("--base-url", help="SERVICE=URL or one URL for all.")]
Speed = Annotated[float, typer.Option(help="Share of the venue's rate limit to use.")]
Workers = Annotated[int, typer.Option(help="Requests in flight.")]
Restart = Annotated[bool, typer.Option("--restart", help="Forget an earlier download.")]
RawOnly = Annotated[bool, typer.Option("--raw-only", help="Download only; make no catalog.")]
Partial = Annotated[bool, typer.Option("--partial", help="Make the catalog despite failures.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def kalshi(
    start: Start,
    end: End = "",
    series: Annotated[list[str], typer.Option(help="Series ticker; repeatable.")] = [],  # noqa: B006
    event: Annotated[list[str], typer.Option(help="Event ticker; repeatable.")] = [],  # noqa: B006
    ticker: Annotated[list[str], typer.Option(help="Market ticker; repeatable.")] = [],  # noqa: B006
    what: Annotated[str, typer.Option(help="markets,trades,candles")] = "markets,trades,candles",
    interval: Annotated[str, typer.Option(help="Candles: 1m, 1h or 1d.")] = "1h",
    assumed_size: Annotated[str, typer.Option(help="Contracts a side of candle quotes.")] = "25",
    to: To = "kalshi",
    raw: Raw = "",
    base_url: BaseUrl = [],  # noqa: B006
    speed: Speed = 0.8,
    workers: Workers = 4,
    restart: Restart = False,
    raw_only: RawOnly = False,
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Markets, settlements, trades and candles of Kalshi, live and archived."""
    from adapters.kalshi.history import KalshiRequest, download
    from adapters.kalshi.history_load import ORIGIN, build
    from core.domain.errors import UsageError
    from core.domain.money import decimal_of

    request = KalshiRequest(
        _span(start, end), tuple(series), tuple(event), tuple(ticker), _words(what), interval
    )
    size = decimal_of(assumed_size, "--assumed-size")
    if size <= 0:
        raise UsageError("--assumed-size must be positive", assumed_size, "--assumed-size 25")
    _fetch(
        "kalshi",
        ORIGIN,
        lambda folder, options, watch: download(folder, request, options, watch),
        lambda folder, target, progress: build(
            folder, target, assumed_size=size, progress=progress
        ),
        _Where(to, raw, raw_only, partial, as_json),
        _options(base_url, ("kalshi",), speed, workers, restart),
    )


@app.command()
def polymarket(
    start: Start,
    end: End = "",
    slug: Annotated[list[str], typer.Option(help="Market slug; repeatable.")] = [],  # noqa: B006
    condition: Annotated[list[str], typer.Option(help="Condition id; repeatable.")] = [],  # noqa: B006
    event_slug: Annotated[list[str], typer.Option(help="Event slug; repeatable.")] = [],  # noqa: B006
    tag: Annotated[list[str], typer.Option(help="Tag slug; repeatable.")] = [],  # noqa: B006
    state: Annotated[str, typer.Option(help="Of a tag: closed, open or any.")] = "closed",
    what: Annotated[str, typer.Option(help="markets,trades,prices")] = "markets,trades,prices",
    interval: Annotated[str, typer.Option(help="Price points: 1m 5m 15m 1h 1d.")] = "1h",
    prices_from: Annotated[str, typer.Option(help="data (Data API v2) or clob.")] = "data",
    to: To = "polymarket",
    raw: Raw = "",
    base_url: BaseUrl = [],  # noqa: B006
    speed: Speed = 0.8,
    workers: Workers = 4,
    restart: Restart = False,
    raw_only: RawOnly = False,
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Markets, resolutions, trades and price points of Polymarket."""
    from adapters.polymarket.history import PolymarketRequest, download
    from adapters.polymarket.history_load import ORIGIN, build

    request = PolymarketRequest(
        _span(start, end),
        tuple(slug),
        tuple(condition),
        tuple(event_slug),
        tuple(tag),
        state,
        _words(what),
        interval,
        prices_from,
    )
    _fetch(
        "polymarket",
        ORIGIN,
        lambda folder, options, watch: download(folder, request, options, watch),
        lambda folder, target, progress: build(folder, target, progress=progress),
        _Where(to, raw, raw_only, partial, as_json),
        _options(base_url, ("gamma", "data", "clob"), speed, workers, restart),
    )


@app.command()
def crypto(
    start: Start,
    end: End = "",
    venue: Annotated[str, typer.Option(help="binance or kraken.")] = "binance",
    symbol: Annotated[list[str], typer.Option(help="Pair; repeatable.")] = [],  # noqa: B006
    interval: Annotated[str, typer.Option(help="1m 5m 15m 30m 1h 4h 1d.")] = "1h",
    to: To = "",
    raw: Raw = "",
    base_url: BaseUrl = [],  # noqa: B006
    speed: Speed = 0.8,
    workers: Workers = 4,
    restart: Restart = False,
    raw_only: RawOnly = False,
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Closed spot bars of Binance or Kraken (Kraken: the latest 720 only)."""
    from adapters.crypto.history import CryptoRequest, download
    from adapters.crypto.history_load import build, origin

    request = CryptoRequest(_span(start, end), venue, tuple(symbol), interval)
    _fetch(
        venue,
        origin(venue),
        lambda folder, options, watch: download(folder, request, options, watch),
        lambda folder, target, progress: build(venue, folder, target, progress=progress),
        _Where(to or venue, raw, raw_only, partial, as_json),
        _options(base_url, (venue,), speed, workers, restart),
    )


class _Where:
    """Where a download goes and what is made of it."""

    def __init__(self, to: str, raw: str, raw_only: bool, partial: bool, as_json: bool) -> None:
        from core.engine.catalog import catalog_path

        self.target = catalog_path(to).absolute()
        self.raw = Path(raw) if raw else self.target.with_name(f"{self.target.name}.raw")
        self.raw_only, self.partial, self.as_json = raw_only, partial, as_json


def _fetch(
    title: str,
    origin: str,
    download: Callable[[Path, Any, Any], Coroutine[Any, Any, tuple[Any, dict[str, int]]]],
    build: Callable[[Path, Path, Any], Any],
    where: _Where,
    options: FetchOptions,
) -> None:
    import asyncio
    from dataclasses import asdict

    from adapters.download.build import require_own
    from console.cli.data_view import print_json, progress_bar, show_report
    from core.domain.errors import MissingData, VenueError

    if not where.raw_only:
        require_own(where.target, origin)
    with progress_bar(f"fetch {title}", quiet=where.as_json) as progress:

        def watch(phase: int, done: int, total: int, rows: int) -> None:
            progress(f"phase {phase + 1}, {rows:,} rows", done, total)

        try:
            outcome, counts = asyncio.run(download(where.raw, options, watch))
        except KeyboardInterrupt:
            typer.echo("stopped; the same command continues from here", err=True)
            raise
        complete = not outcome.failed
        report = None
        if not where.raw_only and (complete or where.partial):
            try:
                report = build(where.raw, where.target, progress)
            except MissingData:  # descriptions alone are no catalog
                typer.echo("no trades, bars or settlements yet: no catalog made", err=True)
    if where.as_json:
        print_json(
            {
                "schema_version": 1,
                "venue": title,
                "raw": str(where.raw),
                "catalog": str(where.target) if report else None,
                "complete": complete,
                **asdict(outcome),
                **counts,
                "report": report.to_dict() if report else None,
            }
        )
    else:
        _show(where, outcome, counts)
        if report:
            show_report(report, False)
    if not complete:
        name, why = next(iter(outcome.failed.items()))
        raise VenueError(
            f"{len(outcome.failed)} downloads failed, the first: {name}",
            why,
            "run the same command again; add --partial to make the catalog without them",
        )


def _show(where: _Where, outcome: Any, counts: dict[str, int]) -> None:
    typer.echo(
        f"{'continued' if outcome.resumed else 'downloaded'} {outcome.rows:,} rows in {outcome.pages:,} pages, "
        f"{outcome.skipped:,} units were there already, {counts['requests']:,} requests "
        f"({counts['retries']:,} repeated), {outcome.seconds:.1f} s -> {where.raw}",
        err=True,
    )


def _span(start: str, end: str) -> Span:
    import time

    from adapters.download.request import SETTLE_S, Span
    from core.domain.clock import NS_PER_SECOND, ns_from_iso

    latest = int(time.time()) - SETTLE_S
    end_s = min(ns_from_iso(end) // NS_PER_SECOND, latest) if end else latest
    return Span(ns_from_iso(start) // NS_PER_SECOND, end_s)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def _options(
    base_url: list[str], services: tuple[str, ...], speed: float, workers: int, restart: bool
) -> FetchOptions:
    from adapters.download.request import FetchOptions
    from core.domain.errors import UsageError

    urls: dict[str, str] = {}
    for text in base_url:
        name, equals, url = text.partition("=")
        if not equals or name.startswith("http"):
            urls |= dict.fromkeys(services, text)
        elif name in services:
            urls[name] = url
        else:
            raise UsageError(
                "unknown service in --base-url", name, f"use one of {', '.join(services)}"
            )
    for url in urls.values():
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                "--base-url must begin with http:// or https://",
                url,
                "--base-url kalshi=http://127.0.0.1:8080",
            )
    return FetchOptions(urls, speed, workers, restart)
