"""Two books, one queue and one liquidity: a YES ask at p is the NO bid at 1 - p.

Recorded books of both outcomes come from one order book, but the engine matches them apart. Buying YES and
selling NO meet the same counterparties, whether they take or rest, so of two such orders only one may be on
its way. (What has been taken already is shared exactly, see `core.engine.liquidity`.)
"""

from __future__ import annotations

from core.domain.fees import Side
from core.engine.references import InstrumentRef

#: Code of a refusal by this rule.
MIRROR_BUSY = "MIRROR_BUSY"


class MirrorGuard:
    """Counts orders on their way by instrument and side; only of markets whose other outcome is in the run."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, Side], int] = {}

    def blocked(self, ref: InstrumentRef, side: Side) -> bool:
        """Return whether the mirrored order of the other outcome is on its way."""
        if ref.opposite is None:
            return False
        return (ref.opposite.iid, Side.SELL if side is Side.BUY else Side.BUY) in self._open

    def opened(self, iid: str, side: Side) -> None:
        """Note an order on its way."""
        self._open[(iid, side)] = self._open.get((iid, side), 0) + 1

    def closed(self, iid: str, side: Side) -> None:
        """Note the end of an order."""
        left = self._open.get((iid, side), 0) - 1
        if left > 0:
            self._open[(iid, side)] = left
        else:
            self._open.pop((iid, side), None)
