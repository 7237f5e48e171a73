"""Rows that state new level sizes to book deltas: snapshots, additions, updates, deletions, batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.engine.catalog import F_LAST, F_SNAPSHOT, BookAction, BookSide, DeltaColumns
from core.engine.catalog.replay import Int64, Mask, batch_ends

#: Levels per segment in the sorting key: two sides of prices 0..10000.
_SPAN = 2 * 10_001
ONE = 10_000


def book_from_sizes(
    ts: Int64,
    side: Int64,
    price: Int64,
    size: Int64,
    opens: Mask,
    *,
    snapshot: Mask | None = None,
    seq: Int64 | None = None,
    close_ns: int | None = None,
    size_precision: int = 2,
) -> DeltaColumns:
    """Return the deltas of one outcome's book.

    Parameters
    ----------
    ts : int64[n]
        Time in ns, non-decreasing; rows of one time are one batch.
    side : int64[n]
        0 = bid, 1 = ask.
    price, size : int64[n]
        Ticks (price at 4 decimals); size 0 removes the level.
    opens : bool[n]
        True on the first row of each full snapshot: the book is cleared before it.
    snapshot : bool[n], optional
        True on all rows of snapshots.
    seq : int64[n], optional
        Sequence numbers.
    close_ns : int, optional
        Clear the book at this time: nobody recorded what came after.

    Notes
    -----
    The removal of a level that is not there changes nothing and is left out.
    """
    before = _before(np.cumsum(opens), side, price, size)
    acts = (size > 0) | (before > 0)
    action = np.where(
        size == 0,
        np.uint8(BookAction.DELETE),
        np.where(before == 0, np.uint8(BookAction.ADD), np.uint8(BookAction.UPDATE)),
    )
    # A CLEAR goes in front of every snapshot; `place` spreads the rows to make room for it.
    shift = np.cumsum(opens)
    n = len(ts) + int(opens.sum())
    place = np.arange(len(ts)) + shift
    clear = place[opens] - 1
    keep = np.ones(n, dtype=bool)
    keep[place] = acts
    out_ts = np.empty(n, dtype=np.int64)
    out_ts[place], out_ts[clear] = ts, ts[opens]
    out_action = np.full(n, np.uint8(BookAction.CLEAR))
    out_action[place] = action
    out_side = np.zeros(n, dtype=np.uint8)
    out_side[place] = np.where(side == 0, np.uint8(BookSide.BUY), np.uint8(BookSide.SELL))
    out_price, out_size = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    out_price[place], out_size[place] = price, size
    out_seq = np.zeros(n, dtype=np.uint64)
    if seq is not None:
        out_seq[place], out_seq[clear] = seq.astype(np.uint64), seq[opens].astype(np.uint64)
    flags = np.zeros(n, dtype=np.uint8)
    flags[clear] = F_SNAPSHOT
    if snapshot is not None:
        flags[place] |= np.where(snapshot, np.uint8(F_SNAPSHOT), np.uint8(0))
    columns: list[Any] = [
        c[keep] for c in (out_ts, out_action, out_side, out_price, out_size, flags, out_seq)
    ]
    if close_ns is not None:
        ends = (close_ns, BookAction.CLEAR, 0, 0, 0, 0, columns[-1][-1])
        columns = [
            np.append(c, np.array([e], dtype=c.dtype)) for c, e in zip(columns, ends, strict=True)
        ]
    columns[5] |= np.where(batch_ends(columns[0]), np.uint8(F_LAST), np.uint8(0))
    return DeltaColumns(
        ts_event=columns[0],
        size_precision=size_precision,
        action=columns[1],
        side=columns[2],
        price=columns[3],
        size=columns[4],
        flags=columns[5],
        sequence=columns[6],
    )


def mirrored(cols: DeltaColumns) -> DeltaColumns:
    """Return the other outcome's book: a bid at p is an ask at 1 - p."""
    price = np.where(cols.action == BookAction.CLEAR, 0, ONE - cols.price)
    swap = np.array([BookSide.NONE, BookSide.SELL, BookSide.BUY], dtype=np.uint8)
    return DeltaColumns(
        ts_event=cols.ts_event,
        ts_init=cols.ts_init,
        price_precision=cols.price_precision,
        size_precision=cols.size_precision,
        action=cols.action,
        side=swap[cols.side],
        price=price,
        size=cols.size,
        flags=cols.flags,
        sequence=cols.sequence,
    )


def _before(segment: Int64, side: Int64, price: Int64, size: Int64) -> Int64:
    """Return the size of each row's level just before it, 0 at the start of a segment."""
    key = segment * _SPAN + side * (ONE + 1) + price
    order = np.argsort(key, kind="stable")
    previous = np.zeros(len(key), dtype=np.int64)
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    previous[1:][same] = size[order][:-1][same]
    out = np.empty_like(previous)
    out[order] = previous
    return out
