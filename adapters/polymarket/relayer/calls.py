"""Calls on tokens as the ledger has them, and what the relayer's own list proves of one that nobody answered.

A call is open from its intent until a row says how it ended. What is known of an open call without a transaction id
is decided here, from the relayer's list, the wallet's next nonce and the clock, and by nothing else:

==================================================  ===========================================================
seen                                                verdict
==================================================  ===========================================================
a transaction with our mark or signature            taken: it is followed from here on
another confirmed transaction with our nonce        absent: the chain takes a nonce once
nothing, and the deposit wallet's deadline is over  absent: the wallet refuses it from now on
nothing, and the nonce has moved on                 open: the list may be cut; only the owner can say
nothing, the nonce has not moved, the wait is over  open, may be repeated under the same nonce
nothing yet                                         open
==================================================  ===========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from adapters.polymarket.relayer.client import Transaction
from core.domain.money import ZERO
from core.ledger.kinds import (
    CallOutcome,
    TokenCallEnded,
    TokenCallIntended,
    TokenCallSubmitted,
    TokenCallUnknown,
)
from core.ledger.rows import Row

CONFIRMED, FAILED, INVALID = "STATE_CONFIRMED", "STATE_FAILED", "STATE_INVALID"
LOST = frozenset({FAILED, INVALID})
DONE = LOST | {CONFIRMED}
#: Of several transactions of one call the one that has come furthest counts, a failed one last.
RANK = {CONFIRMED: 5, "STATE_MINED": 4, "STATE_EXECUTED": 3, "STATE_NEW": 2}
#: After a deposit wallet's deadline: clocks of chain and machine may differ by this, seconds.
DEADLINE_MARGIN_S = 60
KINDS = ("tokens.intended", "tokens.submitted", "tokens.unknown", "tokens.ended")


@dataclass(frozen=True, slots=True)
class KnownCall:
    """One call by its rows.

    Attributes
    ----------
    intent : TokenCallIntended
        The newest attempt.
    seq : int
        Its newest row, the parent of what comes next.
    """

    intent: TokenCallIntended
    seq: int
    intended_ns: int
    transaction_id: str = ""
    state: str = ""
    ended: TokenCallEnded | None = None

    @property
    def status(self) -> str:
        """``confirmed``, ``failed``, ``refused``, ``absent``, ``submitted`` or ``unknown``."""
        if self.ended is not None:
            return str(self.ended.outcome)
        return "submitted" if self.transaction_id else "unknown"


def known_calls(rows: Iterable[Row]) -> dict[str, KnownCall]:
    """Return every call of a ledger by its id, oldest first."""
    calls: dict[str, KnownCall] = {}
    for row in rows:
        told = row.decoded()
        if isinstance(told, TokenCallIntended):
            calls[told.call_id] = KnownCall(told, row.seq, row.ts_event)
            continue
        if not isinstance(told, TokenCallSubmitted | TokenCallUnknown | TokenCallEnded):
            continue
        call = calls.get(told.call_id)
        if call is None:
            continue
        if isinstance(told, TokenCallSubmitted):
            call = replace(call, transaction_id=told.transaction_id, state=told.state)
        elif isinstance(told, TokenCallUnknown):
            call = replace(call, transaction_id="", state="")
        elif isinstance(told, TokenCallEnded):
            call = replace(call, ended=told)
        calls[told.call_id] = replace(call, seq=row.seq)
    return calls


def spent_since(calls: Iterable[KnownCall], since_ns: int) -> Decimal:
    """Return what calls since a time have moved or may have moved."""
    moved = {"confirmed", "submitted", "unknown"}
    return sum(
        (c.intent.amount for c in calls if c.status in moved and c.intended_ns >= since_ns), ZERO
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of an open call: taken, absent, or still open (`repeatable` or not)."""

    found: Transaction | None = None
    absent: str = ""
    repeatable: bool = False
    reason: str = field(default="")


def verdict_on(
    intent: TokenCallIntended,
    signature: str,
    listed: Sequence[Transaction],
    next_nonce: int,
    *,
    now_s: float,
    age_s: float,
    settle_s: float,
) -> Verdict:
    """Return what the relayer's list and the wallet's next nonce prove of a call without an answer.

    Parameters
    ----------
    signature : str
        Of the newest attempt.
    age_s, settle_s : float
        Age of the newest attempt, and how old it must be before its absence from the list says anything.
    """
    ours = [t for t in listed if t.metadata == intent.call_id or t.signature == signature]
    best = max(ours, key=lambda t: RANK.get(t.state, 0), default=None)
    if best is not None and (best.state in RANK or len(ours) >= intent.attempt):
        return Verdict(found=best)
    same_turn = [
        t for t in listed
        if t not in ours and t.number == intent.nonce and (t.type or intent.wallet_kind) == intent.wallet_kind
        and (t.proxyAddress or intent.wallet).lower() == intent.wallet.lower()
    ]  # fmt: skip
    if any(t.state == CONFIRMED for t in same_turn):
        return Verdict(absent=f"another transaction has taken nonce {intent.nonce}")
    if age_s < settle_s:
        return Verdict(reason="it has not been long enough to say")
    if next_nonce > intent.nonce:
        return Verdict(
            reason=f"nonce {intent.nonce} is used up and the relayer does not list by what"
        )
    if next_nonce < intent.nonce:
        return Verdict(reason=f"the relayer speaks of nonce {next_nonce}, we of {intent.nonce}")
    if intent.deadline_s and now_s > intent.deadline_s + DEADLINE_MARGIN_S:
        return Verdict(absent="its deadline has passed and the wallet has not used its nonce")
    return Verdict(
        repeatable=True, reason=f"the relayer has not seen it, nonce {intent.nonce} is free"
    )


def outcome_of(state: str) -> CallOutcome:
    """Return how a call ended whose transaction is in a last state."""
    return CallOutcome.CONFIRMED if state == CONFIRMED else CallOutcome.FAILED
