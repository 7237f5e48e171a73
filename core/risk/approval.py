"""`ApprovedOrder`: an order that has passed the gate. It can be built nowhere else, and used once.

Two locks. The constructor refuses, so that no code makes one by accident; and the signature (HMAC-SHA256
over the order, a nonce and an expiry, with a key that only the gate's signer holds) makes one built by
force worthless.
"""

from __future__ import annotations

import hashlib
import secrets
from decimal import Decimal
from hmac import compare_digest
from typing import Any, Never

import msgspec

from core.domain.decision import CheckResult, OrderIntent, Verdict
from core.domain.errors import ApprovalInvalid
from core.domain.fees import Side
from core.risk.record import results
from core.risk.units import dollars, nanos_of, shares

_BLOCK_BYTES = 64


def place_of(venue: str, instrument_id: str, market_id: str, event_id: str) -> str:
    """Return the signed text of where an order goes; the same for every order of an instrument."""
    return repr((venue, instrument_id, market_id, event_id))


_BUY = Side.BUY
_encode = msgspec.msgpack.Encoder().encode
#: Makes an approval; the class itself refuses.
_new: Any = tuple.__new__


def canonical(
    intent: OrderIntent,
    place: str,
    price: int | None,
    quantity: int | None,
    worst_price: int,
    nonce: int,
    expires_ns: int,
) -> bytes:
    """Return the bytes that are signed: every field of the order, plus nonce and expiry.

    Every field says where it ends, so that two different orders never give the same bytes. Price and quantity
    are in billionths; None stands for a market order, or for a number that no order can have. `reason` decides
    nothing at a venue and is left out.
    """
    fields = (
        intent.client_order_id, intent.strategy_id, place, intent.side is _BUY, quantity, price,
        intent.tif._value_, intent.ts_ns, intent.post_only, intent.reduces, intent.expire_ns, worst_price,
        nonce, expires_ns,
    )  # fmt: skip
    try:
        return _encode(fields)
    except (OverflowError, ValueError):
        # MessagePack has integers of 64 bits and Unicode alone; it never begins with a bracket
        return repr(fields).encode()


class ApprovedOrder(tuple[Any, ...]):
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

    __slots__ = ()

    def __new__(cls, *_fields: object, **_named: object) -> ApprovedOrder:
        """Refuse: the gate's signer alone makes one, of (intent, nonce, ts_ns, expires_ns, worst, signature, checks)."""
        raise ApprovalInvalid(
            "APPROVAL_FORGED",
            "an ApprovedOrder is built by the gate alone",
            cls.__name__,
            "send the intent through Gate.review",
        )

    @property
    def intent(self) -> OrderIntent:
        """The order, exactly as approved."""
        return self[0]  # type: ignore[no-any-return]

    @property
    def nonce(self) -> int:
        """Number of this approval; used once."""
        return self[1]  # type: ignore[no-any-return]

    @property
    def ts_ns(self) -> int:
        """When it was approved."""
        return self[2]  # type: ignore[no-any-return]

    @property
    def expires_ns(self) -> int:
        """From when on it is void."""
        return self[3]  # type: ignore[no-any-return]

    @property
    def signature(self) -> bytes:
        """HMAC-SHA256 of the order, the nonce and the expiry."""
        return self[5]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: object) -> Never:
        raise ApprovalInvalid("APPROVAL_FORGED", "an approval cannot be copied or stored")

    def __repr__(self) -> str:
        return f"ApprovedOrder({self.intent.client_order_id}, nonce={self.nonce}, expires_ns={self.expires_ns})"

    @property
    def approved(self) -> bool:
        """Always True; so that both answers can be asked the same question."""
        return True

    @property
    def worst_price(self) -> Decimal:
        """The price beyond which the order must not trade."""
        return shares(self[4])

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every check that was passed, with its value and limit."""
        return results(self[6])

    @property
    def reserved(self) -> Decimal:
        """Dollars that this approval took from the free cash: the value of its last check."""
        return dollars(self[6][-1][-2])

    def verdict(self) -> Verdict:
        """Return the ledger's form of this answer."""
        return Verdict(
            self.intent.client_order_id,
            True,
            "APPROVED",
            self.checks,
            self.ts_ns,
            self.reserved,
            self.nonce,
            self.expires_ns,
        )


