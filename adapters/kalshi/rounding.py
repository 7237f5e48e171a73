"""Kalshi rounding of one fill: trade fee, balance grain, and the order's rebate accumulator."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.fees import Side
from core.domain.money import ZERO, ceil_to, floor_to

CENT = Decimal("0.01")
CENTICENT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class RoundedFill:
    """Parts of one fill's fee and the accumulator that the order carries on.

    ``fee = trade_fee + rounding - rebate``, never below zero.
    """

    trade_fee: Decimal
    rounding: Decimal
    rebate: Decimal
    accumulator: Decimal

    @property
    def fee(self) -> Decimal:
        """Dollars charged."""
        return self.trade_fee + self.rounding - self.rebate


def round_fill(
    side: Side,
    notional: Decimal,
    raw_fee: Decimal,
    grain: Decimal,
    accumulator: Decimal = ZERO,
) -> RoundedFill:
    """Round one fill the way the exchange keeps balances on their grain.

    The trade fee is rounded up to $0.0001; then the change of the balance is floored to `grain`, and
    what that takes is charged as a rounding fee and remembered in the order's accumulator. Once more
    than a cent is remembered, a cent is given back, but never more than the fill's own fee: the part
    that did not fit stays remembered.

    Parameters
    ----------
    side : Side
        BUY pays `notional`, SELL receives it.
    notional : Decimal
        Price of the leg traded times contracts, in dollars.
    raw_fee : Decimal
        Exact fee of the fee model, in dollars.
    grain : Decimal
        Balance precision: $0.0001 for direct members, $0.01 otherwise.
    accumulator : Decimal
        Rounding remembered from earlier fills of the same order.

    Notes
    -----
    Kalshi, "Fee rounding" (docs.kalshi.com/getting_started/fee_rounding).
    """
    trade_fee = ceil_to(raw_fee, CENTICENT)
    revenue = -notional if side is Side.BUY else notional
    change = revenue - trade_fee
    rounding = change - floor_to(change, grain)
    accumulator += rounding
    rebate = ZERO
    if accumulator > CENT:
        rebate = min(CENT, trade_fee + rounding)
        accumulator -= rebate
    return RoundedFill(trade_fee, rounding, rebate, accumulator)
