"""Signed relayer bodies: one contract call for each of the three wallets that the relayer serves.

============== ===================================================== ==================================
wallet         what the key signs                                    ends by itself
============== ===================================================== ==================================
deposit (3)    EIP-712 ``Batch`` of the wallet, nonce and deadline   yes, at the deadline
safe (2)       EIP-712 ``SafeTx`` of the safe and its nonce          no
proxy (1)      ``rlx:`` hash over call, gas limit, nonce and relay   no
============== ===================================================== ==================================

Every signature takes exactly one nonce of its wallet, and the chain takes each nonce once: two bodies with one nonce
can never both be executed. All of it equals what polymarket-client 0.14.0 signs, held by recorded vectors (ADR 0100).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapters.polymarket.eip712 import CHAIN_ID, address_word, keccak256, word
from adapters.polymarket.positions import Call
from adapters.polymarket.signing import SignatureType, Wallet
from core.domain.errors import ConfigError

PROXY_FACTORY = "0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"
DEPOSIT_FACTORY = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
RELAY_HUB = "0xD216153c06E857cD7f72665E0aF1d7D82172F494"
NOBODY = "0x" + "00" * 20
#: Gas that a proxy's call may use: the official client's own where it cannot ask a node of the chain.
PROXY_GAS = 200_000
#: Added to the recovery byte of a signature over a prefixed hash (Safe contracts, signature type eth_sign).
ETH_SIGN = 4

DEPOSIT_DOMAIN = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
SAFE_DOMAIN = "EIP712Domain(uint256 chainId,address verifyingContract)"
CALL_TYPE = "Call(address target,uint256 value,bytes data)"
BATCH_TYPE = "Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + CALL_TYPE
SAFE_TYPE = (
    "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,"
    "uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)
PROXY_CALL = "proxy((uint8,address,uint256,bytes)[])"


class WalletKind(StrEnum):
    """Kind of wallet, as the relayer names it."""

    PROXY = "PROXY"
    SAFE = "SAFE"
    DEPOSIT = "WALLET"


KINDS = {
    SignatureType.POLY_PROXY: WalletKind.PROXY,
    SignatureType.POLY_GNOSIS_SAFE: WalletKind.SAFE,
    SignatureType.POLY_1271: WalletKind.DEPOSIT,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What the relayer said a wallet's next transaction must carry.

    Attributes
    ----------
    nonce : int
        The wallet's next number.
    deadline_s : int
        Unix time after which a deposit wallet refuses the call; 0 for the kinds that know none.
    relay : str
        Address that will send a proxy's call; empty for the others.
    """

    nonce: int
    deadline_s: int = 0
    relay: str = ""


def kind_of(wallet: Wallet) -> WalletKind:
    """Return the relayer's name for a wallet.

    Raises
    ------
    ConfigError
        For a plain key: it pays its own gas, the relayer does not serve it.
    """
    kind = KINDS.get(wallet.signature_type)
    if kind is None:
        raise ConfigError(
            "the relayer does not serve a plain key", wallet.signature_type.name,
            "send the call that the dry run shows from that wallet, or set POLYMARKET_SIGNATURE_TYPE and POLYMARKET_FUNDER",
        )  # fmt: skip
    return kind


