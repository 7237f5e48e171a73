"""Phases of the fund: Bootstrap, Growth, Scale, Mature. Equity decides; a small loss does not flip back."""

from __future__ import annotations

from collections.abc import Sequence

from core.risk.limits import Phase
from core.risk.units import NANO, attos_down, nanos_of

#: A phase is left downwards only below this share of where it began.
KEEP = 800_000_000


class FundPhase:
    """The phase in force and what it allows.

    Parameters
    ----------
    phases : sequence of Phase
        Ascending by `from_usd`, the first from 0.
    """

    __slots__ = ("_starts", "factor", "index", "phases")

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.phases = tuple(phases)
        self._starts = [attos_down(p.from_usd) for p in self.phases]
        self.index = 0
        #: What the phase leaves of the limits, in billionths.
        self.factor = nanos_of(self.phase.factor) or 0

    @property
    def phase(self) -> Phase:
        """The phase in force."""
        return self.phases[self.index]

    def allows(self, family: str) -> bool:
        """Return whether a strategy family may open positions; an unnamed family may."""
        families = self.phase.families
        return not family or family in families or "*" in families

    def observe(self, equity: int) -> bool:
        """Move to the phase of `equity` (1e-18 dollar); return whether it changed."""
        index = self.index
        while index + 1 < len(self._starts) and equity >= self._starts[index + 1]:
            index += 1
        while index and equity * NANO < self._starts[index] * KEEP:
            index -= 1
        changed, self.index = index != self.index, index
        if changed:
            self.factor = nanos_of(self.phase.factor) or 0
        return changed
