"""What a reader must know before believing a run: each caution names what was seen and what to do.

A result that looks too good is treated as a bug until it is explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.clock import date_from_ns
from core.engine.report.calibration import ForecastScores
from core.engine.report.totals import Totals
from core.engine.results import RunResult

#: A drawdown deeper than this asks for human review before the strategy may trade.
REVIEW_DRAWDOWN = 0.20
#: Figures beyond these are too good for a small account in public markets.
TOO_GOOD_SHARPE = 5.0
TOO_GOOD_TRADES = 20
#: Engine warnings that the cautions above or the table of refusals say with more detail.
SAID_HERE = ("Interrupted:", "end unresolved", "refused by the gate", "SYNTHETIC:", "Cleaned up:")
FEW_DAYS = 30
FEW_MARKETS = 30


class Severity(StrEnum):
    """How much a caution weighs."""

    REVIEW = "review"
    CAUTION = "caution"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Caution:
    """One sentence for the reader, with a stable code."""

    severity: Severity
    code: str
    text: str


def cautions(
    result: RunResult, totals: Totals, scores: ForecastScores | None
) -> tuple[Caution, ...]:
    """Return what to know about this run, weightiest first."""
    found = [
        *_data(result),
        *_losses(totals),
        *_unresolved(result),
        *_too_good(totals),
        *_thin(totals),
        *_orders(result, totals),
        *_forecasts(scores),
        *[
            Caution(Severity.CAUTION, "ENGINE", text)
            for text in result.warnings
            if not any(said in text for said in SAID_HERE)
        ],
    ]
    order = list(Severity)
    unique = {c.text: c for c in found}.values()
    return tuple(sorted(unique, key=lambda c: order.index(c.severity)))


def _data(result: RunResult) -> list[Caution]:
    out = []
    header = result.header
    if header.interrupted:
        out.append(
            Caution(Severity.REVIEW, "INTERRUPTED", "the run was interrupted; figures cover a part")
        )
    if header.synthetic:
        out.append(
            Caution(
                Severity.CAUTION,
                "SYNTHETIC",
                "the data is synthetic: these figures say nothing about real markets",
            )
        )
    if header.limits == "research":
        out.append(
            Caution(
                Severity.CAUTION,
                "NO_LIMITS",
                "the research profile lifts size and loss limits: no account is run like this",
            )
        )
    if not header.queue_position:
        out.append(
            Caution(
                Severity.CAUTION,
                "NO_QUEUE",
                "resting orders fill without a queue: maker fills are optimistic",
            )
        )
    if header.latency_ms == 0:
        out.append(Caution(Severity.CAUTION, "NO_LATENCY", "orders arrive without latency"))
    unnamed = sum(1 for f in result.fills if f.role != "settlement" and not f.fee_rule)
    if unnamed:
        out.append(
            Caution(
                Severity.REVIEW, "FEE_RULE", f"{unnamed} fills were charged by no named fee rule"
            )
        )
    if header.fee_rules:
        out.append(
            Caution(Severity.NOTE, "FEE_RULES", "fees follow: " + "; ".join(header.fee_rules))
        )
    return out


def _losses(totals: Totals) -> list[Caution]:
    fall = totals.max_drawdown
    if fall is None or fall.fraction <= REVIEW_DRAWDOWN:
        return []
    return [
        Caution(
            Severity.REVIEW,
            "DRAWDOWN",
            f"drawdown {fall.fraction:.1%} (limit {REVIEW_DRAWDOWN:.0%}) from "
            f"{date_from_ns(fall.peak_ns)} to {date_from_ns(fall.trough_ns)}: human review needed "
            "before this strategy trades",
        )
    ]


def _unresolved(result: RunResult) -> list[Caution]:
    if not result.unresolved:
        return []
    value = sum(m.open_value for m in result.unresolved)
    names = ", ".join(m.market_id for m in result.unresolved[:3])
    more = f" and {len(result.unresolved) - 3} more" if len(result.unresolved) > 3 else ""
    return [
        Caution(
            Severity.REVIEW,
            "UNRESOLVED",
            f"open positions in {len(result.unresolved)} market(s) without a resolution in the "
            f"data (marked at ${value:,.2f}): {names}{more}; P&L counts them at the bid",
        )
    ]


def _too_good(totals: Totals) -> list[Caution]:
    out = []
    if totals.sharpe is not None and totals.sharpe > TOO_GOOD_SHARPE:
        out.append(
            Caution(
                Severity.REVIEW,
                "TOO_GOOD",
                f"Sharpe {totals.sharpe:.1f} is above {TOO_GOOD_SHARPE:g}: explain before believing "
                "(look-ahead, fills at stale prices, fees, a lucky few)",
            )
        )
    if totals.win_rate_trades == 1.0 and totals.trades_closed > TOO_GOOD_TRADES:
        out.append(
            Caution(
                Severity.REVIEW,
                "TOO_GOOD",
                f"all {totals.trades_closed} closed trades won: explain before believing",
            )
        )
    return out


def _thin(totals: Totals) -> list[Caution]:
    if not totals.fills:
        return [
            Caution(
                Severity.CAUTION,
                "NO_TRADES",
                "no order was filled: nothing below measures the strategy",
            )
        ]
    out = []
    if totals.sharpe is not None and totals.sharpe_error is not None and totals.days < FEW_DAYS:
        out.append(
            Caution(
                Severity.CAUTION,
                "FEW_DAYS",
                f"Sharpe rests on {totals.days} days (standard error {totals.sharpe_error:.1f})",
            )
        )
    if totals.markets_traded < FEW_MARKETS:
        out.append(
            Caution(Severity.NOTE, "FEW_MARKETS", f"markets traded: only {totals.markets_traded}")
        )
    return out


def _orders(result: RunResult, totals: Totals) -> list[Caution]:
    if totals.orders and totals.orders_refused > totals.orders / 2:
        return [
            Caution(
                Severity.CAUTION,
                "MOSTLY_REFUSED",
                f"{totals.orders_refused:,} of {totals.orders:,} orders were refused or denied",
            )
        ]
    return []


def _forecasts(scores: ForecastScores | None) -> list[Caution]:
    if scores is None or scores.brier_edge is None:
        return []
    if scores.edge_high is not None and scores.edge_high < 0:
        return [
            Caution(
                Severity.CAUTION,
                "WORSE_THAN_MARKET",
                f"forecasts were worse than the market price (Brier {scores.brier:.4f} against "
                f"{scores.brier_market:.4f})",
            )
        ]
    if scores.edge_low is None or scores.edge_low <= 0:
        return [
            Caution(
                Severity.NOTE,
                "NO_FORECAST_EDGE",
                "forecasts were not measurably better than the market price",
            )
        ]
    return []
