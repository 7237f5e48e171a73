"""Polymarket fees: takers pay a curve of the market's own schedule, or of its category at that time."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from adapters.fee_input import require_probability, require_size, widest_variance
from adapters.polymarket.categories import (
    FEES_FROM_NS,
    FIVE_DECIMALS_FROM_NS,
    TABLES,
    Curve,
    category_of,
    table_at,
)
from core.domain.errors import FeeError
from core.domain.fees import FeeCharge, FeeFill, FeeSchedule, Role, Side
from core.domain.money import ONE, ZERO, ceil_to

QUANTUM = Decimal("0.00001")
EARLY_QUANTUM = Decimal("0.0001")
#: Sizes have two decimals, so a fill is at least this many shares.
LOT = Decimal("0.01")
#: A fee of at least one step rounds up by at most half a step, so never by more than half itself.
ROUNDING_CEILING = Decimal("1.5")
HALF = Decimal("0.5")
RULE_STARTS_NS = tuple(table.span.start_ns for table in TABLES[1:])
#: No tick is finer, so no share is cheaper.
LOWEST = Decimal("0.0001")


class PolymarketFeeBook:
    """Fee rules of Polymarket; no state is carried from fill to fill.

    Notes
    -----
    ``fee = shares * rate * (p * (1 - p)) ** exponent``, takers only, five decimals (four before
    2026-03-30); less than the smallest step is free. A market's own ``feeSchedule`` is the truth; a
    market without one pays what its category paid at that time. No market paid before 2026-01-06.
    """

    @property
    def rule_starts_ns(self) -> tuple[int, ...]:
        """When each table of categories began."""
        return RULE_STARTS_NS

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Charge `fill`.

        Raises
        ------
        FeeError
            For an unknown category or schedule kind, or a price or size that is not valid.
        """
        require_probability(fill.price)
        require_size(fill.quantity)
        curve, rule = terms_at(schedule, fill.role, fill.ts_ns)
        raw = fill.quantity * curve.rate * _power(fill.price * (ONE - fill.price), curve.exponent)
        return FeeCharge(rounded(raw, fill.ts_ns), rule, trade_fee=raw)

    def estimate(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Return the charge of `fill`; the same as `charge`, since there is no state."""
        return self.charge(schedule, fill)

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        """Return an upper bound of all fees of an order at `price` or better, in any fills and roles.

        Each fill rounds up by at most half a step, and there are at most as many fills as lots of
        0.01 shares; whatever the lots, never by more than half the fee, since less than a step is free.
        """
        require_probability(price)
        require_size(quantity)
        variance = widest_variance(price if side is Side.BUY else ONE - price)
        worst = ZERO
        for role in Role:
            curve, _ = terms_at(schedule, role, ts_ns)
            worst = max(worst, curve.rate * _power(variance, curve.exponent))
        raw, step = quantity * worst, quantum_at(ts_ns)
        by_lots = raw + ceil_to(quantity, LOT) / LOT * step * HALF
        return ceil_to(min(by_lots, raw * ROUNDING_CEILING), step)

    def worst_case_of_cash(
        self, schedule: FeeSchedule, price: Decimal, quantity: Decimal, ts_ns: int
    ) -> Decimal:
        """Return an upper bound of all fees of spending ``price * quantity`` dollars at `price` or better.

        A dollar spent at p pays ``rate * p ** (e - 1) * (1 - p) ** e``: more at a better price, since it
        buys more shares. The curve is highest at ``(e - 1) / (2e - 1)``, at most at `price`.
        """
        require_probability(price)
        require_size(quantity)
        step, worst = quantum_at(ts_ns), ZERO
        for role in Role:
            curve, _ = terms_at(schedule, role, ts_ns)
            e = curve.exponent
            at = min(price, max((e - ONE) / (2 * e - ONE) if e > HALF else ZERO, LOWEST))
            worst = max(worst, curve.rate * _power(at * (ONE - at), e) / at)
        raw = price * quantity * worst
        by_lots = raw + ceil_to(quantity, LOT) / LOT * step * HALF
        return max(
            self.worst_case(schedule, price, quantity, ts_ns),
            ceil_to(min(by_lots, raw * ROUNDING_CEILING), step),
        )

    def forget(self, order_id: str) -> None:
        """Do nothing: there is no per-order state."""


def terms_at(schedule: FeeSchedule, role: Role, ts_ns: int) -> tuple[Curve, str]:
    """Return the curve of this role at this time, and the name of the rule.

    Raises
    ------
    FeeError
        For an unknown category, an unknown kind, or a rate or exponent below zero.
    """
    if schedule.kind not in {"", "curve", "none"}:
        raise FeeError(
            "unknown Polymarket fee kind", schedule.kind, "use 'curve', 'none' or leave it empty"
        )
    table = table_at(ts_ns)
    if ts_ns < FEES_FROM_NS:
        return Curve(ZERO), table.span.name
    if schedule.kind == "none":
        return Curve(ZERO), "polymarket-market-without-fees"
    if schedule.rate is not None:
        curve, rule = Curve(schedule.rate, schedule.exponent), "polymarket-market-schedule"
        if not (curve.rate.is_finite() and curve.rate >= ZERO):
            raise FeeError("fee rate must be a number >= 0", curve.rate, "--rate 0.04")
        if not (curve.exponent.is_finite() and curve.exponent >= ZERO):
            raise FeeError("fee exponent must be a number >= 0", curve.exponent, "--exponent 1")
    else:
        category = category_of(schedule.category)
        curve, rule = table.curve(category), f"{table.span.name} {category}"
    if role is Role.MAKER:
        return Curve(schedule.maker_rate or ZERO, curve.exponent), rule
    return curve, rule


def quantum_at(ts_ns: int) -> Decimal:
    """Return the smallest fee step at this time, in dollars."""
    return QUANTUM if ts_ns >= FIVE_DECIMALS_FROM_NS else EARLY_QUANTUM


def rounded(raw: Decimal, ts_ns: int) -> Decimal:
    """Round a fee to the venue's step; less than one step is free."""
    step = quantum_at(ts_ns)
    if raw < step:
        return ZERO
    return (raw / step).to_integral_value(rounding=ROUND_HALF_EVEN) * step


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if exponent == ONE:
        return base
    return base**exponent if base else (ONE if exponent == ZERO else ZERO)
