"""What a relayer body says, read as the chain would: who signed it, for which wallet and turn, which call on tokens.

Hashes and calls are read with the general encoders of eth-account and eth-abi, none of it with the code that signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.engine.paper.exchange import VenueRefusal

CHAIN_ID = 137
PUSD = "0xc011a7e12a19f7b1f670d46f03b03f3342e82dfb"
CTF_ADAPTER = "0xada100db00ca00073811820692005400218fce1f"
NEG_RISK_CTF_ADAPTER = "0xada2005600dec949baf300f4c6120000bdb6eaab"
ROUTER = "0x12121212006e4cd160d18e3f00711da5c3372600"
PROXY_FACTORY = "0xab45c5a4b0c941a2f231c04c3f49182e1a254052"
DEPOSIT_FACTORY = "0x00000000000fb5c9adea0298d729a0cb3823cc07"
RELAY_HUB = "0xd216153c06e857cd7f72665e0af1d7d82172f494"
CALLS: dict[str, tuple[str, ...]] = {
    "splitPosition": ("address", "bytes32", "bytes32", "uint256[]", "uint256"),
    "mergePositions": ("address", "bytes32", "bytes32", "uint256[]", "uint256"),
    "redeemPositions": ("address", "bytes32", "bytes32", "uint256[]"),
    "split": ("bytes31", "uint256"),
    "merge": ("bytes31", "uint256"),
    "redeem": ("bytes31", "uint256", "uint256"),
}
SAFE_FIELDS = (
    ("to", "address"), ("value", "uint256"), ("data", "bytes"), ("operation", "uint8"),
    ("safeTxGas", "uint256"), ("baseGas", "uint256"), ("gasPrice", "uint256"),
    ("gasToken", "address"), ("refundReceiver", "address"), ("nonce", "uint256"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenCall:
    """A call on tokens: `micro` millionths, 0 = everything; `outcome` only where a redeem names one."""

    action: str
    condition: str
    micro: int
    to: str
    outcome: int = 0

    @property
    def v2(self) -> bool:
        """Whether it went through the router."""
        return self.to == ROUTER


@dataclass(frozen=True, slots=True)
class Relayed:
    """One body, read.

    Attributes
    ----------
    signer : str
        Recovered from the signature, lower case.
    relay : str
        Address that a proxy's call was signed for; empty for other wallets.
    """

    kind: str
    signer: str
    sender: str
    wallet: str
    nonce: int
    deadline_s: int
    call: TokenCall
    relay: str = ""


def refused(words: str) -> VenueRefusal:
    """Return the refusal of a body."""
    return VenueRefusal("bad_request", words)


def read(body: dict[str, Any]) -> Relayed:
    """Return what a body of ``POST /submit`` says.

    Raises
    ------
    VenueRefusal
        If it cannot be read, or its call is none that changes tokens.
    """
    try:
        kind, sender, nonce = str(body["type"]), str(body["from"]).lower(), int(body["nonce"])
        signature = bytes.fromhex(str(body["signature"]).removeprefix("0x"))
        if len(signature) != 65:
            raise ValueError
        reader = {"WALLET": _deposit, "SAFE": _safe, "PROXY": _proxy}[kind]
        return reader(body, kind, sender, nonce, signature)
    except VenueRefusal:
        raise
    except Exception:
        raise refused("invalid request body") from None


def _deposit(body: dict[str, Any], kind: str, sender: str, nonce: int, signature: bytes) -> Relayed:
    told = body["depositWalletParams"]
    wallet, deadline = str(told["depositWallet"]), int(told["deadline"])
    if str(body["to"]).lower() != DEPOSIT_FACTORY or len(told["calls"]) != 1:
        raise refused("a wallet batch goes through its factory, one call at a time here")
    calls = [
        {"target": c["target"], "value": int(c["value"]), "data": _raw(c["data"])}
        for c in told["calls"]
    ]
    domain = {
        "name": "DepositWallet",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": wallet,
    }
    types = {
        "Batch": _fields(("wallet", "address"), ("nonce", "uint256"), ("deadline", "uint256"), ("calls", "Call[]")),
        "Call": _fields(("target", "address"), ("value", "uint256"), ("data", "bytes")),
    }  # fmt: skip
    message = {"wallet": wallet, "nonce": nonce, "deadline": deadline, "calls": calls}
    from eth_account import Account
    from eth_account.messages import encode_typed_data

    signable = encode_typed_data(domain, types, message)
    signer = str(Account.recover_message(signable, signature=signature)).lower()
    call = call_of(str(calls[0]["target"]), calls[0]["data"])
    return Relayed(kind, signer, sender, wallet.lower(), nonce, deadline, call)


def _safe(body: dict[str, Any], kind: str, sender: str, nonce: int, signature: bytes) -> Relayed:
    wallet, told = str(body["proxyWallet"]), body["signatureParams"]
    message = {
        "to": body["to"], "value": int(body.get("value", "0")), "data": _raw(body["data"]),
        "operation": int(told["operation"]), "safeTxGas": int(told["safeTxnGas"]),
        "baseGas": int(told["baseGas"]), "gasPrice": int(told["gasPrice"]),
        "gasToken": told["gasToken"], "refundReceiver": told["refundReceiver"], "nonce": nonce,
    }  # fmt: skip
    if signature[64] not in (31, 32):
        raise refused("invalid signature")
    from eth_account import Account
    from eth_account.messages import encode_defunct, encode_typed_data
    from eth_utils.crypto import keccak

    domain = {"chainId": CHAIN_ID, "verifyingContract": wallet}
    typed = encode_typed_data(domain, {"SafeTx": _fields(*SAFE_FIELDS)}, message)
    digest = keccak(b"\x19" + typed.version + typed.header + typed.body)
    plain = signature[:64] + bytes([signature[64] - 4])
    signer = str(Account.recover_message(encode_defunct(primitive=digest), signature=plain))
    call = call_of(str(message["to"]), _raw(body["data"]))
    return Relayed(kind, signer.lower(), sender, wallet.lower(), nonce, 0, call)


def _proxy(body: dict[str, Any], kind: str, sender: str, nonce: int, signature: bytes) -> Relayed:
    told, data = body["signatureParams"], _raw(body["data"])
    if str(body["to"]).lower() != PROXY_FACTORY or str(told["relayHub"]).lower() != RELAY_HUB:
        raise refused("a proxy's call goes through its factory and hub")
    from eth_abi.abi import decode
    from eth_account import Account
    from eth_account.messages import encode_defunct
    from eth_utils.crypto import keccak

    numbers = (told["relayerFee"], told["gasPrice"], told["gasLimit"], nonce)
    packed = b"rlx:" + _raw(sender) + _raw(body["to"]) + data
    packed += b"".join(int(n).to_bytes(32, "big") for n in numbers)
    packed += _raw(told["relayHub"]) + _raw(told["relay"])
    signable = encode_defunct(primitive=keccak(packed))
    signer = str(Account.recover_message(signable, signature=signature)).lower()
    if data[:4] != keccak(b"proxy((uint8,address,uint256,bytes)[])")[:4]:
        raise refused("not a call of the proxy factory")
    ((one,),) = decode(["(uint8,address,uint256,bytes)[]"], data[4:])
    call = call_of(str(one[1]), one[3])
    relay = str(told["relay"]).lower()
    return Relayed(kind, signer, sender, str(body["proxyWallet"]).lower(), nonce, 0, call, relay)


def call_of(to: str, data: bytes) -> TokenCall:
    """Return the call on tokens that some bytes are.

    Raises
    ------
    VenueRefusal
        If they are none, or for another collateral or partition.
    """
    from eth_abi.abi import decode
    from eth_utils.crypto import keccak

    for name, types in CALLS.items():
        if keccak(f"{name}({','.join(types)})".encode())[:4] != data[:4]:
            continue
        values: Sequence[Any] = decode(types, data[4:])
        if len(types) < 4:
            outcome, micro = (values[1], values[2]) if name == "redeem" else (0, values[1])
            return TokenCall(name, "0x" + values[0].hex(), micro, to.lower(), outcome)
        if str(values[0]).lower() != PUSD or values[1] != bytes(32) or list(values[3]) != [1, 2]:
            raise refused("execution reverted: collateral, parent or partition")
        action = name.removesuffix("Positions").removesuffix("Position")
        micro = values[4] if len(values) > 4 else 0
        return TokenCall(action, "0x" + values[2].hex(), micro, to.lower())
    raise refused("execution reverted: unknown call")


def _fields(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in pairs]


def _raw(text: str) -> bytes:
    return bytes.fromhex(str(text).removeprefix("0x"))
