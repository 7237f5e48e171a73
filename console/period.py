"""Periods as users write them: ``90d``, ``36h``, ``2026-07-03:2026-07-10``, ``2026-07-03:``."""

from __future__ import annotations

import re

from core.domain.clock import NS_PER_SECOND, iso_from_ns, ns_from_iso
from core.domain.errors import MissingData, UsageError

_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_MEND = "use 90d (the last 90 days of the data) or 2026-07-03:2026-07-10"


def parse_period(text: str, first_ns: int, last_ns: int) -> tuple[int, int]:
    """Return the period as ``[start, end)`` in nanoseconds.

    A length counts back from the end of the data. A range is from its first moment up to, not
    including, its last; a date is its midnight in UTC; an open side is the end of the data.

    Parameters
    ----------
    first_ns, last_ns : int
        First and last moment of the data, both inclusive.

    Raises
    ------
    UsageError
        If the text is no period, or ends before it starts.
    MissingData
        If the data holds nothing in the period.
    """
    end_of_data = last_ns + 1
    length = re.fullmatch(r"(\d+)\s*([mhdw])", text.strip().lower())
    if length:
        span_ns = int(length[1]) * _UNITS_S[length[2]] * NS_PER_SECOND
        if span_ns <= 0:
            raise UsageError("a period must be longer than nothing", text, _MEND)
        return max(first_ns, end_of_data - span_ns), end_of_data
    start_text, end_text = _sides(text)
    start = ns_from_iso(start_text) if start_text else first_ns
    end = ns_from_iso(end_text) if end_text else end_of_data
    if end <= start:
        raise UsageError("the period ends before it starts", text, _MEND)
    if start >= end_of_data or end <= first_ns:
        raise MissingData(
            "the data holds nothing in this period",
            text,
            f"the data runs from {iso_from_ns(first_ns)} to {iso_from_ns(last_ns)}",
        )
    return start, end


def _sides(text: str) -> tuple[str, str]:
    """Cut a range at the colon that leaves a date, a time or nothing on both sides."""
    body = text.strip()
    for at in (i for i, c in enumerate(body) if c == ":"):
        left, right = body[:at], body[at + 1 :]
        if (left or right) and _moment(left) and _moment(right):
            return left, right
    raise UsageError("not a period", text, _MEND)


def _moment(text: str) -> bool:
    if not text:
        return True
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return False
    try:
        ns_from_iso(text)
    except UsageError:
        return False
    return True
