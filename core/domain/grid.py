"""Tick grids: which prices a venue accepts, band by band."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.errors import MarketError, PriceOffGrid
from core.domain.money import ONE, ZERO, ceil_to, floor_to


@dataclass(frozen=True, slots=True)
class Band:
    """Prices ``start <= p <= end`` move in steps of `step` (dollars)."""

    start: Decimal
    end: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True)
class TickGrid:
    """The orderable prices of a market, in dollars of probability.

    Parameters
    ----------
    bands : tuple of Band
        Ascending and touching; 0 and 1 themselves are never orderable.
    """

    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        """Check that bands ascend, touch and have positive steps."""
        if not self.bands:
            raise MarketError(
                "a tick grid needs at least one band",
                self.bands,
                "give a band, for example from 0 to 1 by 0.01",
            )
        for band in self.bands:
            if band.step <= 0 or band.end <= band.start:
                raise MarketError(
                    "a tick band needs start < end and step > 0",
                    band,
                    "give start < end and a step above 0",
                )
        for low, high in zip(self.bands, self.bands[1:], strict=False):
            if low.end != high.start:
                raise MarketError(
                    "tick bands must touch",
                    (low, high),
                    "let every band start where the last one ends",
                )

    @classmethod
    def uniform(cls, step: Decimal) -> TickGrid:
        """Return a grid with one step from 0 to 1."""
        return cls((Band(ZERO, ONE, step),))

    @property
    def finest(self) -> Decimal:
        """The smallest step of any band."""
        return min(b.step for b in self.bands)

    @property
    def lowest(self) -> Decimal:
        """The lowest orderable price."""
        first = self.bands[0]
        return first.start + first.step if first.start <= ZERO else first.start

    @property
    def highest(self) -> Decimal:
        """The highest orderable price."""
        last = self.bands[-1]
        return last.end - last.step if last.end >= ONE else last.end

    def step_at(self, price: Decimal) -> Decimal:
        """Return the step of the band that holds `price` (the finer one on a border)."""
        steps = [b.step for b in self.bands if b.start <= price <= b.end]
        if not steps:
            raise PriceOffGrid(
                "price outside the grid", price, f"use {self.lowest} to {self.highest}"
            )
        return min(steps)

    def contains(self, price: Decimal) -> bool:
        """Return whether `price` can be ordered."""
        if not self.lowest <= price <= self.highest:
            return False
        return any(
            b.start <= price <= b.end and (price - b.start) % b.step == 0 for b in self.bands
        )

    def require(self, price: Decimal) -> Decimal:
        """Return `price`, or raise `PriceOffGrid` naming the neighbours that are valid."""
        if self.contains(price):
            return price
        near = [str(p) for p in (self.snap_down(price), self.snap_up(price)) if p is not None]
        raise PriceOffGrid("price is not on the tick grid", price, f"use {' or '.join(near)}")

    def snap_down(self, price: Decimal) -> Decimal | None:
        """Return the highest orderable price <= `price` (a bid snaps down), or None."""
        if price < self.lowest:
            return None
        capped = min(price, self.highest)
        for band in reversed(self.bands):
            if capped >= band.start:
                snapped = band.start + floor_to(capped - band.start, band.step)
                return snapped if self.contains(snapped) else None
        return None

    def snap_up(self, price: Decimal) -> Decimal | None:
        """Return the lowest orderable price >= `price` (an ask snaps up), or None."""
        if price > self.highest:
            return None
        floored = max(price, self.lowest)
        for band in self.bands:
            if floored <= band.end:
                snapped = band.start + ceil_to(floored - band.start, band.step)
                return snapped if self.contains(snapped) else None
        return None

    def mirrored(self) -> TickGrid:
        """Return the grid of the opposite outcome (price p becomes 1 - p)."""
        return TickGrid(
            tuple(Band(ONE - b.end, ONE - b.start, b.step) for b in reversed(self.bands))
        )
