"""The venue's own ticker channel as an independent witness of the replayed books."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.kalshi.loaders.sessions import Session
from core.domain.errors import MissingData
from core.engine.catalog.replay import Int64, Replay

_COLUMNS: dict[str, Any] = {
    "ticker": pl.String,
    "exchange_ts": pl.Datetime("us", "UTC"),
    "yes_bid": pl.Float64,
    "yes_ask": pl.Float64,
    "yes_bid_size": pl.Float64,
    "yes_ask_size": pl.Float64,
}


@dataclass(slots=True)
class _Tops:
    """Ticker rows of one market: time, [bid, ask] prices and sizes in ticks, row numbers."""

    ts: Int64
    bid: Int64
    ask: Int64
    bid_size: Int64
    ask_size: Int64
    row: Int64


@dataclass(slots=True)
class TickerCheck:
    """Compare best bid, best ask and their sizes with every ticker row inside a session."""

    job: IngestJob
    tops: dict[str, _Tops] = field(default_factory=dict)
    compared: int = 0
    wrong: int = 0

    @classmethod
    def read(cls, job: IngestJob) -> TickerCheck:
        """Read ``ticker`` of the set; without it there is nothing to compare with."""
        check = cls(job)
        try:
            frame = read_frame(job.source, "ticker", _COLUMNS)
        except MissingData:
            return check
        job.read("ticker", len(frame))
        ts, missing = nanoseconds(frame, "exchange_ts")
        columns = [ticks_of(floats(frame, n), 4) for n in ("yes_bid", "yes_ask")]
        columns += [ticks_of(floats(frame, n), 2) for n in ("yes_bid_size", "yes_ask_size")]
        bad = missing.copy()
        for _, not_a_number, off in columns:
            bad |= not_a_number | off
        job.issues.mask(Issue.NOT_A_NUMBER, Fate.DROPPED, bad, file="ticker")
        good = frame.with_row_index("row").filter(~bad)
        grouped = good.group_by("ticker", maintain_order=True).agg(pl.col("row"))
        for ticker, part in grouped.iter_rows():
            rows = np.asarray(part, dtype=np.int64)
            rows = rows[np.argsort(ts[rows], kind="stable")]
            bid, ask, bid_size, ask_size = (ticks[rows] for ticks, _, _ in columns)
            check.tops[ticker] = _Tops(ts[rows], bid, ask, bid_size, ask_size, rows)
        return check

    def compare(self, session: Session, replay: Replay) -> None:
        """Compare every ticker row within `session` with the book after all changes up to its time."""
        tops = self.tops.get(session.ticker)
        if tops is None:
            return
        low, high = np.searchsorted(tops.ts, [session.ts[0], session.ts[-1] + 1])
        if low == high:
            return
        part = slice(int(low), int(high))
        at = np.searchsorted(session.ts, tops.ts[part], side="right") - 1
        want = np.stack(
            [tops.bid[part], tops.ask[part], tops.bid_size[part], tops.ask_size[part]], axis=1
        )
        yes, no = replay.best
        wrong = (_top(replay, yes, no, at) != want).any(axis=1)
        for i in np.flatnonzero(wrong).tolist():
            # The ticker of a sweep can be sent between two changes of the same exchange time.
            first = int(np.searchsorted(session.ts, session.ts[at[i]]))
            moments = np.arange(first, at[i] + 1)
            if (_top(replay, yes, no, moments) == want[i]).all(axis=1).any():
                wrong[i] = False
        self.compared += len(at)
        self.wrong += int(wrong.sum())
        self.job.issues.mask(
            Issue.MISMATCH,
            Fate.KEPT,
            wrong,
            file="ticker",
            rows=tops.row[part],
            subject=session.ticker,
            seen=want,
        )

    def conclude(self, job: IngestJob) -> None:
        """Put the outcome into the report."""
        job.check(
            "replayed best bid and ask, with sizes, equal the recorded ticker",
            self.compared,
            self.wrong,
            "every ticker row inside a session against the book at its exchange time",
        )


def _top(replay: Replay, yes: Int64, no: Int64, at: Int64) -> Int64:
    """Return ``[bid, ask, bid size, ask size]`` after each row of `at`; an empty side is 0 or 1 dollar."""
    best_yes, best_no = yes[at], no[at]
    bid_size = replay.size_at(0, np.maximum(best_yes, 0), at)
    ask_size = replay.size_at(1, np.maximum(best_no, 0), at)
    return np.stack(
        [
            np.where(best_yes >= 0, best_yes, 0),
            np.where(best_no >= 0, 10_000 - best_no, 10_000),
            np.where(best_yes >= 0, bid_size, 0),
            np.where(best_no >= 0, ask_size, 0),
        ],
        axis=1,
    )
