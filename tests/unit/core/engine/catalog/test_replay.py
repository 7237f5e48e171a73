"""Vectorised book replay against the book everyone would write by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.engine.catalog.replay import (
    batch_ends,
    empty_levels,
    level_key,
    replay_increments,
    replay_sizes,
)

PRICES = st.integers(1, 9999) | st.integers(4990, 5010)
ROWS = st.lists(st.tuples(st.integers(0, 1), PRICES, st.integers(0, 500)), min_size=1, max_size=120)
START = st.dictionaries(st.tuples(st.integers(0, 1), PRICES), st.integers(1, 500), max_size=12)


def best_of(book: dict[tuple[int, int], int], side: int) -> int:
    return max((p for (s, p), size in book.items() if s == side and size > 0), default=-1)


@given(rows=ROWS, start=START)
def test_increments_never_give_a_negative_level_and_match_a_plain_book(
    rows: list[tuple[int, int, int]], start: dict[tuple[int, int], int]
) -> None:
    """Increments are made from wanted sizes, as a venue makes them, so no level can go below zero."""
    levels, book = empty_levels(), dict(start)
    for (side, price), size in start.items():
        levels[level_key(side, price)] = size
    changes, want, bests = [], [], []
    for side, price, size in rows:
        changes.append(size - book.get((side, price), 0))
        book[side, price] = size
        want.append(size)
        bests.append((best_of(book, 0), best_of(book, 1)))
    side, price = (np.array([r[i] for r in rows], dtype=np.int64) for i in (0, 1))
    replay = replay_increments(side, price, np.array(changes, dtype=np.int64), levels)
    assert (replay.size >= 0).all()
    assert (replay.before >= 0).all()
    assert replay.size.tolist() == want
    assert list(zip(*(b.tolist() for b in replay.best), strict=True)) == bests


@given(rows=ROWS, start=START, data=st.data())
def test_sizes_and_lookups_match_a_plain_book(
    rows: list[tuple[int, int, int]], start: dict[tuple[int, int], int], data: st.DataObject
) -> None:
    levels, book = empty_levels(), dict(start)
    for (side, price), size in start.items():
        levels[level_key(side, price)] = size
    side, price, size = (np.array([r[i] for r in rows], dtype=np.int64) for i in (0, 1, 2))
    replay = replay_sizes(side, price, size, levels)
    at = data.draw(st.integers(0, len(rows) - 1))
    for s, p, q in rows[: at + 1]:
        before = book.get((s, p), 0)
        book[s, p] = q
    assert replay.before[at] == before
    asked = data.draw(st.sampled_from(sorted(book)))
    found = replay.size_at(asked[0], np.array([asked[1]]), np.array([at]))
    assert found.tolist() == [book[asked]]
    assert (replay.best[0][at], replay.best[1][at]) == (best_of(book, 0), best_of(book, 1))


def test_one_moment_is_one_batch() -> None:
    assert batch_ends(np.array([1, 1, 2, 3, 3])).tolist() == [False, True, True, False, True]
    assert batch_ends(np.array([], dtype=np.int64)).tolist() == []
