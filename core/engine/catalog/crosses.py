"""Crossed stretches of a recorded book, taken out: a venue never shows one, a recorder that lost a message does.

A strategy that sees such a book finds free money that nobody could have had. The book is cleared when it
crosses and restored, whole, with the first batch that leaves it sound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.engine.catalog.columns import (
    F_LAST,
    F_SNAPSHOT,
    BookAction,
    BookSide,
    DeltaColumns,
    Int64,
)
from core.engine.catalog.tops import tops_of

Episode = tuple[int, int, int]


def without_crosses(cols: DeltaColumns, subject: str) -> tuple[DeltaColumns, list[Episode]]:
    """Return the book without its crossed stretches, and those as ``(from_ns, to_ns, batches)``."""
    tops = tops_of(cols, subject)
    crossed = (tops.bid_size > 0) & (tops.ask_size > 0) & (tops.bid >= tops.ask)
    if not crossed.any():
        return cols, []
    ends = np.flatnonzero(cols.flags & F_LAST)
    starts = np.concatenate([[0], ends[:-1] + 1])
    parts: list[DeltaColumns] = []
    episodes: list[Episode] = []
    done = 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], crossed.astype(np.int8), [0]])))
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        begin = int(starts[first])
        parts.append(cols.take(slice(done, begin)))
        parts.append(_rows(cols, _clear(), cols.ts_event[begin], cols.sequence[begin]))
        over = after < len(ends)
        until = int(ends[after]) if over else int(ends[-1])
        episodes.append((int(cols.ts_event[begin]), int(cols.ts_event[until]), after - first))
        if over:
            levels = _state(cols, until)
            parts.append(_rows(cols, levels, cols.ts_event[until], cols.sequence[until]))
        done = until + 1
    parts.append(cols.take(slice(done, len(cols))))
    return join([p for p in parts if len(p)]), episodes


def starting_at(cols: DeltaColumns, row: int) -> DeltaColumns:
    """Return the rows from `row` on, with the whole book of that moment in front as a snapshot."""
    rest: DeltaColumns = cols.take(slice(row, len(cols)))
    if row == 0 or not len(rest) or rest.action[0] == BookAction.CLEAR:
        return rest
    opening = _rows(cols, _state(cols, row - 1), rest.ts[0], rest.sequence[0])
    opening.flags[-1] &= ~np.uint8(F_LAST)  # one batch with the first change
    return join([opening, rest])


def join(parts: list[DeltaColumns]) -> DeltaColumns:
    """Return the rows of several parts of one book, in order."""
    if len(parts) == 1:
        return parts[0]

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return DeltaColumns(
        ts_event=column("ts_event"),
        ts_init=None if parts[0].ts_init is None else column("ts_init"),
        price_precision=parts[0].price_precision,
        size_precision=parts[0].size_precision,
        action=column("action"),
        side=column("side"),
        price=column("price"),
        size=column("size"),
        flags=column("flags"),
        sequence=column("sequence"),
    )


def _clear() -> Int64:
    return np.zeros((0, 3), dtype=np.int64)


def _state(cols: DeltaColumns, last: int) -> Int64:
    """Return ``[side, price, size]`` of all levels after row `last`."""
    clears = np.flatnonzero(cols.action[: last + 1] == BookAction.CLEAR)
    low = int(clears[-1]) + 1 if len(clears) else 0
    side, price = cols.side[low : last + 1].astype(np.int64), cols.price[low : last + 1]
    key = side * 1_000_000 + price
    # The last row of each level wins: unique keeps the first of the reversed rows.
    _, back = np.unique(key[::-1], return_index=True)
    rows = np.sort(len(key) - 1 - back)
    size = cols.size[low : last + 1][rows]
    alive = size > 0
    return np.stack([side[rows][alive], price[rows][alive], size[alive]], axis=1)


def _rows(cols: DeltaColumns, levels: Int64, ts_ns: int, sequence: int) -> DeltaColumns:
    """Return a CLEAR followed by additions of `levels`, one batch."""
    n = len(levels) + 1
    table = np.concatenate([np.zeros((1, 3), dtype=np.int64), levels])
    flags = np.full(n, F_SNAPSHOT, dtype=np.uint8)
    flags[-1] |= F_LAST
    action = np.full(n, BookAction.ADD, dtype=np.uint8)
    action[0] = BookAction.CLEAR
    side = table[:, 0].astype(np.uint8)
    side[0] = BookSide.NONE
    return DeltaColumns(
        ts_event=np.full(n, ts_ns, dtype=np.int64),
        ts_init=None if cols.ts_init is None else np.full(n, ts_ns, dtype=np.int64),
        price_precision=cols.price_precision,
        size_precision=cols.size_precision,
        action=action,
        side=side,
        price=table[:, 1],
        size=table[:, 2],
        flags=flags,
        sequence=np.full(n, sequence, dtype=np.uint64),
    )
