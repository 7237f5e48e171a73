"""State machines that drive the gate through any order of events and compare it with a naive model."""

from __future__ import annotations

from copy import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from core.domain.decision import OrderIntent
from core.domain.errors import ApprovalInvalid, HaltedError
from core.domain.market import MarketStatus
from core.risk import ApprovedOrder, Code, MarketView, TradingState, load_profile
from core.risk.units import ATTO, NANO
from tests.unit.core.risk.model import (
    NETS,
    Model,
    Order,
    event_of,
    fee_bound,
    fee_of,
    market_of,
    opposite_of,
    venue_of,
)
from tests.unit.core.risk.world import K2YES, KNO, KYES, PNO, PYES, D, Desk, world

SECOND = 1_000_000_000
LIMITS = load_profile("research").changed(
    {
        "exposure.order": "0.10",
        "exposure.market": "0.20",
        "exposure.event": "0.25",
        "exposure.venue": "0.45",
        "exposure.total": "0.60",
        "sizing.risk_per_trade": "0.02",
        "breaker.market": "0.2",
        "breaker.total": "0.6",
        "price.collar": "0.05",
        "exposure.open_orders": "12",
        "exposure.unknown_orders": "3",
        "rate.orders": "10000",
    }
)
SHARES = {
    "order": D("0.10"), "market": D("0.20"), "event": D("0.25"), "venue": D("0.45"), "total": D("0.60"),
}  # fmt: skip
OUTCOMES = (KYES, KNO, K2YES, PYES, PNO)
LONGS = [(owner, iid) for owner in ("S1", "S2") for iid in (KYES, K2YES, PYES, PNO)]
SCOPES = {
    Code.MARKET_LIMIT: ("market", market_of),
    Code.EVENT_LIMIT: ("event", event_of),
    Code.VENUE_LIMIT: ("venue", venue_of),
    Code.TOTAL_LIMIT: ("total", None),
}
prices = st.sampled_from([5, 20, 30, 40, 45, 50, 55, 60, 80, 97]).map(lambda n: D(n) / 100)
sizes = st.sampled_from([D(x) for x in ("5", "7.25", "12", "20", "33.33", "60", "150")])
offsets = st.sampled_from([0, 0, 0, 1, -1, 2, -2, 3, -3, 6, -6])
seldom = st.sampled_from([False, False, False, True])
outcomes = st.sampled_from(OUTCOMES)
owners = st.sampled_from(["S1", "S2"])
share = st.sampled_from([D("0.25"), D("0.5"), D(1)])


def money(attos: int) -> Fraction:
    return Fraction(attos, ATTO)


def close(a: Fraction, b: Fraction) -> bool:
    """Equal up to what dividing average costs leaves over (each division under 1e-18 dollar)."""
    return abs(a - b) < Fraction(1, 10**15)


