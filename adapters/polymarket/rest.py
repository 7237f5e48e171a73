"""Polymarket's order book service over REST: signed, paced, and a plain line between "no" and "perhaps".

Reads are repeated; a write is sent once. A timeout, a lost connection, a 425 or a 5xx on a write raises
`VenueUncertain`: the order id was known before sending, so the caller looks it up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
import msgspec
from pydantic import SecretStr

from adapters.answers import UNREADABLE, Answers, body_of, repeated
from adapters.polymarket import schemas
from adapters.polymarket.errors import code_of, error_of, pause_of
from adapters.polymarket.signing import ApiKey, Wallet
from adapters.token_bucket import Lane, TokenBucket
from core.domain.errors import ConfigError, VenueRefused, VenueUncertain

T = TypeVar("T")

CLOB = "https://clob.polymarket.com"
FIRST_CURSOR, LAST_CURSOR = "MA==", "LTE="
MAX_PAGES = 1_000
BATCH_CANCELS, BATCH_ORDERS = 1_000, 15
#: Per address and ten seconds (documentation of 2026-09-17): the smallest of the groups that we use.
IP_RATE, IP_BURST = 50.0, 100.0
#: Per signer, standard tier: orders 40/s (burst 60), cancels 80/s (burst 120).
ORDER_RATE, ORDER_BURST = 40.0, 60.0
CANCEL_RATE, CANCEL_BURST = 80.0, 120.0


class Limits:
    """Token buckets of one address and one signer."""

    def __init__(self, scale: float = 1.0) -> None:
        self.reads = TokenBucket(IP_RATE * scale, IP_BURST * scale)
        self.orders = TokenBucket(ORDER_RATE * scale, ORDER_BURST * scale)
        self.cancels = TokenBucket(CANCEL_RATE * scale, CANCEL_BURST * scale)

    def of(self, method: str, path: str) -> TokenBucket:
        """Return the bucket that a request draws from."""
        if method == "DELETE":
            return self.cancels
        return self.orders if path in ("/order", "/orders") else self.reads


class ClobRest:
    """One session against one order book service.

    Parameters
    ----------
    session : aiohttp.ClientSession
        Shared; closed by its owner.
    wallet : Wallet, optional
        None for public reads only.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str = CLOB,
        wallet: Wallet | None = None,
        api_key: ApiKey | None = None,
        *,
        limits: Limits | None = None,
        timeout_s: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session, self.base_url = session, base_url.removesuffix("/")
        self.wallet, self.api_key = wallet, api_key
        self.limits, self.answers = limits or Limits(), Answers()
        if api_key is not None:
            self.answers.know(api_key.key, api_key.secret, api_key.passphrase)
        self.timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.clock = clock
        self.tier = ""
        self.before_order: Callable[[], None] = lambda: None
        self._login = asyncio.Lock()

    # -- one request ------------------------------------------------------------------------
    async def keys(self) -> tuple[Wallet, ApiKey]:
        """Return the wallet and its API key, which is asked for once when it was not given.

        Raises
        ------
        ConfigError
            If there are none.
        """
        if self.wallet is None:
            raise ConfigError(
                "Polymarket needs a key for this",
                None,
                "set POLYMARKET_PK, and POLYMARKET_FUNDER for a proxy, safe or deposit wallet",
            )
        if self.api_key is None:
            async with self._login:
                if self.api_key is None:
                    await self.login()
        assert self.api_key is not None
        return self.wallet, self.api_key

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: bytes = b"",
        private: bool = False,
        login: bool = False,
        cost: float = 1.0,
        lane: Lane = Lane.READ,
        accept: frozenset[int] = frozenset(),
    ) -> bytes:
        """Send once; raise `VenueRefused` on a clear no and `VenueUncertain` on anything unclear."""
        signer = await self.keys() if private else None
        bucket = self.limits.of(method, path)
        what = f"{method} {path}"
        await bucket.take(cost, lane)
        for again in (lane is not Lane.ORDER, False):
            if lane is Lane.ORDER:
                self.before_order()  # trading may have been halted meanwhile
            headers = await self._headers(method, path, body, signer, login)
            status, back, data, moved = await self._exchange(method, path, params, body, headers)
            if status != 401 or not moved or not again:
                break  # the clocks were found apart by this answer: signed by the venue's time it is asked again
        if status == 429:
            self.answers.limited(bucket.penalise(pause_of(back, data)))
        else:
            bucket.relax()
        if status >= 400 and status not in accept:
            raise error_of(status, self.answers.hide(data), what, method != "GET")
        return data

    async def _headers(
        self, method: str, path: str, body: bytes, signer: tuple[Wallet, ApiKey] | None, login: bool
    ) -> dict[str, str]:
        """Return the headers of one request, signed by the venue's time as far as it is known."""
        headers: dict[str, str] = {}
        now = int(self.clock() + self.answers.skew_s)  # after the wait: it must be fresh there
        if login:
            assert self.wallet is not None
            headers = await asyncio.to_thread(self.wallet.login_headers, now)
        elif signer is not None:
            wallet, key = signer
            headers = key.headers(wallet.address, method, path, now, body)
        if body:
            headers["Content-Type"] = "application/json"
        return headers

    async def _exchange(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None,
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[int, Mapping[str, str], bytes, bool]:
        """Send one request; return status, headers, body, and whether the clocks were found to have moved apart."""
        time_s = asyncio.get_running_loop().time
        sent = time_s()
        try:
            async with self.session.request(
                method,
                self.base_url + path,
                params=params,
                data=body or None,
                headers=headers,
                timeout=self.timeout,
            ) as response:
                self.answers.stats.frames += 1
                moved = self.answers.timed(response.headers, self.clock(), time_s() - sent)
                self.tier = response.headers.get("Poly-RateLimit-Tier", self.tier)
                return response.status, response.headers, await body_of(response), moved
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise VenueUncertain(
                f"no answer from Polymarket to {method} {path}", type(exc).__name__
            ) from exc

    async def get(
        self,
        path: str,
        kind: type[T],
        params: dict[str, str] | None = None,
        *,
        private: bool = False,
    ) -> T:
        """Read with retries; reads are safe to repeat."""

        async def ask() -> T:
            data = await self.send("GET", path, params=params, private=private)
            return self.answers.decoded(data, kind, f"Polymarket's answer to {path}")

        return await repeated(ask)

    async def _pages(self, path: str, kind: type[T], params: dict[str, str]) -> list[Any]:
        """Read all pages; a cursor that repeats or never ends raises."""
        rows: list[Any] = []
        cursor, seen = FIRST_CURSOR, set[str]()
        for _ in range(MAX_PAGES):
            page: Any = await self.get(path, kind, params | {"next_cursor": cursor}, private=True)
            rows.extend(page.data or ())
            cursor = page.next_cursor or LAST_CURSOR
            if cursor == LAST_CURSOR:
                return rows
            if cursor in seen:
                break
            seen.add(cursor)
        raise VenueUncertain(f"Polymarket's pages of {path} do not end", cursor)

    # -- public -----------------------------------------------------------------------------
    async def time_s(self) -> float:
        """Return the venue's clock, seconds."""
        return float(schemas.number(await self.get("/time", schemas.Number), "time"))  # type: ignore[arg-type]

    async def version(self) -> str:
        """Return the order version that the venue takes."""
        found = await self.get("/version", dict[str, schemas.Number])
        return str(found.get("version", ""))

    async def book(self, token_id: str) -> schemas.BookMsg:
        """Return the book of one token."""
        return await self.get("/book", schemas.BookMsg, {"token_id": token_id})

    # -- keys -------------------------------------------------------------------------------
    async def login(self) -> ApiKey:
        """Return this wallet's API key: the existing one, or a new one."""
        try:
            data = await self.send("GET", "/auth/derive-api-key", login=True)
        except VenueRefused as exc:
            if exc.status not in (400, 404):
                raise
            data = await self.send("POST", "/auth/api-key", login=True)
        found = self._secret(data)
        self.api_key = ApiKey(
            SecretStr(found.apiKey), SecretStr(found.secret), SecretStr(found.passphrase)
        )
        self.answers.know(self.api_key.key, self.api_key.secret, self.api_key.passphrase)
        return self.api_key

    def _secret(self, data: bytes) -> schemas.ApiKeyMsg:
        """Decode a key; nothing of a body that cannot be read is repeated, it may hold a part of one."""
        try:
            return msgspec.json.decode(data, type=schemas.ApiKeyMsg)
        except UNREADABLE as exc:
            self.answers.bad("Polymarket's answer to a login", type(exc).__name__)
            raise VenueUncertain("Polymarket answered a login with a body we cannot read") from None

    async def closed_only(self) -> bool:
        """Return whether this account may only close positions."""
        found = await self.get("/auth/ban-status/closed-only", schemas.ClosedOnlyMsg, private=True)
        return found.closed_only

    async def collateral(self) -> schemas.BalanceMsg:
        """Return the dollars of the wallet and what the exchange contracts may take of them."""
        wallet, _ = await self.keys()
        params = {"asset_type": "COLLATERAL", "signature_type": str(int(wallet.signature_type))}
        return await self.get("/balance-allowance", schemas.BalanceMsg, params, private=True)

    # -- own state --------------------------------------------------------------------------
    async def balance(self, token_id: str = "", v2: bool = False) -> int:
        """Return millionths of a dollar, or of a share of one token."""
        wallet, _ = await self.keys()
        params = {"asset_type": "COLLATERAL", "signature_type": str(int(wallet.signature_type))}
        if token_id:
            params |= {
                "asset_type": "CONDITIONAL-V2" if v2 else "CONDITIONAL",
                "token_id": token_id,
            }
        found = await self.get("/balance-allowance", schemas.BalanceMsg, params, private=True)
        return int(schemas.number(found.balance, "balance"))

    async def order(self, order_id: str) -> schemas.OrderMsg | None:
        """Return a live order; None when it is not live (ended, or never there)."""
        try:
            return await self.get(f"/data/order/{order_id}", schemas.OrderMsg | None, private=True)  # type: ignore[arg-type]
        except VenueRefused as exc:
            if exc.status == 404:
                return None
            raise

    async def orders(self, **params: str) -> list[schemas.OrderMsg]:
        """Return live orders."""
        return await self._pages("/data/orders", schemas.OrdersPage, params)

    async def trades(self, **params: str) -> list[schemas.TradeMsg]:
        """Return own trades by ``after``, ``market``, ``asset_id`` or ``id``."""
        return await self._pages("/data/trades", schemas.TradesPage, params)

    # -- writes: sent once ------------------------------------------------------------------
    async def create(self, body: bytes) -> schemas.OrderAnswer:
        """Send one signed order.

        Raises
        ------
        VenueRefused
            A clear no, also where it comes with status 200.
        VenueUncertain
            Anything else: the order may be there.
        """
        data = await self.send("POST", "/order", body=body, private=True, lane=Lane.ORDER)
        return self._taken(self._orders_of(data, schemas.OrderAnswer))

    async def create_batch(
        self, bodies: Sequence[bytes]
    ) -> list[schemas.OrderAnswer | VenueRefused | VenueUncertain]:
        """Send signed orders, at most fifteen a request; each is answered for itself, in order.

        A request without a readable answer, or with another number of answers, leaves all its orders uncertain.
        """
        out: list[schemas.OrderAnswer | VenueRefused | VenueUncertain] = []
        for start in range(0, len(bodies), BATCH_ORDERS):
            part = list(bodies[start : start + BATCH_ORDERS])
            body = b"[" + b",".join(part) + b"]"
            try:
                data = await self.send(
                    "POST", "/orders", body=body, private=True, cost=len(part), lane=Lane.ORDER
                )
                answers = self._orders_of(data, tuple[schemas.OrderAnswer, ...])
            except (VenueRefused, VenueUncertain) as exc:
                out += [exc] * len(part)
                continue
            if len(answers) != len(part):
                out += [VenueUncertain("Polymarket answered another number of orders")] * len(part)
                continue
            for answer in answers:
                try:
                    out.append(self._taken(answer))
                except (VenueRefused, VenueUncertain) as exc:
                    out.append(exc)
        return out

    def _orders_of(self, data: bytes, kind: type[T]) -> T:
        return self.answers.decoded(data, kind, "Polymarket's answer to an order")

    @staticmethod
    def _taken(answer: schemas.OrderAnswer) -> schemas.OrderAnswer:
        """Return an answer that names an order.

        Without one it is a refusal, whatever `success` says, if it says why. Without a reason it says nothing: the
        order may be there.
        """
        if not answer.success or not answer.orderID:
            words = answer.errorMsg
            if not words:
                raise VenueUncertain("Polymarket answered an order with neither an id nor a reason")
            raise VenueRefused(code_of(words), f"Polymarket refused: {words}", 200)
        return answer

    async def cancel(self, order_ids: Sequence[str]) -> dict[str, str]:
        """Cancel orders; return those that were not cancelled, with the venue's reason."""
        left: dict[str, str] = {}
        for start in range(0, len(order_ids), BATCH_CANCELS):
            part = list(order_ids[start : start + BATCH_CANCELS])
            if len(part) == 1:
                path, body = "/order", msgspec.json.encode({"orderID": part[0]})
            else:
                path, body = "/orders", msgspec.json.encode(part)
            data = await self.send(
                "DELETE", path, body=body, private=True, cost=len(part), lane=Lane.CANCEL
            )
            left |= self._not_canceled(data, part)
        return left

    async def cancel_all(self) -> dict[str, str]:
        """Cancel every order of this key; return those that were not cancelled."""
        data = await self.send("DELETE", "/cancel-all", private=True, lane=Lane.CANCEL)
        return self._not_canceled(data, ())

    def _not_canceled(self, data: bytes, asked: Sequence[str]) -> dict[str, str]:
        answer = self.answers.decoded(data, schemas.CancelAnswer, "Polymarket's answer to a cancel")
        said = set(answer.canceled or ()) | set(answer.not_canceled or {})
        unsaid = {oid: "not mentioned in the answer" for oid in asked if oid not in said}
        return dict(answer.not_canceled or {}) | unsaid

    async def heartbeat(self, heartbeat_id: str) -> str:
        """Say that we live; return the id of the next beat. Without beats the venue cancels everything.

        A stale id is answered with the expected one, which is sent at once.
        """
        for attempt in range(2):
            body = msgspec.json.encode({"heartbeat_id": heartbeat_id})
            data = await self.send(
                "POST",
                "/v1/heartbeats",
                body=body,
                private=True,
                lane=Lane.CANCEL,
                accept=frozenset({400}),
            )
            answer = self.answers.decoded(
                data, schemas.HeartbeatMsg, "Polymarket's answer to a beat"
            )
            heartbeat_id = answer.heartbeat_id or ""
            if not answer.error_msg:
                return heartbeat_id
            if attempt or not heartbeat_id:
                raise VenueRefused(
                    "heartbeat",
                    f"Polymarket refused: {answer.error_msg}",
                    400,
                    "none needed: the next one is sent in seconds",
                )
        raise AssertionError("unreachable")
