"""Spot references recorded beside Kalshi sets: trades without a size, data to value windows with."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from core.domain.errors import MissingData
from core.engine.catalog import Pair, TradeColumns

COINBASE = Pair("BTC-USD.COINBASE", "BTC", "USD")
_COLUMNS: dict[str, Any] = {
    "exchange_ts": pl.Datetime("us", "UTC"),
    "price": pl.Float64,
    "trade_id": pl.String,
}


def write_coinbase(job: IngestJob) -> None:
    """Write ``btc_spot_coinbase`` as trades of one size increment each: the recording has no sizes.

    So small a trade cannot fill an order; it is a price, not liquidity.
    """
    try:
        frame = read_frame(job.source, "btc_spot_coinbase", _COLUMNS)
    except MissingData:
        return
    job.read("btc_spot_coinbase", len(frame))
    price, not_a_number, off = ticks_of(floats(frame, "price"), COINBASE.price_precision)
    ts, missing = nanoseconds(frame, "exchange_ts")
    twice = (
        frame["trade_id"].is_duplicated().to_numpy()
        & ~frame["trade_id"].is_first_distinct().to_numpy()
    )
    bad = np.zeros(len(frame), dtype=bool)
    for code, mask in (
        (Issue.BAD_TIME, missing),
        (Issue.NOT_A_NUMBER, not_a_number),
        (Issue.OFF_PRECISION, off & ~not_a_number),
        (Issue.BAD_PRICE, ~not_a_number & (price <= 0)),
        (Issue.DUPLICATE, twice),
    ):
        job.issues.mask(
            code,
            Fate.DROPPED,
            mask & ~bad,
            file="btc_spot_coinbase",
            subject=COINBASE.instrument_id,
        )
        bad |= mask
    good = np.flatnonzero(~bad)
    good = good[np.argsort(ts[good], kind="stable")]
    if not len(good):
        return
    job.writer.pairs([COINBASE])
    job.writer.trades(
        COINBASE.instrument_id,
        TradeColumns(
            ts_event=ts[good],
            price_precision=COINBASE.price_precision,
            size_precision=COINBASE.size_precision,
            price=price[good],
            size=np.ones(len(good), dtype=np.int64),
            aggressor=np.zeros(len(good), dtype=np.uint8),
            trade_id=frame["trade_id"].gather(good).to_list(),
        ),
    )
    job.note(
        f"{COINBASE.instrument_id}: prices of a feed without sizes, written as trades of the smallest size."
    )
