"""Best bid and ask from recorded books."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain.errors import CorruptData
from core.engine.catalog import F_LAST, BookAction, BookSide, DeltaColumns
from core.engine.catalog.tops import tops_of

A, U, D, C = (BookAction[n] for n in ("ADD", "UPDATE", "DELETE", "CLEAR"))
B, S, N = BookSide.BUY, BookSide.SELL, BookSide.NONE


def book(*rows: tuple[int, BookAction, BookSide, int, int]) -> DeltaColumns:
    ts = np.array([r[0] for r in rows], dtype=np.int64)
    last = np.append(ts[1:] != ts[:-1], True)
    return DeltaColumns(
        ts_event=ts,
        action=np.array([r[1] for r in rows], dtype=np.uint8),
        side=np.array([r[2] for r in rows], dtype=np.uint8),
        price=np.array([r[3] for r in rows], dtype=np.int64),
        size=np.array([r[4] for r in rows], dtype=np.int64),
        flags=np.where(last, F_LAST, 0).astype(np.uint8),
        sequence=np.zeros(len(rows), dtype=np.uint64),
    )


def test_a_quote_follows_each_batch_and_a_clear_forgets() -> None:
    cols = book(
        (1, C, N, 0, 0),
        (1, A, B, 4000, 100),
        (1, A, S, 4200, 300),
        (2, A, B, 4100, 50),
        (3, D, B, 4100, 0),
        (3, U, S, 4200, 250),
        (4, C, N, 0, 0),
        (5, A, S, 7000, 10),
    )
    tops = tops_of(cols)
    assert tops.ts_event.tolist() == [1, 2, 3, 4, 5]
    assert tops.bid.tolist() == [4000, 4100, 4000, 0, 0]
    assert tops.bid_size.tolist() == [100, 50, 100, 0, 0]
    assert tops.ask.tolist() == [4200, 4200, 4200, 10000, 7000]
    assert tops.ask_size.tolist() == [300, 300, 250, 0, 10]


def test_a_book_that_is_no_probability_is_refused() -> None:
    cols = book((1, A, B, 4000, 100))
    object.__setattr__(cols, "price_precision", 2)
    with pytest.raises(CorruptData, match="probabilities"):
        tops_of(cols)
