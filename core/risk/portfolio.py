"""The gate's book: working orders, what they reserve, what is held, and cash, all as running totals.

Every amount is an exact integer (`core.risk.units`). Nothing is searched when an order is reviewed: each
change updates the totals of its market, event, venue and strategy. *Committed* is the money at risk: the
cost of what is held plus the worst-case cost and fee of what can still be bought. It counts at cost,
because then only an approval can raise it (ADR 0025).

The state is a projection: feeding the same calls again rebuilds it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from core.domain.errors import MarketError
from core.risk.approval import ApprovedOrder
from core.risk.instruments import InstrumentRules, Purse, Resting, Scope
from core.risk.units import NANO
from core.risk.working import DONE, UNKNOWN, Change, OrderState, Terms, WorkingOrder

#: How many finished orders and final trades stay known for late messages (late fill, void).
REMEMBERED = 10_000


@dataclass(slots=True)
class Holding:
    """What one strategy holds of one outcome: quantity, its cost, and the part not yet final."""

    quantity: int = 0
    cost: int = 0
    provisional: int = 0


class Trade(msgspec.Struct):
    """A fill as booked, kept so that it can be confirmed or voided."""

    rules: InstrumentRules
    strategy_id: str
    buy: bool
    quantity: int
    cash: int
    cost: int
    provisional: bool
    payout: int | None = None


class Portfolio:
    """Orders, holdings and cash with running totals; see the module's first lines."""

    def __init__(self) -> None:
        self.orders: dict[str, WorkingOrder] = {}
        self.known: set[str] = set()
        self.finished: OrderedDict[str, WorkingOrder] = OrderedDict()
        #: Orders whose approval was not redeemed yet, in the order it was given.
        self.waiting: dict[str, WorkingOrder] = {}
        self.holdings: dict[tuple[str, str], Holding] = {}
        self.held: dict[str, int] = {}
        self.marks: dict[str, int] = {}
        #: Shares of an outcome that are matched by as many of its opposite: together they pay a dollar, whatever
        #: the two books show.
        self.paired: dict[str, int] = {}
        self.purses: dict[str, Purse] = {}
        self._resting: dict[str, Resting] = {}
        #: The same by strategy and outcome; what is bought only where the venue nets outcomes.
        self.selling: dict[tuple[str, str], int] = {}
        self.buying: dict[tuple[str, str], int] = {}
        self.scopes: dict[tuple[str, str], Scope] = {}
        #: Committed money by family, and by strategy the one of its family; an unnamed family has none.
        self.by_family: dict[str, Scope] = {}
        self._family_of: dict[str, Scope] = {}
        self.families: dict[str, str] = {}
        self.groups: dict[tuple[str, str], int] = {}
        self.committed = 0
        self.cash_total = 0
        #: Cash of all venues plus value of everything held: pairs at what they pay, the rest as marked.
        self.equity = 0
        self.transferred = 0
        #: Held since before this process, of which no book was seen yet: their mark is what they cost.
        self.unseen: set[str] = set()
        self.unknown = 0
        self.trades: OrderedDict[str, Trade] = OrderedDict()
        self.provisional: dict[str, Trade] = {}
        self.payouts: dict[str, int] = {}

    def resting(self, instrument_id: str) -> Resting:
        """Return the shares that work in an outcome; the same object each time."""
        return self._resting.setdefault(instrument_id, Resting())

    def scope(self, kind: str, name: str) -> Scope:
        """Return the committed money of a ``market`` or ``event``; the same object each time."""
        return self.scopes.setdefault((kind, name), Scope())

    def enrol(self, strategy_id: str, family: str) -> None:
        """Count what a strategy commits from here on in its family; an unnamed one is not counted."""
        self.families[strategy_id] = family
        self._family_of.pop(strategy_id, None)
        if family:
            self._family_of[strategy_id] = self.by_family.setdefault(family, Scope())

    def family(self, name: str) -> Scope:
        """Return the committed money of a family."""
        return self.by_family.get(name, Scope())

    def used(self, kind: str) -> dict[str, int]:
        """Return the committed money by name of the scopes of one kind (``venue`` too)."""
        if kind == "venue":
            return {code: purse.used for code, purse in self.purses.items()}
        return {name: s.used for (of, name), s in self.scopes.items() if of == kind}

    def purse(self, venue: str) -> Purse:
        """Return the money of a venue; the same object each time."""
        return self.purses.setdefault(venue, Purse())

    # -- what the gate asks -------------------------------------------------------------------------

    def free_cash(self, venue: str) -> int:
        """Cash that no order reserves and no unconfirmed sale owes."""
        purse = self.purses.get(venue)
        return purse.free if purse is not None else 0

    def sellable(self, strategy_id: str, rules: InstrumentRules) -> int:
        """Return what `strategy_id` may sell: final shares less its resting sales.

        On a venue that nets outcomes a resting buy of the opposite side, once filled, takes the held
        side away; a resting sale of it would then open a new position. So such buys count as sales.
        """
        iid = rules.instrument_id
        holding = self.holdings.get((strategy_id, iid))
        if holding is None:
            return 0
        own = holding.quantity - holding.provisional - self.selling.get((strategy_id, iid), 0)
        if not rules.nets_outcomes:
            return own
        opposite = rules.opposite.buying + self.held.get(rules.opposite_id, 0)
        return min(own, self.held[iid] - rules.resting.selling - opposite)

    def others_buy(self, strategy_id: str, instrument_id: str) -> int:
        """Return the shares that working purchases of other strategies can still fill, where the venue nets."""
        own = self.buying.get((strategy_id, instrument_id), 0)
        return self.resting(instrument_id).buying - own

    # -- orders -------------------------------------------------------------------------------------

    def reserve(self, order: WorkingOrder) -> None:
        """Book an approved order. If its approval is still to be redeemed, it waits for that."""
        cid = order.client_order_id
        self.known.add(cid)
        self.orders[cid] = order
        if order.approval is not None:
            self.waiting[cid] = order
        if delta := order.reserved:
            self._reserve_cash(order, delta)
        self._working(order, order.quantity)

    def renew(self, order: WorkingOrder, approved: ApprovedOrder) -> None:
        """Let an open order wait for the redemption of the approval of its change."""
        self.no_longer_waits(order)
        order.approval, order.signed = approved, approved.intent.__replace__()
        self.waiting[order.client_order_id] = order

    def no_longer_waits(self, order: WorkingOrder) -> None:
        """Forget the approval of `order`: it was redeemed, withdrawn, or has run out."""
        order.approval = order.signed = None
        self.waiting.pop(order.client_order_id, None)

    def close(self, order: WorkingOrder) -> None:
        """Release everything that `order` still reserves."""
        if order.state is UNKNOWN:
            self.unknown -= 1
        order.state, order.change = DONE, None
        if order.approval is not None:
            self.no_longer_waits(order)
        del self.orders[order.client_order_id]
        if (leaves := order.quantity - order.filled) > 0:
            self._working(order, -leaves)
        if delta := order.reserved:
            self._reserve_cash(order, -delta)
            order.reserved = 0
        self.finished[order.client_order_id] = order
        if len(self.finished) > REMEMBERED:
            self.finished.popitem(last=False)

    def set_state(self, order: WorkingOrder, state: OrderState) -> None:
        """Move an open order to another open state; nothing is released."""
        self.unknown += (state is UNKNOWN) - (order.state is UNKNOWN)
        order.state = state

    def consume(self, order: WorkingOrder, quantity: int, price: int, fee: int) -> None:
        """Take a fill out of what `order` reserves; close it when nothing is left.

        An order for cash is closed by the venue's word only: at better prices it can fill on.
        """
        leaves = max(0, order.quantity - order.filled)
        order.fee_paid += fee
        order.spent += quantity * price
        if quantity >= leaves and not order.by_cash:
            self.close(order)  # with all that it had left
            order.filled += leaves
            return
        taken = min(quantity, leaves)
        self._working(order, -taken)
        order.filled += taken
        if order.buy:
            self._rereserve(order)

    def rebound(
        self, order: WorkingOrder, rules: InstrumentRules, bound: Callable[[Terms], Terms]
    ) -> None:
        """Take over an instrument's new rules: `bound` gives terms with the fee bound they now have."""
        order.rules = rules
        if (change := order.change) is not None:
            order.change = Change(
                bound(change.old), bound(change.new), bound(change.worst), change.nonce
            )
        self._set_terms(order, bound(order.terms))

    def begin_change(self, order: WorkingOrder, change: Change) -> None:
        """Reserve for both the old and the new terms until the venue answers."""
        self._set_terms(order, change.worst)
        order.change = change

    def end_change(self, order: WorkingOrder, accepted_bound: int | None) -> None:
        """Keep the new terms with this bound of all fees, or with None the old terms.

        An order that has nothing left to fill is closed.
        """
        change = order.change
        if change is None:
            return
        order.change = None
        terms = change.old
        if accepted_bound is not None:
            terms = Terms(change.new.price, change.new.quantity, accepted_bound)
        self._set_terms(order, terms)
        if not order.leaves:
            self.close(order)

    def _set_terms(self, order: WorkingOrder, terms: Terms) -> None:
        before = order.leaves
        order.price, order.quantity, order.fee_bound = terms.price, terms.quantity, terms.fee_bound
        self._working(order, order.leaves - before)
        self._rereserve(order)

    def _rereserve(self, order: WorkingOrder) -> None:
        after = order.need_of(order.price, order.quantity, order.fee_bound)
        self._reserve_cash(order, after - order.reserved)
        order.reserved = after

    def _working(self, order: WorkingOrder, delta: int) -> None:
        rules, own = order.rules, self.selling
        if order.buy:
            rules.resting.buying += delta
            if not rules.nets_outcomes:
                return
            own = self.buying
        else:
            rules.resting.selling += delta
        key = order.strategy_id, rules.instrument_id
        if value := own.get(key, 0) + delta:  # `add_to`, written out: this is the hot path
            own[key] = value
        else:
            own.pop(key, None)

    def _reserve_cash(self, order: WorkingOrder, delta: int) -> None:
        rules = order.rules
        rules.in_venue.reserved += delta
        if order.buy:
            self._commit(rules, order.strategy_id, delta)

    def _commit(self, rules: InstrumentRules, strategy_id: str, delta: int) -> None:
        """Move the committed money of every scope (written out: this is the hot path)."""
        rules.in_market.used += delta
        rules.in_venue.used += delta
        if (event := rules.in_event) is not None:
            event.used += delta
        if (family := self._family_of.get(strategy_id)) is not None:
            family.used += delta
        self.committed += delta

    # -- money and shares ---------------------------------------------------------------------------

    def set_cash(self, venue: str, cash: int) -> None:
        """Set the venue's balance as the account states it. The first one is a transfer in."""
        purse = self.purse(venue)
        delta = cash - purse.cash
        if not purse.stated:
            self.transferred += delta
        self.cash_total += delta
        self.equity += delta
        purse.cash, purse.stated = cash, True

    def transfer(self, venue: str, amount: int) -> None:
        """Book a deposit or a withdrawal: cash that is neither profit nor loss."""
        self.add_cash(venue, amount)
        self.transferred += amount

    def add_cash(self, venue: str, delta: int) -> None:
        """Change the venue's balance."""
        self._pay_into(self.purse(venue), delta)

    def _pay_into(self, purse: Purse, delta: int) -> None:
        purse.cash += delta
        purse.stated = True
        self.cash_total += delta
        self.equity += delta

    def mark(self, instrument_id: str, price: int) -> None:
        """Value what is held, and not half of a pair, at `price`."""
        old = self.marks.get(instrument_id, 0)
        self.marks[instrument_id] = price
        held = self.held.get(instrument_id, 0)
        if held:
            self.equity += (held - self.paired.get(instrument_id, 0)) * (price - old)

    def _hold(self, strategy_id: str, rules: InstrumentRules, delta: int, cost: int) -> Holding:
        """Change a holding by `delta` shares and `cost`; the committed total follows the cost."""
        iid = rules.instrument_id
        holding = self.holdings.get((strategy_id, iid))
        if holding is None:
            holding = self.holdings[(strategy_id, iid)] = Holding()
            add_to(self.groups, (strategy_id, rules.group), 1)
        holding.quantity += delta
        holding.cost += cost
        self.held[iid] = self.held.get(iid, 0) + delta
        self.equity += delta * self.marks.get(iid, 0)
        if rules.opposite_id in self.held:
            self._pair(rules)
        if holding.quantity == 0:
            cost -= holding.cost
            holding.cost = 0
            if not holding.provisional:
                self._drop(strategy_id, rules)
        self._commit(rules, strategy_id, cost)
        if not self.held[iid]:
            del self.held[iid]
            self.unseen.discard(iid)
        return holding

    def _pair(self, rules: InstrumentRules) -> None:
        """Match what is held of both outcomes: a pair is worth what it pays, the rest its mark."""
        iid, opposite = rules.instrument_id, rules.opposite_id
        pairs = max(0, min(self.held[iid], self.held[opposite]))
        marked = self.marks.get(iid, 0) + self.marks.get(opposite, 0)
        self.equity += (pairs - self.paired.get(iid, 0)) * (rules.pays_at_most - marked)
        for leg in (iid, opposite):
            if pairs:
                self.paired[leg] = pairs
            else:
                self.paired.pop(leg, None)

    def _drop(self, strategy_id: str, rules: InstrumentRules) -> None:
        del self.holdings[(strategy_id, rules.instrument_id)]
        add_to(self.groups, (strategy_id, rules.group), -1)

    def open_position(
        self, strategy_id: str, rules: InstrumentRules, quantity: int, cost: int
    ) -> None:
        """Book a holding that was there before the gate; its value is a transfer in."""
        before = self.equity
        self._hold(strategy_id, rules, quantity, cost)
        self.transferred += self.equity - before
        self.unseen.add(rules.instrument_id)

    def first_sight(self, instrument_id: str, price: int) -> None:
        """Value what was held before this process at its first price: what it lost until then is not lost now."""
        before = self.equity
        self.mark(instrument_id, price)
        self.transferred += self.equity - before
        self.unseen.discard(instrument_id)

    def take(self, trade_id: str, trade: Trade, price: int) -> int:
        """Book one fill; return realised profit (0 for a purchase).

        Of a provisional sale neither the proceeds nor the released exposure count until it is final.
        """
        rules, iid = trade.rules, trade.rules.instrument_id
        if iid not in self.held and iid not in self.payouts:
            self.marks[iid] = price
        self._pay_into(rules.in_venue, trade.cash)
        realised = 0
        if trade.buy:
            trade.cost = -trade.cash
            holding = self._hold(trade.strategy_id, rules, trade.quantity, trade.cost)
            if trade.provisional:
                holding.provisional += trade.quantity
        else:
            trade.cost = self.cost_of(trade.strategy_id, iid, trade.quantity)
            self._hold(trade.strategy_id, rules, -trade.quantity, -trade.cost)
            realised = trade.cash - trade.cost
            if trade.provisional:
                self._commit(rules, trade.strategy_id, trade.cost)
                rules.in_venue.withheld += max(0, trade.cash)
        self.trades[trade_id] = trade
        if trade.provisional:
            self.provisional[trade_id] = trade
        if len(self.trades) > REMEMBERED:
            self.trades.popitem(last=False)
        if iid in self.payouts:
            realised += self._late(trade, self.payouts[iid])
        return realised

    def _late(self, trade: Trade, payout: int) -> int:
        """Settle at once what was traded before the settlement but told after it."""
        if trade.provisional and trade.buy:
            self._withhold_payout(trade, payout)
        if (trade.strategy_id, trade.rules.instrument_id) not in self.holdings:
            return 0
        return self._pay(trade.strategy_id, trade.rules, payout)

    def cost_of(self, strategy_id: str, instrument_id: str, quantity: int) -> int:
        """Return the average cost of `quantity` held shares (all of it for the whole holding)."""
        holding = self.holdings.get((strategy_id, instrument_id))
        if holding is None or holding.quantity <= 0:
            return 0
        if quantity >= holding.quantity:
            return holding.cost
        return holding.cost * quantity // holding.quantity

    def confirm(self, trade_id: str) -> None:
        """Make a provisional trade final."""
        trade = self.provisional.pop(trade_id, None)
        if trade is None:
            return
        trade.provisional = False
        self._unwithhold(trade)

    def _unwithhold(self, trade: Trade) -> None:
        """Drop the hold that a provisional trade put on shares, proceeds or exposure."""
        rules = trade.rules
        if not trade.buy:
            rules.in_venue.withheld -= max(0, trade.cash)
            self._commit(rules, trade.strategy_id, -trade.cost)
        elif trade.payout is not None:
            rules.in_venue.withheld -= trade.payout * trade.quantity
        else:
            key = (trade.strategy_id, rules.instrument_id)
            holding = self.holdings[key]
            holding.provisional -= trade.quantity
            if not holding.quantity and not holding.provisional:
                self._drop(trade.strategy_id, rules)

    def void(self, trade_id: str) -> Trade | None:
        """Undo a trade that the venue voided; None when it is not known (or was voided before).

        The order keeps what it has left: a voided quantity does not go back to the book.
        """
        trade = self.trades.pop(trade_id, None) or self.provisional.get(trade_id)
        if trade is None:
            return None
        if self.provisional.pop(trade_id, None) is not None:
            self._unwithhold(trade)
        rules, venue = trade.rules, trade.rules.venue.code
        self.add_cash(venue, -trade.cash)
        sign = -1 if trade.buy else 1
        payout = self.payouts.get(rules.instrument_id)
        if payout is not None:
            self.add_cash(venue, sign * payout * trade.quantity)
        elif trade.buy:
            cost = min(trade.cost, self._cost_left(trade))
            self._hold(trade.strategy_id, rules, -trade.quantity, -cost)
        else:
            self._hold(trade.strategy_id, rules, trade.quantity, trade.cost)
        return trade

    def _cost_left(self, trade: Trade) -> int:
        holding = self.holdings.get((trade.strategy_id, trade.rules.instrument_id))
        return holding.cost if holding else 0

    def settle(self, rules: InstrumentRules, payout: int) -> dict[str, int]:
        """Pay out an outcome; return realised profit by strategy. A second settlement pays nothing."""
        iid = rules.instrument_id
        if iid in self.payouts:
            return {}
        self.payouts[iid] = payout
        for trade in self.provisional.values():
            if trade.buy and trade.rules.instrument_id == iid:
                self._withhold_payout(trade, payout)
        owners = [strategy for strategy, held in self.holdings if held == iid]
        realised = {strategy: self._pay(strategy, rules, payout) for strategy in owners}
        self.marks[iid] = payout
        return realised

    def _pay(self, strategy_id: str, rules: InstrumentRules, payout: int) -> int:
        """Turn one holding into its payout; return realised profit."""
        holding = self.holdings[(strategy_id, rules.instrument_id)]
        paid = payout * holding.quantity
        profit = paid - holding.cost
        self._pay_into(rules.in_venue, paid)
        self._hold(strategy_id, rules, -holding.quantity, -holding.cost)
        return profit

    def _withhold_payout(self, trade: Trade, payout: int) -> None:
        """Keep the payout of shares that can still be voided out of free cash."""
        trade.payout = payout
        self.holdings[(trade.strategy_id, trade.rules.instrument_id)].provisional -= trade.quantity
        trade.rules.in_venue.withheld += payout * trade.quantity

    def merge(
        self, strategy_id: str, yes: InstrumentRules, no: InstrumentRules, quantity: int
    ) -> int:
        """Turn `quantity` pairs into dollars; return realised profit.

        Raises
        ------
        MarketError
            If fewer pairs are held.
        """
        pairs = min(
            self.holdings.get((strategy_id, leg.instrument_id), Holding()).quantity
            for leg in (yes, no)
        )
        if not 0 < quantity <= pairs:
            raise MarketError(
                "cannot merge more pairs than are held",
                quantity / NANO,
                "merge at most what is held of the scarcer outcome",
            )
        cost = 0
        for leg in (yes, no):
            part = self.cost_of(strategy_id, leg.instrument_id, quantity)
            cost += part
            self._hold(strategy_id, leg, -quantity, -part)
        paid = yes.pays_at_most * quantity
        self.add_cash(yes.venue.code, paid)
        return paid - cost

    def net(self, strategy_id: str, leg: InstrumentRules, quantity: int, paid: int) -> int:
        """Turn `quantity` shares of one outcome into `paid`; return realised profit.

        Raises
        ------
        MarketError
            If fewer are held.
        """
        key = strategy_id, leg.instrument_id
        if not 0 < quantity <= self.holdings.get(key, Holding()).quantity:
            raise MarketError(
                "cannot net more shares than are held",
                quantity / NANO,
                "please report this: the books of this node are wrong",
            )
        cost = self.cost_of(*key, quantity)
        self._hold(strategy_id, leg, -quantity, -cost)
        self.add_cash(leg.venue.code, paid)
        return paid - cost

    def split(
        self, strategy_id: str, yes: InstrumentRules, no: InstrumentRules, quantity: int
    ) -> None:
        """Turn dollars into `quantity` pairs, each leg at half the dollar."""
        paid = yes.pays_at_most * quantity
        self.add_cash(yes.venue.code, -paid)
        half = paid // 2
        for leg, cost in ((yes, half), (no, paid - half)):
            self.marks.setdefault(leg.instrument_id, yes.pays_at_most // 2)
            self._hold(strategy_id, leg, quantity, cost)


def add_to[K](totals: dict[K, int], key: K, delta: int) -> None:
    """Add to a running total and drop it at zero, so that equal states are equal dicts."""
    value = totals.get(key, 0) + delta
    if value:
        totals[key] = value
    else:
        totals.pop(key, None)