class GateMachine(RuleBasedStateMachine):
    """Orders, fills, cancels, unknowns, voids, settlements, marks and merges in any order.

    After every step: the gate's totals equal the model's, free cash is never negative, exposure has not
    grown unless an order was approved, and no sale can leave a strategy short.
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(world(LIMITS))
        self.gate = self.desk.gate
        self.model = Model({"KALSHI": D(100), "POLYMARKET": D(100)})
        self.now = 10
        self.halted = TradingState.RUNNING
        self.approvals: dict[str, ApprovedOrder] = {}
        self.spent: list[ApprovedOrder] = []
        self.trades = 0
        self.before = self._exposures()

    # -- the model's own judgement ----------------------------------------------------------------

    def expected(self, intent: OrderIntent, at: Decimal, order: Order | None = None) -> set[str]:
        """Return every code that would be right for a refusal; empty: it must be approved."""
        m, iid, buy = self.model, intent.instrument_id, intent.side == "BUY"
        price = intent.price
        assert price is not None
        codes: set[str] = set()
        if order is None and intent.client_order_id in m.used:
            codes.add(Code.DUPLICATE_ID)
        if self.halted is TradingState.HALTED:
            codes.add(Code.HALTED)
        elif self.halted is not TradingState.RUNNING and buy:
            codes.add(Code.REDUCE_ONLY)
        if any(i in m.payouts for i in (iid, opposite_of(iid))):
            codes.add(Code.MARKET_CLOSED)
        if buy and iid in m.barred:
            codes.add(Code.MARKET_BARRED)
        reach = max(at * D("0.05"), D("0.02"))
        if (buy and price > at + reach) or (not buy and price < at - reach):
            codes.add(Code.COLLAR)
        own = order.leaves if order else D(0)
        filled = order.filled if order else D(0)
        if not buy and intent.quantity - filled > m.sellable(intent.strategy_id, iid) + own:
            codes.add(Code.COVERED_SELL)
        if buy and venue_of(iid) in NETS and m.held(opposite_of(iid)) > 0:
            codes.add(Code.OPPOSITE_HELD)
        if buy and venue_of(iid) in NETS and m.others_buy(intent.strategy_id, opposite_of(iid)) > 0:
            codes.add(Code.OPPOSITE_BID)
        if buy and len(m.orders) >= 12 and order is None:
            codes.add(Code.OPEN_ORDERS)
        if buy and sum(o.state == "unknown" for o in m.orders.values()) >= 3:
            codes.add(Code.UNKNOWN_ORDERS)
        return codes | self._expected_limits(intent, order)

    def _expected_limits(self, intent: OrderIntent, order: Order | None) -> set[str]:
        m, iid, buy = self.model, intent.instrument_id, intent.side == "BUY"
        assert intent.price is not None
        bound = fee_bound(iid, intent.price, intent.quantity)
        wanted = Order("", "", iid, buy, intent.quantity, intent.price, bound)
        if order is not None:
            wanted.filled, wanted.fees = order.filled, order.fees
            wanted.price, wanted.quantity, wanted.bound = self._envelope(order, wanted)
        have = order.reserved if order else D(0)
        cost = max(D(0), wanted.reserved - have)
        codes: set[str] = set()
        if cost > m.free(venue_of(iid)):
            codes.add(Code.CASH)
        if not buy or not cost:
            return codes
        equity = max(Fraction(), m.equity())
        if cost + have > equity * Fraction(SHARES["order"]):
            codes.add(Code.ORDER_LIMIT)
        for code, (name, scope) in SCOPES.items():
            key = scope(iid) if scope else ""
            if name == "event" and not key:
                continue
            if m.committed(key, scope) + Fraction(cost) > equity * Fraction(SHARES[name]):
                codes.add(code)
        return codes

    @staticmethod
    def _envelope(old: Order, new: Order) -> tuple[Decimal, Decimal, Decimal]:
        price = max(old.price, new.price) if old.buy else min(old.price, new.price)
        quantity = max(old.quantity, new.quantity)
        return price, quantity, fee_bound(old.iid, price, quantity)

    # -- rules: orders -----------------------------------------------------------------------------

    @initialize(held=st.lists(st.sampled_from(LONGS), max_size=4, unique=True))
    def begin(self, held) -> None:
        """Start with something held, as after a reconciliation."""
        for owner, iid in held:
            self.gate.on_position(owner, iid, D(30), D("0.40"))
            self.gate.on_mark(iid, D("0.40"), D("0.40"))
            position = self.model.positions[(owner, iid)]
            position.quantity, position.cost = D(30), Fraction(12)
            self.model.marks[iid] = D("0.40")
        self.before = self._exposures()

    @rule(iid=outcomes, owner=owners, quantity=sizes, at=prices, offset=offsets, leave=seldom)
    def buy(self, iid, owner, quantity, at, offset, leave) -> None:
        self._place(iid, owner, True, quantity, at, offset, leave)

    @rule(iid=outcomes, quantity=sizes, at=prices, provisional=seldom)
    def buy_and_fill(self, iid, quantity, at, provisional) -> None:
        cid = self._place(iid, "S1", True, quantity, at, 0, False)
        if cid:
            self._fill(self.model.orders[cid], D(1), 0, provisional)

    @rule(iid=outcomes, owner=owners, quantity=sizes, at=prices, really=seldom)
    def sell_anything(self, iid, owner, quantity, at, really) -> None:
        if really:
            self._place(iid, owner, False, quantity, at, 0, False)

    @precondition(lambda self: any(p.quantity for p in self.model.positions.values()))
    @rule(data=st.data(), part=share, at=prices, offset=offsets, more=seldom)
    def sell_held(self, data, part, at, offset, more) -> None:
        held = sorted(k for k, p in self.model.positions.items() if p.quantity)
        owner, iid = data.draw(st.sampled_from(held))
        quantity = self.model.positions[(owner, iid)].quantity * part + D(more) / 100
        self._place(
            iid, owner, False, quantity.quantize(D("0.01"), "ROUND_DOWN"), at, offset, False
        )

    @precondition(lambda self: self.model.used)
    @rule(data=st.data(), iid=outcomes, at=prices, really=seldom)
    def repeat_an_id(self, data, iid, at, really) -> None:
        if really:
            cid = data.draw(st.sampled_from(sorted(self.model.used)))
            self._place(iid, "S1", True, D(5), at, 0, False, cid)

    def _place(self, iid, owner, buy, quantity, at, offset, leave, cid="") -> str:
        """Ask the gate; it must say what the model says. Return the id of an order that left."""
        price = at + D(offset) / 100
        if not D("0.01") <= price <= D("0.99") or quantity < 5:
            return ""
        side = "BUY" if buy else "SELL"
        intent = self.desk.intent(iid, side, str(quantity), str(price), strategy_id=owner)
        if cid:
            intent = replace(intent, client_order_id=cid)
        self._let_time_pass()
        codes = self.expected(intent, at)
        answer = self.gate.review(intent, MarketView(self.now, at, at))
        if not isinstance(answer, ApprovedOrder):
            assert answer.code in codes, f"refused as {answer.code}, right: {codes or 'approval'}"
            return ""
        assert not codes, f"approved in spite of {codes}"
        bound = fee_bound(iid, price, quantity)
        order = Order(intent.client_order_id, owner, iid, buy, quantity, price, bound)
        self.model.orders[order.cid] = order
        self.model.used.add(order.cid)
        self.approvals[order.cid] = answer
        self.before = self._exposures()
        return "" if leave else self._send(order.cid)

    def _let_time_pass(self) -> None:
        """What liquidates halts as soon as nothing is held or open any more."""
        self.gate.on_time(self.now)
        flat = not self.model.orders and not any(p.quantity for p in self.model.positions.values())
        if self.halted is TradingState.LIQUIDATING and flat:
            self.halted = TradingState.HALTED

    def _send(self, cid: str) -> str:
        approved = self.approvals.pop(cid)
        if self.halted is TradingState.HALTED or (
            self.halted is not TradingState.RUNNING and approved.intent.side == "BUY"
        ):
            try:
                self.gate.redeem(approved, self.now)
            except HaltedError:
                self.model.orders.pop(cid)
                return ""
            raise AssertionError("an order left while trading was halted")
        assert self.gate.redeem(approved, self.now, approved.intent) is approved.intent
        self.model.orders[cid].state = "sent"
        self.spent.append(approved)
        return cid

    @precondition(lambda self: self.approvals)
    @rule(data=st.data())
    def send(self, data) -> None:
        self._send(data.draw(st.sampled_from(sorted(self.approvals))))

    @precondition(lambda self: self.approvals or self.spent)
    @rule(data=st.data(), kind=st.integers(0, 7), other=sizes)
    def abuse(self, data, kind, other) -> None:
        """Send twice, send forged, or send something else with a true approval."""
        if kind == 6 and self.spent:
            self._must_not_redeem(data.draw(st.sampled_from(self.spent)))
        if kind == 6 or not self.approvals:
            return
        cid = data.draw(st.sampled_from(sorted(self.approvals)))
        true = self.approvals[cid]
        if kind == 7:
            if other != true.intent.quantity:
                del self.approvals[cid]
                self._must_not_redeem(true, replace(true.intent, quantity=other))
                self.model.orders.pop(cid)
            return
        self._forge(true, kind, other)

    @rule(iid=outcomes, owner=owners, at=prices, kind=st.integers(0, 5), other=sizes)
    def forge(self, iid, owner, at, kind, other) -> None:
        """Send a forged approval right after the true one was given."""
        before = set(self.approvals)
        self._place(iid, owner, True, D(5), at, 0, True)
        for cid in set(self.approvals) - before:
            self._forge(self.approvals[cid], kind, other)

    def _forge(self, true, kind, other) -> None:
        parts = list(true)
        wrong = [replace(true.intent, quantity=other + 1), 10**6, 0, 10**30, 1, bytes(32)]
        parts[kind] = wrong[kind]
        if kind != 2:  # when it was approved decides nothing
            self._must_not_redeem(tuple.__new__(ApprovedOrder, parts))

    def _must_not_redeem(self, approved: ApprovedOrder, sending: OrderIntent | None = None) -> None:
        try:
            self.gate.redeem(approved, self.now, sending)
        except ApprovalInvalid:
            return
        raise AssertionError("an approval that is not valid was redeemed")

    def _open(self, *states: str) -> list[str]:
        return sorted(c for c, o in self.model.orders.items() if o.state in states)

    @precondition(lambda self: self._open("sent", "unknown"))
    @rule(data=st.data())
    def accept(self, data) -> None:
        cid = data.draw(st.sampled_from(self._open("sent", "unknown")))
        self.gate.on_working(cid, self.now)
        self.model.orders[cid].state = "working"

    @precondition(lambda self: self._open("sent", "working"))
    @rule(data=st.data(), timeout=st.booleans())
    def lose_sight(self, data, timeout) -> None:
        cid = data.draw(st.sampled_from(self._open("sent", "working")))
        if timeout:
            assert not self.gate.on_done(cid, self.now, proven=False)
        else:
            self.gate.on_unknown(cid, self.now)
        self.model.orders[cid].state = "unknown"

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), rejected=st.booleans())
    def finish(self, data, rejected) -> None:
        cid = data.draw(st.sampled_from(sorted(self.model.orders)))
        assert self.gate.on_done(cid, self.now, rejected=rejected)
        del self.model.orders[cid]
        if (approved := self.approvals.pop(cid, None)) is not None:
            self._must_not_redeem(approved)

    @precondition(lambda self: [c for c in self._open("working") if not self.model.orders[c].worst])
    @rule(data=st.data(), quantity=sizes, at=prices, offset=st.integers(-3, 3))
    def change(self, data, quantity, at, offset) -> None:
        open_ = [c for c in self._open("working") if not self.model.orders[c].worst]
        order = self.model.orders[data.draw(st.sampled_from(open_))]
        price = at + D(offset) / 100
        if not D("0.01") <= price <= D("0.99"):
            return
        side = "BUY" if order.buy else "SELL"
        base = self.desk.intent(
            order.iid, side, str(order.quantity), str(order.price),
            strategy_id=order.strategy, client_order_id=order.cid,
        )  # fmt: skip
        wanted = replace(base, quantity=quantity, price=price)
        self._let_time_pass()
        codes = self.expected(wanted, at, order)
        view = MarketView(self.now, at, at)
        answer = self.gate.review_change(order.cid, quantity, price, base, view)
        if not isinstance(answer, ApprovedOrder):
            assert answer.code in codes, (
                f"refused as {answer.code}, right would be {codes or 'approval'}"
            )
            return
        assert not codes, f"approved in spite of {codes}"
        bound = fee_bound(order.iid, price, quantity)
        new = Order("", "", order.iid, order.buy, quantity, price, bound)
        order.worst = self._envelope(order, new)
        order.changed = (price, quantity, bound)
        self.before = self._exposures()
        self.gate.redeem(answer, self.now)

    @precondition(lambda self: any(o.worst for o in self.model.orders.values()))
    @rule(data=st.data(), accepted=st.booleans())
    def answer_change(self, data, accepted) -> None:
        """The venue answers; what it filled at the new terms it has accepted."""
        changing = sorted(c for c, o in self.model.orders.items() if o.worst)
        order = self.model.orders[data.draw(st.sampled_from(changing))]
        accepted = accepted or order.new_terms_filled
        if not accepted:
            self.gate.on_modify_rejected(order.cid, self.now)
        else:
            assert order.worst
            assert order.changed
            price, quantity, _ = order.changed
            self.gate.adopt_change(order.cid, quantity, price, self.now)
            order.price, order.quantity, _ = order.changed
            left = max(D(0), order.quantity - order.filled)
            rest = fee_bound(order.iid, order.price, left)
            order.bound = min(order.worst[2], order.fees + rest)
        order.worst = order.changed = None
        order.new_terms_filled = False
        if not order.leaves:
            del self.model.orders[order.cid]

    # -- rules: fills -------------------------------------------------------------------------------

    @precondition(lambda self: self._open("sent", "working", "unknown"))
    @rule(data=st.data(), part=share, better=st.integers(0, 10), provisional=st.booleans())
    def fill(self, data, part, better, provisional) -> None:
        cid = data.draw(st.sampled_from(self._open("sent", "working", "unknown")))
        self._fill(self.model.orders[cid], part, better, provisional)

    def _fill(self, order: Order, part: Decimal, better: int, provisional: bool) -> None:
        limit, total = order.price, order.quantity
        if order.changed and better % 2:
            limit, total, _ = order.changed
        quantity = ((total - order.filled) * part).quantize(D("0.01"))
        if quantity <= 0:
            return
        order.new_terms_filled |= bool(order.changed and better % 2)
        step = D(better) / 100
        price = max(D("0.01"), limit - step) if order.buy else min(D("0.99"), limit + step)
        fee = fee_of(order.iid, price, quantity)
        provisional = provisional and venue_of(order.iid) == "POLYMARKET"
        self.trades += 1
        trade = f"T{self.trades}"
        args = (order.cid, trade, quantity, price, fee, self.now)
        assert self.gate.on_fill(*args, provisional=provisional)
        assert not self.gate.on_fill(*args, provisional=provisional), "booked twice"
        self.model.fill(order, trade, quantity, price, fee, provisional)
        if order.buy and venue_of(order.iid) in NETS:
            self._net(order.strategy, order.iid)

    def _net(self, strategy: str, iid: str) -> None:
        """What the venue does by itself: pairs of both outcomes become dollars."""
        legs = [self.model.positions.get((strategy, i)) for i in (iid, opposite_of(iid))]
        pairs = min((p.quantity if p else D(0)) for p in legs)
        if pairs > 0:
            self.gate.on_merge(strategy, market_of(iid), pairs, self.now)
            self.model.merge(strategy, iid, pairs)

    def _provisional(self) -> list[str]:
        return sorted(t for t, f in self.model.fills.items() if f.provisional)

    @precondition(lambda self: self._provisional())
    @rule(data=st.data(), good=st.booleans())
    def becomes_final(self, data, good) -> None:
        trade = data.draw(st.sampled_from(self._provisional()))
        if good:
            self.gate.on_confirmed(trade)
            self.model.confirm(trade)
            return
        assert self.gate.on_fill_voided(trade, self.now)
        assert not self.gate.on_fill_voided(trade, self.now)
        self.model.void(trade)

    # -- rules: markets, money, time, operator ------------------------------------------------------

    @rule(
        market=st.sampled_from([(KYES, KNO), (PYES, PNO), (K2YES, opposite_of(K2YES))]),
        payout=st.sampled_from([D(0), D("0.5"), D(1)]),
        unlikely=st.integers(0, 9),
    )
    def settle(self, market, payout, unlikely) -> None:
        if unlikely:
            return
        self.gate.on_status(market_of(market[0]), MarketStatus.CLOSED)
        for order in [o for o in self.model.orders.values() if o.iid in market]:
            self.gate.on_done(order.cid, self.now)
            del self.model.orders[order.cid]
            self.approvals.pop(order.cid, None)
        for iid, paid in zip(market, (payout, 1 - payout), strict=True):
            self.gate.on_settlement(iid, paid, self.now)
            self.model.settle(iid, paid)

    @rule(owner=owners)
    def merge(self, owner) -> None:
        legs = [self.model.positions.get((owner, i)) for i in (PYES, PNO)]
        free = [self.model.sellable(owner, i) for i in (PYES, PNO)]
        pairs = min([(p.quantity - p.provisional if p else D(0)) for p in legs] + free)
        if pairs > 0:
            self.gate.on_merge(owner, "P1", pairs, self.now)
            self.model.merge(owner, PYES, pairs)

    @rule(
        what=st.sampled_from(["mark", "mark", "deposit", "wait"]),
        iid=outcomes,
        price=prices,
        seconds=st.sampled_from([0, 1, 6]),
    )
    def world_moves(self, what, iid, price, seconds) -> None:
        if what == "mark":
            self.gate.on_mark(iid, price, price, self.now)
            if self.model.held(iid):
                self.model.marks[iid] = price
        elif what == "deposit" and sum(self.model.cash.values()) < 400:
            self.gate.on_transfer(venue_of(iid), D(25))
            self.model.cash[venue_of(iid)] += D(25)
        elif what == "wait":
            self._wait(seconds)

    def _wait(self, seconds: int) -> None:
        self.now += seconds * SECOND
        for approved in [a for a in self.approvals.values() if a.expires_ns <= self.now]:
            self._must_not_redeem(approved)
            cid = approved.intent.client_order_id
            del self.approvals[cid], self.model.orders[cid]
        self.gate.on_time(self.now)

    @precondition(lambda self: self.approvals)
    @rule()
    def approvals_run_out(self) -> None:
        self._wait(6)

    @precondition(lambda self: self.halted is TradingState.RUNNING)
    @rule(state=st.sampled_from(list(TradingState)), really=seldom)
    def operator(self, state, really) -> None:
        if really:
            self.gate.on_hold("operator", state, "test", self.now)
            self.halted = state

    @precondition(lambda self: self.halted is not TradingState.RUNNING)
    @rule()
    def operator_resumes(self) -> None:
        self.gate.on_resume(self.now)
        self.model.barred.clear()
        self.halted = TradingState.RUNNING

    # -- invariants -----------------------------------------------------------------------------------

    def _exposures(self) -> dict[str, int]:
        book = self.gate.book
        out = {"total": book.committed}
        for kind in ("market", "event", "venue"):
            out |= {f"{kind} {k}": v for k, v in book.used(kind).items()}
        return out | {f"family {k}": v.used for k, v in book.by_family.items()}

    @invariant()
    def exposure_grows_only_by_approval(self) -> None:
        after = self._exposures()
        grown = {k: v for k, v in after.items() if v > self.before.get(k, 0)}
        assert not grown, grown
        self.before = after

    @invariant()
    def cash_covers_every_promise(self) -> None:
        for venue in ("KALSHI", "POLYMARKET"):
            assert self.gate.book.free_cash(venue) >= 0, venue

    @invariant()
    def totals_equal_the_model(self) -> None:
        book, m = self.gate.book, self.model
        assert set(book.orders) == set(m.orders)
        for venue in ("KALSHI", "POLYMARKET"):
            assert money(book.purses[venue].cash) == Fraction(m.cash[venue])
            assert money(book.purses[venue].reserved) == Fraction(m.reserved(venue))
            assert money(book.free_cash(venue)) == Fraction(m.free(venue))
        assert money(book.equity) == m.equity()
        assert close(money(book.committed), m.committed())
        in_market = book.used("market")
        for iid in OUTCOMES:
            assert Fraction(book.held.get(iid, 0), NANO) == Fraction(m.held(iid))
            assert Fraction(book.resting(iid).buying, NANO) == Fraction(m.buying(iid))
            for owner in ("S1", "S2") if venue_of(iid) in NETS else ():
                own = Fraction(book.buying.get((owner, iid), 0), NANO)
                assert own == Fraction(m.buying(iid, owner))
            assert close(
                money(in_market.get(market_of(iid), 0)), m.committed(market_of(iid), market_of)
            )
        assert book.unknown == sum(o.state == "unknown" for o in m.orders.values())

    @invariant()
    def where_the_venue_nets_no_two_strategies_hold_a_pair(self) -> None:
        m = self.model
        for iid in OUTCOMES:
            if venue_of(iid) in NETS and iid not in m.barred:
                assert not (m.held(iid) > 0 and m.held(opposite_of(iid)) > 0)

    @invariant()
    def no_sale_can_leave_a_strategy_short(self) -> None:
        m = self.model
        for (strategy, iid), position in m.positions.items():
            final = position.quantity - position.provisional
            assert m.selling(iid, strategy) <= final
            assert position.quantity >= 0
            if venue_of(iid) in NETS and m.selling(iid):
                assert m.selling(iid) + m.buying(opposite_of(iid)) <= m.held(iid)

    @invariant()
    def nothing_was_out_of_order(self) -> None:
        assert "anomaly" not in self.gate.holds.sources, self.gate.holds.reason
