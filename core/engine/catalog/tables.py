"""Arrow tables in the engine's own schemas, built straight from columns.

The schemas (field order, nullability, dictionary types, metadata keys) are those the engine's catalog
writes itself; the contract test compares them file by file.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.domain.errors import CorruptData
from core.engine.catalog.arrays import TIMESTAMP, from_codes, from_numpy, from_text
from core.engine.catalog.columns import (
    Aggressor,
    BarColumns,
    BookAction,
    BookSide,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
)
from core.engine.catalog.decimals import DECIMAL, encode_ticks

CODES = pa.dictionary(pa.int8(), pa.string())
ACTIONS = [a.name for a in BookAction]
SIDES = ["NO_ORDER_SIDE" if s is BookSide.NONE else s.name for s in BookSide]
AGGRESSORS = ["NO_AGGRESSOR" if a is Aggressor.NONE else a.name for a in Aggressor]


def delta_table(instrument_id: str, cols: DeltaColumns) -> pa.Table:
    """Return book deltas as a table of the engine's ``OrderBookDelta`` schema.

    The order id is the price in ticks times two plus the side, unique per level as an L2 book needs.
    """
    order_id = cols.price.astype(np.uint64) * np.uint64(2) + (cols.side == BookSide.SELL)
    order_id[cols.action == BookAction.CLEAR] = 0
    return _table(
        "OrderBookDelta",
        instrument_id,
        cols,
        [
            ("action", from_codes(cols.action, ACTIONS), CODES, False),
            ("side", from_codes(cols.side, SIDES), CODES, False),
            ("price", encode_ticks(cols.price, cols.price_precision), DECIMAL, True),
            ("size", encode_ticks(cols.size, cols.size_precision), DECIMAL, True),
            ("order_id", from_numpy(order_id, pa.uint64()), pa.uint64(), False),
            ("flags", from_numpy(cols.flags, pa.uint8()), pa.uint8(), False),
            ("sequence", from_numpy(cols.sequence, pa.uint64()), pa.uint64(), False),
        ],
    )


def quote_table(instrument_id: str, cols: QuoteColumns) -> pa.Table:
    """Return quotes as a table of the engine's ``QuoteTick`` schema."""
    prices = [(f"{s}_price", encode_ticks(getattr(cols, s), cols.price_precision)) for s in _BA]
    sizes = [
        (f"{s}_size", encode_ticks(getattr(cols, f"{s}_size"), cols.size_precision)) for s in _BA
    ]
    parts = [(name, array, DECIMAL, False) for name, array in prices + sizes]
    return _table("QuoteTick", instrument_id, cols, parts)


_BA = ("bid", "ask")


def trade_table(instrument_id: str, cols: TradeColumns, first_row: int = 0) -> pa.Table:
    """Return trades as a table of the engine's ``TradeTick`` schema; ids default to row numbers."""
    if cols.trade_id is None:
        ids = from_text([str(row) for row in range(first_row, first_row + len(cols))])
    else:
        ids = from_text(cols.trade_id)
    return _table(
        "TradeTick",
        instrument_id,
        cols,
        [
            ("price", encode_ticks(cols.price, cols.price_precision), DECIMAL, False),
            ("size", encode_ticks(cols.size, cols.size_precision), DECIMAL, False),
            ("aggressor_side", from_codes(cols.aggressor, AGGRESSORS), CODES, False),
            ("trade_id", ids, pa.string(), False),
        ],
    )


def bar_table(bar_type: str, instrument_id: str, cols: BarColumns) -> pa.Table:
    """Return bars as a table of the engine's ``Bar`` schema."""
    parts = [
        (name, encode_ticks(getattr(cols, name), cols.price_precision), DECIMAL, False)
        for name in ("open", "high", "low", "close")
    ]
    parts.append(("volume", encode_ticks(cols.volume, cols.size_precision), DECIMAL, False))
    return _table("Bar", instrument_id, cols, parts, {"bar_type": bar_type})


