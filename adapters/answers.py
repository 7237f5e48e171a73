"""What a venue's REST answers tell beside their content: bodies nobody can read, limits, and the venue's clock.

One of these belongs to each REST client. It looks like a connection (`stats`, `state`) so that whoever watches the
sockets of a venue sees its answers too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

import aiohttp
import msgspec
from pydantic import SecretStr

from adapters.connection import SocketStats
from core.domain.errors import VenueRefused, VenueUncertain

T = TypeVar("T")

#: A larger body is not read to its end.
MAX_BODY_BYTES = 16 << 20
#: Further apart than this the venue's clock and ours cannot both be traded by.
MAX_SKEW_S = 5.0
#: Below this the ``Date`` header, which has whole seconds, proves nothing.
PROVEN_S = 1.0
LONGEST_PAUSE_S = 60.0
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
CLOCK_MEND = (
    "run an NTP client (chrony, systemd-timesyncd); buying goes on by itself once the clocks agree"
)


class Answers:
    """Counters and the last word on limits and clock.

    Attributes
    ----------
    skew_s : float
        The venue's clock less ours, as far as a ``Date`` header proves it; 0 while they may agree.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.stats = SocketStats()
        self.skew_s = 0.0
        self._monotonic = monotonic
        self._limited_until = 0.0

    @property
    def state(self) -> str:
        """``clock_off``, ``limited`` (a 429 is being waited out) or ``up``."""
        if abs(self.skew_s) > MAX_SKEW_S:
            return "clock_off"
        return "limited" if self._monotonic() < self._limited_until else "up"

    @property
    def clock_off(self) -> str:
        """Return what is wrong between the clocks and what mends it, or an empty string."""
        if abs(self.skew_s) <= MAX_SKEW_S:
            return ""
        return f"this clock is {-self.skew_s:+.0f} s from the venue's; {CLOCK_MEND}"

    def hide(self, body: bytes) -> bytes:
        """Return the body of a refusal without our secrets: it may quote the request that it refuses."""
        return self.stats.hide(body.decode(errors="replace")).encode()

    def know(self, *secrets: SecretStr) -> None:
        """Remember what must never come back into a row or a line."""
        for secret in secrets:
            if (text := secret.get_secret_value()) not in self.stats.secrets:
                self.stats.secrets.append(text)

    def bad(self, what: str, why: object) -> None:
        """Count an answer that cannot be read."""
        self.stats.bad_frames += 1
        self.stats.note(f"frame: {what}: {why}")

    def mended(self, words: str) -> None:
        """Count a book that was not the venue's and is read again."""
        self.stats.mended += 1
        self.stats.note(f"book: {words}")

    def limited(self, seconds: float) -> None:
        """Count a 429 that is waited out for `seconds`."""
        self.stats.limited += 1
        self._limited_until = max(self._limited_until, self._monotonic() + seconds)
        self.stats.note(
            f"429: nothing leaves for {seconds:.1f} s; new orders are refused, cancels go first"
        )

    def timed(self, headers: Mapping[str, str], ours_s: float, took_s: float) -> bool:
        """Compare the clocks by an answer's ``Date``; return whether the difference has moved.

        Parameters
        ----------
        ours_s : float
            Our clock when the answer came.
        took_s : float
            How long the answer took: the header may be as old as that.
        """
        try:
            told = parsedate_to_datetime(headers.get("Date", ""))
            theirs = told.replace(tzinfo=told.tzinfo or UTC).timestamp()
        except (ValueError, TypeError, OverflowError):
            return False
        before, unsure = self.skew_s, 0.5 + took_s / 2
        found = theirs + unsure - ours_s
        self.skew_s = found if abs(found) - unsure > PROVEN_S else 0.0
        if abs(self.skew_s) > MAX_SKEW_S and abs(before) <= MAX_SKEW_S:
            self.stats.note(f"clock: {self.clock_off}")
        return abs(self.skew_s - before) > PROVEN_S

    def decoded(self, data: bytes, kind: type[T], what: str) -> T:
        """Decode a body.

        Raises
        ------
        VenueUncertain
            If it cannot be read: it is counted, and nothing is concluded from it.
        """
        try:
            return msgspec.json.decode(data, type=kind)
        except UNREADABLE as exc:
            self.bad(what, f"{type(exc).__name__}: {exc}")
            raise VenueUncertain(f"{what} has a body we cannot read", str(exc)[:200]) from None


async def repeated[T](ask: Callable[[], Awaitable[T]], tries: int = 4) -> T:
    """Return what a read answers, asked again while there is no answer or too many are asked: reads are safe to repeat."""
    for attempt in range(tries):
        try:
            return await ask()
        except (VenueUncertain, VenueRefused) as exc:
            if isinstance(exc, VenueRefused) and exc.code != "rate_limited":
                raise
            if attempt == tries - 1:
                raise
            await asyncio.sleep(0.05 * 4**attempt)
    raise AssertionError("unreachable")


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer.

    Raises
    ------
    VenueUncertain
        If it is larger than `MAX_BODY_BYTES`; no more than that is read.
    """
    parts: list[bytes] = []
    left = MAX_BODY_BYTES
    async for part in response.content.iter_chunked(1 << 16):
        left -= len(part)
        if left < 0:
            response.close()
            raise VenueUncertain(
                f"{response.url.path} has a body above {MAX_BODY_BYTES >> 20} MiB", response.status
            )
        parts.append(part)
    return b"".join(parts)


def asked_pause(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (a number or a date), or None without one."""
    asked = headers.get("Retry-After", "")
    if not asked:
        return None
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - now_s
        except (TypeError, ValueError, OverflowError):
            return None
    if seconds != seconds:  # not a number
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE_S)
