"""Markets as values: an event holds markets, a market holds outcomes, an outcome is one instrument."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from core.domain.errors import MarketError
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.money import ONE, ZERO


class MarketStatus(StrEnum):
    """Where a market stands in its life."""

    UNOPENED = "unopened"
    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"
    RESOLVED = "resolved"


#: Which status may follow which. Pauses and early closes can be undone by a venue; resolution cannot.
STATUS_TRANSITIONS: dict[MarketStatus, frozenset[MarketStatus]] = {
    MarketStatus.UNOPENED: frozenset({MarketStatus.ACTIVE, MarketStatus.CLOSED}),
    MarketStatus.ACTIVE: frozenset(
        {MarketStatus.PAUSED, MarketStatus.CLOSED, MarketStatus.RESOLVED}
    ),
    MarketStatus.PAUSED: frozenset(
        {MarketStatus.ACTIVE, MarketStatus.CLOSED, MarketStatus.RESOLVED}
    ),
    MarketStatus.CLOSED: frozenset({MarketStatus.ACTIVE, MarketStatus.RESOLVED}),
    MarketStatus.RESOLVED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome of a market: a long-only instrument that pays between 0 and 1 dollar.

    Attributes
    ----------
    instrument_id : str
        ``{condition}-{token}.POLYMARKET``, ``{ticker}-YES.KALSHI`` or ``{ticker}-NO.KALSHI``.
    name : str
        ``"Yes"``, ``"No"`` or the venue's label.
    token_id : str
        Venue token (Polymarket) or side word (Kalshi ``yes`` / ``no``).
    payout : Decimal, optional
        Dollars per share once resolved: 1, 0, 0.5 (void) or scalar.
    """

    instrument_id: str
    name: str
    token_id: str = ""
    payout: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """A question with exhaustive outcomes whose payouts sum to one dollar.

    Attributes
    ----------
    venue, market_id : str
        Venue code and its id (condition id or ticker).
    outcomes : tuple of Outcome
        Two for a binary market, YES first.
    grid : TickGrid
        Orderable prices of the first outcome; the second one's is the mirror image.
    size_step, min_size : Decimal
        Shares or contracts.
    open_ns, close_ns : int
        Trading hours; an order after `close_ns` is refused. 0 = unknown.
    event_id, neg_risk_id, series : str
        Grouping keys; empty when not applicable.
    """

    venue: str
    market_id: str
    question: str
    outcomes: tuple[Outcome, ...]
    grid: TickGrid
    fees: FeeSchedule
    event_id: str = ""
    neg_risk_id: str = ""
    series: str = ""
    category: str = ""
    size_step: Decimal = Decimal("0.01")
    min_size: Decimal = ZERO
    open_ns: int = 0
    close_ns: int = 0
    status: MarketStatus = MarketStatus.ACTIVE
    strike: Decimal | None = None
    strike_high: Decimal | None = None
    strike_type: str = ""
    underlying: str = ""
    synthetic: bool = False
    info: dict[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse markets without outcomes, with repeated instruments or with payouts that do not sum to one."""
        if not self.outcomes:
            raise MarketError(
                "a market needs outcomes", self.market_id, "give the market its outcomes"
            )
        ids = [o.instrument_id for o in self.outcomes]
        if len(set(ids)) != len(ids):
            raise MarketError(
                "outcomes of a market need distinct instruments",
                ids,
                "give every outcome an instrument of its own",
            )
        paid = [o.payout for o in self.outcomes if o.payout is not None]
        if paid and len(paid) != len(self.outcomes):
            raise MarketError(
                "either all outcomes have a payout or none",
                self.market_id,
                "give each outcome its payout, or none before the resolution",
            )
        if len(self.outcomes) > 1 and paid and sum(paid, ZERO) != ONE:
            raise MarketError(
                "payouts of a market must sum to one",
                [str(p) for p in paid],
                "give payouts that sum to 1, for example 1 and 0",
            )

    @property
    def resolved(self) -> bool:
        """Whether the payouts are known."""
        return self.outcomes[0].payout is not None

    def outcome(self, instrument_id: str) -> Outcome:
        """Return the outcome with this instrument id."""
        for out in self.outcomes:
            if out.instrument_id == instrument_id:
                return out
        raise MarketError(
            "no such outcome in this market",
            f"{instrument_id} in {self.market_id}",
            f"use one of {', '.join(o.instrument_id for o in self.outcomes)}",
        )

    def opposite(self, instrument_id: str) -> Outcome:
        """Return the other outcome of a binary market."""
        if len(self.outcomes) != 2:
            raise MarketError(
                "only a binary market has an opposite",
                self.market_id,
                "name the outcome: of several, none is the opposite",
            )
        first, second = self.outcomes
        return second if self.outcome(instrument_id) is first else first

    def grid_of(self, instrument_id: str) -> TickGrid:
        """Return the tick grid of one outcome (mirrored for the second)."""
        return (
            self.grid if instrument_id == self.outcomes[0].instrument_id else self.grid.mirrored()
        )

    def resolved_as(self, payouts: tuple[Decimal, ...]) -> Market:
        """Return this market resolved with these payouts, in the order of `outcomes`."""
        outs = tuple(replace(o, payout=p) for o, p in zip(self.outcomes, payouts, strict=True))
        return replace(self, outcomes=outs, status=MarketStatus.RESOLVED)


@dataclass(frozen=True, slots=True)
class Event:
    """A group of markets about one happening.

    Attributes
    ----------
    neg_risk_id : str
        Neg-risk group: at most one of the markets resolves YES. Empty: no such guarantee.
    complete : bool
        Whether `market_ids` are known to be exhaustive (every outcome, Other and placeholders
        included). A YES basket is only an arbitrage on a complete event; exclusive is not exhaustive.
    augmented : bool
        Whether unnamed placeholders can still become real outcomes.
    """

    venue: str
    event_id: str
    title: str
    market_ids: tuple[str, ...]
    neg_risk_id: str = ""
    complete: bool = False
    augmented: bool = False
    category: str = ""
    synthetic: bool = False

    @property
    def exclusive(self) -> bool:
        """Whether at most one market can resolve YES."""
        return bool(self.neg_risk_id)

    @property
    def yes_basket_allowed(self) -> bool:
        """Whether holding every YES pays at least one dollar for certain."""
        return self.exclusive and self.complete and not self.augmented

    @property
    def no_basket_allowed(self) -> bool:
        """Whether any two or more NOs of the event pay at least (m - 1) dollars for certain."""
        return self.exclusive
