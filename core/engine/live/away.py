"""What happened while no node ran: markets that resolved are paid out in the books before trading begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from core.domain.errors import MissingData
from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.live.bought import KINDS
from core.engine.live.memory import LedgerMemory
from core.engine.live.netting import Shares, write
from core.engine.live.port import VenuePort
from core.engine.paper.port import PaperPort
from core.ledger import Ledger
from core.ledger.kinds import OrderFilled, Settled
from core.ledger.kinds.money import PositionsMerged, PositionsSplit
from core.ledger.kinds.orders import FillVoided
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection


def holdings(directory: Path) -> dict[str, Decimal]:
    """Return the shares that the ledger in `directory` holds of instruments that were not paid out."""
    held: dict[str, Decimal] = {}
    fills: dict[str, tuple[str, Decimal]] = {}
    try:
        reader = LedgerReader(directory)
    except MissingData:
        return held

    def add(iid: str, quantity: Decimal) -> None:
        held[iid] = held.get(iid, ZERO) + quantity

    for row in reader.rows(Selection(kinds=KINDS)):
        payload = row.decoded()
        if isinstance(payload, OrderFilled) and payload.trade_id not in fills:
            fills[payload.trade_id] = payload.instrument_id, payload.signed
            add(payload.instrument_id, payload.signed)
        elif isinstance(payload, FillVoided) and payload.trade_id in fills:
            iid, signed = fills[payload.trade_id]
            add(iid, -signed)
        elif isinstance(payload, (PositionsMerged, PositionsSplit)):
            sign = 1 if isinstance(payload, PositionsSplit) else -1
            for iid in payload.instrument_ids:
                add(iid, sign * payload.quantity)
        elif isinstance(payload, Settled):
            held.pop(payload.instrument_id, None)
    return {iid: quantity for iid, quantity in held.items() if quantity > 0}


def settle_away(
    markets: Sequence[Market],
    memory: LedgerMemory,
    held: Mapping[str, Decimal],
    port: VenuePort,
    ledger: Ledger,
    currency: str,
    now_ns: int,
    source: tuple[int, ...] = (),
    shares: Shares | None = None,
) -> list[Market]:
    """Pay out what resolved meanwhile; return the markets that are left to trade (all of them when none is).

    Parameters
    ----------
    held : mapping of str to Decimal
        `holdings` of the ledger.
    source : tuple of int
        Row of the node's data, which says that the market has resolved: for a holding without a fill of ours.
    shares : Shares, optional
        The ledger's by owner: at a venue that nets, pairs of it are dollars, also when a kill came before their row.

    A paper account is told and pays. At a real venue the money is in the balance already. Either way the ledger gets
    the row that nobody was there to write.
    """
    if shares is not None:
        held = _net(markets, memory, held, ledger, currency, now_ns, shares, source)
    for market in markets:
        if not market.resolved:
            continue
        for outcome in market.outcomes:
            iid, payout = outcome.instrument_id, outcome.payout
            if iid in memory.settled or payout is None:
                continue
            if isinstance(port, PaperPort):
                port.on_settlement(iid, payout)
            for owner, quantity in _owners(iid, held.get(iid, ZERO), memory, shares).items():
                row = Settled(
                    venue=market.venue,
                    instrument_id=iid,
                    payout=payout,
                    quantity=quantity,
                    currency=currency,
                    source="resolved while no node ran",
                    strategy_id=owner,
                )
                last = memory.fills.get((owner, iid), 0)
                ledger.append(row, ts_event=now_ns, parents=(last,) if last else source)
            memory.settled.add(iid)
    return [m for m in markets if not m.resolved] or list(markets)


def _owners(
    iid: str, quantity: Decimal, memory: LedgerMemory, shares: Shares | None
) -> dict[str, Decimal]:
    """Divide what is paid out among those whose shares they are; all to the last who bought when the ledger is unclear."""
    owners = shares.of(iid) if shares is not None else {}
    if sum(owners.values(), ZERO) != quantity:
        owners = {memory.last_owner.get(iid, ""): quantity}
    return {owner: part for owner, part in owners.items() if part > 0}


def _net(
    markets: Sequence[Market],
    memory: LedgerMemory,
    held: Mapping[str, Decimal],
    ledger: Ledger,
    currency: str,
    now_ns: int,
    shares: Shares,
    source: tuple[int, ...],
) -> dict[str, Decimal]:
    """Write the rows of pairs that the venue has netted and no node could write; return what is left."""
    left = dict(held)
    shares.follow(markets)
    for market in markets:
        parts = shares.netted(market.outcomes[0].instrument_id)
        write(
            ledger, parts, memory.fills, source, venue=market.venue, currency=currency, ts_ns=now_ns
        )
        for part in parts:
            for iid in part.instrument_ids:
                left[iid] -= part.quantity
    return left
