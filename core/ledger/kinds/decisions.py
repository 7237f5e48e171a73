"""Rows about what was thought and judged: forecast, proposal, verdict."""

from __future__ import annotations

from decimal import Decimal

from core.domain.decision import CheckResult, Forecast, Proposal, Verdict
from core.domain.fees import Side
from core.domain.money import ZERO
from core.ledger.registry import Payload, kind

#: One check of a verdict, stored as the gate made it.
Check = CheckResult


@kind("forecast")
class ForecastMade(Payload, frozen=True, kw_only=True):
    """A calibrated probability that an outcome pays."""

    strategy_id: str
    instrument_id: str
    probability: Decimal
    low: Decimal
    high: Decimal
    expires_ns: int
    model_id: str
    market_price: Decimal | None = None
    horizon_ns: int = 0
    bundle_sha: str = ""
    features_sha: str = ""

    @classmethod
    def of(
        cls, strategy_id: str, forecast: Forecast, market_price: Decimal | None = None
    ) -> ForecastMade:
        """Return the row of a domain forecast."""
        return cls(
            strategy_id=strategy_id,
            instrument_id=forecast.instrument_id,
            probability=forecast.probability,
            low=forecast.low,
            high=forecast.high,
            expires_ns=forecast.expires_ns,
            model_id=forecast.model_id,
            market_price=market_price,
            horizon_ns=forecast.horizon_ns,
            bundle_sha=forecast.bundle_sha,
            features_sha=forecast.features_sha,
        )


@kind("proposal")
class ProposalMade(Payload, frozen=True, kw_only=True):
    """What a strategy wants, or why it wants nothing (``action`` is TRADE or NO_TRADE)."""

    strategy_id: str
    instrument_id: str
    action: str
    side: Side
    quantity: Decimal
    price: Decimal
    fair: Decimal
    edge: Decimal
    reason: str

    @classmethod
    def of(cls, proposal: Proposal, action: str = "TRADE") -> ProposalMade:
        """Return the row of a domain proposal."""
        return cls(
            strategy_id=proposal.strategy_id,
            instrument_id=proposal.instrument_id,
            action=action,
            side=proposal.side,
            quantity=proposal.quantity,
            price=proposal.price,
            fair=proposal.fair,
            edge=proposal.edge,
            reason=proposal.reason,
        )


@kind("verdict")
class VerdictGiven(Payload, frozen=True, kw_only=True):
    """The gate's answer to an intent with every check it made."""

    client_order_id: str
    approved: bool
    code: str
    checks: tuple[Check, ...]
    reserved: Decimal = ZERO
    nonce: str = ""
    expires_ns: int = 0

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictGiven:
        """Return the row of a domain verdict."""
        return cls(
            client_order_id=verdict.client_order_id,
            approved=verdict.approved,
            code=verdict.code,
            checks=verdict.checks,
            reserved=verdict.reserved,
            nonce=str(verdict.nonce) if verdict.nonce else "",
            expires_ns=verdict.expires_ns,
        )
