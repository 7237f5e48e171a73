"""Replay order books from columns: absolute levels, best prices and batches, without a loop over rows.

A level is a side and a price. Sorting a session's changes by level (stable, so time order stays) turns the
book of every moment into a running sum per level; the best price of every moment comes from painting
each level's lifetime over the timeline, worst price first.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Levels per side in the level key: prices 0..10000 at 4 decimals.
_SPAN = 10_001


@dataclass(frozen=True)
class Replay:
    """A replayed session of one book with two sides of bids.

    Attributes
    ----------
    size, before : int64[n]
        Size of the touched level after and before each row.
    order : int64[n]
        Rows sorted by level, then by time.
    level : int64[n]
        Level key of each row.
    start : int64[2 * 10001]
        Sizes by level key before the first row.
    """

    size: Int64
    before: Int64
    order: Int64
    level: Int64
    start: Int64

    @functools.cached_property
    def best(self) -> tuple[Int64, Int64]:
        """Highest price with a size after each row, for side 0 and side 1; -1 = empty side."""
        return _paint(self, 0), _paint(self, 1)

    def size_at(self, side: int, price: Int64, row: Int64) -> Int64:
        """Return the size of ``(side, price)`` after each `row` (arrays of equal length)."""
        n = len(self.size)
        wanted = side * _SPAN + price
        sorted_keys = self.level[self.order] * n + self.order
        place = np.searchsorted(sorted_keys, wanted * n + row, side="right") - 1
        found = self.order[np.maximum(place, 0)]
        hit = (place >= 0) & (self.level[found] == wanted)
        return np.where(hit, self.size[found], self.start[wanted])


def replay_increments(
    side: Int64, price: Int64, change: Int64, start: Int64 | None = None
) -> Replay:
    """Turn signed changes of levels into absolute sizes.

    Parameters
    ----------
    side : int64[n]
        0 or 1.
    price, change : int64[n]
        Ticks (0..10000) and signed change of the resting size.
    start : int64[2 * 10001], optional
        Sizes before the first row, by level key ``side * 10001 + price`` (see `empty_levels`).
    """
    base = empty_levels() if start is None else start
    level, order, first = _sorted_levels(side, price)
    moved = change[order]
    total = np.cumsum(moved)
    group = np.cumsum(first) - 1
    offset = base[level[order][first]] - (total - moved)[first]
    after = total + offset[group]
    size = np.empty_like(after)
    size[order] = after
    before = np.empty_like(after)
    before[order] = after - moved
    return Replay(size, before, order, level, base)


def replay_sizes(side: Int64, price: Int64, size: Int64, start: Int64 | None = None) -> Replay:
    """As `replay_increments`, for rows that give the new size of a level."""
    base = empty_levels() if start is None else start
    level, order, first = _sorted_levels(side, price)
    after = size[order]
    previous = np.empty_like(after)
    previous[1:] = after[:-1]
    previous[first] = base[level[order][first]]
    before = np.empty_like(after)
    before[order] = previous
    return Replay(size, before, order, level, base)


def empty_levels() -> Int64:
    """Return the sizes of an empty book, by level key."""
    return np.zeros(2 * _SPAN, dtype=np.int64)


def level_key(side: int, price: int) -> int:
    """Return the key of a level in `Replay.start`."""
    return side * _SPAN + price


def batch_ends(ts: Int64) -> Mask:
    """Return a mask of the last row of every moment: one moment is one atomic change of the book."""
    ends = np.ones(len(ts), dtype=bool)
    ends[:-1] = ts[1:] != ts[:-1]
    return ends


def _sorted_levels(side: Int64, price: Int64) -> tuple[Int64, Int64, Mask]:
    level = side * _SPAN + price
    order = np.argsort(level.astype(np.int32), kind="stable").astype(np.int64)
    ordered = level[order]
    first = np.ones(len(level), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return level, order, first


def _paint(replay: Replay, side: int) -> Int64:
    n = len(replay.size)
    best = np.full(n, -1, dtype=np.int16)
    order = replay.order[replay.level[replay.order] // _SPAN == side]
    level = replay.level[order]
    on = (replay.before[order] <= 0) & (replay.size[order] > 0)
    off = (replay.before[order] > 0) & (replay.size[order] <= 0)
    resting = np.flatnonzero(replay.start[side * _SPAN : (side + 1) * _SPAN] > 0) + side * _SPAN
    # Starts and ends of lifetimes; a level alive at either border gets a border event.
    starts = np.concatenate([resting * (n + 1), level[on] * (n + 1) + order[on]])
    ends = level[off] * (n + 1) + order[off]
    starts.sort()
    alive_at_end = _count(starts // (n + 1)) - _count(ends // (n + 1))
    open_levels = np.flatnonzero(alive_at_end > 0)
    ends = np.concatenate([ends, open_levels * (n + 1) + n])
    ends.sort()
    prices = (starts // (n + 1) - side * _SPAN).tolist()
    for price, low, high in zip(
        prices, (starts % (n + 1)).tolist(), (ends % (n + 1)).tolist(), strict=True
    ):
        best[low:high] = price
    return best.astype(np.int64)


def _count(levels: Int64) -> Int64:
    return np.bincount(levels, minlength=2 * _SPAN)
