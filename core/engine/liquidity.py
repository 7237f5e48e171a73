"""What we took from the shown book stays taken, on both books of a market.

The recorded book never learns of our fills. The engine remembers what was taken from a level, but forgets it
at the level's next change, so a level that shrinks from 30 to 20 after we took its 30 could be taken again;
and it matches the two books of a market apart although a YES ask at p is the NO bid at 1 - p.

Here the consumption ``c`` of a level lasts as long as the recorded size allows: ``c = min(c, size)`` at every
change, ``available = size - c``. An order that takes is sent for what is available; the rest of it counts as
cancelled, as for any IOC.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from nautilus_trader.model import BookAction, OrderBookDeltas, OrderSide, QuoteTick

from core.domain.fees import Side
from core.domain.money import ONE, ZERO
from core.engine.references import InstrumentRef
from core.engine.units import exact


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

    def seen(self, iid: str, side: Side, price: Decimal, size: Decimal) -> None:
        """Note that a level now shows `size`: no more than that can still be ours."""
        levels = self.taken.get((iid, side))
        if levels is None or price not in levels:
            return
        if size <= 0:
            del levels[price]
            if not levels:
                self._drop(iid, side)
        elif size < levels[price]:
            levels[price] = size

    def _drop(self, iid: str, side: Side) -> None:
        del self.taken[(iid, side)]
        other = Side.SELL if side is Side.BUY else Side.BUY
        if (iid, other) not in self.taken:
            self.iids.discard(iid)

    def seen_deltas(self, iid: str, deltas: OrderBookDeltas) -> None:
        """Note the changes of one batch; a snapshot counts by what it shows at its end."""
        final: dict[tuple[Side, Decimal], Decimal] = {}
        for delta in deltas.deltas:
            if delta.action == BookAction.CLEAR:
                for side in Side:
                    for price in self.taken.get((iid, side), ()):
                        final[(side, price)] = ZERO
                continue
            order = delta.order
            side = Side.BUY if order.side == OrderSide.SELL else Side.SELL
            size = ZERO if delta.action == BookAction.DELETE else exact(order.size)
            final[(side, exact(order.price))] = size
        for (side, price), size in final.items():
            self.seen(iid, side, price, size)

    def seen_quote(self, iid: str, quote: QuoteTick) -> None:
        """Note a quote: its level shows its size, better levels are gone."""
        bid, ask = exact(quote.bid_price), exact(quote.ask_price)
        bid_size, ask_size = exact(quote.bid_size), exact(quote.ask_size)
        for price in [p for p in self.taken.get((iid, Side.BUY), ()) if p <= ask]:
            self.seen(iid, Side.BUY, price, ask_size if price == ask else ZERO)
        for price in [p for p in self.taken.get((iid, Side.SELL), ()) if p >= bid]:
            self.seen(iid, Side.SELL, price, bid_size if price == bid else ZERO)

    def available(self, iid: str, side: Side, shown: list[tuple[Decimal, Decimal]]) -> Decimal:
        """Return the shares of the shown levels (price, size) that are not ours already.

        Parameters
        ----------
        shown : list of (Decimal, Decimal)
            Levels that the order can reach.
        """
        levels = self.taken.get((iid, side), {})
        return sum((max(ZERO, size - levels.get(price, ZERO)) for price, size in shown), ZERO)
