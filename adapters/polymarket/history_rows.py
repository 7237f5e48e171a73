"""What the stored listings of a Polymarket download say: newest market payloads, tokens, life."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.download import RawStore
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import UsageError


def markets_of(store: RawStore) -> dict[str, dict[str, Any]]:
    """Return the newest payload of every market with a condition id, with its event under ``_event``."""
    newest: dict[str, dict[str, Any]] = {}
    for market in _payloads(store):
        condition = market.get("conditionId")
        if not isinstance(condition, str) or not condition:
            continue
        known = newest.get(condition)
        if known is None or seconds_of(market.get("updatedAt")) >= seconds_of(
            known.get("updatedAt")
        ):
            if known is not None and "_event" not in market and "_event" in known:
                market["_event"] = known["_event"]
            newest[condition] = market
    return newest


def events_of(store: RawStore) -> dict[str, dict[str, Any]]:
    """Return every event payload that was listed with all its markets, by id."""
    return {
        str(row.value["id"]): row.value
        for row in store.rows("events")
        if isinstance(row.value, dict) and row.value.get("id")
    }


def _payloads(store: RawStore) -> Iterator[dict[str, Any]]:
    for row in store.rows("events"):
        event = row.value if isinstance(row.value, dict) else {}
        for market in listed(event.get("markets")):
            if isinstance(market, dict):
                yield market | {"_event": {k: v for k, v in event.items() if k != "markets"}}
    for row in store.rows("markets"):
        if isinstance(row.value, dict):
            events = [e for e in listed(row.value.get("events")) if isinstance(e, dict)]
            yield row.value | ({"_event": events[0]} if events else {})


def listed(value: Any) -> list[Any]:
    """Return a list that the venue sent as a list or as text holding JSON; else an empty one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []


def tokens_of(market: Mapping[str, Any]) -> list[str]:
    """Return the outcome ids: ``positionIds`` of a ``v2`` market, else ``clobTokenIds``."""
    name = "positionIds" if market.get("version") == "v2" else "clobTokenIds"
    return [str(token) for token in listed(market.get(name)) if token]


def seconds_of(value: Any) -> int:
    """Return Unix seconds of the venue's time texts; 0 for unset and unreadable ones."""
    if not isinstance(value, str) or not value.strip():
        return 0
    text = value.strip().replace(" ", "T", 1)
    if text[-3:-2] in "+-" and text[-2:].isdigit():
        text += ":00"
    try:
        return max(0, ns_from_iso(text) // NS_PER_SECOND)
    except (UsageError, OverflowError):
        return 0


def life_of(market: Mapping[str, Any], now_s: int) -> tuple[int, int] | None:
    """Return when a market could trade, in seconds; an open market trades until `now_s`."""
    opened = seconds_of(market.get("startDate")) or seconds_of(market.get("createdAt"))
    closed = seconds_of(market.get("closedTime")) if market.get("closed") else now_s
    if not closed:
        closed = seconds_of(market.get("endDate"))
    return (opened, closed + 1) if closed > opened else None
