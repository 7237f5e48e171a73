"""What a node remembers of earlier runs: who owned which order, which trades are written, who traded what.

Read from the ledger at the start, so that a restart after a kill finds everything in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.domain.errors import MissingData
from core.ledger.kinds import OrderFilled, OrderIntended, Settled
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection


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
    """

    owners: dict[str, str] = field(default_factory=dict)
    instruments: dict[str, str] = field(default_factory=dict)
    last_owner: dict[str, str] = field(default_factory=dict)
    trades: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)


def remember(directory: Path) -> LedgerMemory:
    """Fold the ledger in `directory`; an absent ledger remembers nothing."""
    memory = LedgerMemory()
    try:
        reader = LedgerReader(directory)
    except MissingData:
        return memory
    for row in reader.rows(Selection(kinds=("order.intent", "order.filled", "settlement"))):
        payload = row.decoded()
        if isinstance(payload, OrderIntended):
            memory.owners[payload.client_order_id] = payload.strategy_id
            memory.instruments[payload.client_order_id] = payload.instrument_id
            memory.last_owner[payload.instrument_id] = payload.strategy_id
        elif isinstance(payload, OrderFilled):
            memory.trades.add(payload.trade_id)
        elif isinstance(payload, Settled):
            memory.settled.add(payload.instrument_id)
    return memory
