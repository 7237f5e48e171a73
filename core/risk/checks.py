"""The checks of one intent, in the order they are made. Each is pure: it reads state, records, answers.

A check returns an empty text, or the code of its refusal. What it saw and against which limit goes to
``draft.raw`` as integers (`core.risk.record`); text is made of it only when somebody reads it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import FeeError
from core.domain.fees import Side
from core.risk.instruments import FOREVER_NS, InstrumentRules
from core.risk.intake import Intake
from core.risk.record import (
    CASH,
    COVERED,
    DEPTH,
    LIMIT,
    MARKET,
    MAY_BUY,
    MAY_SELL,
    MONEY,
    OPPOSITE,
    PACE,
    PACE_OF_BUYS,
    RawChecks,
)  # fmt: skip
from core.risk.states import TradingState
from core.risk.table import Ceilings
from core.risk.units import NANO, nanos_of, nanos_of_text, shares
from core.risk.verdict import Code, MarketView
from core.risk.working import Terms, WorkingOrder

#: A decision older than the gate's newest by more than this is made on a clock that stepped back.
CLOCK_TOLERANCE_NS = NS_PER_SECOND
#: Names of the usual states, looked up once.
RUNNING, HALTED = TradingState.RUNNING, TradingState.HALTED
#: Room for orders that only reduce: a throttle must not keep anybody from getting out.
REDUCING_RATE = 2
RESTING = frozenset({TimeInForce.GTC, TimeInForce.GTD})
#: What purchases that are sized together share.
Reach = Literal["order", "market", "event"]
#: Checks of limits that hold for one market.
OF_A_MARKET = frozenset({"market_exposure", "breaker_market"})


class Draft(msgspec.Struct, gc=False):
    """One intent under review: the order it would be, and the checks made.

    Attributes
    ----------
    order : WorkingOrder
        What is known of it so far; an attribute that no check has found out yet is missing.
    working : WorkingOrder, optional
        The order that is to be changed.
    worst : Terms, optional
        Of a change: what bounds the old and the new terms.
    """

    intent: OrderIntent
    view: MarketView
    order: WorkingOrder
    working: WorkingOrder | None = None
    raw: RawChecks = msgspec.field(default_factory=list)
    worst: Terms | None = None

    def fail(
        self, name: str, value: object, limit: object, code: str, *passed: tuple[object, ...]
    ) -> str:
        """Record checks that were passed just before, then the failed one; return its code."""
        self.raw += passed
        self.raw.append((name, value, limit, False))
        return code


def standing(gate: Intake, d: Draft) -> str:
    """Check that the id is new, the names its own, and that this strategy may trade this market now."""
    intent, order, book = d.intent, d.order, gate.book
    buy, now_ns = order.buy, order.ts_ns
    if intent.client_order_id in book.known and d.working is None:
        return d.fail("duplicate_id", intent.client_order_id, "new", Code.DUPLICATE_ID)
    rules = gate.rules.get(intent.instrument_id)
    if (
        rules is None
        or intent.market_id != rules.market_id
        or intent.venue != rules.venue_code
        or intent.event_id != rules.event_id
    ):
        return _misnamed(gate, d, rules)
    order.rules = rules
    quantity = nanos_of_text(str(intent.quantity))
    if quantity is None or quantity <= 0:
        return d.fail("quantity", intent.quantity, "> 0", Code.INVALID_QUANTITY)
    order.quantity = quantity
    trading = gate.holds.state
    if trading is not RUNNING and (buy or trading is HALTED):
        code = Code.HALTED if trading is HALTED else Code.REDUCE_ONLY
        return d.fail("trading", gate.holds.reason, "RUNNING", code)
    family = book.families.get(intent.strategy_id)
    if family is None:
        passed = _trading(gate)
        return d.fail("strategy", intent.strategy_id, "registered", Code.UNKNOWN_STRATEGY, passed)
    if buy:
        governor, open_to = gate.governor, gate.phase.open
        if (
            gate.stopped
            or gate.now_ns - now_ns > CLOCK_TOLERANCE_NS
            or governor.paused_until
            or governor.barred_until
            or family == gate.breaker.family
            or (open_to is not None and family not in open_to)
        ) and (why := _barred(gate, d, family)):
            return why
    market = rules.state
    if not market.open_ns <= now_ns < market.until_ns:
        why = market.closed_because(now_ns)
        return d.fail("market", why, "active", Code.MARKET_CLOSED, _trading(gate))
    if not buy:
        d.raw.append((MAY_SELL, trading))
        return ""
    table, age = gate.table, d.view.book_age_ns
    if table.blacklist and not table.blacklist.isdisjoint(rules.labels):
        named = ",".join(sorted(table.blacklist & rules.labels))
        return d.fail("blacklist", named, "not listed", Code.BLACKLISTED, _trading(gate))
    if gate.barred and (void := gate.barred.get(rules.market_id)):
        return d.fail("barred", void, "no void", Code.MARKET_BARRED, _trading(gate))
    most = table.book_age_ns
    if age > most:
        return d.fail("book_age_ns", age, most, Code.STALE_BOOK, (MAY_SELL, trading))
    d.raw.append((MAY_BUY, trading, age, most))
    return ""


def _trading(gate: Intake) -> tuple[object, ...]:
    """Return the record that the state of trading lets the order pass."""
    return "trading", gate.holds.state, gate.holds.state, True


def _misnamed(gate: Intake, d: Draft, rules: InstrumentRules | None) -> str:
    """Say which name of the intent is unknown, or is not the instrument's own."""
    intent = d.intent
    if rules is None:
        known = gate.knows_venue(intent.venue)
        code = Code.UNKNOWN_INSTRUMENT if known else Code.UNKNOWN_VENUE
        return d.fail("instrument", intent.instrument_id, "registered", code)
    named = f"{intent.venue}/{intent.market_id}/{intent.event_id}"
    own = f"{rules.venue_code}/{rules.market_id}/{rules.event_id}"
    return d.fail("names", named, own, Code.INTENT_MISMATCH)


