"""Sessions of one market to the mirrored L2 books of its two outcomes."""

from __future__ import annotations

import numpy as np

from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.kalshi.loaders.sessions import Session, off_grid
from adapters.kalshi.loaders.ticker import TickerCheck
from core.domain.grid import TickGrid
from core.domain.market import Market
from core.engine.catalog import F_LAST, F_SNAPSHOT, BookAction, BookSide, DeltaColumns
from core.engine.catalog.crosses import join
from core.engine.catalog.replay import Int64, Replay, batch_ends, replay_increments

_SIDE = 10_001
ONE = 10_000


def write_books(
    job: IngestJob,
    market: Market,
    sessions: list[Session],
    grid: TickGrid,
    ticker: TickerCheck,
) -> None:
    """Replay the sessions of a market and write the books of both outcomes.

    A book begins with a CLEAR and its snapshot and ends with a CLEAR one nanosecond after its last
    change: nothing can be filled against a book that nobody recorded.
    """
    parts: list[list[DeltaColumns]] = [[], []]
    for session in sessions:
        replay = replay_increments(session.side, session.price, session.change, session.start)
        keep = _sound(job, session, replay)
        if keep == 0:
            continue
        if keep < len(session.ts):
            session = session.head(keep)
            replay = replay_increments(session.side, session.price, session.change, session.start)
        strange = off_grid(session.price, grid)
        if strange.any():
            job.issues.mask(
                Issue.OFF_GRID,
                Fate.KEPT,
                strange,
                file="deltas",
                rows=session.row,
                subject=session.ticker,
                seen=session.price / ONE,
            )
        ticker.compare(session, replay)
        for own, columns in enumerate(parts):
            columns.append(outcome_book(session, replay, own))
    for outcome, columns in zip(market.outcomes, parts, strict=True):
        if columns:
            job.writer.deltas(outcome.instrument_id, join(columns))


def _sound(job: IngestJob, session: Session, replay: Replay) -> int:
    """Return how many rows keep the book sound: no negative level, no cross at the end of a batch."""
    ends = batch_ends(session.ts)
    yes, no = replay.best
    crossed = (yes >= 0) & (no >= 0) & (yes + no >= ONE) & ends
    negative = replay.size < 0
    first = len(session.ts)
    name = f"{session.ticker} {session.conn}"
    for code, mask in ((Issue.NEGATIVE_LEVEL, negative), (Issue.CROSSED, crossed)):
        if not mask.any():
            continue
        at = int(np.argmax(mask))
        if at < first:
            first = at
            seen = replay.size[at] / 100 if code is Issue.NEGATIVE_LEVEL else f"{yes[at]}+{no[at]}"
            job.issues.add(
                code, Fate.DROPPED, file="deltas", row=int(session.row[at]), subject=name, seen=seen
            )
    if first < len(session.ts):
        # Cut at the last complete batch before the trouble.
        first = int(np.searchsorted(session.ts, session.ts[first]))
        job.issues.add(
            Issue.AFTER_BREAK,
            Fate.DROPPED,
            file="deltas",
            row=int(session.row[first]),
            subject=name,
            rows=len(session.ts) - first,
        )
    return first


def outcome_book(session: Session, replay: Replay, own: int) -> DeltaColumns:
    """Return the L2 book of one outcome: own bids as bids at p, the other side's bids as asks at 1 - p.

    Parameters
    ----------
    own : int
        0 for YES, 1 for NO.
    """
    start_side, start_price, start_size = _snapshot(session.start)
    n0, n = len(start_price), len(session.ts)
    side = np.concatenate([[0], start_side, session.side, [0]])
    price = np.concatenate([[0], start_price, session.price, [0]])
    size = np.concatenate([[0], start_size, replay.size, [0]])
    action = np.empty(n0 + n + 2, dtype=np.uint8)
    action[0] = action[-1] = BookAction.CLEAR
    action[1 : n0 + 1] = BookAction.ADD
    action[n0 + 1 : -1] = np.where(
        replay.size == 0,
        np.uint8(BookAction.DELETE),
        np.where(replay.before == 0, np.uint8(BookAction.ADD), np.uint8(BookAction.UPDATE)),
    )
    is_own = side == own
    book_side = np.where(is_own, np.uint8(BookSide.BUY), np.uint8(BookSide.SELL))
    book_price = np.where(is_own, price, ONE - price)
    book_side[0] = book_side[-1] = BookSide.NONE
    book_price[0] = book_price[-1] = 0
    flags = np.zeros(n0 + n + 2, dtype=np.uint8)
    flags[: n0 + 1] = F_SNAPSHOT
    flags[n0 + 1 : -1] = np.where(batch_ends(session.ts), F_LAST, 0)
    flags[-1] = F_LAST
    first_ts, last_ts = int(session.ts[0]), int(session.ts[-1])
    ts = np.concatenate([np.full(n0 + 1, first_ts), session.ts, [last_ts + 1]])
    seq = np.concatenate([np.full(n0 + 1, session.seq[0] - 1), session.seq, session.seq[-1:]])
    return DeltaColumns(
        ts_event=ts,
        action=action,
        side=book_side,
        price=book_price,
        size=size,
        flags=flags,
        sequence=seq.astype(np.uint64),
    )


def _snapshot(start: Int64) -> tuple[Int64, Int64, Int64]:
    keys = np.flatnonzero(start)
    return keys // _SIDE, keys % _SIDE, start[keys]
