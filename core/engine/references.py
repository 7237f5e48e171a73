"""What the engine side knows of one instrument: native id, decimals, market, venue, where its prices come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nautilus_trader.model import InstrumentId

from core.domain.errors import UsageError
from core.domain.market import Market


class PriceSource(StrEnum):
    """Which data tells the price of an instrument, best first."""

    BOOK = "book"
    QUOTES = "quotes"
    TRADES = "trades"
    BARS = "bars"
    NONE = "none"


@dataclass(slots=True, eq=False)
class InstrumentRef:
    """One instrument of a run.

    Attributes
    ----------
    iid : str
        Our id, equal to the text of `native`.
    index : int
        Position of the outcome in its market (0 = YES).
    opposite : InstrumentRef, optional
        The other outcome of a binary market.
    price_precision, size_precision : int
        Decimals of the engine's instrument.
    top_price, low_price : Price
        Highest and lowest price of the instrument, for reading whole book sides.
    venue : str
        Venue code.
    last_top, levels, marked
        Top of book as the engine gave it last, the same as our levels, and the levels that the gate has
        been told (kept by the session).
    tracked, current
        Whether every change of the book reaches a callback of ours, and whether `levels` are from after
        the last one: within one event the engine is asked once.
    news
        Last quote or batch of book changes that reached a callback of ours.
    """

    iid: str
    native: InstrumentId
    market: Market
    index: int
    price_precision: int
    size_precision: int
    source: PriceSource
    top_price: Any
    low_price: Any
    bar_types: tuple[str, ...] = ()
    opposite: InstrumentRef | None = field(default=None, repr=False)
    venue: str = ""
    last_top: Any = field(default=None, repr=False)
    levels: tuple[Any, Any] = field(default=(None, None), repr=False)
    marked: Any = field(default=None, repr=False)
    tracked: bool = False
    current: bool = False
    news: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Take the venue from the market."""
        self.venue = self.market.venue


class References:
    """Instruments of a run by our id and by the engine's."""

    def __init__(self, refs: Iterable[InstrumentRef]) -> None:
        self.by_iid: dict[str, InstrumentRef] = {r.iid: r for r in refs}
        self.by_native: dict[InstrumentId, InstrumentRef] = {
            r.native: r for r in self.by_iid.values()
        }
        by_market: dict[str, list[InstrumentRef]] = {}
        for ref in self.by_iid.values():
            by_market.setdefault(ref.market.market_id, []).append(ref)
        self.by_market: Mapping[str, list[InstrumentRef]] = by_market
        for pair in by_market.values():
            if len(pair) == 2:
                pair[0].opposite, pair[1].opposite = pair[1], pair[0]

    def __getitem__(self, iid: str) -> InstrumentRef:
        """Return the instrument with this id.

        Raises
        ------
        UsageError
            If it is not part of the run.
        """
        try:
            return self.by_iid[iid]
        except KeyError:
            raise UsageError(
                "instrument is not part of this run", iid, "use one of self.universe"
            ) from None

    def __iter__(self) -> Any:
        """Iterate in the order of the universe."""
        return iter(self.by_iid.values())
