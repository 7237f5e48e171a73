"""The relayer over REST: what a wallet's next transaction must carry, submit once, look up.

Reads are repeated. A submit is sent once: a timeout, a lost connection or a 5xx raises `VenueUncertain`, and the
caller looks for the transaction before anything else happens. Paths and fields as documented 2026-09-17, the nonce
of a wallet as polymarket-client 0.14.0 asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
from pydantic import SecretStr

from adapters.polymarket.relayer.signing import Turn, WalletKind, kind_of
from adapters.polymarket.rest import ClobRest, Limits
from adapters.polymarket.signing import ApiKey, Wallet
from adapters.token_bucket import Lane, TokenBucket
from core.domain.errors import ConfigError, VenueRefused, VenueUncertain

RELAYER = "https://relayer-v2.polymarket.com"
#: Documented: 25 submits a minute.
SUBMITS_PER_S, SUBMIT_BURST = 25 / 60, 25.0
#: How long a deposit wallet takes a signed call, seconds: the official client's own.
DEADLINE_S = 600
#: Of the largest number of 32 bytes.
NONCE_DIGITS = 78


class SubmitAnswer(msgspec.Struct):
    """Answer to a submit."""

    transactionID: str = ""
    state: str = ""


class Transaction(msgspec.Struct, rename={"sender": "from"}):
    """One transaction as the relayer keeps it."""

    transactionID: str
    state: str
    transactionHash: str | None = None
    sender: str = ""
    proxyAddress: str | None = None
    nonce: str | int | None = None
    signature: str | None = None
    type: str | None = None
    metadata: str | None = None
    errorMsg: str | None = None

    @property
    def number(self) -> int | None:
        """The nonce, None where it is not told."""
        return nonce_of(self.nonce)


class Params(msgspec.Struct):
    """What the next transaction of a wallet must carry."""

    nonce: str | int
    address: str = ""


class Deployed(msgspec.Struct):
    """Whether a wallet is on chain."""

    deployed: bool


class RelayerLimits(Limits):
    """Token buckets of one relayer key."""

    def __init__(self) -> None:
        super().__init__()
        self.submits = TokenBucket(SUBMITS_PER_S, SUBMIT_BURST)

    def of(self, method: str, path: str) -> TokenBucket:
        """Return the bucket that a request draws from."""
        return self.submits if method == "POST" else self.reads


class Relayer(ClobRest):
    """One session against the relayer: the transport of the order book service with the relayer's own key.

    Parameters
    ----------
    key : SecretStr
        A relayer API key that belongs to the signing address of `wallet`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        wallet: Wallet,
        key: SecretStr,
        *,
        timeout_s: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            session, base_url, wallet, limits=RelayerLimits(), timeout_s=timeout_s, clock=clock
        )
        self.kind = kind_of(wallet)
        self.owner, self._key = wallet, key
        self.answers.know(key)
        try:
            key.get_secret_value().encode("latin-1")
        except UnicodeEncodeError:
            raise ConfigError(
                "the relayer key cannot be sent as a header",
                None,
                "set POLYMARKET_RELAYER_KEY to the key of polymarket.com/settings",
            ) from None

    async def _headers(
        self, method: str, path: str, body: bytes, signer: tuple[Wallet, ApiKey] | None, login: bool
    ) -> dict[str, str]:
        """Return the headers of one request."""
        headers = {
            "RELAYER_API_KEY": self._key.get_secret_value().strip(),
            "RELAYER_API_KEY_ADDRESS": self.owner.address,
        }
        return headers | ({"Content-Type": "application/json"} if body else {})

    async def turn(self) -> Turn:
        """Return what the wallet's next transaction must carry.

        Raises
        ------
        VenueUncertain
            If the answer holds no nonce, or no relay where one is needed.
        """
        params = {"address": self.owner.address, "type": self.kind.value}
        proxy = self.kind is WalletKind.PROXY
        path = "/relay-payload" if proxy else "/v1/account/transactions/params"
        told = await self.get(path, Params, params)
        nonce = nonce_of(told.nonce)
        if nonce is None:
            shown = told.nonce[:80] if isinstance(told.nonce, str) else "a number out of range"
            raise VenueUncertain("the relayer told no nonce", shown)
        if proxy and not _is_address(told.address):
            raise VenueUncertain("the relayer told no relay address", told.address[:80])
        deadline = int(self.clock()) + DEADLINE_S if self.kind is WalletKind.DEPOSIT else 0
        return Turn(nonce, deadline, told.address if proxy else "")

    async def deployed(self) -> bool:
        """Return whether the wallet that holds the money is on this chain."""
        params = {"address": self.owner.funder, "type": self.kind.value}
        return (await self.get("/deployed", Deployed, params)).deployed

    async def submit(self, body: dict[str, Any]) -> SubmitAnswer:
        """Send one signed body, once.

        Raises
        ------
        VenueRefused
            A clear no: nothing was taken.
        VenueUncertain
            Anything else: the transaction may be there.
        """
        data = await self.send("POST", "/submit", body=msgspec.json.encode(body), lane=Lane.ORDER)
        answer = self.answers.decoded(data, SubmitAnswer, "the relayer's answer to a submit")
        if not answer.transactionID:
            raise VenueUncertain("the relayer answered a submit without a transaction id")
        return answer

    async def transaction(self, transaction_id: str) -> Transaction | None:
        """Return one transaction; None where the relayer does not have it."""
        try:
            told: Any = await self.get(
                "/transaction", list[Transaction] | Transaction, {"id": transaction_id}  # type: ignore[arg-type]
            )  # fmt: skip
        except VenueRefused as exc:
            if exc.status == 404:
                return None
            raise
        rows: list[Transaction] = told if isinstance(told, list) else [told]
        return next((t for t in rows if t.transactionID == transaction_id), None)

    async def transactions(self) -> list[Transaction]:
        """Return the newest transactions of this key's owner."""
        return await self.get("/transactions", list[Transaction])


def nonce_of(told: str | int | None) -> int | None:
    """Return a nonce as a number; None for anything that is none."""
    text = str(told) if not isinstance(told, int) or -1 < told < 1 << 256 else ""
    if not (text.isascii() and text.isdigit() and len(text) <= NONCE_DIGITS):
        return None
    number = int(text)
    return number if number < 1 << 256 else None


def _is_address(text: str) -> bool:
    try:
        return len(bytes.fromhex(text.removeprefix("0x"))) == 20
    except ValueError:
        return False
