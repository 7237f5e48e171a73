"""Sends calls on tokens: checked, capped, written down before they leave, followed to their end, never sent twice.

The order of things, each step refusing what the ones before it let through::

    earlier calls resolved -> trading not halted -> caps -> balance -> wallet on this chain
        -> intent row (durable) -> submit once -> submitted row -> poll -> ended row

An answer that is lost leaves the call unknown: it is looked up in the relayer's list by its mark and its signature.
A second attempt is made only when somebody asks for the same call again, only after the relayer has been asked, and
under the same nonce, of which the chain takes one.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from adapters.polymarket.positions import Action, Call, Caps, build
from adapters.polymarket.relayer.calls import (
    DONE,
    KINDS,
    LOST,
    KnownCall,
    Verdict,
    known_calls,
    outcome_of,
    spent_since,
    verdict_on,
)
from adapters.polymarket.relayer.client import Relayer, Transaction
from adapters.polymarket.relayer.funds import Funds
from adapters.polymarket.relayer.signing import Turn, WalletKind, signed_body
from core.domain.errors import (
    GateClosed,
    HaltedError,
    UsageError,
    VenueRefused,
    VenueUncertain,
)
from core.domain.faultpoints import point
from core.domain.market import Market
from core.ledger import Ledger
from core.ledger.kinds import (
    CallOutcome,
    OperatorCommand,
    TokenCallEnded,
    TokenCallIntended,
    TokenCallSubmitted,
    TokenCallUnknown,
)
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.states import TradingState

VENUE = "POLYMARKET"
DAY_NS = 86_400 * 10**9
RESOLVE = "beta tokens resolve"
#: Answers to a submit that say it was not taken; any other one (a 408 of a gateway) proves nothing.
NOT_TAKEN = frozenset({400, 401, 403, 404, 413, 422, 429})
#: What may be done while only sales pass: it turns shares into dollars.
REDUCES = frozenset({Action.MERGE, Action.REDEEM})


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things are waited for, seconds."""

    settle_s: float = 15.0
    wait_s: float = 180.0
    poll_s: float = 2.0


