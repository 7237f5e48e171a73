"""Rows about money: settlements, merges, fees, balances."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from core.ledger.registry import Payload, kind


class FeeKind(StrEnum):
    """What a fee was paid for."""

    EXCHANGE = "exchange"
    GAS = "gas"
    AI = "ai"
    FUNDING = "funding"
    OTHER = "other"


@kind("settlement")
class Settled(Payload, frozen=True, kw_only=True):
    """An outcome paid `payout` per unit (1, 0, 0.5 void, or scalar). Carries no fee.

    Closes what `strategy_id` holds, or what every strategy holds when it is empty (the venue settles
    an account, not a strategy). ``quantity`` is what was settled, to be held against what was held.
    """

    venue: str
    instrument_id: str
    payout: Decimal
    quantity: Decimal
    currency: str
    source: str = ""
    strategy_id: str = ""


@kind("position.merged")
class PositionsMerged(Payload, frozen=True, kw_only=True):
    """Equal amounts of exhaustive outcomes turned back into cash (YES + NO = one dollar).

    Names one outcome where a venue netted it against somebody else's shares of the other: each owner has a row of its
    own, and their proceeds add up to the dollar.
    """

    venue: str
    instrument_ids: tuple[str, ...]
    quantity: Decimal
    proceeds: Decimal
    currency: str
    strategy_id: str = ""


@kind("position.split")
class PositionsSplit(Payload, frozen=True, kw_only=True):
    """Cash turned into equal amounts of exhaustive outcomes."""

    venue: str
    instrument_ids: tuple[str, ...]
    quantity: Decimal
    cost: Decimal
    currency: str
    strategy_id: str = ""


@kind("fee.charged")
class FeeCharged(Payload, frozen=True, kw_only=True):
    """A cost that no fill carries: gas, model calls billed apart, funding."""

    fee_kind: FeeKind
    amount: Decimal
    currency: str
    venue: str = ""
    reference: str = ""


@kind("account")
class AccountState(Payload, frozen=True, kw_only=True):
    """Balances of one venue account; `equity` includes positions at their mark."""

    venue: str
    currency: str
    total: Decimal
    free: Decimal
    locked: Decimal
    equity: Decimal | None = None


@kind("account.difference")
class AccountDiffers(Payload, frozen=True, kw_only=True):
    """The venue's own statement is not what the books say: `subject` is ``cash`` or an instrument."""

    venue: str
    subject: str
    here: Decimal
    there: Decimal
    action: str


@kind("account.transfer")
class Transferred(Payload, frozen=True, kw_only=True):
    """Deposit (positive) or withdrawal (negative): not profit, not loss."""

    venue: str
    currency: str
    amount: Decimal
    reference: str = ""
