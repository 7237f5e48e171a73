"""`ApprovedOrder`: an order that has passed the gate. It can be built nowhere else, and used once.

Two locks. The constructor demands the module's private seal, so that no code makes one by accident;
and the signature (HMAC-SHA256 over intent, nonce and expiry, with a key that only the gate holds) makes
one built by force worthless.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final, Never

from core.domain.decision import CheckResult, OrderIntent, Verdict
from core.domain.errors import ApprovalInvalid
from core.domain.fees import Side
from core.risk.units import shares
from core.risk.verdict import RawCheck, results

_SEAL: Final = object()
_write = object.__setattr__


def canonical(intent: OrderIntent, worst_price: int, nonce: int, expires_ns: int) -> bytes:
    """Return the bytes that are signed: every field of the order, plus nonce and expiry.

    The text form of a tuple quotes its strings, so that two different orders never give the same bytes.
    """
    return repr(
        (
            intent.client_order_id,
            intent.strategy_id,
            intent.venue,
            intent.instrument_id,
            intent.market_id,
            intent.event_id,
            intent.side is Side.BUY,
            str(intent.quantity),
            str(intent.price),
            intent.tif._value_,
            intent.ts_ns,
            intent.post_only,
            intent.reduces,
            intent.expire_ns,
            worst_price,
            nonce,
            expires_ns,
        )
    ).encode()


class ApprovedOrder:
    """An intent with the gate's signature. Immutable; cannot be copied, pickled or built outside the gate.

    Attributes
    ----------
    intent : OrderIntent
        The order, exactly as approved.
    worst_price : Decimal
        Limit price, or for a market order the price beyond which it must not trade: the execution
        path sends it as the protection price.
    nonce, expires_ns : int
        Valid once and until then.
    """

    __slots__ = ("_raw", "_worst", "expires_ns", "intent", "nonce", "signature", "ts_ns")

    intent: OrderIntent
    nonce: int
    ts_ns: int
    expires_ns: int
    signature: bytes
    _worst: int
    _raw: tuple[RawCheck, ...]

    def __init__(
        self,
        seal: object,
        intent: OrderIntent,
        nonce: int,
        ts_ns: int,
        expires_ns: int,
        signature: bytes,
        worst: int,
        raw: tuple[RawCheck, ...],
    ) -> None:
        if seal is not _SEAL:
            raise ApprovalInvalid(
                "APPROVAL_FORGED",
                "an ApprovedOrder is built by the gate alone",
                type(self).__name__,
                "send the intent through Gate.review",
            )
        _write(self, "intent", intent)
        _write(self, "nonce", nonce)
        _write(self, "ts_ns", ts_ns)
        _write(self, "expires_ns", expires_ns)
        _write(self, "signature", signature)
        _write(self, "_worst", worst)
        _write(self, "_raw", raw)

    def __setattr__(self, name: str, value: object) -> Never:
        raise ApprovalInvalid("APPROVAL_FORGED", "an approval cannot be changed", name)

    def __delattr__(self, name: str) -> Never:
        raise ApprovalInvalid("APPROVAL_FORGED", "an approval cannot be changed", name)

    def __reduce_ex__(self, protocol: object) -> Never:
        raise ApprovalInvalid("APPROVAL_FORGED", "an approval cannot be copied or stored")

    def __repr__(self) -> str:
        return f"ApprovedOrder({self.intent.client_order_id}, nonce={self.nonce}, expires_ns={self.expires_ns})"

    @property
    def approved(self) -> bool:
        """Always True; so that both answers can be asked the same question."""
        return True

    @property
    def worst_price(self) -> Any:
        """The price beyond which the order must not trade (Decimal)."""
        return shares(self._worst)

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every check that was passed, with its value and limit."""
        return results(self._raw)

    def verdict(self) -> Verdict:
        """Return the ledger's form of this answer."""
        return Verdict(self.intent.client_order_id, True, "APPROVED", self.checks, self.ts_ns)


class Signer:
    """Holds the key; signs approvals and lets each be used once, in time.

    Parameters
    ----------
    key : bytes, optional
        32 bytes. A live gate draws its own, so that approvals of an earlier process are void; a
        backtest derives it from its seed so that runs are identical.
    ttl_ns : int
        How long an approval lives.
    """

    __slots__ = ("__keyed", "_nonce", "_open", "ttl_ns")

    def __init__(self, key: bytes | None, ttl_ns: int) -> None:
        self.__keyed = hmac.new(key or secrets.token_bytes(32), digestmod="sha256")
        self.ttl_ns = ttl_ns
        self._nonce = 0
        self._open: dict[int, str] = {}

    def __repr__(self) -> str:
        return "Signer(key=**)"

    def _mac(self, message: bytes) -> bytes:
        """Return the HMAC of `message` (the keyed state is copied: that is faster than keying anew)."""
        mac = self.__keyed.copy()
        mac.update(message)
        return mac.digest()

    def sign(
        self, intent: OrderIntent, worst: int, raw: tuple[RawCheck, ...], now_ns: int
    ) -> ApprovedOrder:
        """Return `intent` approved at `now_ns`."""
        self._nonce += 1
        nonce, expires_ns = self._nonce, now_ns + self.ttl_ns
        signature = self._mac(canonical(intent, worst, nonce, expires_ns))
        self._open[nonce] = intent.client_order_id
        return ApprovedOrder(_SEAL, intent, nonce, now_ns, expires_ns, signature, worst, raw)

    def use(self, approved: ApprovedOrder, now_ns: int) -> None:
        """Check and use up `approved`.

        Raises
        ------
        ApprovalInvalid
            ``APPROVAL_FORGED``, ``APPROVAL_EXPIRED`` or ``APPROVAL_REUSED``.
        """
        if type(approved) is not ApprovedOrder:
            raise ApprovalInvalid(
                "APPROVAL_FORGED", "not an approval of the gate", type(approved).__name__
            )
        try:
            message = canonical(
                approved.intent, approved._worst, approved.nonce, approved.expires_ns
            )
            good = hmac.compare_digest(self._mac(message), approved.signature)
        except (AttributeError, TypeError):
            good = False
        if not good:
            raise ApprovalInvalid(
                "APPROVAL_FORGED",
                "the approval's signature is not the gate's",
                getattr(getattr(approved, "intent", None), "client_order_id", "?"),
                "send the intent through Gate.review",
            )
        order = approved.intent.client_order_id
        if now_ns >= approved.expires_ns:
            raise ApprovalInvalid(
                "APPROVAL_EXPIRED", "the approval has expired", order, "review the order again"
            )
        if self._open.pop(approved.nonce, None) is None:
            raise ApprovalInvalid(
                "APPROVAL_REUSED", "the approval was used or withdrawn", order, "review it again"
            )

    def withdraw(self, nonce: int) -> bool:
        """Make the approval with this nonce unusable; return whether it was still usable."""
        return self._open.pop(nonce, None) is not None