def _barred(gate: Intake, d: Draft, family: str) -> str:
    """Check what keeps a strategy from buying: it was stopped, the clock, a cool-down, phase or breaker."""
    order, passed = d.order, _trading(gate)
    strategy, market_id, now_ns = order.strategy_id, order.rules.market_id, order.ts_ns
    if strategy in gate.stopped:
        why = gate.stopped[strategy]
        return d.fail("strategy", why, "running", Code.STRATEGY_STOPPED, passed)
    if now_ns + CLOCK_TOLERANCE_NS < gate.now_ns:
        return d.fail("clock", now_ns, gate.now_ns, Code.CLOCK_BACK, passed)
    governor = gate.governor
    if governor.paused_until or governor.barred_until:
        until = governor.cooling(strategy, market_id, now_ns)
        if until:
            return d.fail("cooldown", f"until {until}", now_ns, Code.COOL_DOWN, passed)
    if not gate.phase.allows(family):
        return d.fail("phase", family, gate.phase.phase.name, Code.PHASE, passed)
    breaker = gate.breaker
    if family == breaker.family and (why := breaker.refuses(market_id, now_ns)):
        return d.fail("breaker", why, "CLOSED", Code.BREAKER_OPEN, passed)
    return ""


def terms(gate: Intake, d: Draft) -> str:
    """Find the worst price at which the order may trade; check grid, collar, size, depth and pace."""
    limit, order, view = d.intent.price, d.order, d.view
    rules, buy = order.rules, order.buy
    if limit is None:
        shape, against = MARKET, _market_price(gate, d)
        if not against:
            return Code.NO_REFERENCE
        at: int | None = order.price
        takes = buy
    else:
        quotes = rules.quotes
        at = quotes.prices.get(str(limit))
        if at is None:
            at = gate.orderable(rules, limit) or _kept(d, limit)
            if at is None:
                return _off_grid(d, limit)
        order.price = at
        near = view.ask if buy else view.bid
        touch = near if near is not None else view.bid if buy else view.ask
        bounds = quotes.bounds.get(str(touch)) or gate.collar(rules, touch)
        if bounds is None:
            return d.fail("reference", near, "a quote", Code.NO_REFERENCE, _on_grid(at))
        lowest, highest, quoted = bounds
        bound = highest if buy else lowest
        if at > bound if buy else at < bound:
            return d.fail("collar", at, bound, Code.COLLAR, _on_grid(at))
        shape, against = LIMIT, bound
        takes = buy and near is not None and at >= quoted
    quantity, least = order.quantity, rules.min_size
    if quantity % rules.size_step or quantity < least:
        return _ill_sized(d, shape is LIMIT, against)
    d.raw.append((shape, at, against, quantity, least))
    if takes and view.depth is not None:
        most = (nanos_of_text(str(view.depth)) or 0) * gate.table.depth_share // NANO
        if quantity > most:
            return d.fail("depth", quantity, most, Code.LIQUIDITY)
        d.raw.append((DEPTH, quantity, most))
    return _pace(gate, d)


