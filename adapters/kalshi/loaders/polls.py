"""Polled Kalshi quotes: rows of best prices seen at one moment, valid for a short hold, of unknown size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.history.quotes import (
    ONE,
    crossed,
    mirrored_quotes,
    quote_columns,
    size_ticks,
    with_silences,
)
from core.domain.clock import NS_PER_SECOND
from core.domain.market import Market
from core.engine.catalog.replay import Int64, Mask

COLUMNS: dict[str, Any] = {
    "captured_at": pl.Datetime("us", "UTC"),
    "event_ticker": pl.String,
    "ticker": pl.String,
    "yes_bid": pl.Float64,
    "yes_ask": pl.Float64,
    "no_bid": pl.Float64,
    "no_ask": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Polls:
    """Good rows of one market.

    Attributes
    ----------
    ts : int64[n]
        Capture time.
    bid, ask : int64[n]
        YES prices in ticks.
    has_bid, has_ask : bool[n]
        False where the venue stated an empty side (0 and 1).
    """

    ticker: str
    ts: Int64
    bid: Int64
    ask: Int64
    has_bid: Mask
    has_ask: Mask

    def select(self, keep: Mask) -> Polls:
        """Return the rows where `keep` is true."""
        return Polls(
            self.ticker,
            self.ts[keep],
            self.bid[keep],
            self.ask[keep],
            self.has_bid[keep],
            self.has_ask[keep],
        )


def read_polls(
    job: IngestJob, name: str, extra: Mapping[str, Any]
) -> tuple[pl.DataFrame, Iterator[Polls]]:
    """Return the first row of each market (with `extra` columns) and the polls of each market.

    The two prices of each outcome must agree (a NO bid is one minus the YES ask); rows where they do not,
    crossed rows, repeated moments and numbers that are no prices are dropped and reported.
    """
    frame = read_frame(job.source, name, {**COLUMNS, **extra})
    job.read(name, len(frame))
    frame = frame.with_row_index("row")
    order = frame.select(pl.arg_sort_by("ticker", "captured_at", maintain_order=True)).to_series()
    frame = frame[order]
    return frame.unique("ticker", keep="first", maintain_order=True), _polls(job, name, frame)


def _polls(job: IngestJob, name: str, frame: pl.DataFrame) -> Iterator[Polls]:
    number = frame["row"].to_numpy().astype(np.int64)
    ticker = frame["ticker"].fill_null("").to_numpy()
    ts, no_time = nanoseconds(frame, "captured_at")
    read = {c: ticks_of(floats(frame, c), 4) for c in ("yes_bid", "yes_ask", "no_bid", "no_ask")}
    bid, ask = read["yes_bid"][0], read["yes_ask"][0]
    missing = np.logical_or.reduce([r[1] for r in read.values()])
    off = np.logical_or.reduce([r[2] & ~r[1] for r in read.values()])
    outside = ~missing & ((bid < 0) | (bid >= ONE) | (ask <= 0) | (ask > ONE))
    unlike = ~missing & ((bid + read["no_ask"][0] != ONE) | (ask + read["no_bid"][0] != ONE))
    has_bid, has_ask = bid > 0, ask < ONE
    same = np.zeros(len(ts), dtype=bool)
    same[1:] = (ticker[1:] == ticker[:-1]) & (ts[1:] == ts[:-1])
    bad = np.zeros(len(ts), dtype=bool)
    for code, mask in (
        (Issue.BAD_TIME, no_time),
        (Issue.NOT_A_NUMBER, missing),
        (Issue.OFF_PRECISION, off),
        (Issue.BAD_PRICE, outside),
        (Issue.CONFLICT, unlike),
        (Issue.CROSSED, crossed(bid, ask, has_bid, has_ask)),
        (Issue.DUPLICATE, same),
    ):
        fresh = np.flatnonzero(mask & ~bad)
        for at in fresh.tolist():
            job.issues.add(
                code,
                Fate.DROPPED,
                file=name,
                row=int(number[at]),
                subject=str(ticker[at]),
                seen=str(frame.select("yes_bid", "yes_ask", "no_bid", "no_ask").row(at)),
            )
        bad |= mask
    good = np.flatnonzero(~bad)
    borders = np.flatnonzero(np.append(True, ticker[good][1:] != ticker[good][:-1])[: len(good)])
    for low, high in zip(borders, np.append(borders[1:], len(good)), strict=True):
        rows = good[low:high]
        yield Polls(
            str(ticker[rows[0]]), ts[rows], bid[rows], ask[rows], has_bid[rows], has_ask[rows]
        )


def write_quotes(job: IngestJob, market: Market, polls: Polls) -> int:
    """Write the quotes of both outcomes; return the time of the last one.

    Each quote ends after the hold (``--hold-s``) unless the next poll comes sooner: a price seen half an
    hour ago is not a price.
    """
    size = size_ticks(job.options["assumed_size"])
    hold_ns = int(job.options["hold_s"] * NS_PER_SECOND)
    cols = quote_columns(
        polls.ts,
        polls.bid,
        polls.ask,
        np.where(polls.has_bid, size, 0),
        np.where(polls.has_ask, size, 0),
    )
    until = polls.ts + hold_ns
    silent = np.append(polls.ts[1:] > until[:-1], True)
    cols = with_silences(cols, np.flatnonzero(silent), until[silent])
    yes, no = (o.instrument_id for o in market.outcomes)
    job.writer.quotes(yes, cols)
    job.writer.quotes(no, mirrored_quotes(cols))
    return int(cols.ts[-1])
