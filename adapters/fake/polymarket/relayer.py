"""The relayer of the fake Polymarket: turns of wallets, transactions on their way to the chain, tokens and dollars.

A submitted body is read as the chain would (`relayed`), then is NEW, EXECUTED, MINED and CONFIRMED as time passes.
Mining is where tokens and dollars change, to the millionth, and where the wallet's nonce is used; a call that the
account does not cover, or whose nonce is used, ends FAILED and changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from adapters.fake.polymarket import relayed, wire
from adapters.fake.polymarket.relayed import Relayed, TokenCall, refused
from adapters.fake.polymarket.wire import FakeInfo
from core.engine.paper.account import TokenAccount
from core.engine.paper.book import PRICE_UNIT
from core.engine.paper.exchange import Exchange

NEW, EXECUTED, MINED = "STATE_NEW", "STATE_EXECUTED", "STATE_MINED"
CONFIRMED, FAILED = "STATE_CONFIRMED", "STATE_FAILED"
NEXT = {NEW: EXECUTED, EXECUTED: MINED, MINED: CONFIRMED}
RELAY = "0x00000000000000000000000000000000000000aa"
LISTED = 100


@dataclass(slots=True)
class FakeTransaction:
    """One transaction and how far it has come."""

    transaction_id: str
    body: dict[str, Any]
    read: Relayed
    created_ns: int
    due_ns: int
    state: str = NEW
    error: str = ""

    @property
    def active(self) -> bool:
        """Whether it can still happen."""
        return self.state not in (CONFIRMED, FAILED)


@dataclass(slots=True)
class UnredeemedAccount(TokenAccount):
    """An account whose tokens stay after a resolution until they are redeemed."""

    def settle(self, market: str, yes_payout: int) -> int:
        """Pay nothing: the owner redeems."""
        return 0


@dataclass(slots=True)
class FakeRelayer:
    """Wallets, turns and transactions over the account of one exchange.

    Attributes
    ----------
    key : str
        Relayer key that requests must carry; empty = any.
    owners : dict
        Signer to (kind, wallet), lower case; the first body of a signer binds it.
    busy : bool
        Refuse a second transaction of a wallet while one is active, as the venue does.
    step_s : float
        From one state to the next.
    list_late_s : float
        How long a transaction is kept back from the list.
    answer_status : int
        Status of the answer to a submit that was taken: a gateway may say 408 all the same.
    fail : callable
        Decides from the number of a transaction whether it fails instead of being mined.
    """

    exchange: Exchange
    infos: dict[str, FakeInfo]
    clock: Callable[[], int]
    key: str = ""
    busy: bool = True
    step_s: float = 0.05
    list_late_s: float = 0.0
    answer_status: int = 200
    fail: Callable[[int], bool] = lambda number: False
    owners: dict[str, tuple[str, str]] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)
    dust: dict[tuple[str, str], int] = field(default_factory=dict)
    undeployed: set[str] = field(default_factory=set)
    transactions: list[FakeTransaction] = field(default_factory=list)
    executed: list[tuple[str, int]] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths that the relayer answers."""
        return [
            web.get("/v1/account/transactions/params", self.get_turn),
            web.get("/relay-payload", self.get_turn),
            web.get("/deployed", self.get_deployed),
            web.get("/transaction", self.get_transaction),
            web.get("/transactions", self.get_transactions),
            web.post("/submit", self.post_submit),
        ]

    # -- requests ---------------------------------------------------------------------------
    def _caller(self, request: web.Request) -> str:
        """Return whose key a request carries."""
        key, address = (
            request.headers.get(n, "") for n in ("RELAYER_API_KEY", "RELAYER_API_KEY_ADDRESS")
        )
        if not key or not address or (self.key and key != self.key):
            raise web.HTTPUnauthorized(text='{"error": "invalid authorization"}')
        return address.lower()

    async def get_turn(self, request: web.Request) -> web.Response:
        """Nonce of a signer's wallet, and the relay that a proxy signs for."""
        signer, kind = request.query.get("address", "").lower(), request.query.get("type", "")
        nonce = str(self.nonces.get(f"{signer} {kind}", 0))
        return web.json_response({"address": RELAY if kind == "PROXY" else signer, "nonce": nonce})

    async def get_deployed(self, request: web.Request) -> web.Response:
        """Whether a wallet is on chain."""
        address = request.query.get("address", "").lower()
        return web.json_response({"deployed": address not in self.undeployed})

    async def get_transaction(self, request: web.Request) -> web.Response:
        """One transaction by its id, in a list."""
        wanted = request.query.get("id", "")
        rows = [self._row(t) for t in self.transactions if t.transaction_id == wanted]
        return web.json_response(rows, status=200 if rows else 404)

    async def get_transactions(self, request: web.Request) -> web.Response:
        """The newest transactions of the caller."""
        caller, late = self._caller(request), self.clock() - int(self.list_late_s * 1e9)
        rows = [
            self._row(t) for t in reversed(self.transactions)
            if t.read.sender == caller and t.created_ns <= late
        ]  # fmt: skip
        return web.json_response(rows[:LISTED])

    async def post_submit(self, request: web.Request) -> web.Response:
        """Take one signed body."""
        caller = self._caller(request)
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise refused("invalid request body") from None
        if not isinstance(body, dict):
            raise refused("invalid request body")
        told = await asyncio.to_thread(relayed.read, body)
        self._accept(told, caller)
        now = self.clock()
        made = FakeTransaction(
            f"0190b317-0000-4000-8000-{len(self.transactions) + 1:012d}",
            body, told, now, now + int(self.step_s * 1e9),
        )  # fmt: skip
        self.transactions.append(made)
        answer = {"transactionID": made.transaction_id, "state": NEW}
        return web.json_response(answer, status=self.answer_status)

    def _accept(self, told: Relayed, caller: str) -> None:
        """Refuse what the chain would not take.

        Raises
        ------
        VenueRefusal
            With words like the venue's.
        """
        if not told.signer == told.sender == caller:
            raise refused("invalid signature")
        kind, wallet = self.owners.setdefault(told.signer, (told.kind, told.wallet))
        if (kind, wallet) != (told.kind, told.wallet):
            raise refused("the wallet does not belong to the signer")
        if told.kind == "PROXY" and told.relay != RELAY:
            raise refused("unknown relay")
        active = [t for t in self.transactions if t.active and t.read.wallet == told.wallet]
        if active and self.busy:
            raise refused("wallet busy: active action in flight")
        nonce = self.nonces.get(f"{told.signer} {told.kind}", 0)
        if told.nonce != nonce:
            raise refused(f"batch nonce {told.nonce} does not match on-chain nonce {nonce}")
        if told.deadline_s and told.deadline_s * 10**9 < self.clock():
            raise refused("deadline expired")
        self._target(told.call)

    def _target(self, call: TokenCall) -> FakeInfo:
        info = self.infos.get(call.condition)
        if info is None:
            raise refused("execution reverted: unknown condition")
        adapter = relayed.NEG_RISK_CTF_ADAPTER if info.neg_risk else relayed.CTF_ADAPTER
        if call.to != (relayed.ROUTER if info.version == "v2" else adapter):
            raise refused("execution reverted: wrong contract for this market")
        return info

    def _row(self, one: FakeTransaction) -> dict[str, Any]:
        made = datetime.fromtimestamp(one.created_ns / 1e9, UTC).isoformat()
        mined = one.state in (MINED, CONFIRMED)
        return {
            "transactionID": one.transaction_id,
            "transactionHash": f"0x{int(one.transaction_id[-12:]):064x}" if mined else "",
            "from": one.read.sender, "to": one.read.call.to, "proxyAddress": one.read.wallet,
            "data": str(one.body.get("data", "0x")), "nonce": str(one.read.nonce), "value": "",
            "signature": str(one.body["signature"]), "state": one.state, "type": one.read.kind,
            "owner": one.read.sender, "metadata": str(one.body.get("metadata", "")),
            "createdAt": made, "updatedAt": made, "errorMsg": one.error,
        }  # fmt: skip

    # -- the chain --------------------------------------------------------------------------
    def step(self, now_ns: int) -> None:
        """Move every transaction whose time has come."""
        for number, one in enumerate(self.transactions):
            if one.active and one.due_ns <= now_ns:
                one.due_ns = now_ns + int(self.step_s * 1e9)
                if one.state == EXECUTED:
                    one.error = self._mine(one, number, now_ns)
                one.state = FAILED if one.error else NEXT[one.state]

    def _mine(self, one: FakeTransaction, number: int, now_ns: int) -> str:
        """Carry a call out; return why it was not."""
        turn = f"{one.read.signer} {one.read.kind}"
        if one.read.nonce != self.nonces.get(turn, 0):
            return "nonce used"
        if one.read.deadline_s and one.read.deadline_s * 10**9 < now_ns:
            return "deadline expired"
        if self.fail(number):
            return "execution reverted"
        error = self._apply(one.read.call)
        if not error:
            self.nonces[turn] = one.read.nonce + 1
            self.executed.append((one.read.wallet, one.read.nonce))
        return error

    def _apply(self, call: TokenCall) -> str:
        account = self.exchange.account
        yes, no = (self.shares(call.condition, o) for o in (wire.YES, wire.NO))
        if call.action == "redeem":
            return self._redeem(call, yes, no)
        sign = 1 if call.action == "split" else -1
        if call.micro <= 0:
            return "execution reverted: nothing to do"
        if account.cash - sign * call.micro < 0 or min(yes, no) + sign * call.micro < 0:
            return "execution reverted: transfer amount exceeds balance"
        account.cash -= sign * call.micro
        self._hold(call.condition, wire.YES, yes + sign * call.micro)
        self._hold(call.condition, wire.NO, no + sign * call.micro)
        return ""

    def _redeem(self, call: TokenCall, yes: int, no: int) -> str:
        payout = self.exchange.markets[call.condition].yes_payout
        if payout is None:
            return "execution reverted: result for condition not received yet"
        given = {wire.YES: yes, wire.NO: no}
        if call.v2:
            name = (wire.YES, wire.NO)[call.outcome]
            if given[name] < call.micro:
                return "execution reverted: transfer amount exceeds balance"
            given = {name: call.micro}
        for name, micro in given.items():
            rate = payout if name == wire.YES else PRICE_UNIT - payout
            self.exchange.account.cash += micro * rate // PRICE_UNIT
            self._hold(call.condition, name, self.shares(call.condition, name) - micro)
        return ""

    def shares(self, condition: str, outcome: str) -> int:
        """Return millionths of a share, those below a hundredth included."""
        account = self.exchange.account
        assert isinstance(account, TokenAccount)
        key = (condition, outcome)
        return account.held.get(key, 0) * wire.MICRO_PER_LOT + self.dust.get(key, 0)

    def _hold(self, condition: str, outcome: str, micro: int) -> None:
        account, key = self.exchange.account, (condition, outcome)
        assert isinstance(account, TokenAccount)
        account.held[key], self.dust[key] = divmod(micro, wire.MICRO_PER_LOT)
        if not account.held[key]:
            del account.held[key]
