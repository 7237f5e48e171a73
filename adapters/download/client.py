"""GET of public JSON: rate limited, retried where a retry can help, loud where it cannot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from adapters.download.limits import TokenBucket
from core.domain.errors import VenueError

#: Answers worth another try: too early, too many, and the server's own trouble.
RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
BODY_EXCERPT = 200


class NotFound(VenueError):
    """The venue does not know what was asked for."""


class Unreachable(VenueError):
    """The venue did not give a usable answer in any attempt."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a request is repeated.

    Attributes
    ----------
    attempts : int
        Tries in all.
    first_wait_s, longest_wait_s : float
        Exponential back-off with jitter, between these; ``Retry-After`` wins where it asks for more.
    longest_retry_after_s : float
        A venue that asks for a longer pause than this ends the run instead.
    timeout_s : float
        Of one try.
    """

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 120.0
    timeout_s: float = 30.0


class PublicClient:
    """Session to one public API.

    Parameters
    ----------
    base_url : str
        Scheme, host and common path.
    bucket : TokenBucket
        Shared by everything that counts against the same limit.
    retry : Retry
    seed : int
        Of the jitter.

    Attributes
    ----------
    requests, retries : int
        Tries sent, and how many of them repeated an earlier one.
    """

    def __init__(
        self, base_url: str, bucket: TokenBucket, retry: Retry | None = None, seed: int = 0
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.bucket = bucket
        self.retry = retry or Retry()
        self.requests = 0
        self.retries = 0
        self._random = random.Random(seed)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session."""
        timeout = aiohttp.ClientTimeout(total=self.retry.timeout_s, connect=10)
        self._session = aiohttp.ClientSession(
            timeout=timeout, headers={"Accept": "application/json", "User-Agent": "beta-trader"}
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, params: Mapping[str, Any], cost: float = 1.0) -> Any:
        """Return the decoded JSON of ``base_url + path``.

        Raises
        ------
        NotFound
            For 404.
        VenueError
            For any other answer that a retry cannot mend.
        Unreachable
            If no attempt gave a usable answer.
        """
        query = {k: str(v) for k, v in params.items() if v is not None and v != ""}
        why = ""
        for attempt in range(self.retry.attempts):
            if attempt:
                self.retries += 1
            await self.bucket.acquire(cost)
            pause, why, body = await self._try(path, query)
            if pause is None:
                return body
            if pause > self.retry.longest_retry_after_s:
                raise VenueError(
                    "the venue asks for a longer pause than we wait",
                    f"{path}: {pause:.0f} s",
                    "run the same command later; it continues where it stopped",
                )
            if attempt + 1 < self.retry.attempts:
                await asyncio.sleep(max(pause, self._wait(attempt)))
        raise Unreachable(
            "the venue gave no usable answer",
            f"{self.base_url}{path}: {why} ({self.retry.attempts} attempts)",
            "run the same command again; it continues where it stopped",
        )

    async def _try(self, path: str, query: dict[str, str]) -> tuple[float | None, str, Any]:
        """Return (seconds to wait or None when done, what went wrong, body)."""
        assert self._session is not None, "use the client in an async with block"
        self.requests += 1
        try:
            async with self._session.get(self.base_url + path, params=query) as answer:
                raw = await answer.read()
                if answer.status == 200:
                    return None, "", msgspec.json.decode(raw)
                text = raw[:BODY_EXCERPT].decode("utf-8", "replace")
                if answer.status == 404:
                    raise NotFound(
                        "the venue does not know this",
                        f"{path} {query}",
                        "check the ticker, slug or pair",
                    )
                if answer.status not in RETRY_STATUS:
                    raise VenueError(
                        f"the venue refused the request with {answer.status}",
                        f"{path} {query}: {text}",
                        "correct what the venue names, then run the same command again; it continues where it stopped",
                    )
                pause = retry_after_s(answer.headers.get("Retry-After"), raw)
                if answer.status == 429:
                    self.bucket.penalise(min(pause, self.retry.longest_retry_after_s))
                return pause, f"status {answer.status} {text}", None
        except msgspec.DecodeError as exc:
            return 0.0, f"broken JSON: {exc}", None
        except (TimeoutError, aiohttp.ClientError, OSError) as exc:
            return 0.0, f"{type(exc).__name__}: {exc}", None

    def _wait(self, attempt: int) -> float:
        full = min(self.retry.longest_wait_s, self.retry.first_wait_s * 2.0**attempt)
        return full * (0.5 + self._random.random() / 2)


def retry_after_s(header: str | None, body: bytes = b"") -> float:
    """Return the pause a 429 or 503 asks for: seconds, HTTP date or ``retry_after_seconds``; else 0."""
    if header:
        text = header.strip()
        if text.replace(".", "", 1).isdigit():
            return float(text)
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    try:
        value = msgspec.json.decode(body).get("retry_after_seconds", 0)
        return max(0.0, float(value))
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        return 0.0
