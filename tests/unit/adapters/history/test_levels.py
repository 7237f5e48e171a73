"""Level rows become deltas that rebuild the same book; crossed stretches are taken out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapters.history.levels import book_from_sizes, mirrored
from core.engine.catalog import F_LAST, BookAction, DeltaColumns
from core.engine.catalog.crosses import without_crosses
from core.engine.catalog.tops import tops_of

ROW = st.tuples(
    st.integers(0, 1),  # side
    st.integers(4995, 5005),
    st.integers(0, 30),
    st.booleans(),  # same moment as the row before
    st.booleans(),  # begins a snapshot
)


def built(rows: list[tuple[int, int, int, bool, bool]]) -> DeltaColumns:
    ts = np.cumsum([0 if same else 1 for _, _, _, same, _ in rows]).astype(np.int64)
    opens = np.array([r[4] for r in rows])
    opens[0] = True
    column = [np.array([r[i] for r in rows], dtype=np.int64) for i in range(3)]
    return book_from_sizes(ts, column[0], column[1], column[2], opens)


def apply(cols: DeltaColumns) -> list[dict[tuple[int, int], int]]:
    """Return the book after every batch, checking each action on the way."""
    book: dict[tuple[int, int], int] = {}
    states = []
    for action, side, price, size, flag in zip(
        cols.action, cols.side, cols.price, cols.size, cols.flags, strict=True
    ):
        key = (int(side), int(price))
        if action == BookAction.CLEAR:
            book = {}
        elif action == BookAction.DELETE:
            assert key in book
            del book[key]
        else:
            assert (key in book) == (action == BookAction.UPDATE)
            assert size > 0
            book[key] = int(size)
        if flag & F_LAST:
            states.append(dict(book))
    return states


@given(st.lists(ROW, min_size=1, max_size=60))
def test_deltas_rebuild_the_book_with_the_right_actions(
    rows: list[tuple[int, int, int, bool, bool]],
) -> None:
    cols = built(rows)
    want: dict[tuple[int, int], int] = {}
    for i, (side, price, size, _, opens) in enumerate(rows):
        if opens or i == 0:
            want = {}
        want[side + 1, price] = size
        if size == 0:
            del want[side + 1, price]
    assert apply(cols)[-1] == want
    assert (np.diff(cols.ts_event) >= 0).all()
    assert cols.flags[-1] & F_LAST


@given(st.lists(ROW, min_size=1, max_size=60))
def test_no_crossed_book_remains_and_sound_moments_stay_as_they_were(
    rows: list[tuple[int, int, int, bool, bool]],
) -> None:
    cols = built(rows)
    clean, episodes = without_crosses(cols, "book")
    before, after = tops_of(cols), tops_of(clean)
    assert not ((after.bid_size > 0) & (after.ask_size > 0) & (after.bid >= after.ask)).any()
    crossed = (before.bid_size > 0) & (before.ask_size > 0) & (before.bid >= before.ask)
    assert sum(batches for _, _, batches in episodes) == int(crossed.sum())
    kept = {
        int(t): (int(b), int(a)) for t, b, a in zip(after.ts, after.bid, after.ask, strict=True)
    }
    for i in np.flatnonzero(~crossed).tolist():
        assert kept[int(before.ts[i])] == (int(before.bid[i]), int(before.ask[i]))
    apply(clean)


@given(st.lists(ROW, min_size=1, max_size=40))
def test_a_book_mirrored_twice_is_itself(rows: list[tuple[int, int, int, bool, bool]]) -> None:
    cols = built(rows)
    once, twice = mirrored(cols), mirrored(mirrored(cols))
    np.testing.assert_array_equal(twice.price, cols.price)
    np.testing.assert_array_equal(twice.side, cols.side)
    one, other = tops_of(cols), tops_of(once)
    np.testing.assert_array_equal(one.bid, 10_000 - other.ask)
    np.testing.assert_array_equal(one.ask_size, other.bid_size)
