"""Spot prices behind prediction markets on a node: which pairs, from which venue, under which name.

A strategy that values windows on an asset says ``reads_spot = True``. The node then follows the trades of the
asset behind each of its markets at a spot venue, with the engine's own client and without a key. Spot is
only read: it is no market of the gate, so no order for it can pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId

from core.domain.errors import MissingData, UsageError
from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.catalog.instruments import Pair, is_spot, precision_of
from core.engine.references import InstrumentRef, PriceSource
from core.engine.units import price_of
from core.engine.venues import load_object

#: Venue code -> import string of ``(base) -> Pair or None``.
SPOT_PATHS: dict[str, str] = {
    "BINANCE": "adapters.binance:spot_pair",
    "KRAKEN": "adapters.kraken:spot_pair",
}
SPOT_TOP = 1_000_000


@dataclass(frozen=True, kw_only=True)
class SpotSource:
    """Where a node reads spot prices.

    Attributes
    ----------
    venue : str
        Code in `SPOT_PATHS`.
    settings : mapping
        What the venue's wiring takes: empty = the real venue's public data.
    """

    venue: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def spot_markets(source: SpotSource | None, markets: Sequence[Market]) -> list[Market]:
    """Return the spot pair behind each of `markets`, as markets with one outcome; none without a source.

    Raises
    ------
    UsageError
        For a venue that serves no spot.
    MissingData
        If no market says what it is about, or the venue has none of the assets.
    """
    if source is None:
        return []
    if source.venue not in SPOT_PATHS:
        raise UsageError(
            "this venue serves no spot prices", source.venue, f"one of {', '.join(SPOT_PATHS)}"
        )
    pair_of: Callable[[str], Pair | None] = load_object(SPOT_PATHS[source.venue], "spot venue")
    bases = sorted({m.underlying for m in markets if m.underlying})
    pairs = [pair for base in bases if (pair := pair_of(base)) is not None]
    if not pairs:
        raise MissingData(
            f"{source.venue} has no spot price for these markets",
            ", ".join(bases) or "the markets name no underlying asset",
            "choose crypto windows (KXBTC15M, KXBTCD), or --spot off",
        )
    return [pair.market() for pair in pairs]


def recorded_name(instrument_id: str) -> str:
    """Return the id under which a recording keeps a spot pair: a catalog has no slash in its folders."""
    return instrument_id.replace("/", "-")


def recorded_market(market: Market) -> Market:
    """Return a market as its recording names it."""
    if not is_spot(market):
        return market
    name = recorded_name(market.market_id)
    (outcome,) = market.outcomes
    return replaced(market, market_id=name, outcomes=(replaced(outcome, instrument_id=name),))


def spot_reference(market: Market) -> InstrumentRef:
    """Return what the engine side knows of a spot pair: its trades are its price."""
    precision = precision_of(market)
    return InstrumentRef(
        market.market_id,
        InstrumentId.from_str(market.market_id),
        market,
        0,
        precision.price,
        precision.size,
        PriceSource.TRADES,
        price_of(Decimal(SPOT_TOP), precision.price),
        price_of(ZERO, precision.price),
    )
