"""What the gate is told: orders, fills, settlements, markets, cash, marks, time. Each call moves its book.

The engine calls these from its own events, in their order, in every mode; feeding the same calls again
rebuilds the same state. Times are arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from core.domain.fees import FeeSchedule, Side
from core.domain.market import Market, MarketStatus
from core.risk import unusable
from core.risk.breaker import CircuitBreaker
from core.risk.budget import FamilyResult
from core.risk.families import Families
from core.risk.governor import NS_PER_MINUTE, Governor
from core.risk.inspection import Inspection
from core.risk.instruments import InstrumentRules, MarketState, VenueRules, rules_of
from core.risk.limits import Limits
from core.risk.phases import FundPhase
from core.risk.portfolio import Trade
from core.risk.states import Holds, RiskEvent, TradingState, taken_back
from core.risk.throttle import Throttle
from core.risk.units import NANO, attos_down, attos_up, dollars, nanos_of, nanos_of_text
from core.risk.volatility import VolatilityWatch
from core.risk.working import APPROVED, UNKNOWN, WORKING, Terms, WorkingOrder

#: Strategy that owns fills and positions no strategy of ours asked for.
EXTERNAL = "EXTERNAL"


class Intake(Inspection):
    """State of the gate and everything that moves it; `Gate` adds the judgement."""

    def __init__(self, venues: Iterable[VenueRules], limits: Limits) -> None:
        super().__init__(limits)
        self.now_ns = 0
        self._seen_equity = -1
        self._next_look_ns = 0
        self._events: list[RiskEvent] = []
        self.holds = Holds(self._events)
        self.governor = Governor(limits, self.holds, self._events)
        self.volatility = VolatilityWatch(self.governor)
        self.breaker = CircuitBreaker(limits, self._events)
        self.throttle = Throttle(limits.rate)
        self.phase = FundPhase(limits.phases)
        self.stopped: dict[str, str] = {}
        self.barred: dict[str, str] = {}
        self.budget: dict[str, int] = {}
        #: Families that have ceilings of their own.
        self.bounded = frozenset({self.breaker.family})
        self.families = Families(self.governor, self._events)
        self._rounds: dict[tuple[str, str], int] = {}
        self._paid_out: Counter[str] = Counter()
        self._venues = {v.code: v for v in venues}
        self.rules: dict[str, InstrumentRules] = {}
        self._states: dict[str, MarketState] = {}
        self._fee_terms: dict[tuple[str, FeeSchedule], int] = {}

    def knows_venue(self, code: str) -> bool:
        """Return whether this venue may be traded at all."""
        return code in self._venues

    @property
    def stirred(self) -> bool:
        """Whether `drain` has something to tell, or everything is to be sold."""
        return bool(self._events) or self.holds.state is TradingState.LIQUIDATING

    def drain(self) -> list[RiskEvent]:
        """Return the moves since the last call, for the ledger, and forget them."""
        out = self._events[:]
        self._events.clear()
        return out

    # -- strategies and limits ----------------------------------------------------------------------

    def on_strategy(self, strategy_id: str, family: str = "") -> None:
        """Let a strategy trade. Intents of strategies that were never named here are refused."""
        self.stopped.pop(strategy_id, None)
        self.book.enrol(strategy_id, family)
        self._share_out()

    def on_strategy_stopped(self, strategy_id: str, reason: str = "stopped") -> None:
        """Let a strategy only reduce from here on (a stopped object can still send orders)."""
        self.stopped[strategy_id] = reason

    def set_limits(self, limits: Limits) -> None:
        """Put changed limits in force. Only the operator's command path calls this."""
        self.bind(limits)
        self.governor.set_limits(limits)
        self.breaker.set_limits(limits)
        self.throttle.set_limits(limits.rate)
        self._share_out()
        if limits.phases != self.phase.phases:
            self.phase = FundPhase(limits.phases)
            self.phase.observe(self.book.equity)

    def _share_out(self) -> None:
        """Divide the risk budget anew: when a strategy or limits come in, on a new day, on a new posture."""
        families = self.book.families.values()
        self.set_budget(self.families.divide(families, self.limits.budget, self.now_ns))

    def set_budget(self, shares: Mapping[str, Decimal]) -> None:
        """Bound strategy families to shares of the total limit (`core.risk.budget.allocate`)."""
        self.budget = {family: nanos_of(share) or 0 for family, share in shares.items()}
        self.bounded = frozenset({self.breaker.family, *self.budget})

    def on_resume(self, now_ns: int) -> None:
        """Lift every hold by the operator's word; losses are judged anew from here."""
        self._advance(now_ns)
        self.governor.resume(now_ns)
        self.breaker.reset(now_ns)
        self.barred.clear()
        for source in list(self.holds.sources):
            self.holds.put(source, TradingState.RUNNING, "operator", now_ns)

    def on_hold(self, source: str, state: TradingState, reason: str, ts_ns: int) -> None:
        """Let a source (ledger, readiness, feed) hold trading at `state`; RUNNING lifts its hold."""
        self._advance(ts_ns)
        self.holds.put(source, state, reason, ts_ns)

    # -- time ---------------------------------------------------------------------------------------

    def on_time(self, now_ns: int) -> None:
        """Let time pass: windows, cool-downs and the day move, equity is judged. Call every second."""
        self._advance(now_ns)
        self._seen_equity = -1
        self._observe()

    def _advance(self, ts_ns: int) -> None:
        """Move the gate's time; it never runs backwards."""
        if ts_ns > self.now_ns:
            self.now_ns = ts_ns

    def _observe(self) -> None:
        """Judge equity: when it has moved, and at least once a minute."""
        book, now_ns = self.book, self.now_ns
        equity = book.equity
        if equity == self._seen_equity and now_ns < self._next_look_ns:
            return
        self._seen_equity = equity
        self._next_look_ns = (now_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
        self.governor.observe(now_ns, equity, book.transferred)
        if self.families.due:
            self._share_out()
        before = self.phase.index
        if self.phase.observe(equity):
            phases, after = self.phase.phases, self.phase.index
            self._events.append(
                RiskEvent(now_ns, "phase", "fund", phases[before].name, phases[after].name)
            )
        if self.holds.state is TradingState.LIQUIDATING and not book.held and not book.orders:
            self.governor.flat(now_ns)

    # -- orders -------------------------------------------------------------------------------------

    def on_working(self, client_order_id: str, ts_ns: int = 0) -> None:
        """Note that the venue has accepted the order (also one that was unknown)."""
        if ts_ns > self.now_ns:
            self.now_ns = ts_ns
        book = self.book
        order = book.orders.get(client_order_id)
        if order is not None:
            if order.state is UNKNOWN:
                book.unknown -= 1
            order.state = WORKING
            if book.families.get(order.strategy_id) == self.breaker.family:
                self.breaker.success(client_order_id, self.now_ns)

    def on_unknown(self, client_order_id: str, ts_ns: int = 0) -> None:
        """Note that the fate of a sent order is unknown; it stays reserved until proof."""
        self._advance(ts_ns)
        order = self.book.orders.get(client_order_id)
        if order is not None and order.state is not UNKNOWN:
            self.book.set_state(order, UNKNOWN)
            self._breaker_error(order, "unknown")

    def on_done(
        self,
        client_order_id: str,
        ts_ns: int = 0,
        *,
        proven: bool = True,
        rejected: bool = False,
    ) -> bool:
        """Note that the order can fill no more (cancelled, rejected, expired, denied).

        Parameters
        ----------
        proven : bool
            False when nobody at the venue said so (an engine's own time-out): an order that was sent
            then stays reserved as unknown.
        rejected : bool
            True when the venue refused it: an error for the arbitrage breaker.

        Returns
        -------
        bool
            Whether the reservation was released.
        """
        self._advance(ts_ns)
        order = self.book.orders.get(client_order_id)
        if order is None:
            return False
        if not proven and order.state is not APPROVED:
            self.on_unknown(client_order_id, ts_ns)
            return False
        self.book.close(order)
        if rejected:
            self._breaker_error(order, "rejected")
        elif order.strategy_id in self.book.families:
            self.breaker.neither(client_order_id)
        return True

    def on_legs(
        self,
        strategy_id: str,
        market_ids: Iterable[str],
        missing: Iterable[str],
        ts_ns: int,
        *,
        attempt: bool = True,
    ) -> None:
        """Note how orders that belong together ended: all filled equally, or those of `missing` not.

        Parameters
        ----------
        market_ids, missing : iterable of str
            Markets of all legs, and of those that were not filled.
        attempt : bool
            Whether it was one attempt that should have been filled whole (a basket); False for bids that
            wait on both sides, of which one is expected to be filled first.
        """
        self._advance(ts_ns)
        if self.book.families.get(strategy_id) != self.breaker.family:
            return
        lacking = sorted(set(missing))
        for market_id in lacking:
            self.breaker.mismatch(market_id, ts_ns)
        for market_id in () if lacking else sorted(set(market_ids)):
            self.breaker.matched(market_id)
        if attempt:
            self.breaker.attempt(bool(lacking), f"legs missing in {', '.join(lacking)}", ts_ns)

    def on_modify_rejected(self, client_order_id: str, ts_ns: int = 0) -> None:
        """Note that a modification was not made: the old terms hold. One that was made: `Gate.adopt_change`."""
        self._advance(ts_ns)
        order = self.book.orders.get(client_order_id)
        if order is not None:
            self.book.no_longer_waits(order)
            self._end_change(order, accepted=False)

    def _end_change(self, order: WorkingOrder, *, accepted: bool) -> None:
        """Reserve for the terms that hold now. What has filled may have paid the fees of the old ones."""
        change = order.change
        if change is None:
            return
        bound = None
        if accepted:
            left = change.new.quantity - order.filled
            rest = (
                self.fee_bound(order.rules, change.new.price, left, self.now_ns, order.until_ns)
                if left > 0
                else 0
            )
            bound = min(change.worst.fee_bound, order.fee_paid + rest)
        self.book.end_change(order, bound)

    # -- fills --------------------------------------------------------------------------------------

    def on_fill(
        self,
        client_order_id: str,
        trade_id: str,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        ts_ns: int = 0,
        *,
        provisional: bool = False,
        instrument_id: str = "",
        strategy_id: str = EXTERNAL,
        side: Side | None = None,
    ) -> bool:
        """Book a fill: shares, cash and fee move, the reservation shrinks by what was filled.

        Parameters
        ----------
        fee : Decimal
            Dollars taken; negative for a rebate.
        provisional : bool
            True for a trade that the venue can still undo: its shares cannot be sold and its proceeds
            cannot be spent until `on_confirmed`.
        instrument_id, strategy_id, side
            Needed only for a fill of an order that the gate has not seen.

        Returns
        -------
        bool
            False when this trade was booked before (nothing changes).

        Raises
        ------
        MarketError
            For a fill that is no fill: nothing is booked.
        """
        if ts_ns > self.now_ns:
            self.now_ns = ts_ns
        book = self.book
        if trade_id in book.trades or trade_id in book.provisional:
            return False
        size, at = nanos_of_text(str(quantity)), nanos_of_text(str(price))
        if size is None or at is None or size <= 0 or at < 0 or not fee.is_finite():
            raise unusable.no_fill(quantity, price)
        paid = attos_up(fee)
        order = book.orders.get(client_order_id) or book.finished.get(client_order_id)
        if order is None:
            rules = self.rules.get(instrument_id)
            if rules is None or side is None:
                raise unusable.unknown_fill(client_order_id)
            buy = side is Side.BUY
            self._anomaly("EXTERNAL_FILL", f"{client_order_id} {instrument_id}")
            self._strangers(rules, strategy_id)
        else:
            rules, buy, strategy_id = order.rules, order.buy, order.strategy_id
            self._inspect(order, size, at, paid)
            if client_order_id in book.orders:
                book.consume(order, size, at, paid)
                if book.families.get(strategy_id) == self.breaker.family:
                    self.breaker.success(client_order_id, self.now_ns)
        cash = -(at * size) - paid if buy else at * size - paid
        profit = book.take(trade_id, Trade(rules, strategy_id, buy, size, cash, 0, provisional), at)
        self.families.count(book.families.get(strategy_id, ""), -cash if buy else 0)
        if not buy:
            self._realised(strategy_id, rules, profit, stop=order is not None and order.stop)
            if book.held.get(rules.instrument_id, 0) < 0:
                self._anomaly("SHORT", rules.instrument_id)
        return True

    def on_confirmed(self, trade_id: str) -> None:
        """Note that a provisional trade is final."""
        self.book.confirm(trade_id)

    def on_fill_voided(self, trade_id: str, ts_ns: int = 0) -> bool:
        """Undo a trade the venue voided and bar its market to purchases until a resume; False when unknown."""
        self._advance(ts_ns)
        trade = self.book.void(trade_id)
        self._anomaly("VOIDED" if trade else "VOID_UNKNOWN", trade_id)
        if trade is not None:
            self._strangers(trade.rules, trade.strategy_id)
            self.barred[trade.rules.market_id] = taken_back(trade_id)
        return trade is not None

    def on_barred(self, market_id: str, reason: str) -> None:
        """Bar a market to purchases until a resume, as a void does: an earlier run has barred it."""
        self.barred[market_id] = reason

    # -- results ------------------------------------------------------------------------------------

    @property
    def results(self) -> dict[str, FamilyResult]:
        """What each strategy family has earned and risked so far."""
        return self.families.results

    def _count(self, strategy_id: str, risked: int, profit: int = 0, trades: int = 0) -> None:
        self.families.count(self.book.families.get(strategy_id, ""), risked, profit, trades)

    def _realised(
        self, strategy_id: str, rules: InstrumentRules, profit: int, *, stop: bool = False
    ) -> None:
        """Add realised profit to its round trip; judge the round trip when nothing of it is left."""
        key = (strategy_id, rules.group)
        total = self._rounds.pop(key, 0) + profit
        if stop and profit < 0:
            self.governor.stopped_out(strategy_id, rules.market_id, self.now_ns)
        if key in self.book.groups:
            self._rounds[key] = total
            return
        self._count(strategy_id, 0, total, 1)
        self.governor.trade_closed(strategy_id, total, self.now_ns)
        if self.book.families.get(strategy_id) == self.breaker.family:
            self.breaker.result(total, self.book.equity, self.now_ns)

    # -- markets and money --------------------------------------------------------------------------

    def on_market(self, market: Market) -> None:
        """Register a market, or take over its changed grid, fees or hours.

        Raises
        ------
        MarketError
            If its venue is not one of the gate's.
        """
        venue = self._venues.get(market.venue)
        if venue is None:
            raise unusable.unknown_venue(market.venue)
        state = self._states.get(market.market_id)
        if state is None:
            state = self._states[market.market_id] = MarketState(market)
        else:
            state.move(market.status)
            state.set_hours(market.open_ns, market.close_ns)
        terms = (market.venue, market.fees)
        number = self._fee_terms.setdefault(terms, len(self._fee_terms))
        for rules in rules_of(
            market,
            venue,
            state,
            number,
            self.book.resting,
            self.book.scope,
            self.book.purse(venue.code),
            self.quotes_of,
        ):
            old = self.rules.get(rules.instrument_id)
            self.rules[rules.instrument_id] = rules
            if old is not None and old.fees != rules.fees:
                self._charge_anew(rules)

    def _charge_anew(self, rules: InstrumentRules) -> None:
        """Reserve for the worse of the old and the new fees of what works in this instrument."""
        for order in self.book.orders.values():
            if order.rules.instrument_id != rules.instrument_id:
                continue

            def bound(terms: Terms, of: WorkingOrder = order) -> Terms:
                at, size = terms.price, terms.quantity
                fee = self.bound_of(rules, at, size, self.now_ns, of.until_ns, of.by_cash)
                return Terms(at, size, max(terms.fee_bound, fee))

            self.book.rebound(order, rules, bound)

    def on_status(self, market_id: str, status: MarketStatus) -> None:
        """Move a market to a new status; unknown markets are ignored (they cannot be traded)."""
        if (state := self._states.get(market_id)) is not None:
            state.move(status)

    def on_settlement(self, instrument_id: str, payout: Decimal, ts_ns: int = 0) -> None:
        """Pay out an outcome: its holdings become cash; the market takes no more orders."""
        self._advance(ts_ns)
        rules, paid = self.rules.get(instrument_id), nanos_of(payout)
        if rules is None or paid is None or paid < 0:
            raise unusable.no_settlement(instrument_id)
        rules.state.resolve()
        self.volatility.forget(rules, self.now_ns)
        purse = self.book.purse(rules.venue_code)
        before = purse.cash
        for strategy_id, profit in self.book.settle(rules, paid).items():
            self._realised(strategy_id, rules, profit)
        self._paid_out[rules.venue_code] += purse.cash - before

    def paid_out(self, venue: str) -> Decimal:
        """Return the dollars that settlements have brought at a venue so far."""
        return dollars(self._paid_out[venue])

    def on_difference(self, instrument_id: str, detail: str, ts_ns: int) -> None:
        """Count that the venue's statement shows other shares, or without an instrument other cash, than this book."""
        self._advance(ts_ns)
        self._anomaly("ACCOUNT_DIFFERS", detail)
        rules = self.rules.get(instrument_id)
        if rules is not None:
            self._strangers(rules, EXTERNAL)
        elif self.breaker.family in self.book.families.values():
            self.breaker.error("", "cash differs from the venue's", self.now_ns)

    def on_merge(self, strategy_id: str, market_id: str, quantity: Decimal, ts_ns: int = 0) -> None:
        """Turn pairs of both outcomes into dollars (a venue that nets, or a merge on chain)."""
        self._advance(ts_ns)
        yes, no = self._pair(market_id)
        profit = self.book.merge(strategy_id, yes, no, nanos_of(quantity) or 0)
        self._realised(strategy_id, yes, profit)

    def on_netted(
        self,
        strategy_id: str,
        instrument_id: str,
        quantity: Decimal,
        proceeds: Decimal,
        ts_ns: int = 0,
    ) -> None:
        """Take shares that the venue netted against another owner's of the opposite outcome."""
        self._advance(ts_ns)
        rules, size = self.rules[instrument_id], nanos_of(quantity) or 0
        profit = self.book.net(strategy_id, rules, size, attos_down(proceeds))
        self._realised(strategy_id, rules, profit)

    def on_split(self, strategy_id: str, market_id: str, quantity: Decimal, ts_ns: int = 0) -> None:
        """Turn dollars into pairs of both outcomes."""
        self._advance(ts_ns)
        yes, no = self._pair(market_id)
        self.book.split(strategy_id, yes, no, nanos_of(quantity) or 0)

    def _pair(self, market_id: str) -> tuple[InstrumentRules, InstrumentRules]:
        legs = [r for r in self.rules.values() if r.market_id == market_id]
        if len(legs) != 2:
            raise unusable.not_binary(market_id)
        return legs[0], legs[1]

    def on_position(
        self, strategy_id: str, instrument_id: str, quantity: Decimal, average_price: Decimal
    ) -> None:
        """Take over a holding found at the start (reconciliation)."""
        rules, size, at = self.rules.get(instrument_id), nanos_of(quantity), nanos_of(average_price)
        if rules is None or size is None or at is None or size <= 0:
            raise unusable.no_position(instrument_id)
        self.book.marks.setdefault(instrument_id, at)
        self.book.open_position(strategy_id, rules, size, at * size)

    def on_cash(self, venue: str, cash: Decimal) -> None:
        """Set a venue's whole balance (reserved money included) as its account states it.

        For the start and reconciliation; the first call of a venue counts as money brought in, a later
        difference as profit or loss. Fills, fees, settlements and merges are booked by their own calls:
        do not feed account updates that repeat them.
        """
        if not cash.is_finite():
            raise unusable.no_amount("balance", cash)
        self.book.set_cash(venue, attos_down(cash))

    def on_transfer(self, venue: str, amount: Decimal) -> None:
        """Book a deposit (positive) or a withdrawal: it is neither profit nor loss."""
        if not amount.is_finite():
            raise unusable.no_amount("transfer", amount)
        self.book.transfer(venue, attos_down(amount))

    def on_price(
        self, instrument_id: str, bid: Decimal | None, ask: Decimal | None, ts_ns: int
    ) -> None:
        """Take a look at the price of something traded, for the volatility governor. Call every step.

        Only the middle of a tight book is a price here; a wide or one-sided one tells nothing.
        """
        self._advance(ts_ns)
        rules = self.rules.get(instrument_id)
        if rules is None or bid is None or ask is None:
            return
        low, high = nanos_of(bid), nanos_of(ask)
        if low is None or high is None or low > high or rules.state.closed_because(ts_ns):
            return
        middle = (low + high) // 2
        if (high - low) * NANO <= self.table.mark_spread * max(NANO, middle):
            self.volatility.look(rules, middle, ts_ns)

    def on_mark(
        self, instrument_id: str, bid: Decimal | None, ask: Decimal | None, ts_ns: int = 0
    ) -> None:
        """Value a held outcome from its book; cheap when nothing is held.

        The middle of a tight book is the value, and a lone bid is. A wide book or a lone ask only
        bounds the last value: an empty book must not look like a crash, nor a wide one like a profit.
        What an earlier process bought (`on_position`) is valued at its first price, as brought in.
        """
        if instrument_id not in self.book.held:
            return
        low = nanos_of_text(str(bid)) if bid is not None else None
        high = nanos_of_text(str(ask)) if ask is not None else None
        last, unseen = self.book.marks[instrument_id], instrument_id in self.book.unseen
        if low is not None and high is not None:
            if low > high:
                return
            middle = (low + high) // 2
            if (high - low) * NANO <= self.table.mark_spread * max(NANO, middle):
                if unseen:
                    self.book.first_sight(instrument_id, middle)
                elif middle != last:
                    self.book.mark(instrument_id, middle)
                return
        if high is None:
            price = last if low is None else low
        else:
            price = min(last if low is None else max(last, low), high)
        if unseen and not (low is None and high is None):
            self.book.first_sight(instrument_id, price if low is None else low)
        elif price != last:
            self.book.mark(instrument_id, price)
        self._advance(ts_ns)
