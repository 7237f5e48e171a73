"""Risk budget across strategy families: given by results, taken from the weakest first under stress.

The budget of a family is a share of the total exposure limit. A family without a record of its own yet
(`min_trades`) counts as average. Pure functions over results; the gate enforces what they return.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.domain.money import ONE, ZERO, floor_to
from core.risk.limits import Budget
from core.risk.states import Posture

#: What must hold before a family may start; keys of the facts that the caller has established.
PREREQUISITES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "arbitrage": (("venues", 1, "connect a prediction venue, or two exchanges for crypto arbitrage"),),
    "cross_venue": (("prediction_venues", 2, "connect Polymarket and Kalshi"),),
    "crypto_arbitrage": (("exchanges", 2, "connect a second exchange"),),
    "prediction": (("prediction_venues", 1, "connect Polymarket or Kalshi"),),
    "scalping": (("exchanges", 1, "connect an exchange with trading permission"),),
    "momentum": (("exchanges", 1, "connect an exchange with trading permission"),),
    "mean_reversion": (("exchanges", 1, "connect an exchange with trading permission"),),
}  # fmt: skip
#: How many families are switched off in each posture (never the last one).
DISABLED_UNDER = {
    Posture.AGGRESSIVE: 0,
    Posture.BALANCED: 0,
    Posture.DEFENSIVE: 1,
    Posture.HALT: 99,
}
STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """What a family has earned so far.

    Attributes
    ----------
    profit : Decimal
        Realised dollars.
    risked : Decimal
        Dollars committed over all its trades.
    trades : int
        Finished round trips.
    """

    profit: Decimal = ZERO
    risked: Decimal = ZERO
    trades: int = 0

    @property
    def score(self) -> Decimal:
        """Profit per dollar risked."""
        return self.profit / self.risked if self.risked > 0 else ZERO


def missing(family: str, facts: Mapping[str, int]) -> list[str]:
    """Return what must be mended before `family` may start; empty when its prerequisites hold."""
    return [
        f"{mend} ({name}: {facts.get(name, 0)}, needed {least})"
        for name, least, mend in PREREQUISITES.get(family, ())
        if facts.get(name, 0) < least
    ]


def allocate(
    families: Iterable[str],
    results: Mapping[str, FamilyResult],
    budget: Budget,
    posture: Posture = Posture.AGGRESSIVE,
) -> dict[str, Decimal]:
    """Return each family's share of the total exposure limit.

    Every family starts with an equal weight; a family with a record is weighted by one plus its score
    against the average, between a half and twice the equal weight. Shares stay within ``floor`` and
    ``cap`` and never sum to more than one. In a DEFENSIVE posture the weakest family gets nothing.

    Returns
    -------
    dict of str to Decimal
        Shares of the total limit, rounded down to 0.0001.
    """
    names = sorted(set(families))
    if not names:
        return {}
    scores = {n: _score(results.get(n), budget) for n in names}
    known = [s for s in scores.values() if s is not None]
    mean = sum(known, ZERO) / len(known) if known else ZERO
    filled = {n: mean if s is None else s for n, s in scores.items()}
    spread = max((abs(s - mean) for s in filled.values()), default=ZERO)
    off = min(
        DISABLED_UNDER[posture], len(names) - 1 if posture is not Posture.HALT else len(names)
    )
    weakest = sorted(names, key=lambda n: (filled[n], n))[:off]
    alive = [n for n in names if n not in weakest]
    tilt = {n: (filled[n] - mean) / spread if spread else ZERO for n in alive}
    weights = {n: (ONE + t if t >= 0 else ONE + t / 2) for n, t in tilt.items()}
    total = sum(weights.values(), ZERO)
    shares = {n: min(max(weights[n] / total, budget.floor), budget.cap) for n in alive}
    over = max(sum(shares.values(), ZERO), ONE)
    return {n: floor_to(shares[n] / over, STEP) if n in shares else ZERO for n in names}


def _score(result: FamilyResult | None, budget: Budget) -> Decimal | None:
    if result is None or result.trades < budget.min_trades:
        return None
    return result.score
