"""What the gate knows of each outcome: its market, grid, steps, hours and the outcome opposite to it."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.errors import MarketError
from core.domain.fees import FeeBook, FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import STATUS_TRANSITIONS, Market, MarketStatus
from core.risk.approval import place_of
from core.risk.units import nanos_of


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
    """

    code: str
    fees: FeeBook
    nets_outcomes: bool = False


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


def _exact(value: object) -> int:
    number = nanos_of(value)  # type: ignore[arg-type]
    if number is None:
        raise MarketError("the gate counts prices and sizes in billionths", value)
    return number


class MarketState:
    """A market and where it stands now."""

    __slots__ = ("close_ns", "market_id", "open_ns", "status")

    def __init__(self, market: Market) -> None:
        self.market_id = market.market_id
        self.open_ns = market.open_ns
        self.close_ns = market.close_ns
        self.status = market.status

    def move(self, status: MarketStatus) -> None:
        """Move to `status`; a resolved market stays resolved."""
        if status != self.status and status in STATUS_TRANSITIONS[self.status]:
            self.status = status

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
    fee_terms : int
        Number of the venue's schedule: the same terms have the same number.
    group : str
        The event, or the market without one: round trips are judged per group, so that the losing leg
        of an arbitrage is not a losing trade.
    labels : frozenset of str
        Everything a blacklist can name: instrument, market, event, series, category, venue.
    place : str
        The part of the signed text that all its orders share.
    """

    instrument_id: str
    venue: VenueRules
    state: MarketState
    market_id: str
    event_id: str
    opposite_id: str
    grid: Grid
    size_step: int
    min_size: int
    fees: FeeSchedule
    fee_terms: int
    pays_at_most: int
    group: str
    labels: frozenset[str]
    place: str


def rules_of(
    market: Market, venue: VenueRules, state: MarketState, fee_terms: int = 0
) -> list[InstrumentRules]:
    """Return the rules of every outcome of `market`."""
    binary = len(market.outcomes) == 2
    named = {market.venue, market.market_id, market.event_id, market.series, market.category}
    out = []
    for outcome in market.outcomes:
        iid = outcome.instrument_id
        grid = Grid.of(market.grid_of(iid))
        labels = frozenset((named | {iid}) - {""})
        out.append(
            InstrumentRules(
                instrument_id=iid,
                venue=venue,
                state=state,
                market_id=market.market_id,
                event_id=market.event_id,
                opposite_id=market.opposite(iid).instrument_id if binary else "",
                grid=grid,
                size_step=max(1, _exact(market.size_step)),
                min_size=_exact(market.min_size),
                fees=market.fees,
                fee_terms=fee_terms,
                pays_at_most=grid.bands[-1][1],
                group=market.event_id or market.market_id,
                labels=labels,
                place=place_of(market.venue, iid, market.market_id, market.event_id),
            )
        )
    return out