def signed_body(wallet: Wallet, call: Call, turn: Turn, metadata: str) -> dict[str, Any]:
    """Return the body of ``POST /submit`` for one call; equal inputs give equal bytes.

    Parameters
    ----------
    metadata : str
        Stored by the relayer beside the transaction, at most 500 characters, not signed.
    """
    kind = kind_of(wallet)
    common: dict[str, Any] = {
        "type": kind.value,
        "from": wallet.address,
        "nonce": str(turn.nonce),
        "metadata": metadata,
    }
    if kind is WalletKind.DEPOSIT:
        return common | {
            "to": DEPOSIT_FACTORY,
            "signature": _text(wallet.sign_digest(deposit_digest(wallet.funder, call, turn))),
            "depositWalletParams": {
                "depositWallet": wallet.funder,
                "deadline": str(turn.deadline_s),
                "calls": [{"target": call.to, "value": "0", "data": call.data}],
            },
        }
    if kind is WalletKind.SAFE:
        raw = wallet.sign_digest(prefixed(safe_digest(wallet.funder, call, turn.nonce)))
        return common | {
            "to": call.to,
            "proxyWallet": wallet.funder,
            "data": call.data,
            "signature": _text(raw[:64] + bytes([raw[64] + ETH_SIGN])),
            "signatureParams": {
                "baseGas": "0",
                "gasPrice": "0",
                "gasToken": NOBODY,
                "operation": "0",
                "refundReceiver": NOBODY,
                "safeTxnGas": "0",
            },
        }
    data = proxy_data(call)
    digest = proxy_digest(wallet.address, data, turn)
    return common | {
        "to": PROXY_FACTORY,
        "proxyWallet": wallet.funder,
        "data": _text(data),
        "signature": _text(wallet.sign_digest(prefixed(digest))),
        "signatureParams": {
            "gasLimit": str(PROXY_GAS),
            "gasPrice": "0",
            "relay": turn.relay,
            "relayHub": RELAY_HUB,
            "relayerFee": "0",
        },
    }


def deposit_digest(wallet: str, call: Call, turn: Turn) -> bytes:
    """Return what the owner of a deposit wallet signs: a batch of one call."""
    domain = keccak256(
        keccak256(DEPOSIT_DOMAIN.encode())
        + keccak256(b"DepositWallet")
        + keccak256(b"1")
        + word(CHAIN_ID)
        + address_word(wallet)
    )
    one = keccak256(
        keccak256(CALL_TYPE.encode()) + address_word(call.to) + word(0) + keccak256(_bytes(call))
    )
    batch = keccak256(
        keccak256(BATCH_TYPE.encode())
        + address_word(wallet)
        + word(turn.nonce)
        + word(turn.deadline_s)
        + keccak256(one)
    )
    return keccak256(b"\x19\x01" + domain + batch)


def safe_digest(safe: str, call: Call, nonce: int) -> bytes:
    """Return the hash of a safe's transaction: a plain call without gas refund."""
    domain = keccak256(keccak256(SAFE_DOMAIN.encode()) + word(CHAIN_ID) + address_word(safe))
    no_refund = word(0) * 4 + address_word(NOBODY) * 2
    transaction = keccak256(
        keccak256(SAFE_TYPE.encode())
        + address_word(call.to)
        + word(0)
        + keccak256(_bytes(call))
        + no_refund
        + word(nonce)
    )
    return keccak256(b"\x19\x01" + domain + transaction)


def proxy_data(call: Call) -> bytes:
    """Return the call of the proxy factory that makes the wallet do `call`."""
    inner = _bytes(call)
    padded = inner + bytes(-len(inner) % 32)
    # an array of one tuple (kind 1 = call, address, value, bytes), each dynamic part after its offset
    head = word(32) + word(1) + word(32)
    body = word(1) + address_word(call.to) + word(0) + word(4 * 32) + word(len(inner)) + padded
    return keccak256(PROXY_CALL.encode())[:4] + head + body


def proxy_digest(signer: str, data: bytes, turn: Turn) -> bytes:
    """Return the hash of a relayed proxy call (Gas Station Network, version 1)."""
    return keccak256(
        b"rlx:"
        + address_word(signer)[12:]
        + address_word(PROXY_FACTORY)[12:]
        + data
        + word(0)
        + word(0)
        + word(PROXY_GAS)
        + word(turn.nonce)
        + address_word(RELAY_HUB)[12:]
        + address_word(turn.relay)[12:]
    )


def prefixed(digest: bytes) -> bytes:
    """Return a hash as wallets sign a message (EIP-191, ``personal_sign``)."""
    return keccak256(b"\x19Ethereum Signed Message:\n32" + digest)


def _bytes(call: Call) -> bytes:
    return bytes.fromhex(call.data.removeprefix("0x"))


def _text(raw: bytes) -> str:
    return "0x" + raw.hex()
