"""Two books, one liquidity: a YES ask at p is the NO bid at 1 - p.

Recorded books of both outcomes come from one order book, but the engine matches them apart. Buying YES and
selling NO hit the same resting orders (as do selling YES and buying NO), and a bid on YES rests in the same
queue as an ask on NO. So of two such orders only one may be on its way, and after one took liquidity the
other has to wait until its own book has changed.
"""

from __future__ import annotations

from core.domain.fees import Side
from core.engine.references import InstrumentRef

#: Code of a refusal by this rule.
MIRROR_BUSY = "MIRROR_BUSY"


class MirrorGuard:
    """Counts orders on their way, and remembers who took liquidity last."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, Side], int] = {}
        self._taken: dict[tuple[str, Side], int] = {}

    def blocked(self, ref: InstrumentRef, side: Side, updates: int) -> bool:
        """Return whether an order would use liquidity of the mirrored book a second time.

        Parameters
        ----------
        updates : int
            Number of changes that the book of `ref` has seen.
        """
        if ref.opposite is None:
            return False
        other = (ref.opposite.iid, Side.SELL if side is Side.BUY else Side.BUY)
        if self._open.get(other):
            return True
        return self._taken.get((ref.iid, side), -1) >= updates

    def opened(self, iid: str, side: Side) -> None:
        """Note an order on its way."""
        key = (iid, side)
        self._open[key] = self._open.get(key, 0) + 1

    def closed(self, iid: str, side: Side) -> None:
        """Note the end of an order."""
        key = (iid, side)
        left = self._open.get(key, 0) - 1
        if left > 0:
            self._open[key] = left
        else:
            self._open.pop(key, None)

    def took(self, ref: InstrumentRef, side: Side, opposite_updates: int) -> None:
        """Note a taker fill: the mirrored order waits for the next change of its book.

        Parameters
        ----------
        opposite_updates : int
            Changes that the opposite book has seen at the fill.
        """
        if ref.opposite is not None:
            mirrored = Side.SELL if side is Side.BUY else Side.BUY
            self._taken[(ref.opposite.iid, mirrored)] = opposite_updates
