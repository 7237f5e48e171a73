"""Rows about calls on outcome tokens (split, merge, redeem): intended, taken, unknown, ended."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from core.ledger.registry import Payload, kind


class CallOutcome(StrEnum):
    """How a call on tokens ended."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    REFUSED = "refused"
    ABSENT = "absent"


@kind("tokens.intended")
class TokenCallIntended(Payload, frozen=True, kw_only=True):
    """A signed call is about to leave; written durably before it does.

    ``relay`` is the address that a proxy's call is signed for. ``amount`` is what moves, dollars or shares. ``nonce`` is the wallet's: the chain takes each once, so that
    attempts of one ``call_id``, which share it, are carried out at most once. ``deadline_s`` is 0 where the wallet
    knows none.
    """

    venue: str
    call_id: str
    attempt: int
    action: str
    market_id: str
    amount: Decimal
    wallet: str
    wallet_kind: str
    signer: str
    nonce: int
    deadline_s: int
    relay: str
    to: str
    data: str


@kind("tokens.submitted")
class TokenCallSubmitted(Payload, frozen=True, kw_only=True):
    """The venue has the call, by its answer or as found there afterwards (``found``)."""

    venue: str
    call_id: str
    transaction_id: str
    state: str
    found: bool = False


@kind("tokens.unknown")
class TokenCallUnknown(Payload, frozen=True, kw_only=True):
    """Nobody knows yet whether the venue has the call: it is looked up, and never repeated under another nonce."""

    venue: str
    call_id: str
    reason: str


@kind("tokens.ended")
class TokenCallEnded(Payload, frozen=True, kw_only=True):
    """The call was confirmed on chain, failed there, was refused, or is proven absent. ``source`` says who said so."""

    venue: str
    call_id: str
    outcome: CallOutcome
    transaction_id: str = ""
    transaction_hash: str = ""
    detail: str = ""
    source: str = "relayer"