class Signer:
    """Holds the key; signs approvals and tells true ones from forged ones.

    The key itself is not kept: only the two hash states that HMAC starts from (RFC 2104).

    Parameters
    ----------
    key : bytes, optional
        32 bytes. A live gate draws its own, so that approvals of an earlier process are void; a
        backtest derives it from its seed so that runs are identical.
    ttl_ns : int
        How long an approval lives.
    """

    __slots__ = ("__inner", "__outer", "_nonce", "ttl_ns")

    def __init__(self, key: bytes | None, ttl_ns: int) -> None:
        secret = key or secrets.token_bytes(32)
        block = hashlib.sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret
        block = block.ljust(_BLOCK_BYTES, b"\0")
        self.__inner = hashlib.sha256(bytes(b ^ 0x36 for b in block))
        self.__outer = hashlib.sha256(bytes(b ^ 0x5C for b in block))
        self.ttl_ns = ttl_ns
        self._nonce = 0

    def __repr__(self) -> str:
        return "Signer(key=**)"

    def _mac(self, message: bytes) -> bytes:
        """Return the HMAC-SHA256 of `message`."""
        inner = self.__inner.copy()
        inner.update(message)
        outer = self.__outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def sign(
        self,
        intent: OrderIntent,
        place: str,
        quantity: int,
        worst: int,
        raw: tuple[tuple[object, ...], ...],
        now_ns: int,
    ) -> ApprovedOrder:
        """Return `intent` approved at `now_ns`, with a nonce of its own.

        The worst price of a limit order is its price.
        """
        self._nonce = nonce = self._nonce + 1
        expires_ns = now_ns + self.ttl_ns
        price = None if intent.price is None else worst
        signature = self._mac(canonical(intent, place, price, quantity, worst, nonce, expires_ns))
        fields = (intent, nonce, now_ns, expires_ns, worst, signature, raw)
        return _new(ApprovedOrder, fields)  # type: ignore[no-any-return]

    def verify(
        self, approved: ApprovedOrder, now_ns: int, signed: OrderIntent | None = None
    ) -> None:
        """Check that `approved` is this signer's own and still in time.

        Parameters
        ----------
        signed : OrderIntent, optional
            For the very object that the gate keeps since it was signed: a copy of the order as it was
            then. While they still are the same, the signature need not be worked out again.

        Raises
        ------
        ApprovalInvalid
            ``APPROVAL_FORGED`` or ``APPROVAL_EXPIRED``.
        """
        if signed is None or approved[0] != signed:
            self._authentic(approved)
        if now_ns >= approved[3]:
            raise ApprovalInvalid(
                "APPROVAL_EXPIRED",
                "the approval has expired",
                approved[0].client_order_id,
                "review the order again",
            )

    def _authentic(self, approved: ApprovedOrder) -> None:
        """Work the signature out anew and compare."""
        if type(approved) is not ApprovedOrder:
            seen = type(approved).__name__
            raise ApprovalInvalid("APPROVAL_FORGED", "not an approval of the gate", seen)
        try:
            intent, nonce, _, expires_ns, worst, signature, _ = approved
            place = place_of(intent.venue, intent.instrument_id, intent.market_id, intent.event_id)
            price = None if intent.price is None else nanos_of(intent.price)
            quantity = nanos_of(intent.quantity)
            message = canonical(intent, place, price, quantity, worst, nonce, expires_ns)
            good = compare_digest(self._mac(message), signature)
        except (AttributeError, TypeError, ValueError):
            good = False
        if not good:
            raise ApprovalInvalid(
                "APPROVAL_FORGED",
                "the approval's signature is not the gate's",
                None,
                "send the intent through Gate.review",
            )
