"""What a node remembers of earlier runs: who owned which order, which trades are written, who traded what.

Read from the ledger at the start, so that a restart after a kill finds everything in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from core.domain.errors import MissingData
from core.ledger.kinds import OrderFilled, OrderIntended, Settled
from core.ledger.kinds.orders import OrderEvent, OrderModified
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

ENDS = ("order.canceled", "order.expired", "order.rejected", "order.denied", "order.absent")
KINDS = ("order.intent", "order.filled", "order.modified", "settlement", *ENDS)


@dataclass(slots=True)
class Leftover:
    """An order that has no end in the ledger: where it stood when its node died."""

    instrument_id: str
    market_id: str
    ts_ns: int
    quantity: Decimal
    filled: Decimal = Decimal(0)


@dataclass(slots=True)
class LedgerMemory:
    """Facts of earlier runs.

    Attributes
    ----------
    owners : dict
        Client order id to strategy id.
    instruments : dict
        Client order id to instrument id.
    last_owner : dict
        Instrument id to the strategy that last bought it.
    trades : set of str
        Trade ids that are written.
    settled : set of str
        Instruments that were paid out.
    leftovers : dict
        Client order id to an order without an end. All fills that can be missing are theirs.
    """

    owners: dict[str, str] = field(default_factory=dict)
    instruments: dict[str, str] = field(default_factory=dict)
    last_owner: dict[str, str] = field(default_factory=dict)
    trades: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    leftovers: dict[str, Leftover] = field(default_factory=dict)

    @property
    def resume_ns(self) -> int:
        """Return since when fills can be missing; 0 when none can."""
        return min((x.ts_ns for x in self.leftovers.values()), default=0)


def remember(directory: Path) -> LedgerMemory:
    """Fold the ledger in `directory`; an absent ledger remembers nothing."""
    memory = LedgerMemory()
    try:
        reader = LedgerReader(directory)
    except MissingData:
        return memory
    for row in reader.rows(Selection(kinds=KINDS)):
        payload = row.decoded()
        if isinstance(payload, OrderIntended):
            cid = payload.client_order_id
            memory.owners[cid] = payload.strategy_id
            memory.instruments[cid] = payload.instrument_id
            memory.last_owner[payload.instrument_id] = payload.strategy_id
            memory.leftovers[cid] = Leftover(
                payload.instrument_id, payload.market_id, row.ts_event, payload.quantity
            )
        elif isinstance(payload, OrderFilled):
            if payload.trade_id not in memory.trades:
                memory.trades.add(payload.trade_id)
                _filled(memory, payload)
        elif isinstance(payload, Settled):
            memory.settled.add(payload.instrument_id)
        elif isinstance(payload, OrderModified):
            if (known := memory.leftovers.get(payload.client_order_id)) is not None:
                known.quantity = payload.quantity
        elif isinstance(payload, OrderEvent):
            memory.leftovers.pop(payload.client_order_id, None)
    return memory


def _filled(memory: LedgerMemory, fill: OrderFilled) -> None:
    left = memory.leftovers.get(fill.client_order_id)
    if left is not None:
        left.filled += fill.quantity
        if left.filled >= left.quantity:
            del memory.leftovers[fill.client_order_id]
