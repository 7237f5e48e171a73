"""The run cut by exit reason, fee rule, strategy and refusal code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.domain.money import ZERO
from core.engine.report.trades import Trade
from core.engine.results import FillRow, OrderRow


@dataclass(frozen=True, slots=True)
class ExitRow:
    """Closed trades that ended for one reason."""

    reason: str
    trades: int
    pnl: Decimal
    fees: Decimal
    win_rate: float
    mean_held_hours: float


@dataclass(frozen=True, slots=True)
class FeeRow:
    """Fills that one dated rule charged."""

    rule: str
    fills: int
    volume: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """What one strategy of the run did."""

    strategy_id: str
    fills: int
    trades: int
    pnl: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Orders that were refused, denied or rejected with one code."""

    code: str
    status: str
    orders: int
    example: str


def exits_of(trades: Sequence[Trade]) -> tuple[ExitRow, ...]:
    """Group closed trades by the reason that closed them, most frequent first."""
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        groups.setdefault(trade.exit_reason, []).append(trade)
    rows = [
        ExitRow(
            reason=reason,
            trades=len(of),
            pnl=sum((t.pnl for t in of), ZERO),
            fees=sum((t.fees for t in of), ZERO),
            win_rate=sum(t.pnl > 0 for t in of) / len(of),
            mean_held_hours=sum(t.held_ns for t in of) / len(of) / 3.6e12,
        )
        for reason, of in groups.items()
    ]
    return tuple(sorted(rows, key=lambda r: (-r.trades, r.reason)))


def fees_of(fills: Iterable[FillRow]) -> tuple[FeeRow, ...]:
    """Group fills by the fee rule that charged them, dearest first; settlement legs carry none."""
    count: Counter[str] = Counter()
    volume: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}
    for fill in fills:
        if fill.role == "settlement":
            continue
        rule = fill.fee_rule or "(no rule named)"
        count[rule] += 1
        volume[rule] = volume.get(rule, ZERO) + fill.price * fill.quantity
        fees[rule] = fees.get(rule, ZERO) + fill.fee
    rows = [FeeRow(rule, n, volume[rule], fees[rule]) for rule, n in count.items()]
    return tuple(sorted(rows, key=lambda r: (-r.fees, r.rule)))


def strategies_of(fills: Iterable[FillRow], trades: Sequence[Trade]) -> tuple[StrategyRow, ...]:
    """Group fills and closed trades by strategy."""
    count: Counter[str] = Counter(f.strategy_id for f in fills if f.role != "settlement")
    return tuple(
        StrategyRow(
            strategy_id=name,
            fills=count[name],
            trades=sum(1 for t in trades if t.strategy_id == name),
            pnl=sum((t.pnl for t in trades if t.strategy_id == name), ZERO),
            fees=sum((t.fees for t in trades if t.strategy_id == name), ZERO),
        )
        for name in sorted(count)
    )


def refusals_of(orders: Iterable[OrderRow]) -> tuple[RefusalRow, ...]:
    """Group orders that were refused, denied or rejected by code, most frequent first."""
    groups: dict[tuple[str, str], list[OrderRow]] = {}
    for order in orders:
        if order.code:
            groups.setdefault((order.code, order.status), []).append(order)
    rows = [
        RefusalRow(
            code,
            status,
            len(of),
            f"{of[0].side} {of[0].quantity} {of[0].instrument_id}"
            + (f" @ {of[0].price}" if of[0].price is not None else ""),
        )
        for (code, status), of in groups.items()
    ]
    return tuple(sorted(rows, key=lambda r: (-r.orders, r.code)))
