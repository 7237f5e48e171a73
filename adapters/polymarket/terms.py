"""Fee terms of a Polymarket market, from the Gamma payload that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.domain.errors import FeeError
from core.domain.fees import FeeSchedule
from core.domain.money import ONE, decimal_of

#: ``feeType`` of markets that say fees are on but were listed before ``feeSchedule`` existed.
FEE_TYPES: dict[str, tuple[Decimal, Decimal]] = {
    "crypto_15_min": (Decimal("0.25"), Decimal(2)),
    "crypto_fees": (Decimal("0.25"), Decimal(2)),
    "sports_fees": (Decimal("0.0175"), ONE),
    "sports_v2": (Decimal("0.03"), ONE),
    "sports_fees_v2": (Decimal("0.03"), ONE),
    "sports_fees_v3": (Decimal("0.05"), ONE),
}


def schedule_from_gamma(market: Mapping[str, Any], category: str = "") -> FeeSchedule:
    """Return the fee terms of a Gamma market.

    ``feeSchedule`` wins; without one, ``feesEnabled`` false means no fee, a known ``feeType`` its
    curve, and otherwise the category's dated default applies.

    Raises
    ------
    FeeError
        If the schedule's numbers are missing or not numbers.
    """
    own = market.get("feeSchedule")
    if own:
        return _own(own, category)
    if market.get("feesEnabled") is False:
        return FeeSchedule("POLYMARKET", kind="none", category=category)
    known = FEE_TYPES.get(str(market.get("feeType") or ""))
    if known:
        return FeeSchedule(
            "POLYMARKET", rate=known[0], exponent=known[1], kind="curve", category=category
        )
    return FeeSchedule("POLYMARKET", category=category)


def _own(own: Mapping[str, Any], category: str) -> FeeSchedule:
    try:
        return FeeSchedule(
            "POLYMARKET",
            rate=decimal_of(own["rate"], "fee rate"),
            exponent=decimal_of(own.get("exponent", 1), "fee exponent"),
            kind="curve",
            category=category,
        )
    except KeyError as exc:
        raise FeeError(
            "the market's fee schedule has no rate",
            dict(own),
            "fetch the market again, or leave it out: a fee is never guessed",
        ) from exc
