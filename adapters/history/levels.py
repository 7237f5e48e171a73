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
    shift = np.cumsum(opens)
    before = _before(shift, side, price, size)
    action = np.where(
        size == 0,
        np.uint8(BookAction.DELETE),
        np.where(before == 0, np.uint8(BookAction.ADD), np.uint8(BookAction.UPDATE)),
    )
    # A CLEAR goes in front of every snapshot; `place` spreads the rows to make room for it.
    n, place = len(ts) + int(opens.sum()), np.arange(len(ts)) + shift
    clear = place[opens] - 1

    def spread(values: Any, kind: Any, at_clear: Any = 0) -> Any:
        column = np.zeros(n, dtype=kind)
        column[place], column[clear] = values, at_clear
        return column

    rows_flag = np.zeros(len(ts)) if snapshot is None else np.where(snapshot, F_SNAPSHOT, 0)
    numbers = np.zeros(len(ts)) if seq is None else seq
    keep = spread((size > 0) | (before > 0), bool, True)
    columns = {
        "ts_event": spread(ts, np.int64, ts[opens]),
        "action": spread(action, np.uint8, BookAction.CLEAR),
        "side": spread(np.where(side == 0, BookSide.BUY, BookSide.SELL), np.uint8, BookSide.NONE),
        "price": spread(price, np.int64),
        "size": spread(size, np.int64),
        "flags": spread(rows_flag, np.uint8, F_SNAPSHOT),
        "sequence": spread(numbers, np.uint64, numbers[opens]),
    }
    columns = {name: column[keep] for name, column in columns.items()}
    if close_ns is not None:
        last = {
            "ts_event": close_ns,
            "action": BookAction.CLEAR,
            "sequence": columns["sequence"][-1],
        }
        columns = {
            name: np.append(column, np.array([last.get(name, 0)], dtype=column.dtype))
            for name, column in columns.items()
        }
    columns["flags"] |= np.where(batch_ends(columns["ts_event"]), np.uint8(F_LAST), np.uint8(0))
    return DeltaColumns(size_precision=size_precision, **columns)


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