def _on_grid(price: int) -> tuple[object, ...]:
    """Return the record that a price is one of the market's."""
    return "price_grid", price, "grid", True


def _ill_sized(d: Draft, limited: bool, against: int) -> str:
    """Say that a size is not a whole number of steps, or too small; the price has passed."""
    quantity, price, rules = d.order.quantity, d.order.price, d.order.rules
    passed: tuple[tuple[object, ...], ...] = (("worst_price", price, against, True),)
    if limited:
        passed = (_on_grid(price), ("collar", price, against, True))
    if quantity % rules.size_step:
        return d.fail("size_step", quantity, rules.size_step, Code.SIZE_OFF_STEP, *passed)
    return d.fail("size", quantity, rules.min_size, Code.SIZE_TOO_SMALL, *passed)


def _kept(d: Draft, limit: Decimal) -> int | None:
    """Return the price of a resting order that only becomes smaller: the grid may have changed under it."""
    old, at = d.working, nanos_of(limit) if limit.is_finite() else None
    return at if old is not None and at == old.price and d.order.quantity < old.quantity else None


def _off_grid(d: Draft, limit: Decimal) -> str:
    """Say why a price is none of the market's."""
    if not limit.is_finite():
        return d.fail("price", limit, "finite", Code.INVALID_PRICE)
    grid = d.order.rules.grid
    ends = f"{shares(grid.lowest)}..{shares(grid.highest)}"
    return d.fail("price_grid", limit, ends, Code.PRICE_OFF_GRID)


def _market_price(gate: Intake, d: Draft) -> int:
    """Price a market order at its worst case: the touch moved by the allowed slippage; return the touch.

    Without a quote it is 0, and the failed check is noted.
    """
    order = d.order
    touch = d.view.ask if order.buy else d.view.bid
    at = nanos_of(touch) if touch is not None else None
    if at is None or at <= 0:
        d.fail("reference", touch, "a quote", Code.NO_REFERENCE)
        return 0
    slip = at * gate.table.slippage // NANO
    grid = order.rules.grid
    order.price = grid.ceil(at + slip) if order.buy else grid.floor(at - slip)
    return at


