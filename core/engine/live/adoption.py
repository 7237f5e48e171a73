"""What a node finds at the venue when it starts: nothing may work, and the gate must hold what is held.

Cash and holdings are read between two equal readings of the trades, and the trades that they include are
remembered: one that lands later, before the start's reports or in them, is booked by the gate like any fill.
Markets that an earlier run barred stay barred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.domain.errors import ConfigError, VenueRefused
from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.live.context import EXTERNAL, LiveContext
from core.engine.live.memory import LedgerMemory
from core.engine.live.netting import Shares
from core.engine.live.port import VenueCash, VenueFill, VenuePort, VenuePosition

HALF = Decimal("0.5")
#: How often a moving account is read before it is taken as it is: the continuous comparison finds the rest.
MOST_READS = 5
NOT_LET_IN = (401, 403)


async def adopt(
    context: LiveContext,
    markets: Sequence[Market],
    memory: LedgerMemory,
    owner: str,
    now_ns: int,
    gone: Sequence[Market] = (),
) -> None:
    """Cancel what works, then fill the gate with the venue's cash and holdings, and the ids that are taken.

    How much is held says the venue; whose it is says the ledger, with the fills of the meantime and what they netted.

    An order id of an earlier run is never used again: news of the old order would be taken for the new one's, and a
    venue that does not know our ids would hold both.

    Parameters
    ----------
    owner : str
        Strategy that gets what no earlier run has bought.
    gone : sequence of Market
        Held markets that the venue no longer lists: no strategy owns what is held of them.

    Raises
    ------
    ConfigError
        If the venue does not accept the key, or orders of an earlier run cannot be cancelled: trading on top
        of them would double them.
    """
    port, gate = context.port, context.gate
    try:
        left = await port.cancel_everything()
    except (
        VenueRefused
    ) as exc:  # the first private call of a node: is the key one of this venue at all?
        if exc.status not in NOT_LET_IN:
            raise
        raise ConfigError(exc.what, exc.seen, exc.mend) from exc
    if left:
        raise ConfigError(
            "working orders of an earlier run could not be cancelled",
            left[:5],
            "beta risk liquidate",
        )
    for market_id, why in memory.barred.items():
        gate.on_barred(market_id, why)
    gate.book.known.update(memory.owners)
    trades, cash, positions = await _account(port, max(context.since_ns(now_ns), 0))
    context.adopted = set(trades)
    gate.on_cash(port.venue, cash.settled)
    shares = _meanwhile(context, trades)
    known = {o.instrument_id for m in markets for o in m.outcomes}
    ownerless = {o.instrument_id for m in gone for o in m.outcomes}
    for held in positions:
        if held.instrument_id in known | ownerless:
            average = held.average_price if held.average_price is not None else HALF
            whose = memory.last_owner.get(held.instrument_id, owner)
            if held.instrument_id in ownerless:
                whose = EXTERNAL
            owners = shares.of(held.instrument_id) if shares is not None else {}
            for strategy, quantity in _divided(owners, held.quantity, whose):
                gate.on_position(strategy, held.instrument_id, quantity, average)


def _meanwhile(context: LiveContext, trades: Mapping[str, VenueFill]) -> Shares | None:
    """Return whose the ledger's shares are once the trades that it does not hold yet are written."""
    if context.shares is None:
        return None
    shares = context.shares.copy()
    for fill in sorted(trades.values(), key=lambda f: f.ts_ns):
        if fill.trade_id not in context.known_trades:
            owner = context.owner_of(fill.instrument_id, fill.client_order_id)
            shares.fill(owner, fill.instrument_id, fill.signed, fill.price)
    return shares


def _divided(
    owners: Mapping[str, Decimal], quantity: Decimal, otherwise: str
) -> list[tuple[str, Decimal]]:
    """Divide what the venue holds: to strategies what the ledger says, the rest to `otherwise`."""
    out: dict[str, Decimal] = {}
    for strategy, known in owners.items():
        part = min(known, quantity)
        if strategy != EXTERNAL and part > 0:
            out[strategy] = part
            quantity -= part
    if quantity > 0:
        out[otherwise] = out.get(otherwise, ZERO) + quantity
    return list(out.items())


async def _account(
    port: VenuePort, since_ns: int
) -> tuple[dict[str, VenueFill], VenueCash, list[VenuePosition]]:
    """Return trades by id, cash and positions of one moment."""
    for _ in range(MOST_READS):
        before = {f.trade_id for f in await port.fills(since_ns)}
        cash, positions = await port.cash(), await port.positions()
        trades = {f.trade_id: f for f in await port.fills(since_ns)}
        if trades.keys() == before and (await port.cash()).settled == cash.settled:
            break
    return trades, cash, positions
