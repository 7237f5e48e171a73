"""The checks of one intent, in the order they are made. Each is pure: it reads state, records, answers.

A check returns an empty text, or the code of its refusal. What it saw and against which limit goes to
``draft.raw`` as integers; text is made of it only when somebody reads it.
"""

from __future__ import annotations

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent
from core.domain.errors import FeeError
from core.domain.fees import Side
from core.risk.instruments import InstrumentRules
from core.risk.intake import Intake
from core.risk.portfolio import Change, Terms, WorkingOrder, need
from core.risk.states import TradingState
from core.risk.throttle import Same
from core.risk.units import NANO, nanos_of, remembered_nanos, shares
from core.risk.verdict import Code, MarketView, RawChecks

#: A decision older than the gate's newest by more than this is made on a clock that stepped back.
CLOCK_TOLERANCE_NS = NS_PER_SECOND
#: Room for orders that only reduce: a throttle must not keep anybody from getting out.
REDUCING_RATE = 2


class Draft:
    """One intent under review: what is known so far, and the checks made."""

    __slots__ = (
        "buy", "cost", "fee_bound", "intent", "now_ns", "order", "price", "quantity", "raw",
        "rules", "same", "view", "worst",
    )  # fmt: skip

    rules: InstrumentRules
    same: Same
    worst: Terms

    def __init__(
        self, intent: OrderIntent, view: MarketView, order: WorkingOrder | None = None
    ) -> None:
        self.intent = intent
        self.view = view
        self.now_ns = view.now_ns
        self.order = order
        self.buy = intent.side is Side.BUY
        self.price = 0
        self.quantity = 0
        self.fee_bound = 0
        self.cost = 0
        self.raw: RawChecks = []

    def fail(
        self, name: str, value: object, limit: object, code: str, passed: tuple[object, ...] = ()
    ) -> str:
        """Record checks that were passed just before, then the failed one; return its code."""
        self.raw += passed
        self.raw += (name, value, limit, False)
        return code

    def change(self, order: WorkingOrder, nonce: int) -> Change:
        """Return the modification that was reviewed."""
        new = Terms(self.price, self.quantity, self.fee_bound)
        return Change(order.terms, new, self.worst, nonce)


def identity(gate: Intake, d: Draft) -> str:
    """Check that the id is new, the instrument known and the names its own."""
    intent = d.intent
    if intent.client_order_id in gate.book.known and d.order is None:
        return d.fail("duplicate_id", intent.client_order_id, "new", Code.DUPLICATE_ID)
    rules = gate.rules.get(intent.instrument_id)
    if rules is None:
        known = gate.knows_venue(intent.venue)
        code = Code.UNKNOWN_INSTRUMENT if known else Code.UNKNOWN_VENUE
        return d.fail("instrument", intent.instrument_id, "registered", code)
    if (
        intent.market_id != rules.market_id
        or intent.venue != rules.venue.code
        or intent.event_id != rules.event_id
    ):
        named = f"{intent.venue}/{intent.market_id}/{intent.event_id}"
        own = f"{rules.venue.code}/{rules.market_id}/{rules.event_id}"
        return d.fail("names", named, own, Code.INTENT_MISMATCH)
    d.rules = rules
    try:
        quantity = remembered_nanos(intent.quantity)
    except TypeError:  # a signalling NaN
        quantity = None
    if quantity is None or quantity <= 0:
        return d.fail("quantity", intent.quantity, "> 0", Code.INVALID_QUANTITY)
    d.quantity = quantity
    return ""


def control(gate: Intake, d: Draft) -> str:
    """Check halts, the strategy's right to trade, cool-downs and the clock. Selling is freer than buying."""
    state, strategy = gate.holds.state, d.intent.strategy_id
    if state is not TradingState.RUNNING:
        if state is TradingState.HALTED:
            return d.fail("trading", gate.holds.reason, "RUNNING", Code.HALTED)
        if d.buy:
            return d.fail("trading", gate.holds.reason, "RUNNING", Code.REDUCE_ONLY)
    d.raw += ("trading", state, state, True)
    family = gate.book.families.get(strategy)
    if family is None:
        return d.fail("strategy", strategy, "registered", Code.UNKNOWN_STRATEGY)
    if not d.buy:
        return ""
    if strategy in gate.stopped:
        return d.fail("strategy", gate.stopped[strategy], "running", Code.STRATEGY_STOPPED)
    if d.now_ns + CLOCK_TOLERANCE_NS < gate.now_ns:
        return d.fail("clock", d.now_ns, gate.now_ns, Code.CLOCK_BACK)
    governor = gate.governor
    if governor.paused_until or governor.barred_until:
        until = governor.cooling(strategy, d.rules.market_id, d.now_ns)
        if until:
            return d.fail("cooldown", f"until {until}", d.now_ns, Code.COOL_DOWN)
    return _family_may(gate, d, family) if family else ""


