"""The gate's book, written a second time and naively: lists of orders and trades, summed anew each time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from core.domain.money import ZERO
from tests.unit.core.risk.world import EVENTS, D, QuadraticFees

FEES = {"KALSHI": QuadraticFees(), "POLYMARKET": QuadraticFees(D("0.02"))}
NETS = {"KALSHI"}


def venue_of(iid: str) -> str:
    return iid.rsplit(".", 1)[1]


def market_of(iid: str) -> str:
    return iid.rsplit("-", 1)[0]


def event_of(iid: str) -> str:
    return EVENTS.get(market_of(iid), "")


def opposite_of(iid: str) -> str:
    market, rest = iid.rsplit("-", 1)
    side, venue = rest.split(".")
    return f"{market}-{'NO' if side == 'YES' else 'YES'}.{venue}"


def fee_of(iid: str, price: Decimal, quantity: Decimal) -> Decimal:
    return FEES[venue_of(iid)].rate * price * (1 - price) * quantity


def fee_bound(iid: str, price: Decimal, quantity: Decimal) -> Decimal:
    top = min(price, D("0.5"))
    return FEES[venue_of(iid)].rate * top * (1 - top) * quantity


@dataclass
class Order:
    cid: str
    strategy: str
    iid: str
    buy: bool
    quantity: Decimal
    price: Decimal
    bound: Decimal
    filled: Decimal = ZERO
    fees: Decimal = ZERO
    state: str = "approved"
    worst: tuple[Decimal, Decimal, Decimal] | None = None  # price, quantity, bound while changing
    changed: tuple[Decimal, Decimal, Decimal] | None = None
    new_terms_filled: bool = False

    @property
    def leaves(self) -> Decimal:
        quantity = self.worst[1] if self.worst else self.quantity
        return max(D(0), quantity - self.filled)

    @property
    def reserved(self) -> Decimal:
        """Worst-case cash the order still needs."""
        price, _, bound = self.worst or (self.price, self.quantity, self.bound)
        if not self.leaves:
            return D(0)
        if self.buy:
            return price * self.leaves + max(D(0), bound - self.fees)
        quantity = self.worst[1] if self.worst else self.quantity
        return max(D(0), bound - price * quantity)


@dataclass
class Fill:
    strategy: str
    iid: str
    buy: bool
    quantity: Decimal
    cash: Decimal
    provisional: bool


@dataclass
class Position:
    quantity: Decimal = ZERO
    cost: Fraction = field(default_factory=Fraction)
    provisional: Decimal = ZERO


@dataclass
class Model:
    """What should be true, in Decimals and fractions, with no running totals."""

    cash: dict[str, Decimal]
    orders: dict[str, Order] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    fills: dict[str, Fill] = field(default_factory=dict)
    owed: dict[str, Decimal] = field(default_factory=dict)  # released cost of unconfirmed sales
    positions: dict[tuple[str, str], Position] = field(
        default_factory=lambda: defaultdict(Position)
    )
    marks: dict[str, Decimal] = field(default_factory=dict)
    payouts: dict[str, Decimal] = field(default_factory=dict)
    withheld: dict[str, Decimal] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)

    def held(self, iid: str) -> Decimal:
        return sum((p.quantity for (_, i), p in self.positions.items() if i == iid), D(0))

    def reserved(self, venue: str) -> Decimal:
        return sum((o.reserved for o in self.orders.values() if venue_of(o.iid) == venue), D(0))

    def free(self, venue: str) -> Decimal:
        held_back = sum(
            (x for t, x in self.withheld.items() if venue_of(self.fills[t].iid) == venue), D(0)
        )
        return self.cash[venue] - self.reserved(venue) - held_back

    def selling(self, iid: str, strategy: str | None = None) -> Decimal:
        return sum(
            (
                o.leaves
                for o in self.orders.values()
                if not o.buy and o.iid == iid and strategy in (None, o.strategy)
            ),
            D(0),
        )

    def buying(self, iid: str, strategy: str = "") -> Decimal:
        own = (o for o in self.orders.values() if strategy in ("", o.strategy))
        return sum((o.leaves for o in own if o.buy and o.iid == iid), D(0))

    def others_buy(self, strategy: str, iid: str) -> Decimal:
        return self.buying(iid) - self.buying(iid, strategy)

    def committed(self, key: str = "", scope=None) -> Fraction:
        """Cost of what is held and of unconfirmed sales, plus reservations of buys, in one scope."""

        def inside(iid: str) -> bool:
            return scope is None or scope(iid) == key

        total = sum((p.cost for (_, i), p in self.positions.items() if inside(i)), Fraction())
        total += sum(
            (Fraction(c) for t, c in self.owed.items() if inside(self.fills[t].iid)), Fraction()
        )
        return total + sum(
            (Fraction(o.reserved) for o in self.orders.values() if o.buy and inside(o.iid)),
            Fraction(),
        )

    def equity(self) -> Fraction:
        """Cash and holdings: as many of both outcomes as are there pay a dollar, what is over is worth its mark."""
        outcomes = {iid for _, iid in self.positions}
        value = D(0)
        for iid in outcomes:
            pairs = min(self.held(iid), self.held(opposite_of(iid)))
            value += pairs / 2 + (self.held(iid) - pairs) * self.marks.get(iid, D(0))
        return Fraction(sum(self.cash.values(), D(0)) + value)

    def sellable(self, strategy: str, iid: str) -> Decimal:
        position = self.positions.get((strategy, iid), Position())
        own = position.quantity - position.provisional - self.selling(iid, strategy)
        if venue_of(iid) not in NETS:
            return own
        other = opposite_of(iid)
        return min(own, self.held(iid) - self.selling(iid) - self.buying(other) - self.held(other))

    # -- what happens -------------------------------------------------------------------------

    def fill(
        self,
        order: Order,
        trade: str,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        provisional: bool,
    ) -> None:
        order.filled += quantity
        order.fees += fee
        if not order.leaves:
            self.orders.pop(order.cid)
        iid, strategy = order.iid, order.strategy
        cash = -(price * quantity) - fee if order.buy else price * quantity - fee
        self.cash[venue_of(iid)] += cash
        if not self.held(iid):
            self.marks[iid] = price
        position = self.positions[(strategy, iid)]
        self.fills[trade] = Fill(strategy, iid, order.buy, quantity, cash, provisional)
        if order.buy:
            position.quantity += quantity
            position.cost += Fraction(-cash)
            position.provisional += quantity if provisional else D(0)
            return
        released = position.cost * Fraction(quantity) / Fraction(position.quantity)
        position.quantity -= quantity
        position.cost -= released
        if provisional:
            self.owed[trade] = released  # type: ignore[assignment]
            self.withheld[trade] = max(D(0), cash)

    def confirm(self, trade: str) -> None:
        fill = self.fills[trade]
        fill.provisional = False
        self.withheld.pop(trade, None)
        self.owed.pop(trade, None)
        if fill.buy and fill.iid not in self.payouts:
            self.positions[(fill.strategy, fill.iid)].provisional -= fill.quantity

    def void(self, trade: str) -> None:
        fill = self.fills[trade]
        owed = self.owed.pop(trade, None)
        self.withheld.pop(trade, None)
        fill.provisional = False
        self.barred |= {fill.iid, opposite_of(fill.iid)}
        venue = venue_of(fill.iid)
        self.cash[venue] -= fill.cash
        if fill.iid in self.payouts:
            payout = self.payouts[fill.iid] * fill.quantity
            self.cash[venue] += -payout if fill.buy else payout
            return
        position = self.positions[(fill.strategy, fill.iid)]
        if fill.buy:
            position.provisional -= fill.quantity
            position.quantity -= fill.quantity
            position.cost -= min(position.cost, Fraction(-fill.cash))
            if not position.quantity:
                position.cost = Fraction()
        else:
            position.quantity += fill.quantity
            position.cost += Fraction(owed or 0)

    def settle(self, iid: str, payout: Decimal) -> None:
        if iid in self.payouts:
            return
        self.payouts[iid] = payout
        for trade, fill in self.fills.items():
            if fill.provisional and fill.buy and fill.iid == iid:
                self.withheld[trade] = payout * fill.quantity
        for key in [k for k in self.positions if k[1] == iid]:
            position = self.positions.pop(key)
            self.cash[venue_of(iid)] += payout * position.quantity
        self.marks[iid] = payout

    def merge(self, strategy: str, iid: str, quantity: Decimal) -> None:
        for leg in (iid, opposite_of(iid)):
            position = self.positions[(strategy, leg)]
            position.cost -= position.cost * Fraction(quantity) / Fraction(position.quantity)
            position.quantity -= quantity
        self.cash[venue_of(iid)] += quantity