class TokenCalls:
    """The calls of one wallet over one ledger. One process at a time: the ledger's lock sees to it.

    Parameters
    ----------
    ledger : Ledger
        Where rows go; `LedgerReader` reads its folder.
    trading : callable
        The kill switch: asked before the intent and again right before the bytes leave.
    tell : callable, optional
        Gets a line at each step.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        relayer: Relayer,
        funds: Funds,
        trading: Callable[[], TradingState],
        *,
        caps: Caps | None = None,
        pace: Pace | None = None,
        actor: str = "",
        channel: str = "cli",
        tell: Callable[[str], None] = lambda line: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.ledger, self.reader = ledger, reader
        self.relayer, self.funds, self.trading = relayer, funds, trading
        self.caps, self.pace = caps or Caps(), pace or Pace()
        self.actor, self.channel, self.tell, self.clock_ns = actor, channel, tell, clock_ns

    def known(self) -> dict[str, KnownCall]:
        """Return every call of this ledger."""
        self.ledger.flush()
        return known_calls(self.reader.rows(Selection(kinds=KINDS)))

    # -- sending ----------------------------------------------------------------------------
    async def send(
        self, action: Action, market: Market, amount: Decimal, outcome: int = 0
    ) -> KnownCall:
        """Send one call and follow it to its end.

        Returns
        -------
        KnownCall
            Ended, or still without an end after `Pace.wait_s`.

        Raises
        ------
        GateClosed, HaltedError
            If it may not be sent; nothing has left.
        VenueUncertain
            If nobody knows yet whether the relayer has it; a row says so.
        """
        call = build(action, market, amount, outcome=outcome)
        if not call.proven:
            raise GateClosed(
                "no document states what this call pays", call.action, "see docs/adr/0056"
            )
        if action is Action.REDEEM and not call.amount and amount:
            raise UsageError("a version 1 market redeems everything", amount, "leave out --amount")
        self.caps.hold(call.amount)
        self._demand_trading(action)
        again = await self._earlier(call)
        size = await self.funds.demand(action, market, call.amount, outcome)
        since = self.clock_ns() - DAY_NS
        same = again.intent.call_id if again is not None else ""
        others = [c for call_id, c in self.known().items() if call_id != same]
        spent = spent_since(others, since)
        self.caps.hold(size, spent)
        # a proxy comes into being with its first call
        if self.relayer.kind is not WalletKind.PROXY and not await self.relayer.deployed():
            raise GateClosed(
                "the wallet is not on this chain", self.relayer.owner.funder,
                "check POLYMARKET_FUNDER and POLYMARKET_SIGNATURE_TYPE",
            )  # fmt: skip
        turn = await self.relayer.turn()
        if again is not None and turn.nonce != again.intent.nonce:
            raise GateClosed("the wallet's nonce has moved meanwhile", turn.nonce, RESOLVE)
        intent, seq = self._intend(call, market, size, turn, again)
        return await self._submit(call, turn, intent, seq)

    def _demand_trading(self, action: Action) -> None:
        state = self.trading()
        if state is TradingState.RUNNING or (
            state is TradingState.REDUCE_ONLY and action in REDUCES
        ):
            return
        raise HaltedError("trading is halted: no call leaves", state, "beta risk resume")

    async def _earlier(self, call: Call) -> KnownCall | None:
        """Resolve earlier calls; return the one that this is a second attempt of.

        Raises
        ------
        GateClosed
            If one is still open and this is another call: a wallet does one thing at a time.
        """
        left = [c for c in await self.resolve() if c.ended is None]
        for one in left:
            same = (one.intent.to, one.intent.data) == (call.to, call.data)
            if same and not one.transaction_id and await self._repeatable(one):
                return one
            raise GateClosed(
                f"an earlier {one.intent.action} of {one.intent.amount:f} is not resolved",
                f"{one.intent.call_id} ({one.status})", RESOLVE,
            )  # fmt: skip
        return None

    def _intend(
        self, call: Call, market: Market, size: Decimal, turn: Turn, again: KnownCall | None
    ) -> tuple[TokenCallIntended, int]:
        """Write who wants what, and the intent, durably; return the intent and its row."""
        wallet = self.relayer.owner
        now = self.clock_ns()
        ordered = self.ledger.append(
            OperatorCommand(
                command=f"tokens {call.action}", actor=self.actor, channel=self.channel,
                arguments={"market_id": market.market_id, "amount": f"{size:f}"},
            ),
            ts_event=now,
        )  # fmt: skip
        intent = TokenCallIntended(
            venue=VENUE,
            call_id=again.intent.call_id if again else f"beta-{uuid.uuid4().hex}",
            attempt=again.intent.attempt + 1 if again else 1,
            action=str(call.action),
            market_id=market.market_id,
            amount=size,
            wallet=wallet.funder,
            wallet_kind=str(self.relayer.kind),
            signer=wallet.address,
            nonce=turn.nonce,
            deadline_s=turn.deadline_s,
            relay=turn.relay,
            to=call.to,
            data=call.data,
        )
        parents = (again.seq, ordered) if again else (ordered,)
        seq = self.ledger.append(intent, ts_event=now, parents=parents, durable=True)
        point("tokens.intended")
        return intent, seq

    async def _submit(
        self, call: Call, turn: Turn, intent: TokenCallIntended, seq: int
    ) -> KnownCall:
        known = KnownCall(intent, seq, self.clock_ns())
        body = signed_body(self.relayer.owner, call, turn, intent.call_id)
        self.relayer.before_order = lambda: self._demand_trading(call.action)
        try:
            answer = await self.relayer.submit(body)
        except HaltedError as exc:
            return self._end(known, CallOutcome.REFUSED, detail=str(exc)[:300])
        except (VenueRefused, VenueUncertain) as exc:
            if isinstance(exc, VenueRefused) and exc.status in NOT_TAKEN:
                return self._end(known, CallOutcome.REFUSED, detail=str(exc)[:300])
            known = self._unknown(known, str(exc)[:300])
            found = await self._look_for(known)
            if found is None:
                raise VenueUncertain(
                    "nobody knows yet whether the relayer has this call", intent.call_id, RESOLVE
                ) from exc
            return await self._follow(found)
        finally:
            self.relayer.before_order = lambda: None
        point("tokens.answered")
        return await self._follow(
            self._submitted(known, answer.transactionID, answer.state, found=False)
        )

    async def _look_for(self, known: KnownCall) -> KnownCall | None:
        """Ask for a call that was not answered until it is found, or its absence says something."""
        until = time.monotonic() + self.pace.settle_s
        while True:
            try:
                found = await self._settle(known)
            except (VenueUncertain, VenueRefused):
                found = known
            if found.transaction_id or found.ended is not None:
                return found
            if time.monotonic() >= until:
                return None
            await asyncio.sleep(self.pace.poll_s)

    async def _follow(self, known: KnownCall) -> KnownCall:
        """Poll a transaction to its end, for `Pace.wait_s` at most."""
        until = time.monotonic() + self.pace.wait_s
        while known.ended is None:
            with suppress(
                VenueUncertain, VenueRefused
            ):  # it is there: only how far is not known now
                known = await self._settle(known)
            if known.ended is not None or time.monotonic() >= until:
                break
            await asyncio.sleep(self.pace.poll_s)
        return known

    # -- resolving --------------------------------------------------------------------------
    async def resolve(self) -> list[KnownCall]:
        """Ask the relayer for every open call of this wallet; return them as they are now.

        Raises
        ------
        VenueUncertain, VenueRefused
            If the relayer cannot be asked.
        """
        wallet = self.relayer.owner.funder
        open_calls = [c for c in self.known().values() if c.ended is None]
        return [await self._settle(c) for c in open_calls if c.intent.wallet == wallet]

    async def _settle(self, known: KnownCall) -> KnownCall:
        if known.transaction_id:
            told = await self.relayer.transaction(known.transaction_id)
            if told is None:
                return known
            if told.state not in LOST or known.intent.attempt == 1:
                return self._heard(known, told)
            # of several attempts under one nonce this one has lost: another may have been carried out
            lost = f"attempt {known.intent.attempt} ended {told.state}: {told.errorMsg or ''}"
            known = self._unknown(known, lost[:300])
        listed = await self.relayer.transactions()
        turn = await self.relayer.turn()
        verdict = self._verdict(known, listed, turn.nonce)
        if verdict.found is not None:
            found = verdict.found
            known = self._submitted(known, found.transactionID, found.state, found=True)
            return self._heard(known, found)
        if verdict.absent:
            return self._end(known, CallOutcome.ABSENT, detail=verdict.absent)
        self.tell(f"{known.intent.call_id}: {verdict.reason}")
        return known

    async def _repeatable(self, known: KnownCall) -> bool:
        listed = await self.relayer.transactions()
        return self._verdict(known, listed, (await self.relayer.turn()).nonce).repeatable

    def _verdict(self, known: KnownCall, listed: list[Transaction], nonce: int) -> Verdict:
        intent = known.intent
        call = Call(Action(intent.action), intent.to, intent.data, intent.amount)
        turn = Turn(intent.nonce, intent.deadline_s, intent.relay)
        signature = str(signed_body(self.relayer.owner, call, turn, "")["signature"])
        now = self.clock_ns()
        return verdict_on(
            intent, signature, listed, nonce,
            now_s=now / 1e9, age_s=(now - known.intended_ns) / 1e9, settle_s=self.pace.settle_s,
        )  # fmt: skip

    # -- rows -------------------------------------------------------------------------------
    def _submitted(
        self, known: KnownCall, transaction_id: str, state: str, *, found: bool
    ) -> KnownCall:
        row = TokenCallSubmitted(
            venue=VENUE, call_id=known.intent.call_id, transaction_id=transaction_id[:200],
            state=state[:80], found=found,
        )  # fmt: skip
        seq = self.ledger.append(row, ts_event=self.clock_ns(), parents=(known.seq,), durable=True)
        self.tell(f"{known.intent.call_id}: {state} as {transaction_id}")
        return replace(known, seq=seq, transaction_id=transaction_id, state=state)

    def _heard(self, known: KnownCall, told: Transaction) -> KnownCall:
        if told.state in DONE:
            return self._end(
                known,
                outcome_of(told.state),
                told.transactionHash or "",
                told.errorMsg or told.state,
            )
        if told.state != known.state:
            return self._submitted(known, told.transactionID, told.state, found=False)
        return known

    def _unknown(self, known: KnownCall, reason: str) -> KnownCall:
        row = TokenCallUnknown(venue=VENUE, call_id=known.intent.call_id, reason=reason)
        seq = self.ledger.append(row, ts_event=self.clock_ns(), parents=(known.seq,), durable=True)
        self.tell(f"{known.intent.call_id}: unknown, looking for it ({reason})")
        return replace(known, seq=seq, transaction_id="", state="")

    def _end(
        self, known: KnownCall, outcome: CallOutcome, transaction_hash: str = "", detail: str = ""
    ) -> KnownCall:
        self.tell(f"{known.intent.call_id}: {outcome}")
        return ended(
            self.ledger, known, outcome, self.clock_ns(), transaction_hash=transaction_hash, detail=detail
        )  # fmt: skip


def ended(
    ledger: Ledger,
    known: KnownCall,
    outcome: CallOutcome,
    now_ns: int,
    *,
    transaction_hash: str = "",
    detail: str = "",
    source: str = "relayer",
) -> KnownCall:
    """Write how a call ended; return it as it is now."""
    row = TokenCallEnded(
        venue=VENUE, call_id=known.intent.call_id, outcome=outcome,
        transaction_id=known.transaction_id, transaction_hash=transaction_hash[:200],
        detail=detail[:300], source=source,
    )  # fmt: skip
    seq = ledger.append(row, ts_event=now_ns, parents=(known.seq,), durable=True)
    return replace(known, seq=seq, ended=row)


def ended_by_owner(
    ledger: Ledger,
    calls: Mapping[str, KnownCall],
    call_id: str,
    outcome: CallOutcome,
    actor: str,
    clock_ns: Callable[[], int] = time.time_ns,
) -> KnownCall:
    """End an open call by its owner's word, where the relayer can no longer say.

    Raises
    ------
    UsageError
        If there is no such open call.
    """
    known = calls.get(call_id)
    if known is None or known.ended is not None:
        raise UsageError("no open call with this id", call_id, "beta tokens status")
    return ended(ledger, known, outcome, clock_ns(), detail=f"said {actor}", source="owner")
