"""Best bid and ask of a recorded book after every batch, from its delta columns."""

from __future__ import annotations

import numpy as np

from core.domain.errors import CorruptData
from core.engine.catalog.columns import (
    F_LAST,
    PRICE_PRECISION,
    BookAction,
    BookSide,
    DeltaColumns,
    QuoteColumns,
)
from core.engine.catalog.replay import Int64, replay_sizes

_TOP = 10**PRICE_PRECISION


def tops_of(cols: DeltaColumns, subject: str = "book") -> QuoteColumns:
    """Return one quote per batch (`F_LAST`) of a probability book.

    A missing bid is price 0 with size 0, a missing ask price 1 with size 0.

    Raises
    ------
    CorruptData
        If the decimals are not those of a probability.
    """
    if cols.price_precision != PRICE_PRECISION:
        raise CorruptData(
            f"{subject} is not a book of probabilities",
            cols.price_precision,
            f"write its prices with {PRICE_PRECISION} decimals",
        )
    n = len(cols)
    bid, ask = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    bid_size, ask_size = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    clears = np.flatnonzero(cols.action == BookAction.CLEAR)
    for low, high in zip([0, *(clears + 1).tolist()], [*clears.tolist(), n], strict=True):
        if low < high:
            part = slice(low, high)
            columns = _segment(cols, part)
            bid[part], ask[part], bid_size[part], ask_size[part] = columns
    ends = (cols.flags & F_LAST) > 0
    has_bid, has_ask = bid >= 0, ask >= 0
    return QuoteColumns(
        ts_event=cols.ts_event[ends],
        ts_init=cols.ts[ends],
        price_precision=cols.price_precision,
        size_precision=cols.size_precision,
        bid=np.where(has_bid, bid, 0)[ends],
        ask=np.where(has_ask, ask, _TOP)[ends],
        bid_size=np.where(has_bid, bid_size, 0)[ends],
        ask_size=np.where(has_ask, ask_size, 0)[ends],
    )


def _segment(cols: DeltaColumns, part: slice) -> tuple[Int64, Int64, Int64, Int64]:
    """Return bid, ask (-1 = none), bid size and ask size of rows between two CLEARs."""
    is_ask = (cols.side[part] == BookSide.SELL).astype(np.int64)
    price = cols.price[part]
    mirrored = np.where(is_ask == 1, _TOP - price, price)  # best ask = highest mirrored price
    replay = replay_sizes(is_ask, mirrored, cols.size[part])
    bid, mirrored_ask = replay.best
    rows = np.arange(len(price), dtype=np.int64)
    bid_size = replay.size_at(0, np.maximum(bid, 0), rows)
    ask_size = replay.size_at(1, np.maximum(mirrored_ask, 0), rows)
    ask = np.where(mirrored_ask >= 0, _TOP - mirrored_ask, -1)
    return bid, ask, bid_size, ask_size