def _pace(gate: Intake, d: Draft) -> str:
    """Check the order rate, repeated intents and the number of open and unknown orders."""
    order, throttle = d.order, gate.throttle
    buy = order.buy
    fast, often = throttle.orders, throttle.repeats
    if not buy:
        fast *= REDUCING_RATE
    same = (order.strategy_id, order.rules.instrument_id, buy, order.price, order.quantity)
    sent, again = throttle.ask(same, fast, order.ts_ns)
    if sent > fast:
        return d.fail("rate", sent, fast, Code.RATE)
    if again > often:
        return d.fail("repeats", again, often, Code.REPEATED, ("rate", sent, fast, True))
    if not buy:
        d.raw.append((PACE, sent, fast, again, often))
        return ""
    book, table = gate.book, gate.table
    unknown, doubts = book.unknown, table.unknown_orders
    count, most = len(book.orders), table.open_orders
    if unknown < doubts and (count < most or d.working is not None):
        d.raw.append((PACE_OF_BUYS, sent, fast, again, often, unknown, doubts, count, most))
        return ""
    passed = (PACE, sent, fast, again, often)
    if unknown >= doubts:
        return d.fail("unknown_orders", unknown, doubts, Code.UNKNOWN_ORDERS, passed)
    known = ("unknown_orders", unknown, doubts, True)
    return d.fail("open_orders", count, most, Code.OPEN_ORDERS, passed, known)


def coverage(gate: Intake, d: Draft) -> str:
    """Check that a sale is covered, and that a buy does not open the opposite of what is held or others are buying."""
    order = d.order
    rules = order.rules
    if not order.buy:
        free, selling = gate.book.sellable(order.strategy_id, rules), order.quantity
        if (old := d.working) is not None:
            free, selling = free + old.leaves, selling - old.filled
        if selling > free:
            return d.fail("covered_sell", selling, free, Code.COVERED_SELL)
        d.raw.append((COVERED, selling, free))
    elif rules.nets_outcomes:
        book, other = gate.book, rules.opposite_id
        opposite = book.held.get(other, 0)
        bid = book.others_buy(order.strategy_id, other) if rules.opposite.buying else 0
        if opposite > 0:
            return d.fail("opposite_held", opposite, 0, Code.OPPOSITE_HELD)
        if bid > 0:
            held = ("opposite_held", opposite, 0, True)
            return d.fail("opposite_bid", bid, 0, Code.OPPOSITE_BID, held)
        d.raw.append((OPPOSITE, opposite, bid))
    return ""


def life_of(intent: OrderIntent) -> int:
    """Return until when an order can rest, in nanoseconds; 0 for one that fills at once or not at all."""
    if intent.price is None or intent.tif not in RESTING:
        return 0
    return intent.expire_ns or FOREVER_NS


def by_cash(rules: InstrumentRules, intent: OrderIntent) -> bool:
    """Return whether the order is sent for dollars: a BUY that must not rest, where the venue takes it so."""
    return rules.cash_fees is not None and intent.side is Side.BUY and intent.tif not in RESTING


def money(gate: Intake, d: Draft) -> str:
    """Work out what the order can cost at worst; check that against every limit and the cash.

    Nearly always all limits are kept: then one comparison and one record do. Otherwise `ceilings` names
    the first that is not.
    """
    book, order = gate.book, d.order
    rules, buy = order.rules, order.buy
    try:
        if d.working is None:
            now_ns, price, quantity = order.ts_ns, order.price, order.quantity
            if now_ns < rules.last_rule_ns:
                order.until_ns = life_of(d.intent)
            if rules.cash_fees is not None and by_cash(rules, d.intent):
                order.by_cash = True
                bound = gate.cash_bound(rules, price, quantity, now_ns)
            else:
                bound = gate.fee_bound(rules, price, quantity, now_ns, order.until_ns)
            order.fee_bound = bound
            value = price * quantity  # as `need` has it; written out: this is the hot path
            order.reserved = cost = whole = value + bound if buy else max(0, bound - value)
        else:
            cost, whole = _cost_of_change(gate, d, d.working)
    except FeeError as exc:
        return d.fail("fee", exc.what, "a known fee rule", Code.FEE_UNKNOWN)
    free = rules.in_venue.free
    if buy and cost:
        kept, event = gate.ceilings(rules), rules.in_event
        if event is not None and book.families[order.strategy_id] not in gate.bounded:
            in_market, in_event = rules.in_market.used + cost, event.used + cost
            in_venue, total = rules.in_venue.used + cost, book.committed + cost
            if (
                whole <= kept.order
                and in_market <= kept.market
                and in_event <= kept.event
                and in_venue <= kept.venue
                and total <= kept.total
                and cost <= free
            ):
                d.raw.append(
                    (MONEY, whole, kept.order, in_market, kept.market, in_event, kept.event,
                     in_venue, kept.venue, total, kept.total, cost, free)
                )  # fmt: skip
                return ""
        if code := _first_broken(gate, d, cost, whole, kept):
            return code
    if cost > free and cost:  # an exit that costs nothing needs no cash
        return d.fail("cash", cost, free, Code.CASH)
    d.raw.append((CASH, cost, free))
    return ""


