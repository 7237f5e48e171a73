"""Events of the markets that a node trades: those of which the venue guarantees that at most one pays its first outcome.

A group says that it is exclusive, not that it is whole, so it is never called complete: baskets of NO are sound, and
baskets of YES are left to data that names every market of the event.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.domain.market import Event, Market


def events_of(markets: Iterable[Market]) -> list[Event]:
    """Return the exclusive groups of two or more markets, by id."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for market in markets:
        if market.neg_risk_id:
            key = market.event_id or market.neg_risk_id, market.venue, market.neg_risk_id
            groups.setdefault(key, []).append(market.market_id)
    return [
        Event(venue, event_id, event_id, tuple(sorted(ids)), neg_risk_id)
        for (event_id, venue, neg_risk_id), ids in sorted(groups.items())
        if len(ids) > 1
    ]
