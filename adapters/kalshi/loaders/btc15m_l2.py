"""Set ``kalshi_btc15m_l2``: websocket snapshots and deltas of 15-minute bitcoin windows.

Each (ticker, connection) is a session: a snapshot, then signed changes with contiguous sequence numbers.
A session becomes two mirrored books of absolute levels, one per outcome. All changes of one exchange time
are one batch: inside a batch the venue's book crosses for a moment, at its end never. Times are the
exchange's; the recorder's clock is wrong by up to half a second and is not used, so the snapshot is
dated to the first change after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from adapters.history.frames import read_frame
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.kalshi.loaders import spot
from adapters.kalshi.loaders.books import write_books
from adapters.kalshi.loaders.sessions import Session, read_sessions
from adapters.kalshi.loaders.terms import FEE_NOTE, TAPERED, assumed_fees, outcomes, series_of
from adapters.kalshi.loaders.ticker import TickerCheck
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.market import Event, Market

WINDOW_NS = 900 * NS_PER_SECOND
#: Recorded settlements arrived a median 14.4 s after the close.
TYPICAL_SETTLEMENT_NS = 15 * NS_PER_SECOND
_STATED = ("recorded", "next_strike_rule")

_MARKETS: dict[str, Any] = {
    "ticker": pl.String,
    "result": pl.String,
    "settlement_ts": pl.String,
    "close_time": pl.String,
    "strike": pl.Float64,
    "settlement_price": pl.Float64,
    "result_source": pl.String,
}


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a window ended, as the set states it."""

    result: str
    source: str
    ts_ns: int


def load(job: IngestJob) -> None:
    """Import the set into the catalog of `job`."""
    described = read_frame(job.source, "markets", _MARKETS)
    job.read("markets.csv", len(described))
    rows = {row["ticker"]: row for row in described.iter_rows(named=True)}
    sessions = read_sessions(job)
    ticker_check = TickerCheck.read(job)
    by_ticker: dict[str, list[Session]] = {}
    for session in sessions:
        by_ticker.setdefault(session.ticker, []).append(session)
    done, total = 0, sum(len(s.ts) for s in sessions)
    markets = []
    for ticker, group in by_ticker.items():
        if ticker not in rows:
            job.issues.add(
                Issue.UNKNOWN_MARKET,
                Fate.DROPPED,
                file="deltas",
                row=min(int(s.row[0]) for s in group),
                subject=ticker,
                rows=sum(len(s.ts) for s in group),
            )
            continue
        market, settlement = describe(job, rows[ticker])
        write_books(job, market, group, TAPERED, ticker_check)
        finish(job, market, settlement)
        markets.append(market)
        done += sum(len(s.ts) for s in group)
        job.progress("books", done, total)
    job.writer.events(
        Event("KALSHI", m.event_id, m.question, (m.market_id,), category="crypto") for m in markets
    )
    ticker_check.conclude(job)
    _conclude(job, total)
    spot.write_coinbase(job)
    job.note(FEE_NOTE)
    job.note("Kalshi L2: no public trades in this set; queue position rests on book changes alone.")


def _conclude(job: IngestJob, changes: int) -> None:
    """State what every change was held to; each break is in the list of issues."""
    for name, code in (
        ("sequence numbers follow each other without a gap", Issue.SEQUENCE_GAP),
        ("no level becomes negative", Issue.NEGATIVE_LEVEL),
        ("no book is crossed at the end of a batch", Issue.CROSSED),
    ):
        job.check(name, changes, job.issues.count(code), "book changes")


def describe(job: IngestJob, row: dict[str, Any]) -> tuple[Market, Settlement | None]:
    """Return the market of one row of ``markets.csv`` and its settlement, if it has one we accept."""
    ticker = row["ticker"]
    close_ns = ns_from_iso(row["close_time"]) if row["close_time"] else 0
    market = Market(
        venue="KALSHI",
        market_id=ticker,
        question=f"BTC price up in the 15 minutes of {ticker}?",
        outcomes=outcomes(ticker),
        grid=TAPERED,
        fees=assumed_fees(series_of(ticker)),
        event_id=ticker.rpartition("-")[0],
        series=series_of(ticker),
        category="crypto",
        open_ns=close_ns - WINDOW_NS if close_ns else 0,
        close_ns=close_ns,
        strike=None if row["strike"] is None else Decimal(str(row["strike"])),
        strike_type="greater_or_equal",
        underlying=spot.COINBASE.instrument_id,
        info={"result_source": row["result_source"] or "none"},
    )
    official_only = bool(job.options.get("official_only"))
    accepted = _STATED[:1] if official_only else _STATED
    if row["result"] not in ("yes", "no") or not close_ns:
        return market, None
    if row["result_source"] not in accepted:
        job.issues.add(
            Issue.UNOFFICIAL_LABEL,
            Fate.DROPPED,
            file="markets.csv",
            subject=ticker,
            seen=row["result_source"],
        )
        return market, None
    stated_ns = ns_from_iso(row["settlement_ts"]) if row["settlement_ts"] else 0
    if row["result_source"] != "recorded":
        job.note(
            "Results marked next_strike_rule are derived (strike of the next window >= this one's); "
            "the rule agreed with the record in 168 of 168 windows. --official-only leaves them open."
        )
    ts_ns = stated_ns if stated_ns >= close_ns else close_ns + TYPICAL_SETTLEMENT_NS
    return market, Settlement(row["result"], row["result_source"], ts_ns)


def finish(job: IngestJob, market: Market, settlement: Settlement | None) -> None:
    """Write the trading end and the settlement of a market."""
    for outcome in market.outcomes:
        if market.close_ns:
            job.writer.statuses(outcome.instrument_id, [(market.close_ns, "CLOSE", "close time")])
    if settlement is None:
        job.add_market(market)
    else:
        job.settle(market, settlement.ts_ns, Decimal(int(settlement.result == "yes")))
