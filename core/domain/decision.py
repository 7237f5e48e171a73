"""The decision path as values: forecast, proposal, intent, verdict, decision."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import msgspec

from core.domain.errors import SignalError
from core.domain.fees import Side
from core.domain.money import ONE, ZERO


@dataclass(frozen=True, slots=True)
class Forecast:
    """A calibrated probability that an outcome pays, with its interval and its end.

    Attributes
    ----------
    instrument_id : str
        Outcome the probability is about.
    probability, low, high : Decimal
        Point and interval, 0 to 1, ``low <= probability <= high``.
    ts_event, expires_ns : int
        Time of the newest data used, and when the forecast must no longer be traded on.
    model_id, bundle_sha, features_sha : str
        What produced it.
    horizon_ns : int
        How far ahead it looks; 0 = to resolution.
    """

    instrument_id: str
    probability: Decimal
    low: Decimal
    high: Decimal
    ts_event: int
    expires_ns: int
    model_id: str
    horizon_ns: int = 0
    bundle_sha: str = ""
    features_sha: str = ""

    def __post_init__(self) -> None:
        """Refuse probabilities that are not finite, out of range or out of order."""
        parts = (self.low, self.probability, self.high)
        if (
            not all(p.is_finite() for p in parts)
            or not ZERO <= parts[0] <= parts[1] <= parts[2] <= ONE
        ):
            raise SignalError(
                "a forecast needs 0 <= low <= probability <= high <= 1",
                [str(p) for p in parts],
                "order and clip the bounds before the forecast is made",
            )
        if self.expires_ns <= self.ts_event:
            raise SignalError(
                "a forecast must expire after its data",
                (self.ts_event, self.expires_ns),
                "set expires_ns after ts_event",
            )

    def fresh(self, now_ns: int) -> bool:
        """Return whether the forecast may be traded on at `now_ns`."""
        return self.ts_event <= now_ns < self.expires_ns


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a strategy wants, before the gate.

    Attributes
    ----------
    edge : Decimal
        Expected dollars per share after exact fees.
    fair, price : Decimal
        Estimated value and the limit price, dollars per share.
    """

    strategy_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    fair: Decimal
    edge: Decimal
    reason: str
    ts_ns: int
    forecast_seq: int = 0


class OrderIntent(msgspec.Struct, frozen=True, gc=False):
    """An order as the gate sees it: complete, venue-neutral, immutable.

    Attributes
    ----------
    price : Decimal, optional
        Limit price; None means a market order, which the gate prices at the worst case.
    reduces : bool
        True when the order can only reduce exposure (a covered sell, an exit).
    """

    client_order_id: str
    strategy_id: str
    venue: str
    instrument_id: str
    market_id: str
    event_id: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    tif: TimeInForce
    ts_ns: int
    post_only: bool = False
    reduces: bool = False
    expire_ns: int = 0
    reason: str = ""


class CheckResult(msgspec.Struct, frozen=True, gc=False):
    """One check of a verdict: its name, the value seen, the limit, and whether it passed."""

    name: str
    value: str
    limit: str
    passed: bool


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The gate's answer to one intent.

    Attributes
    ----------
    reserved : Decimal
        Dollars that the approval took from the free cash: the worst-case cost and fee, of a change what
        it may cost more. 0 of a refusal.
    nonce, expires_ns : int
        Number of the approval, and from when on it is void. 0 of a refusal.
    """

    client_order_id: str
    approved: bool
    code: str
    checks: tuple[CheckResult, ...]
    ts_ns: int
    reserved: Decimal = ZERO
    nonce: int = 0
    expires_ns: int = 0
