"""What happened while no node ran: markets that resolved are paid out in the books before trading begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from core.domain.errors import MissingData
from core.domain.fees import Side
from core.domain.market import Market
from core.domain.money import ZERO
from core.engine.live.memory import LedgerMemory
from core.engine.live.port import VenuePort
from core.engine.paper.port import PaperPort
from core.ledger import Ledger
from core.ledger.kinds import OrderFilled, Settled
from core.ledger.kinds.money import PositionsMerged, PositionsSplit
from core.ledger.kinds.orders import FillVoided
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

KINDS = ("order.filled", "order.voided", "settlement", "position.merged", "position.split")


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
            signed = payload.quantity if payload.side is Side.BUY else -payload.quantity
            fills[payload.trade_id] = payload.instrument_id, signed
            add(payload.instrument_id, signed)
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
    *,
    nets: bool = False,
) -> list[Market]:
    """Pay out what resolved meanwhile; return the markets that are left to trade (all of them when none is).

    Parameters
    ----------
    held : mapping of str to Decimal
        `holdings` of the ledger.
    source : tuple of int
        Row of the node's data, which says that the market has resolved: for a holding without a fill of ours.
    nets : bool
        Whether the venue nets YES against NO: pairs of the ledger's are dollars there, also when a kill came before
        their row.

    A paper account is told and pays. At a real venue the money is in the balance already. Either way the ledger gets
    the row that nobody was there to write.
    """
    if nets:
        held = _net(markets, memory, held, ledger, currency, now_ns)
    for market in markets:
        if not market.resolved:
            continue
        for outcome in market.outcomes:
            iid, payout = outcome.instrument_id, outcome.payout
            if iid in memory.settled or payout is None:
                continue
            if isinstance(port, PaperPort):
                port.on_settlement(iid, payout)
            quantity = held.get(iid, ZERO)
            if quantity > 0:
                row = Settled(
                    venue=market.venue,
                    instrument_id=iid,
                    payout=payout,
                    quantity=quantity,
                    currency=currency,
                    source="resolved while no node ran",
                    strategy_id=memory.last_owner.get(iid, ""),
                )
                last = memory.fills.get((row.strategy_id, iid), 0)
                ledger.append(row, ts_event=now_ns, parents=(last,) if last else source)
            memory.settled.add(iid)
    return [m for m in markets if not m.resolved] or list(markets)


def _net(
    markets: Sequence[Market],
    memory: LedgerMemory,
    held: Mapping[str, Decimal],
    ledger: Ledger,
    currency: str,
    now_ns: int,
) -> dict[str, Decimal]:
    """Write the rows of pairs that the venue has netted and no node could write; return what is left."""
    left = dict(held)
    for market in markets:
        iids = tuple(sorted(o.instrument_id for o in market.outcomes))
        owners = {strategy for strategy, iid in memory.fills if iid in iids}
        pairs = min((left.get(iid, ZERO) for iid in iids), default=ZERO)
        if len(iids) != 2 or pairs <= 0 or len(owners) != 1:
            continue
        (owner,) = owners
        parents = sorted({memory.fills.get((owner, iid), 0) for iid in iids} - {0})
        row = PositionsMerged(
            venue=market.venue, instrument_ids=iids, quantity=pairs, proceeds=pairs,
            currency=currency, strategy_id=owner,
        )  # fmt: skip
        ledger.append(row, ts_event=now_ns, parents=parents)
        for iid in iids:
            left[iid] -= pairs
    return left
