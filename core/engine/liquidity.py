"""What we took from the shown book stays taken, on both books of a market.

The recorded book never learns of our fills. The engine remembers what was taken from a level, but forgets it
at the level's next change, so a level that shrinks from 30 to 20 after we took its 30 could be taken again;
and it matches the two books of a market apart although a YES ask at p is the NO bid at 1 - p.

Here the consumption ``c`` of a level lasts as long as the recorded size allows: ``c = min(c, size)`` whenever
it is seen. An order that can reach levels of which the engine has forgotten (or never knew) our part is sent
for what is left, ``sum(size - c)``; the rest of it counts as cancelled, as for any IOC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from core.domain.fees import Side
from core.domain.money import ONE, ZERO
from core.engine.references import InstrumentRef

#: Price and size of a level, or None for an empty side.
LevelLike = tuple[Decimal, Decimal] | None


class Taken:
    """What is ours of one level.

    Attributes
    ----------
    shares : Decimal
        Shares taken.
    size : Decimal, optional
        Size that the level showed when we took from it.
    forgotten : bool
        Whether the engine does not know of it: the level has changed since, or the fill was on the
        mirrored book.
    """

    __slots__ = ("forgotten", "shares", "size")

    def __init__(self) -> None:
        self.shares = ZERO
        self.size: Decimal | None = None
        self.forgotten = False

    def shows(self, size: Decimal) -> None:
        """Note the size that the level shows now."""
        if size != self.size:
            self.forgotten = True
            self.shares = min(self.shares, size)


class Levels(dict[Decimal, Taken]):
    """Levels by price.

    Attributes
    ----------
    nearest : Decimal
        The one that the top of the book reaches first.
    """

    __slots__ = ("nearest",)

    nearest: Decimal


class TakenLiquidity:
    """Consumption by instrument and side of the book.

    Attributes
    ----------
    taken : dict
        ``(instrument id, side of the taker) -> {price: Taken}``; a taker who buys takes asks.
    watch : callable
        Called with an instrument whose book must be observed from now on.
    """

    def __init__(self) -> None:
        self.taken: dict[tuple[str, Side], Levels] = {}
        self.iids: set[str] = set()
        self.watch: Callable[[InstrumentRef], None] = lambda ref: None

    def take(
        self, ref: InstrumentRef, side: Side, price: Decimal, quantity: Decimal, size: Decimal
    ) -> None:
        """Book shares taken from the shown book, and from its mirror image.

        Parameters
        ----------
        size : Decimal
            What the level shows.
        """
        level = self._level(ref, side, price)
        if level.size is not None and level.size != size:
            level.forgotten = True
        level.shares, level.size = level.shares + quantity, size
        if ref.opposite is not None:
            mirrored = Side.SELL if side is Side.BUY else Side.BUY
            image = self._level(ref.opposite, mirrored, ONE - price)
            image.shares, image.forgotten = image.shares + quantity, True

    def _level(self, ref: InstrumentRef, side: Side, price: Decimal) -> Taken:
        key = ref.iid, side
        levels = self.taken.get(key)
        if levels is None:
            if ref.iid not in self.iids:
                self.iids.add(ref.iid)
                self.watch(ref)
            levels = self.taken[key] = Levels()
            levels.nearest = price
        found = levels.get(price)
        if found is None:
            found = levels[price] = Taken()
            levels.nearest = (min if side is Side.BUY else max)(levels.nearest, price)
        return found

    def seen_top(self, iid: str, bid: LevelLike, ask: LevelLike) -> None:
        """Note the top of a book: levels before it are gone, its own level shows its size.

        What was taken stands at the top of the recorded book until that level changes, so the top tells
        what happened to it; deeper levels are compared when an order asks for them.
        """
        asks, bids = self.taken.get((iid, Side.BUY)), self.taken.get((iid, Side.SELL))
        if asks is not None:
            if ask is None:
                self._drop(iid, Side.BUY)
            else:
                price, size = ask
                if (own := asks.get(price)) is not None:
                    own.shows(size)
                if asks.nearest < price:
                    self._keep(iid, Side.BUY, {p: own for p, own in asks.items() if p >= price})
        if bids is not None:
            if bid is None:
                self._drop(iid, Side.SELL)
            else:
                price, size = bid
                if (own := bids.get(price)) is not None:
                    own.shows(size)
                if bids.nearest > price:
                    self._keep(iid, Side.SELL, {p: own for p, own in bids.items() if p <= price})

    def _keep(self, iid: str, side: Side, levels: dict[Decimal, Taken]) -> None:
        """Keep these levels only: those before them are gone from the book."""
        if not levels:
            self._drop(iid, side)
            return
        kept = self.taken[iid, side] = Levels(levels)
        kept.nearest = (min if side is Side.BUY else max)(levels)

    def _drop(self, iid: str, side: Side) -> None:
        del self.taken[(iid, side)]
        other = Side.SELL if side is Side.BUY else Side.BUY
        if (iid, other) not in self.taken:
            self.iids.discard(iid)

    def available(
        self, iid: str, side: Side, shown: Iterable[tuple[Decimal, Decimal]]
    ) -> Decimal | None:
        """Return the shares of the shown levels (price, size) that are not ours already.

        None where the engine itself knows what is ours: it then matches right, also with what appears
        while the order is on its way.

        Parameters
        ----------
        shown : iterable of (Decimal, Decimal)
            Levels that the order can reach.
        """
        levels: dict[Decimal, Taken] = self.taken.get((iid, side)) or {}
        free, forgotten = ZERO, False
        for price, size in shown:
            ours = levels.get(price)
            if ours is not None:
                ours.shows(size)
                forgotten = forgotten or (ours.forgotten and ours.shares > 0)
                size -= ours.shares
            free += max(size, ZERO)
        return free if forgotten else None
