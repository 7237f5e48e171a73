"""Top-of-book rows to quote columns of both outcomes, with missing sides and assumed sizes made explicit."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from core.domain.errors import UsageError
from core.engine.catalog import QuoteColumns
from core.engine.catalog.replay import Int64, Mask

ONE = 10_000


def quote_columns(
    ts: Int64, bid: Int64, ask: Int64, bid_size: Int64, ask_size: Int64
) -> QuoteColumns:
    """Return quotes; a side with size 0 is missing and gets the price 0 (bid) or 1 (ask)."""
    return QuoteColumns(
        ts_event=ts,
        bid=np.where(bid_size > 0, bid, 0),
        ask=np.where(ask_size > 0, ask, ONE),
        bid_size=bid_size,
        ask_size=ask_size,
    )


def mirrored_quotes(cols: QuoteColumns) -> QuoteColumns:
    """Return the quotes of the opposite outcome: its bid is one minus this ask, with this ask's size."""
    return QuoteColumns(
        ts_event=cols.ts_event,
        ts_init=cols.ts_init,
        price_precision=cols.price_precision,
        size_precision=cols.size_precision,
        bid=ONE - cols.ask,
        ask=ONE - cols.bid,
        bid_size=cols.ask_size,
        ask_size=cols.bid_size,
    )


def with_silences(cols: QuoteColumns, after_row: Int64, at_ns: Int64) -> QuoteColumns:
    """Insert a quote without either side after each row of `after_row`, at the times `at_ns`.

    A quote lives until the next one; where the recording stops, nobody knows the price.
    """
    if not len(after_row):
        return cols
    place = after_row + 1
    return QuoteColumns(
        ts_event=np.insert(cols.ts_event, place, at_ns),
        price_precision=cols.price_precision,
        size_precision=cols.size_precision,
        bid=np.insert(cols.bid, place, 0),
        ask=np.insert(cols.ask, place, ONE),
        bid_size=np.insert(cols.bid_size, place, 0),
        ask_size=np.insert(cols.ask_size, place, 0),
    )


def size_ticks(assumed: Decimal) -> int:
    """Return an assumed size in ticks of 0.01.

    Raises
    ------
    UsageError
        If it is not a positive number of hundredths.
    """
    ticks = assumed * 100
    if not ticks.is_finite() or ticks <= 0 or ticks != int(ticks):
        raise UsageError(
            "an assumed size must be a positive number of 0.01", assumed, "--assumed-size 25"
        )
    return int(ticks)


def crossed(bid: Int64, ask: Int64, has_bid: Mask, has_ask: Mask) -> Mask:
    """Return the rows whose bid is above the ask."""
    return has_bid & has_ask & (bid > ask)