def _cost_of_change(gate: Intake, d: Draft, old: WorkingOrder) -> tuple[int, int]:
    """Return what changed terms can cost beyond what the present ones reserve, and altogether."""
    new = d.order
    rules, now_ns = new.rules, new.ts_ns
    new.until_ns = until_ns = life_of(d.intent)
    new.fee_bound = gate.fee_bound(rules, new.price, new.quantity, now_ns, until_ns)
    price, quantity = old.widest(new.price, new.quantity)
    bound = gate.fee_bound(rules, price, quantity, now_ns, until_ns)
    d.worst = Terms(price, quantity, bound)
    cost = max(0, old.need_of(price, quantity, bound) - old.reserved)
    return cost, cost + old.reserved


def _first_broken(gate: Intake, d: Draft, cost: int, whole: int, kept: Ceilings) -> str:
    """Record each limit in turn; return the code of the first that is not kept."""
    d.raw.append(("order", whole, kept.order, whole <= kept.order))
    if whole > kept.order:
        return Code.ORDER_LIMIT
    for name, code, used, limit in ceilings(gate, d.order.rules, d.order.strategy_id, kept):
        value = used + cost
        d.raw.append((name, value, limit, value <= limit))
        if value > limit:
            return code
    return ""


def ceilings(
    gate: Intake, rules: InstrumentRules, strategy_id: str, kept: Ceilings
) -> list[tuple[str, Code, int, int]]:
    """Return (name, code, committed, limit) of every scope that a purchase counts in."""
    book, breaker = gate.book, gate.breaker
    in_market = rules.in_market.used
    out = [("market_exposure", Code.MARKET_LIMIT, in_market, kept.market)]
    if rules.in_event is not None:
        out.append(("event_exposure", Code.EVENT_LIMIT, rules.in_event.used, kept.event))
    out.append(("venue_exposure", Code.VENUE_LIMIT, rules.in_venue.used, kept.venue))
    out.append(("total_exposure", Code.TOTAL_LIMIT, book.committed, kept.total))
    family = book.families.get(strategy_id, "")
    used, base = book.family(family).used, kept.base
    if family in gate.budget:
        most = base * (gate.table.total * gate.budget[family] // NANO)
        out.append(("family_budget", Code.FAMILY_BUDGET, used, most))
    if family == breaker.family:
        out.append(("breaker_market", Code.BREAKER_LIMIT, in_market, base * breaker.market_share))
        out.append(("breaker_total", Code.BREAKER_LIMIT, used, base * breaker.total_share))
    return out


def room(gate: Intake, rules: InstrumentRules, strategy_id: str, over: Reach = "order") -> int:
    """Return the most that purchases may cost, fees included, under the limits that hold for them and the cash.

    `over` says what they share: one ``order``, several orders in the ``market``, or in several markets of
    the ``event``; narrower limits are not counted.
    """
    kept = gate.ceilings(rules)
    bounds = [gate.book.free_cash(rules.venue_code)]
    for name, _, used, most in ceilings(gate, rules, strategy_id, kept):
        if over != "event" or name not in OF_A_MARKET:
            bounds.append(most - used)
    if over == "order":
        bounds.append(kept.order)
    return max(0, min(bounds))


def first_refusal(gate: Intake, d: Draft) -> str:
    """Make the checks, cheap and structural ones first, money last; return the code of the first that fails."""
    return standing(gate, d) or terms(gate, d) or coverage(gate, d) or money(gate, d)
