"""Pairs of YES and NO that a venue turns back into a dollar before resolution.

A pair belongs to one strategy: shares of two strategies are never paired with each other, so no strategy's
position changes by what another one does. The book follows the *engine's* legs, which stay open until
settlement; what is merged of them only grows, and a merged share can neither be sold (the gate no longer
holds it) nor be paid at settlement.

Invariants, asserted on every call: ``0 <= merged <= min(YES leg, NO leg)`` and at most one leg has shares
that are not merged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.errors import MarketError
from core.domain.money import ZERO
from core.engine.references import InstrumentRef


@dataclass(slots=True)
class Legs:
    """Engine legs of one strategy in one market (YES, NO), and how many pairs are merged."""

    held: list[Decimal] = field(default_factory=lambda: [ZERO, ZERO])
    settled: list[bool] = field(default_factory=lambda: [False, False])
    merged: Decimal = ZERO


class MergeBook:
    """Merged pairs of one venue.

    Attributes
    ----------
    total : Decimal
        Pairs merged in the whole run.
    """

    def __init__(self) -> None:
        self._legs: dict[tuple[str, str], Legs] = {}
        self.total = ZERO

    def fill(self, strategy_id: str, ref: InstrumentRef, delta: Decimal) -> Decimal:
        """Book a fill of `delta` shares (negative: sale); return the pairs it completes.

        Raises
        ------
        MarketError
            If a sale takes shares that were merged away or never held.
        """
        if ref.opposite is None:
            return ZERO
        key = (strategy_id, ref.market.market_id)
        legs = self._legs.get(key)
        if legs is None:
            legs = self._legs[key] = Legs()
        held = legs.held[ref.index] + delta
        if held < legs.merged:
            raise MarketError(
                "sale of shares that are merged or not held",
                f"{ref.iid}: {delta}",
                "please report this: no figure of this run can be trusted",
            )
        legs.held[ref.index] = held
        if not legs.held[1 - ref.index]:  # no other leg, no pair
            return ZERO
        fresh = min(legs.held) - legs.merged
        if fresh > 0:
            legs.merged += fresh
            self.total += fresh
            return fresh
        return ZERO

    def settle(self, strategy_id: str, ref: InstrumentRef, quantity: Decimal) -> Decimal:
        """Book the settlement of one leg; return how many of its shares were merged before.

        Raises
        ------
        MarketError
            If the leg is settled twice or the engine settles another quantity than was filled.
        """
        if ref.opposite is None:
            return ZERO
        legs = self._legs.setdefault((strategy_id, ref.market.market_id), Legs())
        if legs.settled[ref.index] or legs.held[ref.index] != quantity:
            raise MarketError(
                "settlement of a leg that is not held like this",
                f"{ref.iid}: {quantity} against {legs.held[ref.index]}",
                "please report this: no figure of this run can be trusted",
            )
        legs.settled[ref.index] = True
        return legs.merged
