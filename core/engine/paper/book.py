"""One market's book at a venue of our own: outside liquidity plus our own orders, in YES terms and integers.

Units: price in ten-thousandths of a dollar (1 to 9999), quantity in hundredths of a contract. Their product is
whole micro-dollars, so no fill is ever rounded.

Rules of matching:

- an incoming order takes the replayed levels best first; what it takes from a level stays taken while the
  replay still shows as much there (`core.engine.liquidity` has the same rule for the backtest);
- a resting order waits behind the replayed size that was at its price when it arrived (`ahead`); a trade
  at its price first consumes what is ahead; a level that shrinks moves it forward;
- a replayed level of the other side that crosses a resting order fills it at the resting price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BookSide = Literal["bid", "ask"]
#: Quantity by price, of both sides.
Levels = dict[BookSide, dict[int, int]]
PRICE_UNIT = 10_000
QUANTITY_UNIT = 100


def other(side: BookSide) -> BookSide:
    """Return the opposite side."""
    return "ask" if side == "bid" else "bid"


def no_levels() -> Levels:
    """Return two empty sides."""
    return {"bid": {}, "ask": {}}


@dataclass(slots=True)
class Resting:
    """One of our orders in the book."""

    order_id: str
    side: BookSide
    price: int
    left: int
    ahead: int


@dataclass(frozen=True, slots=True)
class Match:
    """One execution of one of our orders."""

    order_id: str
    side: BookSide
    price: int
    quantity: int
    maker: bool


@dataclass(slots=True)
class FakeBook:
    """Replayed levels and own orders of one market."""

    levels: Levels = field(default_factory=no_levels)
    taken: Levels = field(default_factory=no_levels)
    resting: dict[str, Resting] = field(default_factory=dict)

    def shown(self, side: BookSide, price: int) -> int:
        """Return the replayed quantity at `price` that we have not taken."""
        return self.levels[side].get(price, 0) - self.taken[side].get(price, 0)

    def best(self, side: BookSide) -> int | None:
        """Return the best replayed price of `side` with quantity left."""
        prices = [p for p in self.levels[side] if self.shown(side, p) > 0]
        if not prices:
            return None
        return max(prices) if side == "bid" else min(prices)

    def depth(self, side: BookSide) -> list[tuple[int, int]]:
        """Return replayed levels with quantity left, best first."""
        rows = [(p, self.shown(side, p)) for p in self.levels[side] if self.shown(side, p) > 0]
        return sorted(rows, reverse=side == "bid")

    # -- replay -----------------------------------------------------------------------------
    def clear(self) -> None:
        """Forget all replayed levels: nothing is known of the book now; our places in the queue stay."""
        for side in ("bid", "ask"):
            self.levels[side].clear()
            self.taken[side].clear()

    def snapshot(self, levels: Levels) -> list[Match]:
        """Put `levels` in the place of all replayed ones; return fills of resting orders that they cross.

        The same book told again changes nothing: what we took stays taken, our orders keep their places. Without
        any level, nothing is known of the book.
        """
        if not levels["bid"] and not levels["ask"]:
            self.clear()
            return []
        matches = []
        for side, shown in levels.items():
            for price in self.levels[side].keys() - shown.keys():
                self.set_level(side, price, 0)
        for side, shown in levels.items():
            for price in sorted(shown, reverse=side == "bid"):
                matches += self.set_level(side, price, shown[price])
        return matches

    def set_level(self, side: BookSide, price: int, quantity: int) -> list[Match]:
        """Set a replayed level; return fills of resting orders that it crosses."""
        if quantity > 0:
            self.levels[side][price] = quantity
        else:
            self.levels[side].pop(price, None)
        taken = min(self.taken[side].pop(price, 0), quantity)
        if (
            taken > 0
        ):  # the replay never learns of our fills: of 20 that are left of 30, ours are not there
            self.taken[side][price] = taken
        for order in self.resting.values():
            if order.side == side and order.price == price:
                order.ahead = min(order.ahead, max(quantity, 0))
        return self._cross(side, price)

    def _cross(self, side: BookSide, price: int) -> list[Match]:
        matches = []
        for order in self._queue(other(side)):
            if self.shown(side, price) <= 0:
                break
            crosses = order.price >= price if order.side == "bid" else order.price <= price
            if crosses:
                quantity = min(order.left, self.shown(side, price))
                self._take(side, price, quantity)
                matches.append(self._fill(order, order.price, quantity))
        return matches

    def trade(self, price: int, quantity: int, aggressor: BookSide) -> list[Match]:
        """Let a replayed trade by `aggressor` reach our resting orders of the other side."""
        matches, left = [], quantity
        for order in self._queue(other(aggressor)):
            if left <= 0:
                break
            through = order.price > price if order.side == "bid" else order.price < price
            if order.price == price:
                eaten = min(order.ahead, left)
                order.ahead -= eaten
                left -= eaten
            elif not through:
                continue
            fill = min(order.left, left)
            if fill > 0:
                left -= fill
                matches.append(self._fill(order, order.price, fill))
        return matches

    # -- own orders -------------------------------------------------------------------------
    def takeable(self, side: BookSide, limit: int) -> int:
        """Return the quantity that an incoming order of `side` could take at `limit` or better."""
        opposite = other(side)
        return sum(
            q for p, q in self.depth(opposite) if (p <= limit if side == "bid" else p >= limit)
        )

    def would_cross_own(self, side: BookSide, limit: int) -> bool:
        """Return whether an incoming order would meet one of our own resting orders."""
        return any(
            o.side != side and (o.price <= limit if side == "bid" else o.price >= limit)
            for o in self.resting.values()
        )

    def take(self, order_id: str, side: BookSide, limit: int, quantity: int) -> list[Match]:
        """Execute an incoming order against replayed levels; what is left is the caller's business."""
        matches, left = [], quantity
        for price, shown in self.depth(other(side)):
            if left <= 0 or (price > limit if side == "bid" else price < limit):
                break
            fill = min(shown, left)
            self._take(other(side), price, fill)
            left -= fill
            matches.append(Match(order_id, side, price, fill, maker=False))
        return matches

    def rest(self, order_id: str, side: BookSide, price: int, quantity: int) -> None:
        """Put an order into the book behind all that the replay shows there, as the backtest does.

        What we took from that level before is nobody's place in the queue, but the replay does not say whose trades
        would have been which: an order is never filled earlier than behind the whole level.
        """
        ahead = self.levels[side].get(price, 0)
        self.resting[order_id] = Resting(order_id, side, price, quantity, ahead)

    def remove(self, order_id: str) -> int:
        """Take an order out; return the quantity that was left (0 when it was not there)."""
        order = self.resting.pop(order_id, None)
        return order.left if order is not None else 0

    # -- inside -----------------------------------------------------------------------------
    def _queue(self, side: BookSide) -> list[Resting]:
        """Return our orders of `side`, best price first, then by arrival."""
        own = [o for o in self.resting.values() if o.side == side]
        return sorted(own, key=lambda o: -o.price if side == "bid" else o.price)

    def _take(self, side: BookSide, price: int, quantity: int) -> None:
        self.taken[side][price] = self.taken[side].get(price, 0) + quantity
        assert self.shown(side, price) >= 0

    def _fill(self, order: Resting, price: int, quantity: int) -> Match:
        order.left -= quantity
        if order.left == 0:
            del self.resting[order.order_id]
        return Match(order.order_id, order.side, price, quantity, maker=True)
