"""Public spot bars of Binance and Kraken, closed bars only, continued where the last run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.download import Download, Outcome, Page, PublicClient, RawStore, TokenBucket, Unit
from adapters.download.request import FetchOptions, Span
from adapters.download.run import Watch
from adapters.mends import SHAPE_MEND
from core.domain.errors import UsageError, VenueError

BASE_URLS = {"binance": "https://data-api.binance.vision", "kraken": "https://api.kraken.com"}
#: (requests per second, burst). Binance: 6,000 weight a minute, 2 a call. Kraken: about one a second.
RATES = {"binance": (40.0, 80.0), "kraken": (1.0, 2.0)}
INTERVALS: dict[str, int] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "4h": 14_400,
    "1d": 86_400,
}
BARS_PER_CALL = 1000
#: Answers with HTTP 200 that mean "slower", and how long to wait.
KRAKEN_BUSY = ("EAPI:Rate limit exceeded", "EGeneral:Too many requests", "EService:Busy")
KRAKEN_PAUSE_S = 5.0
KRAKEN_TRIES = 6


@dataclass(frozen=True, slots=True)
class CryptoRequest:
    """What to download.

    Attributes
    ----------
    venue : str
        ``binance`` or ``kraken``.
    symbols : tuple of str
        As the venue writes them: ``BTCUSDT``, ``XBTUSD``.
    """

    span: Span
    venue: str
    symbols: tuple[str, ...]
    interval: str = "1h"

    def __post_init__(self) -> None:
        """Refuse an empty selection and unknown words."""
        if self.venue not in BASE_URLS:
            raise UsageError("unknown crypto venue", self.venue, "--venue binance or kraken")
        if not self.symbols:
            raise UsageError("say which pairs to download", "nothing selected", "--symbol BTCUSDT")
        if self.interval not in INTERVALS:
            raise UsageError(
                "unknown bar interval", self.interval, f"use one of {', '.join(INTERVALS)}"
            )

    @property
    def closed(self) -> Span | None:
        """The period cut to whole bars."""
        step = INTERVALS[self.interval]
        low, high = -(-self.span.start_s // step) * step, self.span.end_s // step * step
        return Span(low, high) if low < high else None


class CryptoHistory:
    """A spot venue as a `adapters.download.Source`."""

    phases = 2

    def __init__(self, client: PublicClient, request: CryptoRequest) -> None:
        self.client = client
        self.request = request

    def plan(self, phase: int, store: RawStore) -> list[Unit]:
        """Return the units of one phase: pair descriptions, then bars."""
        if phase == 0:
            return [Unit("symbols", symbol) for symbol in self.request.symbols]
        span = self.request.closed
        if span is None:
            return []
        return [
            Unit("bars", f"{symbol}:{self.request.interval}", span.start_s, span.end_s)
            for symbol in self.request.symbols
        ]

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        """Return one page of a unit."""
        binance = self.request.venue == "binance"
        if unit.table == "symbols":
            return Page([await (self._binance_pair if binance else self._kraken_pair)(unit.key)])
        return await (self._binance_bars if binance else self._kraken_bars)(unit, cursor)

    async def _binance_pair(self, symbol: str) -> Any:
        answer = await self.client.get("/api/v3/exchangeInfo", {"symbol": symbol})
        rows = answer.get("symbols") if isinstance(answer, Mapping) else None
        if not rows:
            raise VenueError(
                "Binance does not describe this pair",
                symbol,
                "--symbol with a pair that Binance lists, for example BTCUSDT",
            )
        return rows[0]

    async def _binance_bars(self, unit: Unit, cursor: str | None) -> Page:
        symbol, _, interval = unit.key.rpartition(":")
        step, low = INTERVALS[interval], int(cursor or unit.start_s)
        query = {
            "symbol": symbol,
            "interval": interval,
            "startTime": low * 1000,
            "endTime": unit.end_s * 1000 - 1,
            "limit": BARS_PER_CALL,
        }
        rows = await self.client.get("/api/v3/klines", query)
        if not isinstance(rows, list):
            raise VenueError(
                "Binance sent another shape than documented", type(rows).__name__, SHAPE_MEND
            )
        if len(rows) < BARS_PER_CALL:
            return Page(rows)
        last = _open_s(rows[-1], 1000) + step
        return Page(rows, str(last) if last < unit.end_s else None)

    async def _kraken_pair(self, symbol: str) -> Any:
        result = await self._kraken("/0/public/AssetPairs", {"pair": symbol})
        if not result:
            raise VenueError(
                "Kraken does not describe this pair",
                symbol,
                "--symbol with a pair that Kraken lists, for example BTCUSD",
            )
        return next(iter(result.values()))

    async def _kraken_bars(self, unit: Unit, cursor: str | None) -> Page:
        symbol, _, interval = unit.key.rpartition(":")
        query = {"pair": symbol, "interval": INTERVALS[interval] // 60, "since": unit.start_s - 1}
        result = await self._kraken("/0/public/OHLC", query)
        bars = [rows for name, rows in result.items() if name != "last"]
        if len(bars) != 1 or not isinstance(bars[0], list):
            raise VenueError("Kraken sent another shape than documented", list(result), SHAPE_MEND)
        return Page([row for row in bars[0] if unit.start_s <= _open_s(row, 1) < unit.end_s])

    async def _kraken(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        for _ in range(KRAKEN_TRIES):
            answer = await self.client.get(path, query)
            errors = answer.get("error") if isinstance(answer, Mapping) else ["no object"]
            if not errors:
                result = answer.get("result")
                if isinstance(result, dict):
                    return result
                raise VenueError("Kraken sent another shape than documented", path, SHAPE_MEND)
            if not any(str(e).startswith(KRAKEN_BUSY) for e in errors):
                raise VenueError(
                    "Kraken refused the request",
                    f"{path} {dict(query)}: {errors}",
                    "correct --symbol or --interval, or run the same command again later",
                )
            self.client.bucket.penalise(KRAKEN_PAUSE_S)
        raise VenueError("Kraken stays busy", path, "run the same command again later")


def _open_s(row: Any, per_s: int) -> int:
    """Return a bar's opening time in seconds."""
    try:
        return int(row[0]) // per_s
    except (TypeError, ValueError, IndexError, KeyError) as exc:
        raise VenueError("a bar without a time", row, SHAPE_MEND) from exc


async def download(
    raw: Path, request: CryptoRequest, options: FetchOptions, watch: Watch | None = None
) -> tuple[Outcome, dict[str, int]]:
    """Download what `request` asks for into `raw`; return the outcome and request counts."""
    rate, burst = RATES[request.venue]
    bucket = TokenBucket(rate * options.speed, max(1.0, burst * options.speed))
    base = options.base_urls.get(request.venue, BASE_URLS[request.venue])
    identity = {"venue": request.venue.upper(), "format": 1}
    with RawStore(raw, identity, options.restart) as store:
        async with PublicClient(base, bucket, options.retry, options.seed) as client:
            source = CryptoHistory(client, request)
            run = Download(source, store, workers=options.workers, watch=watch)
            outcome = await run.run()
            return outcome, {"requests": client.requests, "retries": client.retries}