def _family_may(gate: Intake, d: Draft, family: str) -> str:
    """Check that the phase of the fund and the arbitrage breaker let the family buy."""
    if not gate.phase.allows(family):
        return d.fail("phase", family, gate.phase.phase.name, Code.PHASE)
    breaker = gate.breaker
    if family == breaker.family and (why := breaker.refuses(d.rules.market_id, d.now_ns)):
        return d.fail("breaker", why, "CLOSED", Code.BREAKER_OPEN)
    return ""


def market(gate: Intake, d: Draft) -> str:
    """Check that the market takes orders, is not on the blacklist, and its book is fresh."""
    rules = d.rules
    if why := rules.state.closed_because(d.now_ns):
        return d.fail("market", why, "active", Code.MARKET_CLOSED)
    if not d.buy:
        d.raw += ("market", "active", "active", True)
        return ""
    barred = gate.table.blacklist
    if barred and not barred.isdisjoint(rules.labels):
        named = ",".join(sorted(barred & rules.labels))
        return d.fail("blacklist", named, "not listed", Code.BLACKLISTED)
    if gate.barred and (void := gate.barred.get(rules.market_id)):
        return d.fail("barred", void, "no void", Code.MARKET_BARRED)
    age, most = d.view.book_age_ns, gate.table.book_age_ns
    good = age <= most
    d.raw += ("market", "active", "active", True, "book_age_ns", age, most, good)
    return "" if good else Code.STALE_BOOK


def price(gate: Intake, d: Draft) -> str:
    """Find the worst price at which the order may trade; check grid and collar."""
    limit, rules = d.intent.price, d.rules
    if limit is None:
        return _market_price(gate, d)
    try:
        at = remembered_nanos(limit)
    except TypeError:  # a signalling NaN
        at = None
    if at is None and not limit.is_finite():
        return d.fail("price", limit, "finite", Code.INVALID_PRICE)
    if at is None or not rules.grid.contains(at):
        ends = f"{shares(rules.grid.lowest)}..{shares(rules.grid.highest)}"
        return d.fail("price_grid", limit, ends, Code.PRICE_OFF_GRID)
    d.price = at
    return _collar(gate, d)


def _market_price(gate: Intake, d: Draft) -> str:
    """Price a market order at its worst case: the touch moved by the allowed slippage."""
    touch = d.view.ask if d.buy else d.view.bid
    at = nanos_of(touch) if touch is not None else None
    if at is None or at <= 0:
        return d.fail("reference", touch, "a quote", Code.NO_REFERENCE)
    slip = at * gate.table.slippage // NANO
    grid = d.rules.grid
    d.price = grid.ceil(at + slip) if d.buy else grid.floor(at - slip)
    d.raw += ("worst_price", d.price, at, True)
    return ""


