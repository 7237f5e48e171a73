"""What we took from the shown book stays taken, on both books of a market.

The recorded book never learns of our fills. The engine remembers what was taken from a level, but forgets it
at the level's next change, so a level that shrinks from 30 to 20 after we took its 30 could be taken again;
and it matches the two books of a market apart although a YES ask at p is the NO bid at 1 - p.

Here the consumption ``c`` of a level lasts as long as the recorded size allows: ``c = min(c, size)`` whenever
it is seen, ``available = size - c``. An order that takes is sent for what is available; the rest of it counts as
cancelled, as for any IOC.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.domain.fees import Side
from core.domain.money import ONE, ZERO
from core.engine.references import InstrumentRef

#: Price and size of a level, or None for an empty side.
LevelLike = tuple[Decimal, Decimal] | None


class TakenLiquidity:
    """Consumption by instrument and side of the book.

    Attributes
    ----------
    taken : dict
        ``(instrument id, side of the taker) -> {price: shares taken}``; a taker who buys takes asks.
    watch : callable
        Called with an instrument whose book must be observed from now on.
    """

    def __init__(self) -> None:
        self.taken: dict[tuple[str, Side], dict[Decimal, Decimal]] = {}
        self.iids: set[str] = set()
        self.watch: Callable[[InstrumentRef], None] = lambda ref: None

    def take(self, ref: InstrumentRef, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Book shares taken from the shown book, and from its mirror image."""
        self._add(ref, side, price, quantity)
        if ref.opposite is not None:
            mirrored = Side.SELL if side is Side.BUY else Side.BUY
            self._add(ref.opposite, mirrored, ONE - price, quantity)

    def _add(self, ref: InstrumentRef, side: Side, price: Decimal, quantity: Decimal) -> None:
        levels = self.taken.setdefault((ref.iid, side), {})
        levels[price] = levels.get(price, ZERO) + quantity
        if ref.iid not in self.iids:
            self.iids.add(ref.iid)
            self.watch(ref)

    def seen_top(self, iid: str, bid: LevelLike, ask: LevelLike) -> None:
        """Note the top of a book: levels before it are gone, its own level shows its size.

        What was taken stands at the top of the recorded book until that level changes, so the top tells
        what happened to it; deeper levels are compared when an order asks for them.
        """
        levels = self.taken.get((iid, Side.BUY))
        if levels is not None:
            _pass(levels, ask, lambda p, q: p < q)
            if not levels:
                self._drop(iid, Side.BUY)
        levels = self.taken.get((iid, Side.SELL))
        if levels is not None:
            _pass(levels, bid, lambda p, q: p > q)
            if not levels:
                self._drop(iid, Side.SELL)

    def _drop(self, iid: str, side: Side) -> None:
        del self.taken[(iid, side)]
        other = Side.SELL if side is Side.BUY else Side.BUY
        if (iid, other) not in self.taken:
            self.iids.discard(iid)

    def available(self, iid: str, side: Side, shown: list[tuple[Decimal, Decimal]]) -> Decimal:
        """Return the shares of the shown levels (price, size) that are not ours already.

        Parameters
        ----------
        shown : list of (Decimal, Decimal)
            Levels that the order can reach.
        """
        levels = self.taken.get((iid, side), {})
        free = ZERO
        for price, size in shown:
            ours = levels.get(price)
            if ours is None:
                free += size
                continue
            levels[price] = ours = min(ours, size)
            free += size - ours
        return free


def _pass(
    levels: dict[Decimal, Decimal], top: LevelLike, before: Callable[[Decimal, Decimal], bool]
) -> None:
    """Drop the levels before the top of the book; no more than it shows can still be ours at the top."""
    if top is None:
        levels.clear()
        return
    price, size = top
    for gone in [p for p in levels if before(p, price)]:
        del levels[gone]
    if price in levels:
        levels[price] = min(levels[price], size)
