"""Dated Kalshi fee rules: which rounding was in force when, and what is not known."""

from __future__ import annotations

from decimal import Decimal

from core.domain.clock import ns_from_iso
from core.domain.errors import FeeError
from core.domain.fees import FeeSchedule, Role, RuleSpan
from core.domain.money import ZERO

TAKER_RATE = Decimal("0.07")
END_OF_TIME_NS = 2**63 - 1

#: Subpenny prices began: balances in whole cents could no longer be kept without rounding each fill.
CENTICENT_FROM_NS = ns_from_iso("2026-03-09")
#: Balances of direct members got four decimals.
DIRECT_GRAIN_FROM_NS = ns_from_iso("2026-05-28")
#: The maker fee became a quarter of the taker curve; before, it was a flat quarter cent per contract.
MAKER_CURVE_FROM_NS = ns_from_iso("2025-07-01")

CENT_PER_ORDER = RuleSpan(
    "kalshi-cent-per-order", 0, CENTICENT_FROM_NS, "whole cents per order, rounded up"
)
CENTICENT_CENT_BALANCE = RuleSpan(
    "kalshi-centicent-cent-balance",
    CENTICENT_FROM_NS,
    END_OF_TIME_NS,
    "$0.0001 trade fee, balances on whole cents",
)
CENTICENT_DIRECT = RuleSpan(
    "kalshi-centicent-direct",
    DIRECT_GRAIN_FROM_NS,
    END_OF_TIME_NS,
    "$0.0001 trade fee, balances on $0.0001",
)

#: Maker rate as a share of the taker rate, by ``fee_type`` of the series.
MAKER_SHARE: dict[str, Decimal] = {
    "quadratic": ZERO,
    "quadratic_with_maker_fees": Decimal("0.25"),
    "quadratic_with_combo_maker_fees": Decimal("0.5"),
}
FEE_TYPES: tuple[str, ...] = (*MAKER_SHARE, "flat", "none")


def rule_at(ts_ns: int, direct_member: bool) -> RuleSpan:
    """Return the rounding rule in force at `ts_ns` for this kind of account."""
    if ts_ns < CENTICENT_FROM_NS:
        return CENT_PER_ORDER
    if direct_member and ts_ns >= DIRECT_GRAIN_FROM_NS:
        return CENTICENT_DIRECT
    return CENTICENT_CENT_BALANCE


def fee_type_of(schedule: FeeSchedule) -> str:
    """Return the schedule's fee type, or refuse one that cannot be modelled.

    Raises
    ------
    FeeError
        For ``flat`` (its table is not published as numbers) and for unknown types.
    """
    kind = schedule.kind or "quadratic"
    if kind == "flat":
        raise FeeError(
            "Kalshi's flat fee type has its own table and is not modelled",
            kind,
            "leave markets with fee_type flat out of the run",
        )
    if kind not in FEE_TYPES:
        raise FeeError("unknown Kalshi fee type", kind, f"use one of {', '.join(FEE_TYPES)}")
    return kind


def rate_of(schedule: FeeSchedule, role: Role, ts_ns: int) -> Decimal:
    """Return the rate on ``contracts * p * (1 - p)`` for this role at this time.

    Raises
    ------
    FeeError
        For a type that cannot be modelled, a negative or non-finite multiplier, and maker fills of
        maker-fee series before July 2025 (a flat quarter cent per contract, rounding not published).
    """
    kind = fee_type_of(schedule)
    if kind == "none" or 0 < ts_ns < schedule.waiver_until_ns:
        return ZERO
    multiplier = schedule.multiplier
    if not (multiplier.is_finite() and multiplier >= ZERO):
        raise FeeError("fee multiplier must be a number >= 0", multiplier, "--multiplier 1")
    taker = (TAKER_RATE if schedule.rate is None else schedule.rate) * multiplier
    if role is Role.TAKER:
        return taker
    if schedule.maker_rate is not None:
        return schedule.maker_rate * multiplier
    share = MAKER_SHARE[kind]
    if share and ts_ns < MAKER_CURVE_FROM_NS:
        raise FeeError(
            "Kalshi maker fees before 2025-07-01 were flat per contract and are not modelled",
            kind,
            "start the run on 2025-07-01 or later, or set maker_rate on the schedule",
        )
    return taker * share
