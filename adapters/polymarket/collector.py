"""Merges and redeems for a running node by the calls of `beta tokens --send`: the same ledger, caps, switches and nonces.

The ledger of calls is opened for one call at a time, so that the node and a command take turns: whoever comes second is
refused by its lock, and the next look tries again. What a call was, and how it ended, is on disk there before and after it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from adapters.polymarket.amounts import MICRO
from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.positions import Action, Caps
from adapters.polymarket.registry import Registry
from adapters.polymarket.relayer.calls import KINDS, KnownCall, known_calls
from adapters.polymarket.relayer.client import Relayer
from adapters.polymarket.relayer.funds import Funds
from adapters.polymarket.relayer.service import Pace, TokenCalls
from adapters.polymarket.rest import ClobRest
from core.domain.errors import GateClosed
from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.live.collectable import CallState, TokenCall, Winner
from core.ledger import DurableLedger
from core.ledger.kinds import CallOutcome
from core.ledger.reader import LedgerReader
from core.ledger.segment import segments
from core.ledger.selection import Selection
from core.risk.states import TradingState

#: Shares below which a winner stays in the wallet.
LEAST = Decimal(1)
#: Looks at a winner without shares, after which it is not asked for again: trades may be on their way to the chain.
EMPTY_LOOKS = 10
NODE = "node"


@dataclass(frozen=True, slots=True)
class CollectTerms:
    """How a node collects.

    Attributes
    ----------
    folder : Path
        Home of the ledger of calls, that of `beta tokens`.
    smallest : Decimal
        Pairs (or shares of a winner) below which nothing is sent.
    """

    folder: Path
    caps: Caps
    pace: Pace
    smallest: Decimal = LEAST


class TokenCollector:
    """One wallet's merges and redeems.

    Parameters
    ----------
    tokens : callable
        Returns tokens that this node has traded.
    trading : callable
        What the kill switches of other nodes say.
    """

    def __init__(
        self,
        rest: ClobRest,
        catalogue: Catalogue,
        registry: Registry,
        relayer: Relayer,
        tokens: Callable[[], set[str]],
        terms: CollectTerms,
        trading: Callable[[], TradingState],
    ) -> None:
        self.rest, self.catalogue, self.registry, self.relayer = rest, catalogue, registry, relayer
        self.tokens, self.terms, self.trading = tokens, terms, trading
        self.smallest, self.most = terms.smallest, terms.caps.call
        self._empty = Counter[str]()

    @property
    def _ledger(self) -> Path:
        return self.terms.folder / "ledger"

    def calls(self) -> list[TokenCall]:
        """Return every call of this wallet in the ledger of calls."""
        folder = self._ledger
        if not folder.is_dir() or not segments(folder):
            return []
        found = known_calls(LedgerReader(folder).rows(Selection(kinds=KINDS))).values()
        wallet = self.relayer.owner.funder
        return [_told(c) for c in found if c.intent.wallet == wallet]

    async def resolve(self) -> list[TokenCall]:
        """Ask the relayer for open calls.

        Raises
        ------
        VenueUncertain, VenueRefused, LedgerLocked
            If it cannot be asked, or a command is at it.
        """
        if all(c.state is not CallState.OPEN for c in self.calls()):
            return []
        async with self._service() as service:
            return [_told(c) for c in await service.resolve()]

    async def merge(self, market_id: str, quantity: Decimal) -> TokenCall:
        """Merge pairs; see `TokenCalls.send` for what is refused."""
        async with self._service() as service:
            return _told(await service.send(Action.MERGE, self._market(market_id), quantity))

    async def redeem(self, winner: Winner) -> TokenCall:
        """Redeem a winner; version 1 takes all shares of its market."""
        market = next(m for m in self.registry.resolved() if m.market_id == winner.market_id)
        v2 = market.info.get("version") == "v2"
        index = [o.instrument_id for o in market.outcomes].index(winner.instrument_id)
        amount = winner.quantity if v2 else ZERO
        async with self._service() as service:
            return _told(await service.send(Action.REDEEM, market, amount, index if v2 else 0))

    async def winners(self) -> list[Winner]:
        """Return shares of resolved markets of this node that pay something and are still in the wallet."""
        resolved = self.registry.resolved()
        wanted = {o.token_id for m in resolved for o in m.outcomes if o.payout and o.payout > 0} - {
            token for token, looks in self._empty.items() if looks >= EMPTY_LOOKS
        }
        if not wanted:
            return []
        indexed = await self.catalogue.positions(self.relayer.owner.funder)
        held = wanted & (self.tokens() | {row.token_id for row in indexed})
        return [w for m in resolved for w in await self._of(m, held)]

    async def _of(self, market: Market, held: set[str]) -> list[Winner]:
        """Return the winners of a market: one for each call that redeems them."""
        v2 = market.info.get("version") == "v2"
        out = []
        for outcome in market.outcomes:
            if outcome.token_id not in held or not outcome.payout:
                continue
            shares = Decimal(await self.rest.balance(outcome.token_id, v2)) / MICRO
            if shares < self.smallest:
                self._empty[outcome.token_id] += 1
                continue
            dollars = shares * outcome.payout
            out.append(Winner(market.market_id, outcome.instrument_id, shares, dollars))
        if v2 or len(out) < 2:
            return out
        both = sum((w.dollars for w in out), ZERO)
        return [Winner(market.market_id, out[0].instrument_id, out[0].quantity, both)]

    def _market(self, market_id: str) -> Market:
        market = self.registry.markets.get(market_id)
        if market is None:
            raise GateClosed(
                "a market that this node does not know", market_id, "beta tokens merge --send"
            )
        return market

    @asynccontextmanager
    async def _service(self) -> AsyncIterator[TokenCalls]:
        """Hold the ledger of calls for one call; opening and closing it costs the loop nothing."""
        self._ledger.mkdir(parents=True, exist_ok=True)
        ledger = await asyncio.to_thread(DurableLedger, self._ledger)
        try:
            yield TokenCalls(
                ledger,
                LedgerReader(ledger.directory),
                self.relayer,
                Funds(self.rest),
                self._allowed,
                caps=self.terms.caps,
                pace=self.terms.pace,
                actor=NODE,
                channel=NODE,
            )
        finally:
            await asyncio.shield(asyncio.to_thread(ledger.close))

    def _allowed(self) -> TradingState:
        return self.trading()


def _told(call: KnownCall) -> TokenCall:
    """Return a call in the contract's words."""
    intent, ended = call.intent, call.ended
    state = CallState.OPEN
    if ended is not None:
        done = ended.outcome is CallOutcome.CONFIRMED
        state = CallState.DONE if done else CallState.NOT_DONE
    detail = f"{ended.outcome}: {ended.detail}" if ended is not None else call.status
    return TokenCall(
        intent.call_id, intent.action, intent.market_id, intent.amount, state, detail,
        there=bool(call.transaction_id),
    )  # fmt: skip
