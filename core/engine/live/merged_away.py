"""What a kill left of merges: calls without an end, and pairs that the venue has merged and no row tells of.

Read once at the start, when the gate has been filled from the venue. A row is written only for what the venue's record of
calls says was carried out, what the rows do not tell, and what the account does not hold any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from core.domain.errors import BetaError, MissingData
from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.live.bought import bought
from core.engine.live.collectable import MERGE, CallState, CollectPort, TokenCall
from core.engine.live.context import LiveContext
from core.engine.live.conversions import Conversion, write_merge
from core.engine.live.memory import LedgerMemory
from core.ledger.kinds import PositionsMerged
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.units import shares

#: Hundredths that fills can have left at the venue beyond the rows; far less than the smallest merge.
FILLS_OF_DUST = 50


@dataclass(slots=True)
class Behind:
    """What was found at the start.

    Attributes
    ----------
    calls : list of TokenCall
        Those without an end.
    pairs : dict of str to Decimal
        Pairs by market that the ledger had more of than the account.
    paid : frozenset of str
        Instruments that were paid out before this run: the gate's cash has their dollars once they are redeemed.
    """

    calls: list[TokenCall] = field(default_factory=list)
    pairs: dict[str, Decimal] = field(default_factory=dict)
    slack: Decimal = ZERO
    paid: frozenset[str] = frozenset()

    def take(self, market_id: str, quantity: Decimal) -> bool:
        """Return whether these pairs were gone from the account at the start already, once."""
        found = self.pairs.get(market_id, ZERO)
        if found <= 0 or found < quantity - self.slack:
            return False
        self.pairs[market_id] = found - quantity
        return True


async def catch_up(
    context: LiveContext,
    returns: CollectPort | None,
    markets: Sequence[Market],
    memory: LedgerMemory,
    held: Mapping[str, Decimal],
    directory: Path,
    now_ns: int,
) -> Behind:
    """Write the rows that no node could write, and promise what open calls may take.

    Parameters
    ----------
    held : mapping of str to Decimal
        `holdings` of the ledger in `directory`.
    """
    if returns is None:
        return Behind()
    calls = returns.calls()
    slack = context.port.share_dust * FILLS_OF_DUST
    still_open = [c for c in calls if c.state is CallState.OPEN]
    behind = Behind(still_open, slack=slack, paid=frozenset(memory.settled))
    missed = await _missed(context, memory)
    done, told, owned = _merged(calls), _rows(directory), bought(directory).held
    for market in markets:
        if len(market.outcomes) != 2 or market.resolved:
            continue
        first, second = sorted(o.instrument_id for o in market.outcomes)
        both = first, second
        gate_has = context.gate.book.held
        lacking = min(
            held.get(i, ZERO) + missed.get(i, ZERO) - shares(gate_has.get(i, 0)) for i in both
        )
        if lacking <= slack:
            continue
        behind.pairs[market.market_id] = lacking
        unwritten = done.get(market.market_id, ZERO) - told.get(first, ZERO)
        quantity = unwritten if unwritten <= lacking + slack else lacking
        if quantity <= 0:
            continue
        behind.take(market.market_id, quantity)
        for owner in sorted({o for o, iid in owned if iid in both}):
            if any((owner, i) not in owned for i in both):
                continue
            # what the gate has been given of an owner's shares was not his that went
            gone = [owned[owner, i].quantity - context.gate.position(owner, i) for i in both]
            part = min(quantity, *gone)
            if part > 0:
                one = Conversion(market.market_id, both, part)
                write_merge(context, context.port.venue, one, owner, part, now_ns)
                quantity -= part
    _promise(context, behind, markets)
    return behind


async def settled_first(returns: CollectPort | None) -> None:
    """Ask how calls of an earlier node ended, before the account is read; unanswered it is asked again while running."""
    if returns is not None:
        with suppress(BetaError):
            await returns.resolve()


def _promise(context: LiveContext, behind: Behind, markets: Sequence[Market]) -> None:
    """Keep what open merges may take from being sold."""
    legs = {m.market_id: sorted(o.instrument_id for o in m.outcomes) for m in markets}
    for call in behind.calls:
        found = legs.get(call.market_id, ())
        if call.action == MERGE and len(found) == 2:
            pairs = Conversion(call.market_id, (found[0], found[1]), call.quantity)
            context.passage.begin(context.gate, pairs, call.call_id)


async def _missed(context: LiveContext, memory: LedgerMemory) -> dict[str, Decimal]:
    """Return shares by instrument of fills that the account includes and no row tells of."""
    unknown = (context.adopted or set()) - memory.trades
    out: dict[str, Decimal] = {}
    if not unknown:
        return out
    for fill in await context.port.fills(max(context.since_ns(context.now_ns()), 0)):
        if fill.trade_id in unknown:
            unknown.discard(fill.trade_id)
            out[fill.instrument_id] = out.get(fill.instrument_id, ZERO) + fill.signed
    return out


def _merged(calls: Sequence[TokenCall]) -> dict[str, Decimal]:
    """Return pairs by market that calls have merged."""
    out: dict[str, Decimal] = {}
    for call in calls:
        if call.action == MERGE and call.state is CallState.DONE:
            out[call.market_id] = out.get(call.market_id, ZERO) + call.quantity
    return out


def _rows(directory: Path) -> dict[str, Decimal]:
    """Return pairs that rows tell of as merged, by each of their instruments."""
    out: dict[str, Decimal] = {}
    with suppress(MissingData):
        for row in LedgerReader(directory).rows(Selection(kinds=("position.merged",))):
            payload = row.decoded()
            if isinstance(payload, PositionsMerged):
                for iid in payload.instrument_ids:
                    out[iid] = out.get(iid, ZERO) + payload.quantity
    return out
