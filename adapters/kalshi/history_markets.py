"""Downloaded Kalshi payloads to domain markets and events: terms of their day, settlement left to the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from adapters.kalshi.markets import market_of
from adapters.kalshi.schemas import EventMsg, MarketMsg, SeriesMsg
from adapters.kalshi.terms import schedule_from_payload, series_terms_at
from adapters.mends import SHAPE_MEND
from core.domain.clock import ns_from_iso
from core.domain.errors import CorruptData, UsageError
from core.domain.market import Event, Market


def market_from_payload(
    market: Mapping[str, Any],
    series: Mapping[str, Any],
    event: Mapping[str, Any] | None = None,
    fee_changes: Sequence[Mapping[str, Any]] = (),
) -> Market:
    """Return the market of a ``GET /markets`` row, without its settlement.

    Fee terms are those of the series when the market closed, as far as its recorded changes tell, with
    the event's override.

    Raises
    ------
    CorruptData
        If a field that the market needs is missing or of another type.
    MarketError, FeeError
        If the grid or the fee terms cannot be used.
    """
    message = _convert(market, MarketMsg)
    try:
        close_ns = ns_from_iso(message.close_time)
    except UsageError as exc:
        raise CorruptData(
            f"close time of {message.ticker} is no time", message.close_time, SHAPE_MEND
        ) from exc
    terms = series_terms_at(series, fee_changes, close_ns)
    found = market_of(
        msgspec.structs.replace(message, result=""),
        _convert(terms, SeriesMsg),
        _convert(event, EventMsg) if event else None,
    )
    label, title = message.yes_sub_title, message.title or message.ticker
    return replace(
        found,
        fees=schedule_from_payload(terms, event, market),
        question=f"{title} [{label}]" if label and label not in title else title,
        category=str(series.get("category") or "").lower(),
        info={
            **found.info,
            "venue_status": message.status,
            "can_close_early": str(message.can_close_early).lower(),
        },
    )


def event_from_payload(event: Mapping[str, Any], market_ids: Sequence[str]) -> Event:
    """Return an event with the markets we hold; exclusive says nothing about exhaustive."""
    message = _convert(event, EventMsg)
    return Event(
        venue="KALSHI",
        event_id=message.event_ticker,
        title=message.title or message.event_ticker,
        market_ids=tuple(sorted(market_ids)),
        neg_risk_id=message.event_ticker if message.mutually_exclusive else "",
        category=str(event.get("category") or "").lower(),
    )


def _convert[T](payload: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(dict(payload), kind, strict=False)
    except msgspec.ValidationError as exc:
        raise CorruptData("a Kalshi payload has another shape", str(exc), SHAPE_MEND) from exc
