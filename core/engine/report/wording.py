"""Numbers as a trader reads them: signs, cents, percent, and a dash for what cannot be computed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from core.domain.clock import iso_from_ns
from core.engine.results import MarketRow, RunHeader

NONE = "–"
#: Heading of what `outcome` returns: a NO that won stands as "paid 0".
OUTCOME = "1st outcome"


def money(value: Decimal | float | None, signed: bool = False) -> str:
    """Return dollars: two places from 1 up, four below (fees of a cent matter), `–` for None."""
    if value is None:
        return NONE
    places = 2 if value == 0 or abs(float(value)) >= 1 else 4
    sign = "-" if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}${abs(value):,.{places}f}"


def exact_money(value: Decimal) -> str:
    """Return dollars with every digit that the value has, at least two places."""
    text = format(abs(value).normalize(), "f")
    whole, _, fraction = text.partition(".")
    return f"{'-' if value < 0 else ''}${int(whole):,}.{fraction.ljust(2, '0')}"


def plain(value: Decimal) -> str:
    """Return a number without padding zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def outcome(market: MarketRow) -> str:
    """Return how a market ended; a spot pair does not end."""
    if len(market.instruments) == 1:
        return ""
    return "unresolved" if market.payout is None else f"paid {plain(market.payout)}"


def percent(value: float | None, places: int = 1, signed: bool = False) -> str:
    """Return a fraction as percent."""
    if value is None:
        return NONE
    return f"{value:{'+' if signed else ''}.{places}%}"


def ratio(value: float | None, places: int = 2) -> str:
    """Return a ratio."""
    return NONE if value is None else f"{value:.{places}f}"


def minute(ts_ns: int) -> str:
    """Return a time in UTC to the minute."""
    return iso_from_ns(ts_ns)[:16].replace("T", " ")


def day(ts_ns: int) -> str:
    """Return a UTC date."""
    return iso_from_ns(ts_ns)[:10]


def days(count: int) -> str:
    """Return a number of days."""
    return "1 day" if count == 1 else f"{count:,} days"


def span(start_ns: int, end_ns: int) -> str:
    """Return a period, in minutes when it is shorter than three days."""
    form = minute if end_ns - start_ns < 3 * 86_400 * 10**9 else day
    return f"{form(start_ns)} to {form(end_ns)} UTC"


def held(hours: float) -> str:
    """Return a holding time in the unit that fits."""
    if hours >= 48:
        return f"{hours / 24:.1f} d"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def records(header: RunHeader) -> str:
    """Return how many records were read, and from when where that was before the period."""
    text = f"{header.records:,} records"
    if header.read_from_ns < header.start_ns:
        text += (
            f" read from {minute(header.read_from_ns)} on (for books that are whole at the start)"
        )
    return text


def rate(records: int, seconds: float) -> str:
    """Return records a second; a dash when no time was measured."""
    return f"{records / seconds:,.0f} records/s" if seconds > 0 else NONE


def times(ts_ns: Sequence[int]) -> list[str]:
    """Return many times as ISO 8601 UTC to the millisecond (one call: a report has thousands)."""
    stamps = np.array(ts_ns, dtype="datetime64[ns]")
    return [f"{text}Z" for text in np.datetime_as_string(stamps, unit="ms").tolist()]
