"""Strategy families of a run: what each has earned, and its share of the risk budget."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.risk.budget import FamilyResult, allocate
from core.risk.governor import Governor
from core.risk.limits import Budget
from core.risk.states import RiskEvent
from core.risk.units import dollars


class Families:
    """Results and shares by family; each move of a share is an event for the ledger.

    Attributes
    ----------
    shares : dict of str to Decimal
        Shares of the total limit; empty while one family has it all.
    """

    def __init__(self, governor: Governor, events: list[RiskEvent]) -> None:
        self._governor, self._events = governor, events
        self._results: dict[str, list[int]] = {}
        self.shares: dict[str, Decimal] = {}
        self._divided_for = (governor.day, governor.posture)

    @property
    def results(self) -> dict[str, FamilyResult]:
        """What each family has earned and risked so far."""
        return {
            family: FamilyResult(dollars(profit), dollars(risked), trades)
            for family, (profit, risked, trades) in self._results.items()
        }

    def count(self, family: str, risked: int, profit: int = 0, trades: int = 0) -> None:
        """Add to what a family has risked and earned (1e-18 dollar)."""
        sums = self._results.get(family)
        if sums is None:
            sums = self._results[family] = [0, 0, 0]
        sums[0] += profit
        sums[1] += risked
        sums[2] += trades

    @property
    def due(self) -> bool:
        """Whether a new day (UTC) or a move of the posture asks for new shares."""
        day, posture = self._divided_for
        return self._governor.day != day or self._governor.posture is not posture

    def divide(self, families: Iterable[str], budget: Budget, now_ns: int) -> dict[str, Decimal]:
        """Divide the risk budget between the families that trade, by what they have earned so far.

        Between two calls the shares stand still. A single family has it all, and so has every family
        under limits that do not enforce the budget.
        """
        self._divided_for = (self._governor.day, self._governor.posture)
        trading = {f for f in families if f}
        shares: dict[str, Decimal] = {}
        if budget.enforced and len(trading) > 1:
            shares = allocate(trading, self.results, budget, self._governor.posture)
        for family in sorted({*shares, *self.shares}):
            before, after = self.shares.get(family), shares.get(family)
            if before != after:
                moved = ("all" if x is None else f"{x:f}" for x in (before, after))
                self._events.append(RiskEvent(now_ns, "budget", family, *moved))
        self.shares = shares
        return shares
