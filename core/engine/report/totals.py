"""Figures of the whole run: P&L, fees, win rates, risk and activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.domain.money import ZERO
from core.engine.report.returns import (
    DailyReturns,
    Drawdown,
    exposure,
    max_drawdown,
    sharpe,
    sharpe_error,
    sortino,
)
from core.engine.report.trades import Trade
from core.engine.results import RunResult


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of the whole run. A rate or ratio that cannot be computed is None, never infinite.

    Attributes
    ----------
    pnl, fees, gross_pnl : Decimal
        Dollars; ``pnl = final equity - capital`` is after fees, ``gross_pnl = pnl + fees``.
    settlement_pnl : Decimal
        Part of the closed trades' P&L that resolution paid out.
    win_rate_markets, win_rate_trades : float, optional
        Share with P&L above zero, of markets with a closed or resolved position, of closed trades.
    profit_factor : float, optional
        Gains over losses of closed trades; None without a losing trade.
    exposure_time, exposure_mean, exposure_peak : float
        Share of time with an open position; mean and peak of marked positions over equity.
    turnover : float
        Dollars bought and sold (settlement left out) over starting capital.
    """

    capital: Decimal
    final_equity: Decimal
    final_cash: Decimal
    pnl: Decimal
    gross_pnl: Decimal
    fees: Decimal
    settlement_pnl: Decimal
    return_fraction: float
    days: int
    max_drawdown: Drawdown | None
    sharpe: float | None
    sharpe_error: float | None
    sortino: float | None
    profit_factor: float | None
    win_rate_markets: float | None
    win_rate_trades: float | None
    markets_traded: int
    markets_decided: int
    trades_closed: int
    average_win: Decimal | None
    average_loss: Decimal | None
    orders: int
    orders_filled: int
    orders_refused: int
    fills: int
    maker_share: float | None
    volume: Decimal
    turnover: float
    exposure_time: float
    exposure_mean: float
    exposure_peak: float


def totals_of(result: RunResult, trades: Sequence[Trade], daily: DailyReturns) -> Totals:
    """Return the totals of `result`."""
    header, capital = result.header, result.header.capital
    executed = [f for f in result.fills if f.role != "settlement"]
    volume = sum((f.price * f.quantity for f in executed), ZERO)
    wins = [t.pnl for t in trades if t.pnl > 0]
    losses = [t.pnl for t in trades if t.pnl < 0]
    traded = [m for m in result.markets if m.fills]
    decided = [m for m in traded if not m.open_quantity]
    ratio = sharpe(daily.simple)
    time, mean, peak = exposure(result.equity, header.start_ns, header.end_ns)
    pnl = result.final_equity - capital
    makers = sum(1 for f in executed if f.role == "maker")
    return Totals(
        capital=capital,
        final_equity=result.final_equity,
        final_cash=result.final_cash,
        pnl=pnl,
        gross_pnl=pnl + result.fees_paid,
        fees=result.fees_paid,
        settlement_pnl=sum((t.pnl for t in trades if t.settled), ZERO),
        return_fraction=float(pnl / capital) if capital else 0.0,
        days=int(daily.ts_ns.size),
        max_drawdown=max_drawdown(result.equity, float(capital)),
        sharpe=ratio,
        sharpe_error=None if ratio is None else sharpe_error(ratio, int(daily.ts_ns.size)),
        sortino=sortino(daily.simple),
        profit_factor=float(sum(wins, ZERO) / -sum(losses, ZERO)) if losses else None,
        win_rate_markets=_share(sum(m.pnl > 0 for m in decided), len(decided)),
        win_rate_trades=_share(len(wins), len(trades)),
        markets_traded=len(traded),
        markets_decided=len(decided),
        trades_closed=len(trades),
        average_win=sum(wins, ZERO) / len(wins) if wins else None,
        average_loss=sum(losses, ZERO) / len(losses) if losses else None,
        orders=len(result.orders),
        orders_filled=sum(1 for o in result.orders if o.filled > 0),
        orders_refused=sum(1 for o in result.orders if o.code),
        fills=len(executed),
        maker_share=_share(makers, len(executed)),
        volume=volume,
        turnover=float(volume / capital) if capital else 0.0,
        exposure_time=time,
        exposure_mean=mean,
        exposure_peak=peak,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
