"""What every download has in common: where it goes, how fast, and over which period."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.download.client import Retry
from core.domain.errors import UsageError

#: Trades and bars of the last minute may still change; a download stops before them.
SETTLE_S = 60


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to download.

    Attributes
    ----------
    base_urls : dict of str to str
        Service name to URL, in place of the venue's own.
    speed : float
        Share of the venue's published rate limit to use.
    workers : int
        Requests in flight.
    restart : bool
        Forget what an earlier run downloaded.
    """

    base_urls: dict[str, str] = field(default_factory=dict)
    speed: float = 0.8
    workers: int = 4
    restart: bool = False
    retry: Retry = field(default_factory=Retry)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse speeds and worker counts that cannot work."""
        if not 0 < self.speed <= 1:
            raise UsageError("speed must lie in (0, 1]", self.speed, "--speed 0.8")
        if not 1 <= self.workers <= 32:
            raise UsageError("workers must lie in 1..32", self.workers, "--workers 4")


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open period in Unix seconds."""

    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        """Refuse an empty or negative period."""
        if not 0 <= self.start_s < self.end_s:
            raise UsageError(
                "the period is empty", f"{self.start_s}..{self.end_s}", "--start before --end"
            )

    def clip(self, start_s: int, end_s: int) -> Span | None:
        """Return the part inside ``start_s .. end_s``, or None."""
        low, high = max(self.start_s, start_s), min(self.end_s, end_s)
        return Span(low, high) if low < high else None