def close_table(instrument_id: str, ts_ns: int, payout: Decimal, precision: int) -> pa.Table:
    """Return one settlement as a table of the engine's ``InstrumentClose`` schema.

    Raises
    ------
    CorruptData
        If the payout is outside 0..1 or finer than `precision`: the engine would silently not settle.
    """
    ticks = payout.scaleb(precision)
    if not 0 <= payout <= 1 or ticks != int(ticks):
        raise CorruptData(
            f"payout of {instrument_id} must be 0..1 with at most {precision} decimals",
            payout,
            "correct the payout in the table of markets, then ingest again",
        )
    times = np.array([ts_ns], dtype=np.int64)
    price = encode_ticks(np.array([int(ticks)], dtype=np.int64), precision)
    kind = from_codes(np.zeros(1, dtype=np.uint8), ["CONTRACT_EXPIRED"])
    schema = _schema(
        [("close_price", DECIMAL, True), ("close_type", CODES, False)],
        {
            "instrument_id": instrument_id,
            "price_precision": str(precision),
            "type_name": "InstrumentClose",
        },
    )
    return pa.Table.from_arrays([price, kind, *_times(times, times)], schema=schema)


def status_table(instrument_id: str, rows: Sequence[tuple[int, str, str]]) -> pa.Table:
    """Return ``(ts_ns, action, reason)`` rows as a table of the engine's ``InstrumentStatus`` schema."""
    times = np.array([row[0] for row in rows], dtype=np.int64)
    actions = sorted({row[1] for row in rows})
    codes = np.array([actions.index(row[1]) for row in rows], dtype=np.uint8)
    schema = pa.schema(
        [
            pa.field("action", CODES, nullable=False),
            pa.field("ts_event", TIMESTAMP, nullable=False),
            pa.field("ts_init", TIMESTAMP, nullable=False),
            pa.field("reason", pa.string()),
            pa.field("trading_event", pa.string()),
            pa.field("is_trading", pa.bool_()),
            pa.field("is_quoting", pa.bool_()),
            pa.field("is_short_sell_restricted", pa.bool_()),
        ],
        metadata={"instrument_id": instrument_id, "type_name": "InstrumentStatus"},
    )
    reasons = from_text([row[2] or None for row in rows])
    flags = [pa.nulls(len(rows), pa.bool_()) for _ in range(3)]
    arrays = [
        from_codes(codes, actions),
        *_times(times, times),
        reasons,
        pa.nulls(len(rows), pa.string()),
    ]
    return pa.Table.from_arrays([*arrays, *flags], schema=schema)


def _times(event: npt.NDArray[np.int64], init: npt.NDArray[np.int64]) -> list[pa.Array]:
    return [from_numpy(event, TIMESTAMP), from_numpy(init, TIMESTAMP)]


def _schema(parts: list[tuple[str, pa.DataType, bool]], metadata: dict[str, str]) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=null) for name, kind, null in parts]
    fields += [pa.field(name, TIMESTAMP, nullable=False) for name in ("ts_event", "ts_init")]
    return pa.schema(fields, metadata=metadata)


def _table(
    type_name: str,
    instrument_id: str,
    cols: DeltaColumns | QuoteColumns | TradeColumns | BarColumns,
    parts: list[tuple[str, pa.Array, pa.DataType, bool]],
    extra: dict[str, str] | None = None,
) -> pa.Table:
    metadata = {
        **(extra or {}),
        "instrument_id": instrument_id,
        "price_precision": str(cols.price_precision),
        "size_precision": str(cols.size_precision),
        "type_name": type_name,
    }
    schema = _schema([(name, kind, null) for name, _, kind, null in parts], metadata)
    return pa.Table.from_arrays(
        [array for _, array, _, _ in parts] + _times(cols.ts_event, cols.ts), schema=schema
    )
