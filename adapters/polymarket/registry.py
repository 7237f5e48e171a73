"""The markets of one Polymarket session by condition, token and instrument, with the grid in force now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from adapters.polymarket.eip712 import Exchange, exchange_of
from adapters.polymarket.grid import grid_from_tick, tick_of
from adapters.polymarket.markets import market_from_gamma, resolution_of
from core.domain.errors import BetaError, MarketError
from core.domain.market import Market, Outcome


@dataclass(frozen=True, slots=True)
class Terms:
    """What an order in a market must obey."""

    tick: Decimal
    exchange: Exchange
    v2: bool
    delay_s: float


class Registry:
    """Markets shared by data client, port and service.

    Attributes
    ----------
    paid : dict of str to Decimal
        Payouts by instrument that were told while running; `markets` keep theirs as they were loaded.
    refused : list of (slug, reason)
        Markets left out, and why.
    versions : dict of str to int
        How many markets of each protocol version were seen.
    """

    def __init__(self) -> None:
        self.markets: dict[str, Market] = {}
        self.terms: dict[str, Terms] = {}
        self.by_token: dict[str, tuple[str, Outcome]] = {}
        self.by_instrument: dict[str, tuple[str, Outcome]] = {}
        self.refused: list[tuple[str, str]] = []
        self.versions: dict[str, int] = {}
        self.held: set[str] = set()
        self.paid: dict[str, Decimal] = {}
        self.listeners: list[Callable[[Market], None]] = []

    def take(
        self, payload: Mapping[str, Any], event: Mapping[str, Any] | None = None
    ) -> Market | None:
        """Turn a Gamma payload into a market; what cannot be read or traded is left out with its reason."""
        version = str(payload.get("version") or "v1")
        self.versions[version] = self.versions.get(version, 0) + 1
        try:
            market = market_from_gamma(payload, event or _event_of(payload))
            if len(market.outcomes) != 2:
                raise MarketError(
                    "only markets with two outcomes are traded",
                    len(market.outcomes),
                    "trade the two-outcome markets of its event",
                )
            tick = tick_of(payload.get("orderPriceMinTickSize") or "0.01")
        except BetaError as exc:
            self.refused.append((str(payload.get("slug") or payload.get("conditionId")), str(exc)))
            return None
        result = resolution_of(payload)
        if result is not None:
            market = market.resolved_as(result.payouts)
        neg_risk = bool(payload.get("negRisk"))
        delay = float(payload.get("secondsDelay") or 0)
        market = replace(market, info=market.info | {"neg_risk": "1" if neg_risk else ""})
        self.terms[market.market_id] = Terms(
            tick, exchange_of(version, neg_risk), version == "v2", delay
        )
        self.put(market)
        return market

    def put(self, market: Market) -> None:
        """Take over a new or changed market and tell the listeners."""
        self.markets[market.market_id] = market
        for outcome in market.outcomes:
            self.by_token[outcome.token_id] = (market.market_id, outcome)
            self.by_instrument[outcome.instrument_id] = (market.market_id, outcome)
        for listener in self.listeners:
            listener(market)

    def hold(self, market: Market) -> None:
        """Take over a held market that is no longer listed. It is not among those that the engine is given."""
        neg_risk = bool(market.info.get("neg_risk"))
        terms = Terms(market.grid.finest, exchange_of("v1", neg_risk), False, 0.0)
        self.terms.setdefault(market.market_id, terms)
        self.held.add(market.market_id)
        self.put(market)

    def tick_changed(self, condition: str, tick: Decimal) -> Market | None:
        """Take over a changed grid; None for a market we do not follow."""
        market = self.markets.get(condition)
        if market is None or self.terms[condition].tick == tick:
            return None
        self.terms[condition] = replace(self.terms[condition], tick=tick)
        changed = replace(market, grid=grid_from_tick(tick))
        self.put(changed)
        return changed

    def resolved(self) -> list[Market]:
        """Return markets that have been resolved, with their payouts."""
        out = []
        for market in self.markets.values():
            payouts = [self.paid.get(o.instrument_id, o.payout) for o in market.outcomes]
            known = tuple(p for p in payouts if p is not None)
            if len(known) == len(payouts):
                out.append(market.resolved_as(known))
        return out

    def token(self, instrument_id: str) -> tuple[Market, Outcome]:
        """Return market and outcome of an instrument.

        Raises
        ------
        MarketError
            If it is not loaded.
        """
        found = self.by_instrument.get(instrument_id)
        if found is None:
            raise MarketError(
                "this Polymarket instrument is not loaded",
                instrument_id,
                "load it: --market with its condition id or slug",
            )
        return self.markets[found[0]], found[1]


def _event_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    events = payload.get("events")
    return events[0] if isinstance(events, list) and events and isinstance(events[0], dict) else {}
