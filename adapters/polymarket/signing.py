"""Polymarket keys: orders and logins by the wallet's key, requests by the API secret.

A signature takes 0.04 ms (libsecp256k1), less than it takes to wake a worker thread: orders are signed in line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Any

from pydantic import SecretStr

from adapters.polymarket.eip712 import (
    ORDER_TYPE,
    Exchange,
    OrderStruct,
    checksum_address,
    keccak256,
    login_digest,
)
from core.domain.errors import ConfigError

#: Order of the group of secp256k1 (SEC 2, 2.4.1).
GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ADDRESS = re.compile(r"(0x)?[0-9a-fA-F]{40}")


class SignatureType(IntEnum):
    """Which kind of wallet holds the money."""

    EOA = 0
    POLY_PROXY = 1
    POLY_GNOSIS_SAFE = 2
    POLY_1271 = 3


@dataclass(frozen=True, slots=True)
class ApiKey:
    """API key of one wallet; nothing of it is ever printed."""

    key: SecretStr
    secret: SecretStr
    passphrase: SecretStr

    def headers(
        self, address: str, method: str, path: str, timestamp_s: int, body: bytes = b""
    ) -> dict[str, str]:
        """Return the L2 headers of one request.

        Parameters
        ----------
        path : str
            Without host and query.
        body : bytes
            Exactly what is sent.

        Raises
        ------
        ConfigError
            If the secret is not base64.
        """
        try:
            secret = base64.urlsafe_b64decode(self.secret.get_secret_value())
        except (binascii.Error, ValueError):
            raise ConfigError(
                "the Polymarket API secret is not base64", None, "set POLYMARKET_API_SECRET"
            ) from None
        message = f"{timestamp_s}{method}{path}".encode() + body
        digest = hmac.new(secret, message, hashlib.sha256).digest()
        return {
            "POLY_ADDRESS": address,
            "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
            "POLY_TIMESTAMP": str(timestamp_s),
            "POLY_API_KEY": self.key.get_secret_value(),
            "POLY_PASSPHRASE": self.passphrase.get_secret_value(),
        }


@cache
def _private_key() -> Callable[[bytes], Any]:
    try:
        from coincurve import PrivateKey
    except ImportError:
        raise ConfigError(
            "signing for Polymarket needs the extra `polymarket`",
            "coincurve is not installed",
            "scripts/setup.sh dev",
        ) from None
    return PrivateKey


@dataclass(frozen=True, slots=True)
class Wallet:
    """The key that signs and the address that pays.

    Attributes
    ----------
    address : str
        Of the key.
    funder : str
        Of the wallet that holds the money; the key's own for type EOA.
    """

    address: str
    funder: str
    signature_type: SignatureType
    _key: Any = field(repr=False)

    @classmethod
    def from_key(cls, private_key: SecretStr, signature_type: int = 0, funder: str = "") -> Wallet:
        """Load a key of 32 bytes of hex.

        Raises
        ------
        ConfigError
            If it is none, or a wallet type needs a funder and has none. The key is never part of the message.
        """
        try:
            raw = bytes.fromhex(private_key.get_secret_value().strip().removeprefix("0x"))
        except ValueError:
            raw = b""
        scalar = int.from_bytes(raw, "big")
        if len(raw) != 32 or not 0 < scalar < GROUP_ORDER:
            raise ConfigError(
                "the Polymarket private key cannot be read",
                "not 32 bytes of hex",
                "set POLYMARKET_PK to the key of the signing wallet",
            )
        try:
            kind = SignatureType(signature_type)
        except ValueError:
            raise ConfigError(
                "unknown Polymarket signature type",
                signature_type,
                "set POLYMARKET_SIGNATURE_TYPE to 0, 1, 2 or 3",
            ) from None
        key = _private_key()(scalar.to_bytes(32, "big"))
        public = key.public_key.format(compressed=False)[1:]
        address = checksum_address(keccak256(public)[12:].hex())
        if kind is not SignatureType.EOA and not funder:
            raise ConfigError(
                "this Polymarket wallet type needs its own address",
                kind.name,
                "set POLYMARKET_FUNDER",
            )
        if funder and not _ADDRESS.fullmatch(
            funder
        ):  # never shown: it may be a key in the wrong place
            raise ConfigError(
                "the Polymarket funder is not an address",
                f"{len(funder)} characters",
                "set POLYMARKET_FUNDER to the address of the wallet that holds the money (0x and 40 hex digits)",
            )
        payer = checksum_address(funder) if funder else address
        if kind is SignatureType.EOA and payer != address:
            raise ConfigError(
                "a plain key pays for itself; the funder is another address",
                payer,
                "set POLYMARKET_SIGNATURE_TYPE to 1, 2 or 3, or remove POLYMARKET_FUNDER",
            )
        return cls(address, payer, kind, key)

    @property
    def order_signer(self) -> str:
        """The signer field of an order: a deposit wallet signs for itself."""
        return self.funder if self.signature_type is SignatureType.POLY_1271 else self.address

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the 65-byte recoverable signature of a 32-byte digest (RFC 6979, low s)."""
        signature: bytes = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def sign_order(
        self, order: OrderStruct, exchange: Exchange, order_hash: bytes | None = None
    ) -> str:
        """Return the signature of an order, wrapped for a deposit wallet; its hash, where that is known."""
        if self.signature_type is not SignatureType.POLY_1271:
            digest = order_hash or order.order_hash(exchange)
            return "0x" + self.sign_digest(digest).hex()
        inner = self.sign_digest(order.wrapped_digest(exchange))
        kind = ORDER_TYPE.encode()
        tail = exchange.separator() + order.struct_hash() + kind + len(kind).to_bytes(2, "big")
        return "0x" + (inner + tail).hex()

    def login_headers(self, timestamp_s: int, nonce: int = 0) -> dict[str, str]:
        """Return the L1 headers that create or derive an API key."""
        signature = self.sign_digest(login_digest(self.address, timestamp_s, nonce))
        return {
            "POLY_ADDRESS": self.address,
            "POLY_SIGNATURE": "0x" + signature.hex(),
            "POLY_TIMESTAMP": str(timestamp_s),
            "POLY_NONCE": str(nonce),
        }
