"""What a download is made of: units of work, pages of rows, and the venue that knows both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapters.download.store import RawStore


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to download: all rows of `key` in ``start_s <= t < end_s``.

    Attributes
    ----------
    table : str
        Kind of rows, the folder they are stored in.
    key : str
        What they belong to: a ticker, a condition id, a symbol with its interval.
    start_s, end_s : int
        Unix seconds; both 0 for a listing, which is taken anew in every run.
    tier : str
        Which of the venue's endpoints serves it.
    """

    table: str
    key: str
    start_s: int = 0
    end_s: int = 0
    tier: str = field(default="", compare=False)

    @property
    def listing(self) -> bool:
        """Whether this is a listing without a period."""
        return self.end_s == 0

    @property
    def name(self) -> str:
        """Identity in the journal."""
        return f"{self.table}|{self.key}|{self.start_s}|{self.end_s}"


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as the venue sent them, and where to go on (None: that was the last page).

    Attributes
    ----------
    window : bool
        The cursor is our own next period, so empty pages in a row are not a sign of trouble.
    """

    rows: Sequence[Any]
    cursor: str | None = None
    window: bool = False


class Source(Protocol):
    """A venue's public history: phases of units, and pages of a unit."""

    #: Number of phases; a phase may read what earlier ones stored.
    phases: int

    def plan(self, phase: int, store: RawStore) -> list[Unit]:
        """Return the units wanted in this phase, periods included."""
        ...

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        """Return one page of `unit`; `cursor` None is the first."""
        ...
