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

    __slots__ = ("_above", "_below", "_starts", "factor", "index", "open", "phases")

    def __init__(self, phases: Sequence[Phase]) -> None:
        self.phases = tuple(phases)
        self._starts = [attos_down(p.from_usd) for p in self.phases]
        self.index = 0
        self._enter()

    def _enter(self) -> None:
        """Work out what the phase in force leaves of the limits (billionths), and to whom (None: everybody).

        It stays in force while equity times 1e9 is at least `_above`, and equity is below `_below`.
        """
        index, starts = self.index, self._starts
        self._above = starts[index] * KEEP if index else None
        self._below = starts[index + 1] if index + 1 < len(starts) else None
        self.factor = nanos_of(self.phase.factor) or 0
        families = self.phase.families
        self.open = None if "*" in families else frozenset(("", *families))

    @property
    def phase(self) -> Phase:
        """The phase in force."""
        return self.phases[self.index]

    def allows(self, family: str) -> bool:
        """Return whether a strategy family may open positions; an unnamed family may."""
        return self.open is None or family in self.open

    def observe(self, equity: int) -> bool:
        """Move to the phase of `equity` (1e-18 dollar); return whether it changed."""
        below, above = self._below, self._above
        if (below is None or equity < below) and (above is None or equity * NANO >= above):
            return False
        index = self.index
        while index + 1 < len(self._starts) and equity >= self._starts[index + 1]:
            index += 1
        while index and equity * NANO < self._starts[index] * KEEP:
            index -= 1
        changed, self.index = index != self.index, index
        if changed:
            self._enter()
        return changed