def _collar(gate: Intake, d: Draft) -> str:
    """Check that the price does not reach too far through the market (a fat finger)."""
    near, far = (d.view.ask, d.view.bid) if d.buy else (d.view.bid, d.view.ask)
    touch = near if near is not None else far
    at = nanos_of(touch) if touch is not None else gate.book.marks.get(d.rules.instrument_id)
    if at is None or at <= 0:
        on_grid = ("price_grid", d.price, "grid", True)
        return d.fail("reference", touch, "a quote", Code.NO_REFERENCE, on_grid)
    table = gate.table
    reach = max(at * table.collar // NANO, table.collar_ticks * d.rules.grid.step_at(at))
    bound = at + reach if d.buy else at - reach
    good = d.price <= bound if d.buy else d.price >= bound
    d.raw += ("price_grid", d.price, "grid", True, "collar", d.price, bound, good)
    return "" if good else Code.COLLAR


def size(gate: Intake, d: Draft) -> str:
    """Check size step, minimum and visible depth."""
    rules, quantity = d.rules, d.quantity
    if quantity % rules.size_step:
        return d.fail("size_step", quantity, rules.size_step, Code.SIZE_OFF_STEP)
    good = quantity >= rules.min_size
    d.raw += ("size", quantity, rules.min_size, good)
    if not good:
        return Code.SIZE_TOO_SMALL
    if d.view.depth is None or not d.buy or not _takes(d):
        return ""
    depth = nanos_of(d.view.depth) or 0
    most = depth * gate.table.depth_share // NANO
    good = quantity <= most
    d.raw += ("depth", quantity, most, good)
    return "" if good else Code.LIQUIDITY


def _takes(d: Draft) -> bool:
    """Return whether the purchase would trade against the book at once."""
    if d.intent.price is None:
        return True
    return d.view.ask is not None and d.intent.price >= d.view.ask


def pace(gate: Intake, d: Draft) -> str:
    """Check the order rate, repeated intents and the number of open and unknown orders."""
    intent, throttle, buy, now_ns = d.intent, gate.throttle, d.buy, d.now_ns
    sent, fast = throttle.rate(intent.strategy_id, buy, now_ns)
    if not buy:
        fast *= REDUCING_RATE
    if sent > fast:
        return d.fail("rate", sent, fast, Code.RATE)
    d.same = (intent.strategy_id, intent.instrument_id, buy, d.price, d.quantity)
    again, often = throttle.repeats(d.same, now_ns)
    passed: tuple[object, ...] = ("rate", sent, fast, True)
    if again > often:
        return d.fail("repeats", again, often, Code.REPEATED, passed)
    passed += ("repeats", again, often, True)
    if not buy:
        d.raw += passed
        return ""
    book, table = gate.book, gate.table
    if book.unknown >= table.unknown_orders:
        return d.fail(
            "unknown_orders", book.unknown, table.unknown_orders, Code.UNKNOWN_ORDERS, passed
        )
    d.raw += passed
    count, most = len(book.orders), table.open_orders
    good = count < most or d.order is not None
    d.raw += (
        "unknown_orders", book.unknown, table.unknown_orders, True, "open_orders", count, most, good,
    )  # fmt: skip
    return "" if good else Code.OPEN_ORDERS


def coverage(gate: Intake, d: Draft) -> str:
    """Check that a sale is covered and that a buy does not open the opposite of what is held."""
    rules = d.rules
    if not d.buy:
        own = d.order.leaves if d.order is not None else 0
        filled = d.order.filled if d.order is not None else 0
        free = gate.book.sellable(d.intent.strategy_id, rules) + own
        good = d.quantity - filled <= free
        d.raw += ("covered_sell", d.quantity - filled, free, good)
        return "" if good else Code.COVERED_SELL
    if rules.venue.nets_outcomes:
        opposite = gate.book.held.get(rules.opposite_id, 0)
        d.raw += ("opposite_held", opposite, 0, opposite <= 0)
        return "" if opposite <= 0 else Code.OPPOSITE_HELD
    return ""


def worst_case(gate: Intake, d: Draft) -> str:
    """Work out what the order can cost at worst, beyond what its present terms already reserve."""
    order, price, quantity = d.order, d.price, d.quantity
    try:
        d.fee_bound = gate.fee_bound(d.rules, price, quantity, d.now_ns)
        if order is None:
            d.cost = need(d.buy, price, quantity, d.fee_bound)
            return ""
        price, quantity = order.widest(price, quantity)
        d.worst = Terms(price, quantity, gate.fee_bound(d.rules, price, quantity, d.now_ns))
    except FeeError as exc:
        return d.fail("fee", exc.what, "a known fee rule", Code.FEE_UNKNOWN)
    d.cost = max(0, order.need_of(d.worst) - order.reserved)
    return ""


def exposure(gate: Intake, d: Draft) -> str:
    """Check the order's worst case against order, market, event, venue, total and family limits.

    Nearly always all are kept: then one comparison and one record do. Otherwise `ceilings` names the
    first that is not.
    """
    cost = d.cost
    if not d.buy or not cost:
        return ""
    book, table, rules = gate.book, gate.table, d.rules
    base = _base(gate, rules)
    whole = cost if d.order is None else cost + d.order.reserved
    most = order_ceiling(gate, base)
    event_id = rules.event_id
    if event_id and not book.families.get(d.intent.strategy_id):
        market = book.by_market.get(rules.market_id, 0) + cost
        event = book.by_event.get(event_id, 0) + cost
        venue = book.by_venue.get(rules.venue.code, 0) + cost
        total = book.committed + cost
        of_market, of_event = base * table.market, base * table.event
        of_venue, of_total = base * table.venue, base * table.total
        if (
            whole <= most
            and market <= of_market
            and event <= of_event
            and venue <= of_venue
            and total <= of_total
        ):
            d.raw += (
                "order", whole, most, True, "market_exposure", market, of_market, True,
                "event_exposure", event, of_event, True, "venue_exposure", venue, of_venue, True,
                "total_exposure", total, of_total, True,
            )  # fmt: skip
            return ""
    return _first_broken(gate, d, whole, most, base)


def _first_broken(gate: Intake, d: Draft, whole: int, most: int, base: int) -> str:
    """Record each limit in turn; return the code of the first that is not kept."""
    d.raw += ("order", whole, most, whole <= most)
    if whole > most:
        return Code.ORDER_LIMIT
    for name, code, used, limit in ceilings(gate, d.rules, d.intent.strategy_id, base):
        value = used + d.cost
        d.raw += (name, value, limit, value <= limit)
        if value > limit:
            return code
    return ""


def _base(gate: Intake, rules: InstrumentRules) -> int:
    """Return the equity that shares are taken of, in billionths of a dollar (so that times a share in
    billionths is money): what posture, volatility and phase leave of it.
    """
    governor, book = gate.governor, gate.book
    factor = governor.factor(*rules.labels) if governor.volatile else governor.left
    base = (book.cash_total + book.marked) // NANO
    if base <= 0:
        return 0
    if factor != NANO:
        base = base * factor // NANO
    return base if gate.phase.factor == NANO else base * gate.phase.factor // NANO


def order_ceiling(gate: Intake, base: int) -> int:
    """Return the most that one order may cost."""
    return min(base * gate.table.order, gate.table.order_usd)


def ceilings(
    gate: Intake, rules: InstrumentRules, strategy_id: str, base: int
) -> list[tuple[str, Code, int, int]]:
    """Return (name, code, committed, limit) of every scope that a purchase counts in."""
    book, table, breaker = gate.book, gate.table, gate.breaker
    in_market = book.by_market.get(rules.market_id, 0)
    in_venue = book.by_venue.get(rules.venue.code, 0)
    out = [("market_exposure", Code.MARKET_LIMIT, in_market, base * table.market)]
    if rules.event_id:
        in_event = book.by_event.get(rules.event_id, 0)
        out.append(("event_exposure", Code.EVENT_LIMIT, in_event, base * table.event))
    out.append(("venue_exposure", Code.VENUE_LIMIT, in_venue, base * table.venue))
    out.append(("total_exposure", Code.TOTAL_LIMIT, book.committed, base * table.total))
    family = book.families.get(strategy_id, "")
    if family in gate.budget:
        most = base * (table.total * gate.budget[family] // NANO)
        out.append(("family_budget", Code.FAMILY_BUDGET, book.by_family.get(family, 0), most))
    if family == breaker.family:
        used = book.by_family.get(family, 0)
        out.append(("breaker_market", Code.BREAKER_LIMIT, in_market, base * breaker.market_share))
        out.append(("breaker_total", Code.BREAKER_LIMIT, used, base * breaker.total_share))
    return out


def room(gate: Intake, rules: InstrumentRules, strategy_id: str) -> int:
    """Return the most that one more purchase may cost, fees included, under every limit and the cash."""
    base = _base(gate, rules)
    bounds = [most - used for _, _, used, most in ceilings(gate, rules, strategy_id, base)]
    free = gate.book.free_cash(rules.venue.code)
    return max(0, min(*bounds, free, order_ceiling(gate, base)))


def cash(gate: Intake, d: Draft) -> str:
    """Check the worst case against cash that nothing else reserves. An exit that costs nothing needs none."""
    free = gate.book.free_cash(d.rules.venue.code)
    good = d.cost <= free or d.cost == 0
    d.raw += ("cash", d.cost, free, good)
    return "" if good else Code.CASH


#: Cheap and structural first, money last; the first that fails names the refusal.
CHECKS = (
    identity,
    control,
    market,
    price,
    size,
    pace,
    coverage,
    worst_case,
    exposure,
    cash,
)
