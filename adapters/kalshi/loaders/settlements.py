"""Results of Kalshi markets as recorded: yes or no, when, and the index value behind them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from adapters.history.frames import nanoseconds, read_frame
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from core.domain.clock import NS_PER_SECOND
from core.domain.market import Market

_COLUMNS: dict[str, Any] = {
    "ticker": pl.String,
    "close_time": pl.Datetime("us", "UTC"),
    "settlement_ts": pl.Datetime("us", "UTC"),
    "result": pl.String,
    "expiration_value": pl.String,
}
#: Used where the set has no settlement time; recorded crypto settlements came within seconds to minutes.
DELAY_NS = 300 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Result:
    """How one market ended; times are 0 where unknown."""

    yes: bool
    close_ns: int
    settled_ns: int
    value: Decimal | None

    def known_ns(self, close_ns: int, last_ns: int) -> int:
        """Return when the result could be known: as recorded, else five minutes after the close."""
        if self.settled_ns > last_ns:
            return self.settled_ns
        return max(close_ns or self.close_ns, last_ns) + DELAY_NS


def read_results(job: IngestJob) -> dict[str, Result]:
    """Return the recorded results by ticker; contradictions are reported and left out."""
    frame = read_frame(job.source, "settlements", _COLUMNS)
    job.read("settlements", len(frame))
    close, _ = nanoseconds(frame, "close_time")
    settled, _ = nanoseconds(frame, "settlement_ts")
    out: dict[str, Result] = {}
    clash: set[str] = set()
    for row, (ticker, result, value) in enumerate(
        frame.select("ticker", "result", "expiration_value").iter_rows()
    ):
        if result not in ("yes", "no"):
            job.issues.add(
                Issue.UNRESOLVED,
                Fate.DROPPED,
                file="settlements",
                row=row,
                subject=ticker,
                seen=result,
            )
            continue
        found = Result(result == "yes", int(close[row]), int(settled[row]), _number(value))
        before = out.setdefault(ticker, found)
        if before.yes != found.yes:
            clash.add(ticker)
            job.issues.add(
                Issue.CONFLICT,
                Fate.DROPPED,
                file="settlements",
                row=row,
                subject=ticker,
                seen=result,
            )
    return {ticker: result for ticker, result in out.items() if ticker not in clash}


def follows_from_strike(market: Market, value: Decimal) -> bool:
    """Return whether YES pays at this index value by the market's strikes (both ends inclusive)."""
    low, high = market.strike, market.strike_high
    if market.strike_type == "greater":
        return low is not None and value > low
    if market.strike_type == "less":
        return high is not None and value < high
    return low is not None and high is not None and low <= value <= high


def _number(text: str | None) -> Decimal | None:
    if not text:
        return None
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
