"""Crypto spot fees: a rate on notional for maker and taker, base tier unless the schedule says more."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.fee_input import require_price, require_size
from adapters.order_totals import OrderTotals
from core.domain.errors import FeeError
from core.domain.fees import FeeCharge, FeeFill, FeeSchedule, Role, Side
from core.domain.money import MICRO, ceil_to


@dataclass(frozen=True, slots=True)
class NotionalTier:
    """Maker and taker rate on notional of one venue's tier."""

    name: str
    maker: Decimal
    taker: Decimal


#: Spot, lowest volume tier, no token discount.
BINANCE_SPOT = NotionalTier("binance-spot-base", Decimal("0.001"), Decimal("0.001"))
KRAKEN_SPOT = NotionalTier("kraken-spot-base", Decimal("0.0025"), Decimal("0.004"))


class NotionalFeeBook:
    """Fees as a share of notional, rounded up to a millionth once per order.

    Parameters
    ----------
    tier : NotionalTier
        Rates used where a schedule names none.
    """

    def __init__(self, tier: NotionalTier) -> None:
        self.tier = tier
        self._totals = OrderTotals(MICRO)

    @property
    def rule_starts_ns(self) -> tuple[int, ...]:
        """Always empty: the tier does not change during a run."""
        return ()

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Charge `fill` and add it to its order's total.

        Raises
        ------
        FeeError
            For a price, size or rate that is not valid.
        """
        raw, rule = self._raw(schedule, fill)
        fee = self._totals.add(fill.order_id, raw)
        return FeeCharge(fee, rule, trade_fee=raw, rounding=fee - raw)

    def estimate(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Return the charge of `fill` as the first fill of its order; no state changes."""
        raw, rule = self._raw(schedule, fill)
        fee = ceil_to(raw, MICRO)
        return FeeCharge(fee, rule, trade_fee=raw, rounding=fee - raw)

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        """Return an upper bound of all fees of a buy at `price` or better, in any fills and roles.

        For a sell it is the fee at `price`: a better one means more notional without a bound, and brings
        more than its fee, but for the last micro-dollar of rounding.
        """
        require_price(price)
        require_size(quantity)
        rate = max(self._rate(schedule, role) for role in Role)
        bound = ceil_to(max(rate, Decimal(0)) * price * quantity, MICRO)
        return bound + MICRO if side is Side.SELL and rate > 0 else bound

    def forget(self, order_id: str) -> None:
        """Drop the state of an order that cannot fill any more."""
        self._totals.forget(order_id)

    def _raw(self, schedule: FeeSchedule, fill: FeeFill) -> tuple[Decimal, str]:
        require_price(fill.price)
        require_size(fill.quantity)
        rate = self._rate(schedule, fill.role)
        own = schedule.kind == "none" or schedule.rate is not None
        rule = f"{self.tier.name.split('-')[0]}-own-rates" if own else self.tier.name
        return rate * fill.price * fill.quantity, rule

    def _rate(self, schedule: FeeSchedule, role: Role) -> Decimal:
        if schedule.kind not in {"", "notional", "none"}:
            raise FeeError("unknown fee kind of a crypto venue", schedule.kind, "use 'notional'")
        if schedule.kind == "none":
            return Decimal(0)
        taker = self.tier.taker if schedule.rate is None else schedule.rate
        default = self.tier.maker if schedule.rate is None else taker
        maker = default if schedule.maker_rate is None else schedule.maker_rate
        rate = maker if role is Role.MAKER else taker
        if not rate.is_finite():
            raise FeeError(
                "fee rate must be a number", rate, "give it as a decimal, for example 0.001"
            )
        return rate
