"""A user's market descriptions, or plain defaults where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.history.tabular.read import read_text, require
from core.domain.clock import ns_from_iso
from core.domain.errors import BetaError
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.domain.money import decimal_of

#: Columns of a markets table; only ``market`` is required.
COLUMNS = (
    "market", "question", "event", "neg_risk", "category", "series", "tick", "size_step", "min_size",
    "open_time", "close_time", "strike", "strike_high", "strike_type", "underlying",
    "fee_kind", "fee_rate", "fee_multiplier", "result", "settled_time",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Described:
    """A market and, when it is over, what the first outcome paid and when that was known."""

    market: Market
    payout: Decimal | None = None
    settled_ns: int = 0


def read_markets(job: IngestJob, path: Path, venue: str) -> dict[str, Described]:
    """Return the markets of a table by id; a row that cannot be used is reported and left out."""
    frame = read_text(path, job.issues)
    require(frame, ["market"], path, "markets")
    job.read(path.name, len(frame))
    out: dict[str, Described] = {}
    for row in frame.iter_rows(named=True):
        name = row["market"] or ""
        try:
            if not name or name in out:
                raise ValueError("market id is empty or repeated")
            out[name] = _described(name, row, venue)
        except (BetaError, ValueError, ArithmeticError) as exc:
            job.issues.add(
                Issue.BAD_MARKET,
                Fate.DROPPED,
                file=path.name,
                row=int(row["row"]),
                subject=name,
                seen=str(exc),
            )
    return out


def default_market(name: str, venue: str) -> Described:
    """Return an unresolved market about which nothing but its id is known."""
    return _described(name, {}, venue)


def _described(name: str, row: Mapping[str, Any], venue: str) -> Described:
    def number(column: str, default: str | None = None) -> Decimal | None:
        text = row.get(column) or default
        return None if text is None else decimal_of(text, column)

    def moment(column: str) -> int:
        return ns_from_iso(row[column]) if row.get(column) else 0

    market = Market(
        venue=venue,
        market_id=name,
        question=row.get("question") or name,
        outcomes=(
            Outcome(f"{name}-YES.{venue}", "Yes", "yes"),
            Outcome(f"{name}-NO.{venue}", "No", "no"),
        ),
        grid=TickGrid.uniform(number("tick", "0.01") or Decimal("0.01")),
        fees=FeeSchedule(
            venue,
            rate=number("fee_rate"),
            multiplier=number("fee_multiplier", "1") or Decimal(1),
            kind=row.get("fee_kind") or ("curve" if row.get("fee_rate") else ""),
            category=row.get("category") or "",
        ),
        event_id=row.get("event") or "",
        neg_risk_id=row.get("neg_risk") or "",
        series=row.get("series") or "",
        category=row.get("category") or "",
        size_step=number("size_step", "0.01") or Decimal("0.01"),
        min_size=number("min_size", "0") or Decimal(0),
        open_ns=moment("open_time"),
        close_ns=moment("close_time"),
        strike=number("strike"),
        strike_high=number("strike_high"),
        strike_type=row.get("strike_type") or "",
        underlying=row.get("underlying") or "",
    )
    result = (row.get("result") or "").strip().lower()
    if not result:
        return Described(market)
    payout = {"yes": Decimal(1), "no": Decimal(0)}.get(result)
    if payout is None:
        payout = decimal_of(result, "result")
    if not 0 <= payout <= 1:
        raise ValueError(f"result must be yes, no or 0..1, not {result}")
    settled = moment("settled_time") or market.close_ns
    if not settled:
        raise ValueError("a result needs settled_time or close_time")
    return Described(market, payout, settled)
