"""Kalshi fees, exact to $0.0001: the quadratic curve, dated rounding rules, rebates per order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from adapters.fee_input import require_probability, require_size, widest_variance
from adapters.kalshi.rounding import CENT, CENTICENT, RoundedFill, round_fill
from adapters.kalshi.rules import (
    CENT_PER_ORDER,
    CENTICENT_DIRECT,
    CENTICENT_FROM_NS,
    DIRECT_GRAIN_FROM_NS,
    MAKER_CURVE_FROM_NS,
    rate_of,
    rule_at,
)
from adapters.order_totals import OrderTotals
from core.domain.clock import NS_PER_HOUR
from core.domain.errors import FeeError
from core.domain.fees import FeeCharge, FeeFill, FeeSchedule, Role, RuleSpan, Side
from core.domain.money import ONE, ZERO, ceil_to

#: Contracts trade in hundredths, so a fill is at least this large.
LOT = Decimal("0.01")
#: Charges that are remembered before they are worked out anew.
REMEMBERED = 65_536
#: Schedules whose charges are remembered.
SCHEDULES = 4_096

#: What a charge hangs on beside its schedule: side, role, price, quantity, what its order remembers, hour.
Terms = tuple[Side, Role, Decimal, Decimal, Decimal, int]


class KalshiFeeBook:
    """Fee rules of Kalshi with the per-order state that rounding and rebates need.

    Parameters
    ----------
    direct_member : bool
        Whether the account's balance has four decimals (API accounts; recorded fills show it).
        False: whole cents, as for accounts held through an intermediary.

    Notes
    -----
    Curve: ``rate * contracts * p * (1 - p)`` with rate 0.07 times the series' multiplier; maker rates
    by ``fee_type``. Until 2026-03-09 the fee of an order is that, rounded up to whole cents once for
    all its fills; after, see `adapters.kalshi.rounding`. Settlement is free.
    """

    def __init__(self, direct_member: bool = True) -> None:
        self.direct_member = direct_member
        self._cents = OrderTotals(CENT)
        self._accumulators: dict[str, Decimal] = {}
        self._known: dict[int, tuple[FeeSchedule, dict[Terms, tuple[FeeCharge, Decimal]]]] = {}

    @property
    def rule_starts_ns(self) -> tuple[int, ...]:
        """When the maker curve and the two rounding rules began."""
        return MAKER_CURVE_FROM_NS, CENTICENT_FROM_NS, DIRECT_GRAIN_FROM_NS

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Charge `fill` and update its order's running total or accumulator.

        Raises
        ------
        FeeError
            For a fee type that is not modelled, or a price or size that is not valid.
        """
        order_id = fill.order_id
        if fill.ts_ns < CENTICENT_FROM_NS:
            raw, rule = self._raw(schedule, fill)
            fee = self._cents.add(order_id, raw)
            return FeeCharge(fee, rule_name(rule, schedule), trade_fee=raw, rounding=fee - raw)
        accumulators = self._accumulators
        charge, accumulator = self._charged(schedule, fill, accumulators.get(order_id, ZERO))
        if accumulator:
            accumulators[order_id] = accumulator
        elif order_id in accumulators:
            del accumulators[order_id]
        return charge

    def _charged(
        self, schedule: FeeSchedule, fill: FeeFill, accumulator: Decimal
    ) -> tuple[FeeCharge, Decimal]:
        """Return the charge of a fill since 2026-03-09 and the accumulator that its order carries on.

        Remembered: a market has few prices and a strategy few sizes. Rules change on the hour, never
        within; a waiver may end at any moment, so a schedule with one is worked out each time.
        """
        known = self._known.get(id(schedule))
        if known is None:
            if len(self._known) >= SCHEDULES:
                self._known.clear()
            known = self._known[id(schedule)] = (schedule, {})  # kept, so that its id stays its own
        memory = known[1]
        hour = fill.ts_ns // NS_PER_HOUR
        terms = (fill.side, fill.role, fill.price, fill.quantity, accumulator, hour)
        found = memory.get(terms)
        if found is None:
            raw, rule = self._raw(schedule, fill)
            parts = self._round(fill, raw, accumulator, schedule)
            name = rule_name(rule, schedule)
            charge = FeeCharge(parts.fee, name, parts.trade_fee, parts.rounding, parts.rebate)
            found = charge, parts.accumulator
            if schedule.waiver_until_ns:
                return found
            if len(memory) >= REMEMBERED:
                memory.clear()
            memory[terms] = found
        return found

    def estimate(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Return the charge of `fill` as the first fill of its order; no state changes."""
        raw, rule = self._raw(schedule, fill)
        name = rule_name(rule, schedule)
        if rule is CENT_PER_ORDER:
            fee = ceil_to(raw, CENT)
            return FeeCharge(fee, name, trade_fee=raw, rounding=fee - raw)
        parts = self._round(fill, raw, ZERO, schedule)
        return FeeCharge(parts.fee, name, parts.trade_fee, parts.rounding, parts.rebate)

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        """Return an upper bound of all fees of an order at `price` or better, in any fills and roles.

        Since 2026-03-09 every fill's trade fee is rounded up to $0.0001, so the costliest way to be
        filled is in lots of 0.01; the accumulator can hold at most one more cent. A fee waiver does
        not lower the bound: the order can outlive it.
        """
        require_probability(price)
        require_size(quantity)
        if schedule.waiver_until_ns:
            schedule = replace(schedule, waiver_until_ns=0)
        rate = max(rate_of(schedule, Role.TAKER, ts_ns), self._maker_rate(schedule, ts_ns))
        variance = widest_variance(price if side is Side.BUY else ONE - price)
        if rule_at(ts_ns, self.direct_member) is CENT_PER_ORDER:
            return ceil_to(rate * quantity * variance, CENT)
        if _free(schedule):
            return ZERO
        lots = ceil_to(quantity, LOT) / LOT
        remembered = min(CENT, lots * self._grain(ts_ns))
        return lots * ceil_to(rate * LOT * variance, CENTICENT) + remembered

    def forget(self, order_id: str) -> None:
        """Drop the state of an order that cannot fill any more."""
        self._cents.forget(order_id)
        self._accumulators.pop(order_id, None)

    def _raw(self, schedule: FeeSchedule, fill: FeeFill) -> tuple[Decimal, RuleSpan]:
        require_probability(fill.price)
        require_size(fill.quantity)
        rate = rate_of(schedule, fill.role, fill.ts_ns)
        raw = rate * fill.quantity * fill.price * (ONE - fill.price)
        return raw, rule_at(fill.ts_ns, self.direct_member)

    def _round(
        self, fill: FeeFill, raw: Decimal, accumulator: Decimal, schedule: FeeSchedule
    ) -> RoundedFill:
        if _free(schedule):
            return RoundedFill(ZERO, ZERO, ZERO, ZERO)
        notional = fill.price * fill.quantity
        return round_fill(fill.side, notional, raw, self._grain(fill.ts_ns), accumulator)

    def _grain(self, ts_ns: int) -> Decimal:
        return CENTICENT if rule_at(ts_ns, self.direct_member) is CENTICENT_DIRECT else CENT

    def _maker_rate(self, schedule: FeeSchedule, ts_ns: int) -> Decimal:
        try:
            return rate_of(schedule, Role.MAKER, ts_ns)
        except (
            FeeError
        ):  # unknown maker history: charging such a fill raises, the taker rate bounds it
            return ZERO


def _free(schedule: FeeSchedule) -> bool:
    return schedule.kind == "none"


def rule_name(rule: RuleSpan, schedule: FeeSchedule) -> str:
    """Return the name a report shows: dated rule, fee type and multiplier."""
    kind = schedule.kind or "quadratic"
    return f"{rule.name} {kind} x{schedule.multiplier.normalize():f}"
