"""Split, merge, redeem and convert of Polymarket tokens: calls built and held to caps here, sent by `relayer`.

======== ===================================== ===========================================================
call     version 1 (collateral adapters)       version 2 (router)
======== ===================================== ===========================================================
split    splitPosition, partition [1, 2]       split(bytes31,uint256)
merge    mergePositions, partition [1, 2]      merge(bytes31,uint256)
redeem   redeemPositions, index sets [1, 2]    redeem(bytes31,uint256 outcome,uint256 amount)
convert  convertPositions (neg-risk adapter)   convert(bytes29,uint16,uint256)
======== ===================================== ===========================================================

Split, merge and redeem equal the official client's. What a convert pays is not documented anywhere: it is built for a
dry run and refused for sending until it has been proven on chain (ADR 0056).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from adapters.polymarket.amounts import MICRO, whole
from adapters.polymarket.eip712 import address_word, keccak256, word
from core.domain.errors import GateClosed, UsageError
from core.domain.market import Market

PUSD = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
CTF_ADAPTER = "0xAdA100Db00Ca00073811820692005400218FcE1f"
NEG_RISK_CTF_ADAPTER = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
NEG_RISK_ADAPTER = "0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296"
ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"
PARTITION = (1, 2)
MAX_OUTCOMES = 256


class Action(StrEnum):
    """What is done with tokens."""

    SPLIT = "split"
    MERGE = "merge"
    REDEEM = "redeem"
    CONVERT = "convert"


SIGNATURES = {
    ("v1", Action.SPLIT): "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
    ("v1", Action.MERGE): "mergePositions(address,bytes32,bytes32,uint256[],uint256)",
    ("v1", Action.REDEEM): "redeemPositions(address,bytes32,bytes32,uint256[])",
    ("v1", Action.CONVERT): "convertPositions(bytes32,uint256,uint256)",
    ("v2", Action.SPLIT): "split(bytes31,uint256)",
    ("v2", Action.MERGE): "merge(bytes31,uint256)",
    ("v2", Action.REDEEM): "redeem(bytes31,uint256,uint256)",
    ("v2", Action.CONVERT): "convert(bytes29,uint16,uint256)",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One contract call, ready to send.

    Attributes
    ----------
    amount : Decimal
        Dollars or shares that move; 0 for a version 1 redeem, which takes everything.
    proven : bool
        Whether every argument's meaning is documented.
    """

    action: Action
    to: str
    data: str
    amount: Decimal
    proven: bool = True


def selector(signature: str) -> bytes:
    """Return the four bytes that name a function."""
    return keccak256(signature.encode())[:4]


def _bytes_word(text: str, size: int) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise UsageError(
            f"not an id of {size} bytes",
            text[:80],
            "copy the id from the market: 0x and hexadecimal digits",
        )
    return raw.ljust(32, b"\0")


def _encoded(signature: str, words: Sequence[bytes]) -> str:
    return "0x" + (selector(signature) + b"".join(words)).hex()


def build(
    action: Action,
    market: Market,
    amount: Decimal,
    *,
    outcome: int = 0,
    index_set: int = 0,
) -> Call:
    """Return the call of an action on one market.

    Parameters
    ----------
    amount : Decimal
        Dollars or shares, at most 6 decimals; not looked at where everything is redeemed (version 1).
    outcome : int
        Held outcome of a version 2 redeem.
    index_set : int
        NO tokens to convert, one bit for each outcome of the event.

    Raises
    ------
    UsageError, VenueRefused
        If ids or amount cannot be used.
    """
    version = "v2" if market.info.get("version") == "v2" else "v1"
    signature = SIGNATURES[(version, action)]
    everything = action is Action.REDEEM and version == "v1"
    micro = 0 if everything else whole(amount, MICRO, "amount")
    if action is Action.CONVERT:
        return _convert(version, signature, market, micro, index_set, amount)
    if version == "v2":
        condition = _bytes_word(market.market_id, 31)
        words = [condition, word(micro)]
        if action is Action.REDEEM:
            if outcome not in (0, 1):
                raise UsageError("no such outcome", outcome, "--outcome 0 or 1")
            words = [condition, word(outcome), word(micro)]
        return Call(action, ROUTER, _encoded(signature, words), amount)
    adapter = NEG_RISK_CTF_ADAPTER if market.info.get("neg_risk") else CTF_ADAPTER
    head = [address_word(PUSD), bytes(32), _bytes_word(market.market_id, 32)]
    array = [word(len(PARTITION)), *(word(p) for p in PARTITION)]
    if everything:
        words = [*head, word(4 * 32), *array]
        return Call(action, adapter, _encoded(signature, words), Decimal(0))
    words = [*head, word(5 * 32), word(micro), *array]
    return Call(action, adapter, _encoded(signature, words), amount)


def _convert(
    version: str, signature: str, market: Market, micro: int, index_set: int, amount: Decimal
) -> Call:
    """Return the conversion of NO tokens; its payout in pUSD is not documented, so it is never proven."""
    if not market.neg_risk_id:
        raise UsageError(
            "only neg-risk events convert", market.market_id, "name a market of a neg-risk event"
        )
    if not 0 < index_set < 1 << MAX_OUTCOMES:
        raise UsageError(
            "no outcome to convert", index_set, "--index-set with one bit for each NO to convert"
        )
    if version == "v2":
        if index_set.bit_count() != 1:
            raise UsageError(
                "version 2 converts one NO at a time",
                bin(index_set),
                "--index-set with one bit, one call for each NO",
            )
        event = _bytes_word(market.neg_risk_id, 29)
        words = [event, word(index_set.bit_length() - 1), word(micro)]
        return Call(Action.CONVERT, ROUTER, _encoded(signature, words), amount, proven=False)
    words = [_bytes_word(market.neg_risk_id, 32), word(index_set), word(micro)]
    return Call(Action.CONVERT, NEG_RISK_ADAPTER, _encoded(signature, words), amount, proven=False)


@dataclass(frozen=True, slots=True)
class Caps:
    """Most dollars or shares of one call, and of all calls of 24 hours; `options` are what changes them."""

    call: Decimal = Decimal(50)
    day: Decimal = Decimal(200)
    options: tuple[str, str] = ("--cap", "--day-cap")

    def hold(self, amount: Decimal, spent: Decimal = Decimal(0)) -> None:
        """Refuse an amount above a cap.

        Raises
        ------
        GateClosed
            Naming the cap.
        """
        if amount > self.call:
            raise GateClosed(
                "above the cap of one call", amount, f"the cap is {self.call}: {self.options[0]}"
            )
        if spent + amount > self.day:
            raise GateClosed(
                "above the cap of 24 hours",
                spent + amount,
                f"the cap is {self.day}: {self.options[1]}",
            )
