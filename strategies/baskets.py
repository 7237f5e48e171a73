"""Neg-risk baskets as arithmetic: which legs, how many shares, what is left after exact fees.

Two shapes, both equal shares of every leg:

- **NO basket** of ``m >= 2`` markets of an exclusive event: at most one of them resolves YES, so at least
  ``m - 1`` of the NOs pay a dollar. Profit per share is ``(m - 1) - sum(cost)``, that is
  ``sum(1 - cost) - 1``: every leg that costs less than a dollar adds to it.
- **YES basket** of *every* market of a complete event: exactly one pays. Profit per share is
  ``1 - sum(cost)``. Exclusive is not exhaustive: without completeness it can pay nothing.

`cost` is the worst price of the leg at the chosen size plus the exact fee per share.
Source: Polymarket reference 6.2 (worked example reproduced in the tests).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from core.domain.money import ONE, ZERO, floor_to

Shape = Literal["NO", "YES"]
FeeOf = Callable[[str, Decimal, Decimal], Decimal]


@dataclass(frozen=True, slots=True)
class LegQuote:
    """What one leg can be bought for: ask levels (price, shares) best first, and when the book last changed."""

    instrument_id: str
    asks: tuple[tuple[Decimal, Decimal], ...]
    ts_ns: int

    def fills(self, shares: Decimal) -> tuple[tuple[Decimal, Decimal], ...] | None:
        """Return the (price, shares) pieces that buy `shares`, or None when the shown depth does not."""
        left, pieces = shares, []
        for price, size in self.asks:
            take = min(left, size)
            pieces.append((price, take))
            left -= take
            if left <= 0:
                return tuple(pieces)
        return None

    @property
    def depth(self) -> Decimal:
        """Shares shown over all levels."""
        return sum((size for _, size in self.asks), ZERO)


@dataclass(frozen=True, slots=True)
class BasketLeg:
    """One leg to order: fill-or-kill style at no worse than `limit`."""

    instrument_id: str
    limit: Decimal
    cost: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Basket:
    """A basket that locks a profit if every leg fills.

    Attributes
    ----------
    legs : tuple of BasketLeg
        Thinnest book first: the leg that is most likely to fail is sent first.
    shares : Decimal
        Equal shares of every leg.
    cost, fees, payout : Decimal
        Total dollars paid for shares, total fees, and guaranteed dollars at resolution.
    """

    shape: Shape
    legs: tuple[BasketLeg, ...]
    shares: Decimal
    cost: Decimal
    fees: Decimal
    payout: Decimal

    @property
    def profit(self) -> Decimal:
        """Guaranteed dollars after fees."""
        return self.payout - self.cost - self.fees

    @property
    def edge(self) -> Decimal:
        """Profit per dollar spent."""
        spent = self.cost + self.fees
        return self.profit / spent if spent > 0 else ZERO


def equal_age(quotes: Sequence[LegQuote], now_ns: int, max_age_ns: int, max_skew_ns: int) -> bool:
    """Return whether every book is fresh and all are of about the same age; mixed times show false arbitrage."""
    times = [q.ts_ns for q in quotes]
    return (
        bool(times) and now_ns - min(times) <= max_age_ns and max(times) - min(times) <= max_skew_ns
    )


def best_basket(
    shape: Shape,
    quotes: Sequence[LegQuote],
    fee_of: FeeOf,
    *,
    budget: Decimal,
    room_for: Callable[[Basket], Decimal],
    size_step: Decimal,
    min_shares: Decimal,
    min_edge: Decimal,
) -> Basket | None:
    """Return the basket with the largest guaranteed profit within `budget`, or None.

    Parameters
    ----------
    quotes : sequence of LegQuote
        One per market of the event (for a YES basket: every one of them).
    fee_of : callable
        ``(instrument_id, price, shares) -> dollars`` of the exact taker fee.
    budget : Decimal
        Dollars that may be spent, fees included.
    room_for : callable
        Part of a basket that the gate's limits leave room for (1 or more: all).
    min_shares : Decimal
        Smallest order the venue accepts on any leg.
    min_edge : Decimal
        Profit per dollar that must be left; covers what the arithmetic cannot see.

    Notes
    -----
    Profit is piecewise linear in the size and only changes slope where a level of some leg ends, so the
    candidate sizes are the cumulative depths of the legs and the size the budget allows.
    """
    if len(quotes) < 2:
        return None
    best: Basket | None = None
    for shares in _candidate_sizes(quotes, budget, size_step, min_shares):
        basket = _basket_at(shape, quotes, fee_of, shares)
        if basket is None:
            continue
        part = _affordable(basket, budget, room_for)
        if part < 1:
            scaled = floor_to(shares * part, size_step)
            again = _basket_at(shape, quotes, fee_of, scaled) if scaled >= min_shares else None
            if again is None or _affordable(again, budget, room_for) < 1:
                continue
            basket = again
        good = basket.profit > 0 and basket.edge >= min_edge
        if good and (best is None or basket.profit > best.profit):
            best = basket
    return best


def _affordable(basket: Basket, budget: Decimal, room_for: Callable[[Basket], Decimal]) -> Decimal:
    """Return the part of the basket that budget and limits allow (1 or more: all of it)."""
    return max(min(budget / (basket.cost + basket.fees), room_for(basket)), ZERO)


def _candidate_sizes(
    quotes: Sequence[LegQuote], budget: Decimal, size_step: Decimal, min_shares: Decimal
) -> list[Decimal]:
    """Return sizes worth trying, largest first: where any leg's level ends, and the smallest allowed."""
    sizes = {min_shares}
    for quote in quotes:
        total = ZERO
        for _, size in quote.asks:
            total += size
            sizes.add(floor_to(total, size_step))
    return sorted((s for s in sizes if s >= min_shares and s > 0), reverse=True)


def _basket_at(
    shape: Shape, quotes: Sequence[LegQuote], fee_of: FeeOf, shares: Decimal
) -> Basket | None:
    """Return the best basket of exactly `shares` per leg, or None when the shape is impossible."""
    legs: list[tuple[Decimal, BasketLeg]] = []
    for quote in quotes:
        pieces = quote.fills(shares)
        if pieces is None:
            if shape == "YES":
                return None  # every outcome must be held
            continue
        # The fee curve peaks at one half, so the fee of the last price would not bound the others.
        cost = sum((price * take for price, take in pieces), ZERO)
        fee = sum((fee_of(quote.instrument_id, price, take) for price, take in pieces), ZERO)
        if shape == "NO" and cost + fee >= shares * ONE:
            continue  # this leg takes more than it can add
        legs.append((quote.depth, BasketLeg(quote.instrument_id, pieces[-1][0], cost, fee)))
    if len(legs) < 2:
        return None
    legs.sort(key=lambda pair: (pair[0], pair[1].instrument_id))
    chosen = tuple(leg for _, leg in legs)
    payout = shares * (len(chosen) - 1) if shape == "NO" else shares
    return Basket(
        shape,
        chosen,
        shares,
        sum((leg.cost for leg in chosen), ZERO),
        sum((leg.fee for leg in chosen), ZERO),
        payout,
    )
