"""Trades that no node could write, in markets that have resolved meanwhile: they get their rows before the payout's.

The start's reports bring every other missed trade. What is paid out is in none of them: the engine never hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.live.context import LOOKBACK_NS
from core.engine.live.journal import OrderJournal
from core.engine.live.memory import LedgerMemory
from core.engine.live.netting import Shares
from core.engine.live.port import VenueFill, VenueOrderStatus, VenuePort


async def missed(
    markets: Sequence[Market],
    memory: LedgerMemory,
    held: Mapping[str, Decimal],
    port: VenuePort,
    journal: OrderJournal,
    shares: Shares,
) -> dict[str, Decimal]:
    """Write what became of orders without an end in resolved markets; return `held` with their trades.

    An order that still works at a paper venue ends when the market is paid out, and one that the venue does not have may
    still be on its way: both are left to `Leftovers`.

    Parameters
    ----------
    held : mapping of str to Decimal
        `holdings` of the ledger.
    shares : Shares
        The ledger's by owner; they take the trades too.

    Raises
    ------
    VenueError
        If the venue cannot be asked: a payout that leaves a trade out would never be put right.
    """
    out = dict(held)
    resolved = {m.market_id for m in markets if m.resolved}
    for cid, left in list(memory.leftovers.items()):
        if left.market_id not in resolved:
            continue
        since_ns = max(left.ts_ns - LOOKBACK_NS, 0)
        found = await port.find(cid, left.instrument_id, since_ns)
        if found is None:
            continue
        for fill in await port.fills(since_ns, found.venue_order_id):
            if fill.trade_id not in memory.trades:
                _take(fill, cid, memory, journal)
                out[fill.instrument_id] = out.get(fill.instrument_id, ZERO) + fill.signed
                shares.take(memory.owners[cid], fill.instrument_id, fill.signed, fill.price)
        if found.status is VenueOrderStatus.WORKING:
            continue
        if found.status is not VenueOrderStatus.FILLED or found.filled < left.quantity:
            journal.ended(found, cid, found.status is VenueOrderStatus.EXPIRED)
        del memory.leftovers[cid]
    return out


def _take(fill: VenueFill, cid: str, memory: LedgerMemory, journal: OrderJournal) -> None:
    owner = memory.owners[cid]
    seq = memory.rows[cid] = journal.filled(fill, cid, owner)
    memory.trades.add(fill.trade_id)
    memory.fills[(owner, fill.instrument_id)] = seq
    if fill.provisional:
        memory.provisional[fill.trade_id] = cid
