"""Time is an integer: nanoseconds since 1970 in UTC. Decisions are handed a time; they never read one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Protocol

from core.domain.errors import UsageError

NS_PER_SECOND = 1_000_000_000
NS_PER_HOUR = 3_600 * NS_PER_SECOND
NS_PER_DAY = 86_400 * NS_PER_SECOND


class Clock(Protocol):
    """Anything that can tell the time in nanoseconds (engine clock, recorded clock, test clock)."""

    def timestamp_ns(self) -> int:
        """Return nanoseconds since 1970 UTC."""
        ...


def ns_from_datetime(when: datetime) -> int:
    """Return nanoseconds of `when`; a naive datetime is read as UTC."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + delta.microseconds * 1_000


def ns_from_iso(text: str) -> int:
    """Return nanoseconds of an ISO 8601 date or time (naive = UTC, up to 9 fraction digits).

    Raises
    ------
    UsageError
        If the text is not a date or time.
    """
    body, fraction_ns = text.strip(), 0
    if "." in body:
        head, tail = body.split(".", 1)
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        fraction_ns = int(digits[:9].ljust(9, "0")) if digits else 0
        body = head + tail[len(digits) :]
    try:
        return ns_from_datetime(datetime.fromisoformat(body)) + fraction_ns
    except ValueError as exc:
        raise UsageError(
            "not an ISO 8601 date or time", text, "use 2026-07-03 or 2026-07-03T14:00:00Z"
        ) from exc


def iso_from_ns(ts_ns: int) -> str:
    """Return `ts_ns` as ISO 8601 UTC with only as many fraction digits as needed."""
    seconds, fraction = divmod(ts_ns, NS_PER_SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if fraction:
        text += "." + f"{fraction:09d}".rstrip("0")
    return text + "Z"


def date_from_ns(ts_ns: int) -> date:
    """Return the UTC calendar date of `ts_ns`."""
    return datetime.fromtimestamp(ts_ns // NS_PER_SECOND, UTC).date()
