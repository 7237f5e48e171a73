"""Kalshi order book recordings as sessions: sorted, gap-free runs of deltas after a snapshot.

Formats (Parquet or CSV): ``deltas`` with ticker, conn, seq, exchange_ts, side (yes/no: bids on that side),
price (dollars), delta (signed contracts); ``snapshots`` with ticker, conn, seq, yes, no (lists of
[price, contracts]).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from core.domain.grid import TickGrid
from core.engine.catalog.replay import Int64, Mask, empty_levels, level_key

_DELTAS: dict[str, Any] = {
    "ticker": pl.String,
    "conn": pl.String,
    "seq": pl.Int64,
    "exchange_ts": pl.Datetime("us", "UTC"),
    "side": pl.String,
    "price": pl.Float64,
    "delta": pl.Float64,
}
_SNAPSHOTS: dict[str, Any] = {
    "ticker": pl.String,
    "conn": pl.String,
    "seq": pl.Int64,
    "yes": pl.List(pl.List(pl.Float64)),
    "no": pl.List(pl.List(pl.Float64)),
}


@dataclass(frozen=True, slots=True)
class Session:
    """One snapshot and the contiguous deltas after it.

    Attributes
    ----------
    ts, seq : int64[n]
        Exchange time (ns) and sequence number.
    side : int64[n]
        0 = bids on YES, 1 = bids on NO.
    price, change : int64[n]
        Ticks of 0.0001 dollars and 0.01 contracts.
    row : int64[n]
        Row in the deltas file.
    start : int64[2 * 10001]
        The snapshot, by level key.
    """

    ticker: str
    conn: str
    ts: Int64
    seq: Int64
    side: Int64
    price: Int64
    change: Int64
    row: Int64
    start: Int64

    def head(self, n: int) -> Session:
        """Return the first `n` rows."""
        cut = slice(0, n)
        return Session(
            self.ticker,
            self.conn,
            self.ts[cut],
            self.seq[cut],
            self.side[cut],
            self.price[cut],
            self.change[cut],
            self.row[cut],
            self.start,
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """All deltas of the file as arrays, with what is wrong with each row."""

    ts: Int64
    seq: Int64
    side: Int64
    price: Int64
    change: Int64
    bad: Mask


def read_sessions(job: IngestJob) -> list[Session]:
    """Return all sessions of the set in file order; everything that is cut off is reported."""
    job.progress("reading", 0, 0)
    frame = read_frame(job.source, "deltas", _DELTAS)
    snapshots = read_frame(job.source, "snapshots", _SNAPSHOTS)
    job.read("deltas", len(frame))
    job.read("snapshots", len(snapshots))
    rows = _check_rows(job, frame)
    marks = _by_session(snapshots)
    sessions: list[Session] = []
    for ticker, conn, index in _groups(frame):
        own = marks.get((ticker, conn), [])
        sessions.extend(_split(job, f"{ticker} {conn}", ticker, conn, rows, index, own))
    return _without_overlaps(job, sessions)


def _check_rows(job: IngestJob, frame: pl.DataFrame) -> _Rows:
    price, price_nan, price_off = ticks_of(floats(frame, "price"), 4)
    change, change_nan, change_off = ticks_of(floats(frame, "delta"), 2)
    ts, no_time = nanoseconds(frame, "exchange_ts")
    word = frame["side"].fill_null("")
    no_side = ~word.is_in(["yes", "no"]).to_numpy()
    no_seq = frame["seq"].is_null().to_numpy()
    outside = ~price_nan & ((price <= 0) | (price >= 10_000))
    troubles = [
        (Issue.NOT_A_NUMBER, price_nan | change_nan | no_seq),
        (Issue.OFF_PRECISION, (price_off & ~price_nan) | (change_off & ~change_nan)),
        (Issue.BAD_PRICE, outside),
        (Issue.BAD_SIZE, ~change_nan & (change == 0)),
        (Issue.BAD_SIDE, no_side),
        (Issue.BAD_TIME, no_time),
    ]
    bad = np.zeros(len(frame), dtype=bool)
    for code, mask in troubles:
        fresh = mask & ~bad
        if fresh.any():
            seen = [str(r) for r in frame.select("side", "price", "delta").filter(fresh).rows()]
            where = np.flatnonzero(fresh)
            job.issues.mask(
                code,
                Fate.DROPPED,
                np.ones(len(where), dtype=bool),
                file="deltas",
                rows=where,
                subject=frame["ticker"].filter(fresh).to_list(),
                seen=seen,
            )
        bad |= mask
    seq = frame["seq"].fill_null(-1).to_numpy()
    return _Rows(ts, seq, (word == "no").to_numpy().astype(np.int64), price, change, bad)


def _groups(frame: pl.DataFrame) -> Iterator[tuple[str, str, Int64]]:
    """Yield ``(ticker, conn, row numbers)`` of each session in order of first appearance."""
    same = frame.select(
        (
            (pl.col("ticker") != pl.col("ticker").shift())
            | (pl.col("conn") != pl.col("conn").shift())
        )
        .fill_null(True)
        .alias("new")
    )["new"].to_numpy()
    borders = np.append(np.flatnonzero(same), len(frame))
    runs: dict[tuple[str, str], list[npt.NDArray[np.int64]]] = {}
    for low, high in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        key = (str(frame["ticker"][low]), str(frame["conn"][low]))
        runs.setdefault(key, []).append(np.arange(low, high, dtype=np.int64))
    for (ticker, conn), parts in runs.items():
        yield ticker, conn, parts[0] if len(parts) == 1 else np.concatenate(parts)


def _split(
    job: IngestJob,
    name: str,
    ticker: str,
    conn: str,
    rows: _Rows,
    index: Int64,
    snapshots: list[tuple[int, Int64 | None]],
) -> Iterator[Session]:
    """Yield one session per non-empty snapshot of a connection, each cut at its first break."""
    seq = rows.seq[index]
    if (seq[1:] < seq[:-1]).any():
        job.issues.add(Issue.OUT_OF_ORDER, Fate.REPAIRED, file="deltas", subject=name)
        index = index[np.argsort(seq, kind="stable")]
        seq = rows.seq[index]
    used = np.zeros(len(index), dtype=bool)
    for k, (first, levels) in enumerate(snapshots):
        after = snapshots[k + 1][0] if k + 1 < len(snapshots) else np.iinfo(np.int64).max
        inside = (seq > first) & (seq < after)
        if not inside.any() or levels is None:
            continue
        used |= inside
        part = index[inside]
        keep = _until_break(job, name, rows, part, first)
        if keep:
            part = part[:keep]
            yield Session(
                ticker,
                conn,
                np.maximum.accumulate(rows.ts[part]),
                rows.seq[part],
                rows.side[part],
                rows.price[part],
                rows.change[part],
                part,
                levels,
            )
    if not used.all():
        row = int(index[int(np.argmin(used))])
        job.issues.add(
            Issue.AFTER_BREAK,
            Fate.DROPPED,
            file="deltas",
            row=row,
            subject=name,
            seen="no snapshot",
            rows=int((~used).sum()),
        )


def _until_break(job: IngestJob, name: str, rows: _Rows, part: Int64, snapshot_seq: int) -> int:
    """Return how many rows after a snapshot can be applied; report why it ends there.

    An exact repetition of a sequence number is taken out first by the caller of the book replay;
    here a repeated or missing number ends the session, because the book cannot be trusted after it.
    """
    seq = rows.seq[part]
    expected = snapshot_seq + 1 + np.arange(len(part))
    broken = (seq != expected) | rows.bad[part]
    keep = int(np.argmax(broken)) if broken.any() else len(part)
    if keep == len(part):
        return keep
    row = int(part[keep])
    if not rows.bad[row]:
        repeated = keep > 0 and seq[keep] == seq[keep - 1]
        job.issues.add(
            Issue.DUPLICATE if repeated else Issue.SEQUENCE_GAP,
            Fate.DROPPED,
            file="deltas",
            row=row,
            subject=name,
            seen=f"sequence {int(seq[keep])} after {int(expected[keep]) - 1}",
        )
    if len(part) - keep > 1:
        job.issues.add(
            Issue.AFTER_BREAK,
            Fate.DROPPED,
            file="deltas",
            row=row + 1,
            subject=name,
            rows=len(part) - keep - 1,
        )
    return keep


def _by_session(snapshots: pl.DataFrame) -> dict[tuple[str, str], list[tuple[int, Int64 | None]]]:
    """Return ``(seq, sizes by level key)`` of each session's snapshots in order.

    The sizes are None for the empty book that the venue sends after the close.
    """
    out: dict[tuple[str, str], list[tuple[int, Int64 | None]]] = {}
    for ticker, conn, seq, yes, no in snapshots.sort("seq").iter_rows():
        levels, found = empty_levels(), False
        for side, own in enumerate((yes, no)):
            for price, size in own or ():
                levels[level_key(side, round(price * 10_000))] = round(size * 100)
                found = True
        out.setdefault((ticker, conn), []).append((seq, levels if found else None))
    return out


def _without_overlaps(job: IngestJob, sessions: list[Session]) -> list[Session]:
    """Keep one recording per moment: of two that overlap in time the one with more rows (ADR 0032)."""
    kept: list[Session] = []
    for session in sorted(sessions, key=lambda s: (-len(s.ts), s.ticker, s.conn)):
        rival = next(
            (
                k
                for k in kept
                if k.ticker == session.ticker
                and session.ts[0] <= k.ts[-1]
                and k.ts[0] <= session.ts[-1]
            ),
            None,
        )
        if rival is None:
            kept.append(session)
        else:
            job.issues.add(
                Issue.OVERLAP,
                Fate.DROPPED,
                file="deltas",
                row=int(session.row[0]),
                subject=f"{session.ticker} {session.conn}",
                seen=f"same time as {rival.conn}",
                rows=len(session.ts),
            )
    return sorted(kept, key=lambda s: (s.ts[0], s.ticker))


def off_grid(price: Int64, grid: TickGrid) -> Mask:
    """Return which prices (ticks of 0.0001) the grid does not accept."""
    ok = np.zeros(10_001, dtype=bool)
    for band in grid.bands:
        low, high, step = (int(v * 10_000) for v in (band.start, band.end, band.step))
        ok[low : high + 1 : step] = True
    ok[0] = ok[10_000] = False
    return ~ok[price]
