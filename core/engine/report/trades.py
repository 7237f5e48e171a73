"""Closed trades from fills: a position of one strategy in one market, from flat to flat.

Both outcomes of a market belong to the same trade, so a YES+NO pair is one trade with one result and
not a winner beside a loser.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.money import ZERO
from core.engine.results import FillRow

#: Reason shown for a fill whose strategy gave none.
UNNAMED = "(none given)"


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

    @property
    def return_on_cost(self) -> float | None:
        """P&L over dollars paid; None when nothing was paid."""
        return float(self.pnl / self.cost) if self.cost else None


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

    def close(self, last: FillRow) -> Trade:
        """Return the trade that `last` closed."""
        return Trade(
            strategy_id=last.strategy_id,
            venue=last.venue,
            market_id=last.market_id,
            opened_ns=self.first.ts_ns,
            closed_ns=last.ts_ns,
            fills=self.fills,
            bought=self.bought,
            cost=self.cost,
            proceeds=self.proceeds,
            fees=self.fees,
            pnl=self.proceeds - self.cost - self.fees,
            entry_reason=self.first.reason or UNNAMED,
            exit_reason=last.reason or UNNAMED,
            settled=last.role == "settlement",
        )


def closed_trades(fills: Iterable[FillRow]) -> list[Trade]:
    """Return the closed trades of `fills` (in time order), by closing time.

    A settlement of both outcomes arrives as two legs of the same market and time; the trade closes
    with the second.
    """
    trades: list[Trade] = []
    still_open: dict[tuple[str, str], _Open] = {}
    for fill in fills:
        key = (fill.strategy_id, fill.market_id or fill.instrument_id)
        trade = still_open.get(key)
        if trade is None:
            trade = still_open[key] = _Open(fill)
        if trade.add(fill):
            trades.append(trade.close(fill))
            del still_open[key]
    return trades
