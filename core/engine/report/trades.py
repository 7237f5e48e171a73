"""Closed trades from fills: a position of one strategy in one market, from flat to flat.

Both outcomes of a market belong to the same trade, so a YES+NO pair is one trade with one result and
not a winner beside a loser. A merge of pairs takes a share of each outcome and brings a dollar.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.money import ZERO
from core.engine.results import FillRow, MergeRow

#: Reason shown for a fill whose strategy gave none.
UNNAMED = "(none given)"
MERGED = "merge"


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed trade.

    Attributes
    ----------
    opened_ns, closed_ns : int
        First fill, and the fill or settlement that made the position flat.
    bought : Decimal
        Shares bought, all outcomes.
    cost, proceeds : Decimal
        Dollars paid for buys and received from sells and settlement, before fees.
    fees, pnl : Decimal
        Dollars; ``pnl = proceeds - cost - fees`` exactly.
    entry_reason, exit_reason : str
        Reasons of the first and of the last fill.
    settled : bool
        Whether resolution closed it.
    """

    strategy_id: str
    venue: str
    market_id: str
    opened_ns: int
    closed_ns: int
    fills: int
    bought: Decimal
    cost: Decimal
    proceeds: Decimal
    fees: Decimal
    pnl: Decimal
    entry_reason: str
    exit_reason: str
    settled: bool

    @property
    def held_ns(self) -> int:
        """How long the position was open."""
        return self.closed_ns - self.opened_ns


@dataclass(slots=True)
class _Open:
    """A trade while it is still open."""

    first: FillRow
    positions: dict[str, Decimal] = field(default_factory=dict)
    fills: int = 0
    bought: Decimal = ZERO
    cost: Decimal = ZERO
    proceeds: Decimal = ZERO
    fees: Decimal = ZERO

    def add(self, fill: FillRow) -> bool:
        """Book `fill`; return whether the market is flat now."""
        amount = fill.price * fill.quantity
        self.fills += 1
        self.fees += fill.fee
        if fill.side == "BUY":
            self.bought += fill.quantity
            self.cost += amount
        else:
            self.proceeds += amount
        left = self.positions.get(fill.instrument_id, ZERO) + fill.signed_quantity
        if left:
            self.positions[fill.instrument_id] = left
        else:
            self.positions.pop(fill.instrument_id, None)
        return not self.positions

    def merge(self, pairs: Decimal) -> bool:
        """Turn `pairs` of the held outcomes into dollars; return whether the market is flat now."""
        self.proceeds += pairs
        for instrument_id, held in list(self.positions.items()):
            left = held - pairs
            if left:
                self.positions[instrument_id] = left
            else:
                del self.positions[instrument_id]
        return not self.positions

    def close(self, last: FillRow | MergeRow) -> Trade:
        """Return the trade that `last` closed."""
        reason, settled = MERGED, False
        if isinstance(last, FillRow):
            reason, settled = last.reason or UNNAMED, last.role == "settlement"
        return Trade(
            strategy_id=self.first.strategy_id,
            venue=self.first.venue,
            market_id=self.first.market_id,
            opened_ns=self.first.ts_ns,
            closed_ns=last.ts_ns,
            fills=self.fills,
            bought=self.bought,
            cost=self.cost,
            proceeds=self.proceeds,
            fees=self.fees,
            pnl=self.proceeds - self.cost - self.fees,
            entry_reason=self.first.reason or UNNAMED,
            exit_reason=reason,
            settled=settled,
        )


def closed_trades(fills: Iterable[FillRow], merges: Iterable[MergeRow] = ()) -> list[Trade]:
    """Return the closed trades of `fills` and `merges` (each in time order), by closing time.

    A merge follows the fill that completed its pairs; settlement comes last of its moment. The trade of
    a market settled in two legs closes with the second.
    """
    trades: list[Trade] = []
    still_open: dict[tuple[str, str], _Open] = {}
    rows: list[FillRow | MergeRow] = [*fills, *merges]
    for row in sorted(rows, key=_order):
        key = (row.strategy_id, row.market_id)
        trade = still_open.get(key)
        if isinstance(row, MergeRow):
            flat = trade is not None and trade.merge(row.pairs)
        else:
            if trade is None:
                trade = still_open[key] = _Open(row)
            flat = trade.add(row)
        if flat and trade is not None:
            trades.append(trade.close(row))
            del still_open[key]
    return trades


def _order(row: FillRow | MergeRow) -> tuple[int, int]:
    if isinstance(row, MergeRow):
        return row.ts_ns, 1
    return row.ts_ns, 2 if row.role == "settlement" else 0
