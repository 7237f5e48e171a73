"""Import a user's table of trades, quotes, book changes or bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob, Progress, silent
from adapters.history.report import IngestReport
from adapters.history.tabular.kinds import write_bars, write_deltas, write_quotes, write_trades
from adapters.history.tabular.markets import Described, default_market, read_markets
from adapters.history.tabular.read import read_text, require
from core.domain.errors import UsageError
from core.domain.market import Event, Market
from core.engine.catalog import catalog_path
from core.engine.catalog.writer import Mode

FORMATS: dict[str, tuple[str, ...]] = {
    "trades": ("ts", "market", "price", "size"),
    "quotes": ("ts", "market", "bid", "bid_size", "ask", "ask_size"),
    "deltas": ("ts", "market", "side", "price", "size"),
    "bars": ("ts", "instrument", "open", "high", "low", "close", "volume"),
}
WRITERS: dict[str, Callable[[IngestJob, Market, dict[int, pl.DataFrame], str], None]] = {
    "trades": write_trades,
    "quotes": write_quotes,
    "deltas": write_deltas,
}


@dataclass(frozen=True)
class TableOptions:
    """How to read a table.

    Attributes
    ----------
    venue : str
        Venue code of the instruments (``KALSHI``, ``POLYMARKET``).
    markets : Path, optional
        Table of market descriptions.
    bar : str
        Step of bars (``1-HOUR``).
    synthetic : bool
        Mark the catalog as generated data.
    price_decimals, size_decimals : int
        Decimals of bars.
    """

    venue: str = "POLYMARKET"
    markets: Path | None = None
    bar: str = ""
    synthetic: bool = False
    price_decimals: int = 2
    size_decimals: int = 6


def ingest_table(
    source: Path,
    fmt: str,
    target: str | Path | None = None,
    options: TableOptions | None = None,
    *,
    mode: Mode = "create",
    progress: Progress = silent,
) -> IngestReport:
    """Import one table.

    Parameters
    ----------
    source : Path
        ``.csv`` or ``.parquet`` file.
    fmt : str
        One of `FORMATS`.

    Raises
    ------
    UsageError
        Unknown format or venue code.
    MissingData, CorruptData, OverlappingData
        As `adapters.history.sets.ingest`.
    """
    chosen = options or TableOptions()
    if fmt not in FORMATS:
        raise UsageError("unknown table format", fmt, f"formats: {', '.join(FORMATS)}")
    if not chosen.venue.isalnum() or not chosen.venue.isupper():
        raise UsageError("a venue code is upper case letters", chosen.venue, "--venue POLYMARKET")
    job = IngestJob(
        f"csv {fmt}",
        source,
        catalog_path(target or source.stem),
        origin=f"table {source.name}",
        mode=mode,
        synthetic=chosen.synthetic,
        progress=progress,
    )
    with job:
        frame = read_text(source, job.issues)
        require(frame, FORMATS[fmt], source, fmt)
        job.read(source.name, len(frame))
        if fmt == "bars":
            write_bars(
                job, frame, source.name, chosen.bar, chosen.price_decimals, chosen.size_decimals
            )
        else:
            _load_markets(job, frame, fmt, chosen)
    return job.report


def _load_markets(job: IngestJob, frame: pl.DataFrame, fmt: str, options: TableOptions) -> None:
    known = (
        read_markets(job, options.markets, options.venue) if options.markets is not None else None
    )
    events: dict[str, list[Market]] = {}
    done = 0
    for name, parts in _by_market(job, frame):
        rows = sum(len(p) for p in parts.values())
        done += rows
        described = known.get(name) if known is not None else default_market(name, options.venue)
        if described is None:
            job.issues.add(
                Issue.UNKNOWN_MARKET,
                Fate.DROPPED,
                file=job.source.name,
                row=min(int(p["row"][0]) for p in parts.values() if len(p)),
                subject=name,
                rows=rows,
            )
            continue
        WRITERS[fmt](job, described.market, parts, job.source.name)
        _finish(job, described)
        if described.market.event_id:
            events.setdefault(described.market.event_id, []).append(described.market)
        job.progress(fmt, done, len(frame))
    # Whether the markets of an event are exhaustive is not in the table, so it is not claimed.
    job.writer.events(
        Event(
            group[0].venue,
            event_id,
            group[0].question,
            tuple(m.market_id for m in group),
            neg_risk_id=group[0].neg_risk_id,
            category=group[0].category,
        )
        for event_id, group in sorted(events.items())
    )


def _by_market(
    job: IngestJob, frame: pl.DataFrame
) -> Iterator[tuple[str, dict[int, pl.DataFrame]]]:
    """Yield each market with its rows by outcome (0 = YES, 1 = NO)."""
    if "outcome" not in frame.columns:
        frame = frame.with_columns(outcome=pl.lit("yes"))
    word = frame["outcome"].fill_null("yes").str.strip_chars().str.to_lowercase()
    frame = frame.with_columns(outcome=word)
    bad = ~word.is_in(["yes", "no", ""]) | frame["market"].is_null()
    job.issues.mask(
        Issue.BAD_SIDE,
        Fate.DROPPED,
        bad.to_numpy(),
        file=job.source.name,
        rows=frame["row"].to_numpy().astype(np.int64),
        subject=frame["market"].fill_null("").to_list(),
        seen=word.to_list(),
    )
    good = frame.filter(~bad)
    for (name,), rows in good.group_by(["market"], maintain_order=True):
        parts = {
            index: rows.filter(rows["outcome"].is_in(words))
            for index, words in enumerate((["yes", ""], ["no"]))
        }
        yield str(name), {index: part for index, part in parts.items() if len(part)}


def _finish(job: IngestJob, described: Described) -> None:
    market = described.market
    if market.close_ns:
        for outcome in market.outcomes:
            job.writer.statuses(outcome.instrument_id, [(market.close_ns, "CLOSE", "close time")])
    if described.payout is None:
        job.add_market(market)
    else:
        job.settle(market, described.settled_ns, described.payout)
