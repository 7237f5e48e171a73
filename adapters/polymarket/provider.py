"""Which Polymarket markets a node trades, loaded as instruments: protocol versions 1 and 2 alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nautilus_trader.live import InstrumentProvider, InstrumentProviderConfig

from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.registry import Registry
from core.domain.market import Market
from core.engine.live.instruments import engine_instrument

DEFAULT_MARKETS = 20
CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class MarketFilter:
    """Which markets are loaded; nothing named means the most traded open ones.

    Attributes
    ----------
    conditions, slugs, events : tuple of str
        Condition ids, market slugs, event slugs.
    tags : tuple of str
        Tag ids of events.
    limit : int
        Most markets that tags or the default load.
    """

    conditions: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limit: int = DEFAULT_MARKETS


async def discover(catalogue: Catalogue, registry: Registry, wanted: MarketFilter) -> list[Market]:
    """Load the wanted markets into `registry`; return those that can be traded.

    Raises
    ------
    VenueUncertain, VenueRefused
        If the catalogue does not answer.
    """
    found: dict[str, Market] = {}

    def take(payload: dict[str, Any], event: dict[str, Any] | None = None) -> None:
        market = registry.take(payload, event)
        if market is not None:
            found[market.market_id] = market

    if wanted.conditions:
        for payload in await catalogue.by_condition(wanted.conditions):
            take(payload)
    if wanted.slugs:
        for payload in await catalogue.markets(slug=list(wanted.slugs)):
            take(payload)
    if wanted.events:
        for event in await catalogue.events(slug=list(wanted.events)):
            for payload in event.get("markets") or ():
                take(payload, event)
    for tag in wanted.tags:
        for payload in await catalogue.markets(
            wanted.limit, tag_id=tag, closed="false", active="true"
        ):
            take(payload)
    if not (wanted.conditions or wanted.slugs or wanted.events or wanted.tags):
        for payload in await catalogue.markets(
            wanted.limit, closed="false", active="true", order="volumeNum", ascending="false"
        ):
            take(payload)
    return list(found.values())


class PolymarketProvider(InstrumentProvider):
    """Gives the engine the instruments of the registry's markets, two each."""

    def __init__(
        self,
        registry: Registry,
        on_market: Callable[[Market], None],
        clock: Callable[[], int],
    ) -> None:
        super().__init__(InstrumentProviderConfig(load_all=True))
        self.registry, self.on_market, self._clock = registry, on_market, clock

    async def load_all_async(self, filters: dict[str, Any] | None = None) -> None:
        """Add every market that was discovered."""
        for market in self.registry.markets.values():
            if market.market_id not in self.registry.held:
                self.add_market(market)

    def add_market(self, market: Market) -> list[Any]:
        """Add one market; return its instruments."""
        made = [engine_instrument(market, o, CURRENCY, self._clock()) for o in market.outcomes]
        for instrument in made:
            self.add(instrument)
        self.on_market(market)
        return made
