"""Columns of market data as numpy arrays: what importers hand to the writer and the reader hands back.

Prices and sizes are integer ticks at a stated number of decimals, times are nanoseconds since 1970 UTC.
No per-row objects exist on this path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from core.domain.errors import CorruptData

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
UInt8 = npt.NDArray[np.uint8]

#: Decimals of every probability price: one grid for all prediction venues (the gate enforces each market's own).
PRICE_PRECISION = 4
SIZE_PRECISION = 2

#: Flags of a book delta: last row of one atomic batch; row of a full snapshot.
F_LAST = 128
F_SNAPSHOT = 32


class BookAction(IntEnum):
    """What a delta does to its level."""

    ADD = 0
    UPDATE = 1
    DELETE = 2
    CLEAR = 3


class BookSide(IntEnum):
    """Side of a book level; CLEAR rows carry NONE."""

    NONE = 0
    BUY = 1
    SELL = 2


class Aggressor(IntEnum):
    """Side of the taker of a trade."""

    NONE = 0
    BUY = 1
    SELL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Common part of all column sets.

    Attributes
    ----------
    ts_event : int64[n]
        When it happened, non-decreasing within one call.
    ts_init : int64[n], optional
        When it could be known (never before `ts_event` in a backtest); None = equal to `ts_event`.
    price_precision, size_precision : int
        Decimals of the integer ticks (4 and 2: a price tick is 0.0001, a size tick 0.01).
    """

    ts_event: Int64
    ts_init: Int64 | None = None
    price_precision: int = PRICE_PRECISION
    size_precision: int = SIZE_PRECISION

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ts_event)

    @property
    def ts(self) -> Int64:
        """Return the times that order the rows (`ts_init`)."""
        return self.ts_event if self.ts_init is None else self.ts_init

    def take(self, index: Any) -> Any:
        """Return the rows at `index` (slice, mask or integer array) as columns of the same kind."""
        parts = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = value[index]
            elif field.name == "trade_id" and value is not None:
                value = np.asarray(value, dtype=object)[index].tolist()
            parts[field.name] = value
        return type(self)(**parts)

    def check(self, subject: str) -> None:
        """Raise `CorruptData` naming `subject` and the first row that breaks an invariant."""
        n = len(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and value.shape != (n,):
                raise CorruptData(
                    f"column {field.name} of {subject} has another length",
                    value.shape,
                    "give every column a value for each row",
                )
        if n == 0:
            raise CorruptData(
                f"no rows for {subject}", 0, "leave the subject out, or give its rows"
            )
        if self.ts_init is not None:
            first_bad(self.ts_init < self.ts_event, subject, "known before it happened")
        first_bad(self.ts[1:] < self.ts[:-1], subject, "time goes backwards", offset=1)
        first_bad(self.ts[:1] < 0, subject, "time before 1970")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaColumns(Columns):
    """Order book changes with absolute level sizes.

    Attributes
    ----------
    action, side : uint8[n]
        `BookAction`, `BookSide`.
    price, size : int64[n]
        Level and its new size in ticks; a DELETE or CLEAR has size 0.
    flags : uint8[n]
        `F_LAST` on the last row of each batch, `F_SNAPSHOT` on snapshot rows.
    sequence : uint64[n]
        Venue sequence number, 0 where there is none.
    """

    action: UInt8
    side: UInt8
    price: Int64
    size: Int64
    flags: UInt8
    sequence: UInt64

    def check(self, subject: str) -> None:
        """Raise on negative sizes, empty additions, sized deletions or unknown codes."""
        Columns.check(self, subject)
        first_bad(self.size < 0, subject, "negative level")
        first_bad(self.price < 0, subject, "negative price")
        first_bad((self.action > 3) | (self.side > 2), subject, "unknown action or side")
        grows = self.action <= BookAction.UPDATE
        first_bad(grows & (self.size == 0), subject, "level added with size 0")
        first_bad(~grows & (self.size != 0), subject, "level removed with a size")
        first_bad(
            (self.action != BookAction.CLEAR) & (self.side == 0), subject, "level without a side"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteColumns(Columns):
    """Top of book. A missing bid is price 0 with size 0, a missing ask price 1 with size 0.

    Attributes
    ----------
    bid, ask, bid_size, ask_size : int64[n]
        Ticks.
    """

    bid: Int64
    ask: Int64
    bid_size: Int64
    ask_size: Int64

    def check(self, subject: str) -> None:
        """Raise on negative numbers or a bid above the ask."""
        Columns.check(self, subject)
        for name in ("bid", "ask", "bid_size", "ask_size"):
            first_bad(getattr(self, name) < 0, subject, f"negative {name}")
        both = (self.bid_size > 0) & (self.ask_size > 0)
        first_bad(both & (self.bid > self.ask), subject, "crossed quote")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeColumns(Columns):
    """Public trades.

    Attributes
    ----------
    price, size : int64[n]
        Ticks; size is positive.
    aggressor : uint8[n]
        `Aggressor`: side of the taker on this outcome's book.
    trade_id : sequence of str, optional
        Venue ids, at most 36 characters; None = row numbers.
    """

    price: Int64
    size: Int64
    aggressor: UInt8
    trade_id: Sequence[str] | None = None

    def check(self, subject: str) -> None:
        """Raise on trades without a size or a price, or ids that do not match."""
        Columns.check(self, subject)
        first_bad(self.size <= 0, subject, "trade without a size")
        first_bad(self.price < 0, subject, "negative price")
        first_bad(self.aggressor > 2, subject, "unknown aggressor")
        if self.trade_id is not None and len(self.trade_id) != len(self):
            raise CorruptData(
                f"trade ids of {subject} have another length",
                len(self.trade_id),
                "give every column a value for each row",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BarColumns(Columns):
    """Bars; `ts_event` is the bar's close, the first moment it may be known.

    Attributes
    ----------
    open, high, low, close, volume : int64[n]
        Ticks (volume in size ticks).
    """

    open: Int64
    high: Int64
    low: Int64
    close: Int64
    volume: Int64

    def check(self, subject: str) -> None:
        """Raise where low <= open, close <= high does not hold or a bar repeats."""
        Columns.check(self, subject)
        first_bad(self.ts[1:] == self.ts[:-1], subject, "repeated bar", offset=1)
        first_bad(self.low > np.minimum(self.open, self.close), subject, "low above the body")
        first_bad(self.high < np.maximum(self.open, self.close), subject, "high below the body")
        first_bad(self.low <= 0, subject, "bar price not positive")
        first_bad(self.volume < 0, subject, "negative volume")


def first_bad(bad: npt.NDArray[np.bool_], subject: str, what: str, offset: int = 0) -> None:
    """Raise `CorruptData` naming the first true row of `bad`, if any."""
    if bad.any():
        row = int(np.argmax(bad)) + offset
        raise CorruptData(
            f"{what}: {subject}", f"row {row} ({int(bad.sum())} such rows)", "beta data verify"
        )
