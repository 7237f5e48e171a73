"""What a node remembers of earlier runs: who owned which order, which trades are written, who traded what.

Read from the ledger at the start, so that a restart after a kill finds everything in place.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from core.domain.clock import NS_PER_SECOND
from core.domain.errors import MissingData
from core.engine.live.port import SentOrder
from core.ledger.kinds import OrderFilled, OrderIntended, Resumed, Settled
from core.ledger.kinds.orders import (
    FillConfirmed,
    FillVoided,
    OrderEvent,
    OrderModified,
    OrderModifyRejected,
    OrderModifyRequested,
)
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.states import taken_back

ENDS = ("order.canceled", "order.expired", "order.rejected", "order.denied", "order.absent")
CHANGES = ("order.modify_requested", "order.modify_rejected", "order.modified")
TRADES = ("order.filled", "order.confirmed", "order.voided")
KINDS = ("order.intent", *CHANGES, *TRADES, "settlement", "resume", *ENDS)

#: The venue's package writes ids down within a second; what is older than this before the last order it has.
SENT_BACK_NS = 600 * NS_PER_SECOND


@dataclass(slots=True)
class Leftover:
    """An order that has no end in the ledger: where it stood when its node died."""

    instrument_id: str
    market_id: str
    ts_ns: int
    quantity: Decimal
    filled: Decimal = Decimal(0)
    before: Decimal | None = None

    def change(self, quantity: Decimal) -> None:
        """Take a change that was asked for: either size may hold."""
        self.before = self.quantity
        self.quantity = max(self.quantity, quantity)


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
    provisional : dict
        Trade id to client order id of fills that the venue had not made final.
    barred : dict
        Market id to why it takes no purchases: a trade was taken back and no operator has resumed since.
    rows : dict
        Client order id to the newest row of the order; `fills`: (strategy, instrument) to the row of its last fill.
    sent : deque of SentOrder
        The last orders whose id at the venue was known before they were sent.
    """

    owners: dict[str, str] = field(default_factory=dict)
    instruments: dict[str, str] = field(default_factory=dict)
    last_owner: dict[str, str] = field(default_factory=dict)
    trades: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    leftovers: dict[str, Leftover] = field(default_factory=dict)
    provisional: dict[str, str] = field(default_factory=dict)
    barred: dict[str, str] = field(default_factory=dict)
    markets: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    fills: dict[tuple[str, str], int] = field(default_factory=dict)
    sent: deque[SentOrder] = field(default_factory=deque)

    @property
    def resume_ns(self) -> int:
        """Return since when fills can be missing; 0 when none can."""
        return min((x.ts_ns for x in self.leftovers.values()), default=0)

    @property
    def unended(self) -> set[str]:
        """Return the instruments of which trades can be missing."""
        return {x.instrument_id for x in self.leftovers.values()}


def remember(directory: Path, resumed_ns: int = 0) -> LedgerMemory:
    """Fold the ledger in `directory`; an absent ledger remembers nothing.

    Parameters
    ----------
    resumed_ns : int
        When an operator last resumed by a command that has no row yet; 0 = never.
    """
    memory = LedgerMemory()
    try:
        reader = LedgerReader(directory)
    except MissingData:
        return memory
    for row in reader.rows(Selection(kinds=KINDS)):
        payload = row.decoded()
        if cid := getattr(payload, "client_order_id", ""):
            memory.rows[cid] = row.seq
        if isinstance(payload, OrderFilled):
            memory.fills[(payload.strategy_id, payload.instrument_id)] = row.seq
        if isinstance(payload, OrderIntended):
            _intended(memory, payload, row.ts_event)
        elif isinstance(payload, Settled):
            memory.settled.add(payload.instrument_id)
        elif isinstance(payload, Resumed):
            memory.barred.clear()
        elif isinstance(payload, (OrderFilled, FillConfirmed, FillVoided)):
            _traded(memory, payload, row.ts_event > resumed_ns)
        elif isinstance(payload, OrderEvent):
            _changed(memory, payload)
    return memory


def _intended(memory: LedgerMemory, order: OrderIntended, ts_ns: int) -> None:
    cid = order.client_order_id
    memory.owners[cid] = order.strategy_id
    memory.instruments[cid] = order.instrument_id
    memory.markets[cid] = order.market_id
    memory.last_owner[order.instrument_id] = order.strategy_id
    memory.leftovers[cid] = Leftover(order.instrument_id, order.market_id, ts_ns, order.quantity)
    price = order.price if order.price is not None else order.limit
    if order.venue_order_id and price is not None:
        memory.sent.append(
            SentOrder(
                order.venue_order_id,
                cid,
                order.instrument_id,
                order.side,
                order.quantity,
                price,
                ts_ns,
                order.post_only,
                order.expire_ns,
                order.tif,
            )
        )
        while memory.sent[0].sent_ns < ts_ns - SENT_BACK_NS:
            memory.sent.popleft()


def _changed(memory: LedgerMemory, event: OrderEvent) -> None:
    """Follow a change of an order without an end; every other event of these kinds ends it."""
    left = memory.leftovers.get(event.client_order_id)
    if isinstance(event, OrderModifyRequested):
        if left is not None:
            left.change(event.quantity)
    elif isinstance(event, OrderModifyRejected):
        if left is not None and left.before is not None:
            left.quantity = left.before
            _end_if_full(memory, event.client_order_id, left)
    elif isinstance(event, OrderModified):
        if left is not None:
            left.quantity, left.before = event.quantity, None
            _end_if_full(memory, event.client_order_id, left)
    else:
        memory.leftovers.pop(event.client_order_id, None)


def _traded(
    memory: LedgerMemory, trade: OrderFilled | FillConfirmed | FillVoided, bars: bool
) -> None:
    cid = trade.client_order_id
    if isinstance(trade, OrderFilled):
        if trade.trade_id not in memory.trades:
            memory.trades.add(trade.trade_id)
            _filled(memory, trade)
            if trade.provisional:
                memory.provisional[trade.trade_id] = cid
        return
    memory.provisional.pop(trade.trade_id, None)
    market_id = memory.markets.get(cid)
    if isinstance(trade, FillVoided) and bars and market_id is not None:
        memory.barred[market_id] = taken_back(trade.trade_id)


def _filled(memory: LedgerMemory, fill: OrderFilled) -> None:
    left = memory.leftovers.get(fill.client_order_id)
    if left is not None:
        left.filled += fill.quantity
        _end_if_full(memory, fill.client_order_id, left)


def _end_if_full(memory: LedgerMemory, cid: str, left: Leftover) -> None:
    """End an order whose fills are its whole size, also when its size is known only after them."""
    if left.filled >= left.quantity:
        del memory.leftovers[cid]
