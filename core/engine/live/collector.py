"""While a node runs, pairs and winners become dollars again: the money of a pair is not locked until settlement.

=====================================  =================================================================
seen, every `every_s`                  done
=====================================  =================================================================
trading halted                         nothing; while only sales pass, collecting goes on
a call whose end is not known          asked for; asked again as the same call; nothing else leaves
free pairs of at least `smallest`      promised at the gate, merged; then gate, ledger and audit have them
a winner in the wallet                 redeemed; the gate has its dollars since the payout
refused, halted, no answer, a cap      a row that says what mends it; tried again later and later
=====================================  =================================================================

What is merged is known by the venue's record of calls, so a kill between a call and its row loses neither (`merged_away`).
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.errors import BetaError
from core.domain.money import ZERO
from core.engine.live.collectable import (
    MERGE,
    REDEEM,
    CallState,
    CollectPort,
    TokenCall,
    Winner,
)
from core.engine.live.conversions import Conversion, book_merge, write_merge
from core.engine.live.merged_away import Behind
from core.engine.live.passage import SHOWN_S, Leaving
from core.ledger.kinds import Fault
from core.risk.pairs import free_by_market
from core.risk.states import SEVERITY, TradingState
from core.risk.units import shares

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

EVERY_S = 60.0
#: The longest pause after failures in a row, and how long the same words are not repeated in a row.
MOST_S, QUIET_S = 900.0, 900.0
#: Shares are held to the hundredth.
LOT = Decimal("0.01")
#: What fails without a market's name.
WINNERS, AGAIN, RESOLVE, LOOK = "winners", "again", "resolve", "look"


class Collector:
    """Brings dollars back through one client's port.

    Parameters
    ----------
    client : VenueClient
    returns : CollectPort
        What the port offers.
    every_s : float
        Pause between two looks.
    behind : Behind
        What was found at the start: calls without an end, pairs the ledger has and the venue has not.

    Attributes
    ----------
    merged, redeemed : int
        Calls that were carried out.
    """

    def __init__(
        self, client: VenueClient, returns: CollectPort, every_s: float, behind: Behind
    ) -> None:
        self._client, self._returns, self.every_s, self._behind = client, returns, every_s, behind
        self.merged = self.redeemed = 0
        self._open = {call.call_id: call for call in behind.calls}
        self._inherited = frozenset(self._open)
        self._ours = set(self._open)
        self._failures: dict[str, tuple[int, float]] = {}
        self._said: dict[str, float] = {}
        # by market what is being redeemed, and whose dollars the gate has been given
        self._asked, self._counted = dict[str, str](), set[str]()
        said_elsewhere = returns.trading
        returns.trading = lambda: max(said_elsewhere(), self._trading(), key=SEVERITY.__getitem__)

    def _trading(self) -> TradingState:
        context = self._client.context
        return TradingState.HALTED if context.halted() else context.gate.holds.state

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self.every_s)
            try:
                await self.step()
            except Exception as exc:
                # A record of calls that cannot be read now is read at the next look.
                self._failed(LOOK, exc)

    async def step(self) -> None:
        """Look once."""
        if self._trading() is TradingState.HALTED:
            return
        for one in [x for x in self._client.context.passage.leaving if not x.call_id]:
            self._find(one)  # the record of calls could not be read after its error
        if self._open and not await self._resolved():
            return
        for market_id in self._free():
            both, free = self._free().get(
                market_id, (("", ""), ZERO)
            )  # as it is after those before
            pairs = min(free, self._returns.most) // LOT * LOT
            if pairs >= self._returns.smallest and self._due(market_id) and not self._open:
                await self._merge(Conversion(market_id, both, pairs))
        for winner in await self._winners():
            unpaid = winner.instrument_id in self._client.gate.book.held  # the gate pays it first
            if not unpaid and self._due(f"{REDEEM} {winner.market_id}") and not self._open:
                await self._redeem(winner)

    def _free(self) -> dict[str, tuple[tuple[str, str], Decimal]]:
        return free_by_market(self._client.gate, self._client.port.venue)

    async def _winners(self) -> list[Winner]:
        if self._open or not self._due(WINNERS):
            return []
        try:
            return await self._returns.winners()
        except Exception as exc:
            self._failed(WINNERS, exc)
            return []

    # -- calls ------------------------------------------------------------------------------
    async def _merge(self, pairs: Conversion) -> None:
        passage, gate = self._client.context.passage, self._client.gate
        one = passage.begin(gate, pairs)
        try:
            told = await self._returns.merge(pairs.market_id, pairs.quantity)
        except Exception as exc:
            self._failed(pairs.market_id, exc)
            self._find(one)
            return
        self._ours.add(told.call_id)
        self._take(told, one)

    async def _redeem(self, winner: Winner) -> None:
        """Redeem a winner; until then the gate has its dollars only if it was paid out in this run."""
        passage = self._client.context.passage
        self._asked[winner.market_id] = winner.instrument_id
        if winner.instrument_id in self._behind.paid - self._counted:
            passage.paying[winner.market_id] = winner.dollars
        try:
            told = await self._returns.redeem(winner)
        except Exception as exc:
            self._failed(f"{REDEEM} {winner.market_id}", exc)
            if self._begun(REDEEM, winner.market_id) is None:
                passage.paying.pop(winner.market_id, None)
        else:
            self._ours.add(told.call_id)
            self._take(told, None)

    def _find(self, leaving: Leaving) -> None:
        """After an error, keep a promise if its call is open now, else take it back: nothing has left."""
        pairs = leaving.pairs
        call = self._begun(MERGE, pairs.market_id, pairs.quantity)
        if call is not None:
            leaving.call_id = call.call_id
        else:
            self._client.context.passage.end(self._client.gate, leaving)

    def _begun(
        self, action: str, market_id: str, quantity: Decimal | None = None
    ) -> TokenCall | None:
        """Return a call that is open and was not before the last one, if it is this one; the owner may send others."""
        found = {c.call_id: c for c in self._returns.calls() if c.state is CallState.OPEN}
        fresh = [c for call_id, c in found.items() if call_id not in self._open]
        self._open |= found
        for call in fresh:
            same = quantity is None or call.quantity == quantity
            if (call.action, call.market_id) == (action, market_id) and same:
                self._ours.add(call.call_id)
                return call
        return None

    def _take(self, told: TokenCall, leaving: Leaving | None) -> None:
        """Book what is known of a call now."""
        passage = self._client.context.passage
        if leaving is None:
            leaving = next((x for x in passage.leaving if x.call_id == told.call_id), None)
        if told.state is CallState.OPEN:
            self._open[told.call_id] = told
            if leaving is not None:
                leaving.call_id = told.call_id
            return
        self._open.pop(told.call_id, None)
        key = told.market_id if told.action == MERGE else f"{REDEEM} {told.market_id}"
        if told.state is CallState.NOT_DONE:
            if leaving is not None:
                passage.end(self._client.gate, leaving)
            elif told.action == REDEEM:
                passage.paying.pop(told.market_id, None)
            self._row(key, f"a {told.action} was not carried out", told.detail, "")
            return
        self._failures.pop(key, None)
        self._client.context.reached("collect.done")
        if leaving is not None:
            self._book(leaving)
        elif told.action == REDEEM:
            self.redeemed += 1
            self._counted.add(self._asked.pop(told.market_id, ""))
            self._failures[key] = 0, time.monotonic() + SHOWN_S  # the balance may show it meanwhile
            gate, now = self._client.gate, self._client.clock.timestamp_ns()
            gate.on_transfer(self._client.port.venue, passage.pay(told.market_id, now))
        self._client.refresh_cash()

    async def _resolved(self) -> bool:
        """Ask how open calls ended, and ask for those that never arrived again; return whether none is left."""
        try:
            for told in await self._returns.resolve():
                self._take(told, None)
        except Exception as exc:
            self._failed(RESOLVE, exc)
            return False
        known = {c.call_id: c for c in self._returns.calls()}
        for call_id in list(self._open):  # ended by another process, by the owner's word
            if call_id in known and known[call_id].state is not CallState.OPEN:
                self._take(known[call_id], None)
        for one in list(self._open.values()):
            if one.there or one.call_id not in self._ours or not self._due(AGAIN):
                continue
            try:
                await self._again(one)
            except Exception as exc:
                self._failed(AGAIN, exc)
        return not self._open

    async def _again(self, one: TokenCall) -> None:
        """Ask for the same call again: under its nonce it is carried out at most once."""
        if one.action == MERGE:
            self._take(await self._returns.merge(one.market_id, one.quantity), None)
        elif one.action == REDEEM:
            for winner in await self._returns.winners():
                if winner.market_id == one.market_id:
                    self._take(await self._returns.redeem(winner), None)
                    return

    # -- books ------------------------------------------------------------------------------
    def _book(self, one: Leaving) -> None:
        """Tell gate, ledger and audit that pairs are dollars."""
        client, pairs = self._client, one.pairs
        context, gate, now = client.context, client.gate, client.clock.timestamp_ns()
        context.passage.end(gate, one)
        self.merged += 1
        if any(iid in gate.book.payouts for iid in pairs.instrument_ids):
            return  # paid out before we heard: both legs are dollars in the books already
        old = one.call_id in self._inherited
        only_row = old and self._behind.take(pairs.market_id, pairs.quantity)
        for owner, part in one.promised:
            held = [gate.position(owner, iid) for iid in pairs.instrument_ids]
            quantity = min(shares(part), *held)
            if only_row:  # the account was read at the start after the chain had done it
                write_merge(context, client.port.venue, pairs, owner, shares(part), now)
            elif quantity > 0:
                book_merge(context, gate, client.port.venue, pairs, owner, quantity, now)
        context.passage.arrive(pairs, now)

    # -- failures ---------------------------------------------------------------------------
    def _due(self, key: str) -> bool:
        return self._failures.get(key, (0, 0.0))[1] <= time.monotonic()

    def _failed(self, key: str, exc: Exception) -> None:
        what = exc.what if isinstance(exc, BetaError) else type(exc).__name__
        seen = str(exc.seen or "") if isinstance(exc, BetaError) else str(exc)
        self._row(key, what, seen, exc.mend if isinstance(exc, BetaError) else "")

    def _row(self, key: str, what: str, seen: str, mend: str) -> None:
        """Write what went wrong, unless it was just said, and wait longer each time."""
        client, now = self._client, time.monotonic()
        times = self._failures.get(key, (0, 0.0))[0] + 1
        pause = min(self.every_s * 2 ** min(times - 1, 10), max(MOST_S, self.every_s))
        self._failures[key] = times, now + pause
        if now - self._said.get(what, -QUIET_S) < QUIET_S:
            return
        self._said[what] = now
        row = Fault(
            where="collect", error=what[:300], action=f"tried again in {pause:g} s",
            detail="; ".join(x for x in (key, seen, mend) if x)[:500],
        )  # fmt: skip
        client.context.ledger.append(row, ts_event=client.clock.timestamp_ns())


async def collect(
    client: VenueClient, returns: CollectPort | None, every_s: float, behind: Behind
) -> None:
    """Collect until cancelled; nothing where the port cannot."""
    if returns is not None and every_s > 0:
        await Collector(client, returns, every_s, behind).run()
