"""What a fee is: the schedule in force, one fill in, one exact charge out.

The arithmetic of each venue lives with the venue (`adapters/*/fees.py`); here are the values and the
contract that the engine, the gate and the strategies speak.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from core.domain.money import ONE, ZERO


class Role(StrEnum):
    """Liquidity side of a fill."""

    MAKER = "maker"
    TAKER = "taker"


class Side(StrEnum):
    """Side of an order on one outcome's own long-only book."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """The fee terms of one market, as the venue published them.

    Attributes
    ----------
    venue : str
        ``"KALSHI"`` or ``"POLYMARKET"`` (or a crypto venue).
    rate : Decimal, optional
        Taker rate on ``p * (1 - p)`` (Kalshi 0.07, Polymarket per category), or on notional for
        ``kind="notional"``. None: the venue's dated default applies.
    exponent : Decimal
        Polymarket: exponent of ``p * (1 - p)``.
    maker_rate : Decimal, optional
        Maker rate; None: derived from `kind` by the venue's rule.
    multiplier : Decimal
        Kalshi: event override, else ``series.fee_multiplier``.
    kind : str
        Kalshi ``fee_type``, Polymarket ``"curve"``, crypto ``"notional"``, ``"none"``.
    category : str
        Polymarket category, used only when the market carries no schedule of its own.
    waiver_until_ns : int
        Kalshi ``fee_waiver_expiration_time``: no fee before it; 0 = no waiver.
    """

    venue: str
    rate: Decimal | None = None
    exponent: Decimal = ONE
    maker_rate: Decimal | None = None
    multiplier: Decimal = ONE
    kind: str = ""
    category: str = ""
    waiver_until_ns: int = 0


class FeeFill(msgspec.Struct, frozen=True, gc=False):
    """One execution to be charged. `price` and `quantity` are of the outcome traded."""

    order_id: str
    side: Side
    role: Role
    price: Decimal
    quantity: Decimal
    ts_ns: int


class FeeCharge(msgspec.Struct, frozen=True, gc=False):
    """The exact charge of one fill.

    Attributes
    ----------
    fee : Decimal
        Dollars taken (negative: rebate paid to us).
    rule : str
        Name of the dated rule that was applied, for the report.
    trade_fee, rounding, rebate : Decimal
        The parts, where the venue rounds per fill and rebates per order.
    """

    fee: Decimal
    rule: str
    trade_fee: Decimal = ZERO
    rounding: Decimal = ZERO
    rebate: Decimal = ZERO


class FeeBook(Protocol):
    """A venue's fee rules with the per-order state they need (accumulators).

    One instance per run; `charge` is called once per fill in time order. `estimate` has no side
    effect and never returns less than what `charge` would take for a single fill.
    """

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Charge `fill` and update the order's state."""
        ...

    def estimate(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        """Return the charge of `fill` as the first fill of its order; no state changes."""
        ...

    @property
    def rule_starts_ns(self) -> tuple[int, ...]:
        """Times at which a dated rule of this venue begins, ascending: an order can outlive its rule."""
        ...

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        """Return an upper bound of all fees of an order at `price` or better, in any number of fills.

        Where the fee of a sale grows with its price without end (notional fees), the fee at `price` is
        returned: what a better price costs more is less than what it brings.
        """
        ...


@runtime_checkable
class CashFeeBook(Protocol):
    """Fee rules of a venue where a BUY can be sized in dollars."""

    def worst_case_of_cash(
        self, schedule: FeeSchedule, price: Decimal, quantity: Decimal, ts_ns: int
    ) -> Decimal:
        """Return an upper bound of all fees of spending ``price * quantity`` dollars at `price` or better."""
        ...


@dataclass(frozen=True, slots=True)
class RuleSpan:
    """A dated rule: in force for ``start_ns <= t < end_ns``."""

    name: str
    start_ns: int
    end_ns: int
    note: str = field(default="", compare=False)

    def covers(self, ts_ns: int) -> bool:
        """Return whether the rule is in force at `ts_ns`."""
        return self.start_ns <= ts_ns < self.end_ns
