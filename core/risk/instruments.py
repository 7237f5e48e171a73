"""What the gate knows of each outcome: its market, grid, steps, hours and the outcome opposite to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.domain.errors import MarketError
from core.domain.fees import CashFeeBook, FeeBook, FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import STATUS_TRANSITIONS, Market, MarketStatus
from core.risk.approval import place_of
from core.risk.units import nanos_of

#: A time that never comes.
FOREVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class VenueRules:
    """What the gate must know of a venue.

    Attributes
    ----------
    fees : FeeBook
        Source of the worst-case fee.
    nets_outcomes : bool
        Whether the venue nets YES against NO of one market (Kalshi): then opening the opposite of a
        held outcome is really a sale of it.
    cash_fees : CashFeeBook, optional
        Given where a BUY that must not rest is sent for dollars (Polymarket live): at a better price it
        buys more shares, so it is reserved and judged in dollars.
    """

    code: str
    fees: FeeBook
    nets_outcomes: bool = False
    cash_fees: CashFeeBook | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A tick grid in billionths: bands of (start, end, step), and the ends that can be ordered."""

    bands: tuple[tuple[int, int, int], ...]
    lowest: int
    highest: int

    @classmethod
    def of(cls, grid: TickGrid) -> Grid:
        """Return `grid` in integers."""
        bands = tuple((_exact(b.start), _exact(b.end), _exact(b.step)) for b in grid.bands)
        return cls(bands, _exact(grid.lowest), _exact(grid.highest))

    def contains(self, price: int) -> bool:
        """Return whether `price` can be ordered."""
        if not self.lowest <= price <= self.highest:
            return False
        if len(self.bands) == 1:
            start, _, step = self.bands[0]
            return (price - start) % step == 0
        return any(
            start <= price <= end and (price - start) % step == 0 for start, end, step in self.bands
        )

    def step_at(self, price: int) -> int:
        """Return the step of the band that holds `price`, of the nearest band outside the grid."""
        for start, end, step in self.bands:
            if start <= price <= end:
                return step
        return self.bands[0][2] if price < self.bands[0][0] else self.bands[-1][2]

    def floor(self, price: int) -> int:
        """Return the highest orderable price at or below `price`, at least the lowest one."""
        capped = min(max(price, self.lowest), self.highest)
        for start, end, step in reversed(self.bands):
            if start <= capped <= end:
                return max(self.lowest, start + (capped - start) // step * step)
        return self.lowest

    def ceil(self, price: int) -> int:
        """Return the lowest orderable price at or above `price`, at most the highest one."""
        floored = min(max(price, self.lowest), self.highest)
        for start, end, step in self.bands:
            if start <= floored <= end:
                return min(self.highest, start - (start - floored) // step * step)
        return self.highest


class Quotes:
    """What prices of one grid come to, by their text; the gate fills it.

    Attributes
    ----------
    prices : dict
        Prices that can be ordered, in billionths. A text that is missing was not asked for, or is none.
    bounds : dict
        Per quoted price the lowest sale and the highest purchase that the collar allows, and the price.
    """

    __slots__ = ("bounds", "prices")

    def __init__(self) -> None:
        self.prices: dict[str, int] = {}
        self.bounds: dict[str, tuple[int, int, int]] = {}


def _exact(value: object) -> int:
    number = nanos_of(value)  # type: ignore[arg-type]
    if number is None:
        raise MarketError(
            "the gate counts prices and sizes in billionths", value, "give at most nine decimals"
        )
    return number


@dataclass(slots=True)
class Scope:
    """Committed money (1e-18 dollar) of one market or event; its instruments and the book share it."""

    used: int = 0


@dataclass(slots=True)
class Purse(Scope):
    """A venue: its committed money, its cash, what orders reserve of it and what unconfirmed sales owe."""

    cash: int = 0
    reserved: int = 0
    withheld: int = 0
    stated: bool = False

    @property
    def free(self) -> int:
        """Cash that no order reserves and no unconfirmed sale owes."""
        return self.cash - self.reserved - self.withheld


@dataclass(slots=True)
class Resting:
    """Shares of one outcome that working orders can still buy and sell; its instrument and the book share it."""

    buying: int = 0
    selling: int = 0


class MarketState:
    """A market and where it stands now.

    Attributes
    ----------
    until_ns : int
        Orders are taken from `open_ns` until then; 0 while the market is not active.
    """

    __slots__ = ("close_ns", "market_id", "open_ns", "status", "until_ns")

    def __init__(self, market: Market) -> None:
        self.market_id = market.market_id
        self.status = market.status
        self.set_hours(market.open_ns, market.close_ns)

    def set_hours(self, open_ns: int, close_ns: int) -> None:
        """Take over when the market opens and closes (0: it does not)."""
        self.open_ns, self.close_ns = open_ns, close_ns
        self.until_ns = (close_ns or FOREVER_NS) if self.status is MarketStatus.ACTIVE else 0

    def move(self, status: MarketStatus) -> None:
        """Move to `status`; a resolved market stays resolved."""
        if status != self.status and status in STATUS_TRANSITIONS[self.status]:
            self._set(status)

    def resolve(self) -> None:
        """End it: an outcome was paid out."""
        self._set(MarketStatus.RESOLVED)

    def _set(self, status: MarketStatus) -> None:
        self.status = status
        self.set_hours(self.open_ns, self.close_ns)

    def closed_because(self, now_ns: int) -> str:
        """Return why no order can be taken at `now_ns`, or an empty text."""
        if self.status is not MarketStatus.ACTIVE:
            return self.status.value
        if self.close_ns and now_ns >= self.close_ns:
            return "past close"
        if now_ns < self.open_ns:
            return "before open"
        return ""


@dataclass(frozen=True, slots=True)
class InstrumentRules:
    """One outcome as the gate sees it. Prices, steps and sizes in billionths.

    Attributes
    ----------
    venue_code, nets_outcomes, cash_fees
        The venue's, kept here too because every order asks for them.
    fee_terms : int
        Number of the venue's schedule: the same terms have the same number.
    rule_starts_ns : tuple of int
        When each fee rule known of the venue begins, ascending.
    last_rule_ns : int
        The last of these: an order that rests before may outlive its rule.
    group : str
        The event, or the market without one: round trips are judged per group, so that the losing leg
        of an arbitrage is not a losing trade.
    labels : frozenset of str
        Everything a blacklist can name: instrument, market, event, series, category, venue.
    place : str
        The part of the signed text that all its orders share.
    resting, opposite : Resting
        What works in it, and in the outcome opposite to it (where there is one).
    in_market, in_event, in_venue : Scope
        Where its committed money counts; no event, no scope.
    quotes : Quotes
        What was worked out of texts of prices; instruments with one grid share it.
    """

    instrument_id: str
    venue: VenueRules
    venue_code: str
    nets_outcomes: bool
    cash_fees: CashFeeBook | None
    state: MarketState
    market_id: str
    event_id: str
    opposite_id: str
    grid: Grid
    size_step: int
    min_size: int
    fees: FeeSchedule
    fee_terms: int
    rule_starts_ns: tuple[int, ...]
    last_rule_ns: int
    pays_at_most: int
    group: str
    labels: frozenset[str]
    place: str
    resting: Resting
    opposite: Resting
    in_market: Scope
    in_event: Scope | None
    in_venue: Purse
    quotes: Quotes


def rules_of(
    market: Market,
    venue: VenueRules,
    state: MarketState,
    fee_terms: int,
    resting: Callable[[str], Resting],
    scope: Callable[[str, str], Scope],
    purse: Purse,
    quotes_of: Callable[[Grid], Quotes],
) -> list[InstrumentRules]:
    """Return the rules of every outcome of `market`.

    Parameters
    ----------
    resting : callable
        Gives what works in an outcome.
    scope : callable
        Gives the scope of ("market" | "event", name).
    purse : Purse
        The venue's.
    quotes_of : callable
        Gives what a grid's instruments share.
    """
    binary = len(market.outcomes) == 2
    named = {market.venue, market.market_id, market.event_id, market.series, market.category}
    starts = tuple(sorted(venue.fees.rule_starts_ns))
    out = []
    for outcome in market.outcomes:
        iid = outcome.instrument_id
        opposite_id = market.opposite(iid).instrument_id if binary else ""
        grid = Grid.of(market.grid_of(iid))
        labels = frozenset((named | {iid}) - {""})
        out.append(
            InstrumentRules(
                instrument_id=iid,
                venue=venue,
                venue_code=venue.code,
                nets_outcomes=venue.nets_outcomes,
                cash_fees=venue.cash_fees,
                state=state,
                market_id=market.market_id,
                event_id=market.event_id,
                opposite_id=opposite_id,
                grid=grid,
                size_step=max(1, _exact(market.size_step)),
                min_size=_exact(market.min_size),
                fees=market.fees,
                fee_terms=fee_terms,
                rule_starts_ns=starts,
                last_rule_ns=starts[-1] if starts else 0,
                pays_at_most=grid.bands[-1][1],
                group=market.event_id or market.market_id,
                labels=labels,
                place=place_of(market.venue, iid, market.market_id, market.event_id),
                resting=resting(iid),
                opposite=resting(opposite_id),
                in_market=scope("market", market.market_id),
                in_event=scope("event", market.event_id) if market.event_id else None,
                in_venue=purse,
                quotes=quotes_of(grid),
            )
        )
    return out
