"""Data of many small files as engine objects, merged in time: one file per instrument is slow to open for the engine.

The engine's own streaming spends two milliseconds on every file, so a catalog of thousands of markets takes
minutes to open. Here the columns are read directly (about 0.3 ms a file, in parallel), sorted once, and turned
into objects chunk by chunk. The order is that of the engine's streaming: time, then kind, then instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    BookAction,
    BookOrder,
    InstrumentClose,
    InstrumentCloseType,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)

from core.engine.backtest.closing import closing_trades, shortest
from core.engine.backtest.universe import Universe
from core.engine.catalog import F_LAST, Catalog, Kind
from core.engine.catalog.reader import read_table
from core.engine.references import InstrumentRef, PriceSource

Int64 = npt.NDArray[np.int64]
#: Makes the objects of rows ``index`` (ascending) of one source.
Make = Callable[[Int64], list[Any]]
READERS = 4

_SIDES = {0: OrderSide.NO_ORDER_SIDE, 1: OrderSide.BUY, 2: OrderSide.SELL}
_ACTIONS = {
    0: BookAction.ADD,
    1: BookAction.UPDATE,
    2: BookAction.DELETE,
    3: BookAction.CLEAR,
}
_AGGRESSORS = {0: AggressorSide.NO_AGGRESSOR, 1: AggressorSide.BUY, 2: AggressorSide.SELL}


class _Ticks[T](dict[int, T]):
    """Ticks to engine values of one precision; a prediction market has at most 10,000 prices.

    Parameters
    ----------
    make : callable
        ``from_decimal_dp`` of the engine's type.
    """

    def __init__(self, precision: int, make: Callable[[Decimal, int], T]) -> None:
        self.precision = precision
        self.make = make

    def __missing__(self, tick: int) -> T:
        out = self.make(Decimal(tick).scaleb(-self.precision), self.precision)
        if len(self) < 100_000:
            self[tick] = out
        return out


@dataclass
class Source:
    """One kind of data of one instrument: the times that order it, and how to make its objects."""

    rank: int
    ts: Int64
    make: Make
    iid: str = ""
    book: bool = False


class MergedRows:
    """All data of a universe in the order of processing.

    Parameters
    ----------
    kinds : sequence of Kind
        Kinds in the order in which data of one moment is processed.
    streamed : callable
        Whether a kind of an instrument is used.
    """

    def __init__(
        self,
        universe: Universe,
        kinds: Sequence[Kind],
        streamed: Callable[[Kind, InstrumentRef], bool],
    ) -> None:
        self._prices: dict[int, _Ticks[Price]] = {}
        self._sizes: dict[int, _Ticks[Quantity]] = {}
        low, high = universe.data_start_ns, universe.end_ns + 1
        jobs: list[tuple[int, Kind | None, InstrumentRef, str]] = [
            (rank, kind, ref, key)
            for rank, kind in enumerate(kinds)
            for ref in sorted(universe.references, key=lambda r: r.iid)
            if streamed(kind, ref)
            for key in (ref.bar_types if kind is Kind.BARS else (ref.iid,))
        ]
        jobs += [
            (kinds.index(Kind.TRADES), None, ref, shortest(ref.bar_types))
            for ref in sorted(universe.references, key=lambda r: r.iid)
            if ref.iid in universe.at_close
        ]
        for _, _, ref, _ in jobs:
            self._prices.setdefault(
                ref.price_precision, _Ticks(ref.price_precision, Price.from_decimal_dp)
            )
            self._sizes.setdefault(
                ref.size_precision, _Ticks(ref.size_precision, Quantity.from_decimal_dp)
            )
        with ThreadPoolExecutor(READERS) as pool:
            self._sources = list(
                pool.map(
                    lambda j: self._source(universe.catalog, j[0], j[1], j[2], j[3], low, high),
                    jobs,
                )
            )

        for (_, kind, ref, _), made in zip(jobs, self._sources, strict=True):
            quoted = kind is Kind.QUOTES and ref.source is PriceSource.BOOK
            made.iid, made.book = ref.iid, kind is Kind.DELTAS or quoted

    def __len__(self) -> int:
        """Return the number of objects (a batch of book changes is one)."""
        return sum(len(s.ts) for s in self._sources)

    def chunks(self, size: int) -> Iterator[list[Any]]:
        """Yield objects in the order of processing, about `size` at a time; one moment is never split."""
        if not len(self):
            return
        ts = np.concatenate([s.ts for s in self._sources])
        source = np.repeat(
            np.arange(len(self._sources)), [len(s.ts) for s in self._sources]
        ).astype(np.int32)
        row = np.concatenate([np.arange(len(s.ts)) for s in self._sources])
        rank = np.array([s.rank for s in self._sources])[source]
        order = np.lexsort((source, rank, ts))  # sources are listed by kind, then by instrument
        ts, source, row = ts[order], source[order], row[order]
        whole = self._until_books(source)
        start = 0
        while start < len(ts):
            stop = min(start + size, len(ts))
            reach = 0
            while stop < len(ts) and stop != reach:
                stop = reach = int(np.searchsorted(ts, ts[stop - 1], side="right"))
                stop = max([stop, *(book + 1 for other, book in whole if other < stop <= book)])
            yield self._objects(source[start:stop], row[start:stop])
            start = stop

    def _until_books(self, source: npt.NDArray[np.int32]) -> list[tuple[int, int]]:
        """Return where a chunk must not end: between other data of a book's instrument and its first book row.

        The engine refuses a chunk in which such an instrument has not had a book yet.
        """
        first: dict[tuple[str, bool], int] = {}
        for number, place in zip(*np.unique(source, return_index=True), strict=True):
            own = self._sources[int(number)]
            key = (own.iid, own.book)
            first[key] = min(first.get(key, len(source)), int(place))
        return [
            (place, first[iid, True])
            for (iid, book), place in first.items()
            if not book and place < first.get((iid, True), 0)
        ]

    def _objects(self, source: npt.NDArray[np.int32], row: Int64) -> list[Any]:
        out: list[Any] = [None] * len(row)
        by_source = np.argsort(source, kind="stable")
        edges = np.flatnonzero(np.diff(source[by_source])) + 1
        for places in np.split(by_source, edges):
            made = self._sources[int(source[places[0]])].make(row[places])
            for place, item in zip(places.tolist(), made, strict=True):
                out[place] = item
        return out

    # -- sources ----------------------------------------------------------------------------
    def _source(
        self,
        catalog: Catalog,
        rank: int,
        kind: Kind | None,
        ref: InstrumentRef,
        key: str,
        low: int,
        high: int,
    ) -> Source:
        prices, sizes = self._prices[ref.price_precision], self._sizes[ref.size_precision]
        match kind:
            case None:
                return self._closes_of_bars(catalog, rank, ref, key, low, high, prices, sizes)
            case Kind.QUOTES:
                return self._quotes(catalog, rank, ref, low, high, prices, sizes)
            case Kind.TRADES:
                return self._trades(catalog, rank, ref, low, high, prices, sizes)
            case Kind.BARS:
                return self._bars(catalog, rank, key, low, high, prices, sizes)
            case Kind.DELTAS:
                return self._deltas(catalog, rank, ref, low, high, prices, sizes)
            case Kind.CLOSES:
                return _closes(catalog, rank, ref, low, high)
            case _:
                return _statuses(catalog, rank, ref, low, high)

    @staticmethod
    def _quotes(
        catalog: Catalog,
        rank: int,
        ref: InstrumentRef,
        low: int,
        high: int,
        prices: _Ticks[Price],
        sizes: _Ticks[Quantity],
    ) -> Source:
        c, iid = catalog.quotes(ref.iid, low, high), ref.native
        columns = (c.bid, c.ask, c.bid_size, c.ask_size, c.ts_event, c.ts)
        if ref.source is PriceSource.BOOK:  # beside whole books of the venue: a book of one level
            return Source(rank, c.ts, lambda at: _one_level(iid, columns, at, prices, sizes))

        def make(at: Int64) -> list[Any]:
            return [
                QuoteTick(iid, prices[b], prices[a], sizes[bs], sizes[as_], te, ti)
                for b, a, bs, as_, te, ti in zip(*(x[at].tolist() for x in columns), strict=True)
            ]

        return Source(rank, c.ts, make)

    @staticmethod
    def _trades(
        catalog: Catalog,
        rank: int,
        ref: InstrumentRef,
        low: int,
        high: int,
        prices: _Ticks[Price],
        sizes: _Ticks[Quantity],
    ) -> Source:
        c, iid = catalog.trades(ref.iid, low, high), ref.native
        ids = c.trade_id or [str(n) for n in range(len(c))]

        def make(at: Int64) -> list[Any]:
            columns = (c.price, c.size, c.aggressor, c.ts_event, c.ts)
            return [
                TradeTick(iid, prices[p], sizes[s], _AGGRESSORS[side], TradeId(ids[n]), te, ti)
                for n, p, s, side, te, ti in zip(
                    at.tolist(), *(x[at].tolist() for x in columns), strict=True
                )
            ]

        return Source(rank, c.ts, make)

    @staticmethod
    def _closes_of_bars(
        catalog: Catalog,
        rank: int,
        ref: InstrumentRef,
        key: str,
        low: int,
        high: int,
        prices: _Ticks[Price],
        sizes: _Ticks[Quantity],
    ) -> Source:
        columns, iid = closing_trades(catalog.bars(key, low, high)), ref.native
        nobody = AggressorSide.NO_AGGRESSOR

        def make(at: Int64) -> list[Any]:
            return [
                TradeTick(iid, prices[p], sizes[s], nobody, TradeId(f"close-{ti}"), te, ti)
                for p, s, te, ti in zip(*(x[at].tolist() for x in columns), strict=True)
            ]

        return Source(rank, columns[-1], make)

    @staticmethod
    def _bars(
        catalog: Catalog,
        rank: int,
        key: str,
        low: int,
        high: int,
        prices: _Ticks[Price],
        sizes: _Ticks[Quantity],
    ) -> Source:
        c, bar_type = catalog.bars(key, low, high), BarType.from_str(key)

        def make(at: Int64) -> list[Any]:
            columns = (c.open, c.high, c.low, c.close, c.volume, c.ts_event, c.ts)
            return [
                Bar(bar_type, prices[o], prices[h], prices[lo], prices[cl], sizes[v], te, ti)
                for o, h, lo, cl, v, te, ti in zip(*(x[at].tolist() for x in columns), strict=True)
            ]

        return Source(rank, c.ts, make)

    @staticmethod
    def _deltas(
        catalog: Catalog,
        rank: int,
        ref: InstrumentRef,
        low: int,
        high: int,
        prices: _Ticks[Price],
        sizes: _Ticks[Quantity],
    ) -> Source:
        c, iid = catalog.deltas(ref.iid, low, high), ref.native
        ends = np.flatnonzero(c.flags & F_LAST) + 1
        if len(c) and (not len(ends) or ends[-1] != len(c)):
            ends = np.append(ends, len(c))
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends

        def make(at: Int64) -> list[Any]:
            return [batch(int(starts[n]), int(ends[n])) for n in at.tolist()]

        def batch(first: int, last: int) -> OrderBookDeltas:
            part = slice(first, last)
            columns = (c.action, c.side, c.price, c.size, c.flags, c.sequence, c.ts_event, c.ts)
            return OrderBookDeltas(
                iid,
                [
                    OrderBookDelta(
                        iid, _ACTIONS[action], BookOrder(_SIDES[side], prices[p], sizes[s], 0), flags, seq, te, ti
                    )
                    for action, side, p, s, flags, seq, te, ti in zip(
                        *(x[part].tolist() for x in columns), strict=True
                    )
                ],
            )  # fmt: skip

        return Source(rank, c.ts[ends - 1] if len(ends) else c.ts, make)


def _one_level(
    iid: InstrumentId,
    columns: tuple[Int64, ...],
    at: Int64,
    prices: _Ticks[Price],
    sizes: _Ticks[Quantity],
) -> list[OrderBookDeltas]:
    """Return quotes as books of one level: clear, then the sides that have a size."""
    out = []
    for bid, ask, bid_size, ask_size, te, ti in zip(
        *(x[at].tolist() for x in columns), strict=True
    ):
        rows = [OrderBookDelta.clear(iid, 0, te, ti)]
        for side, price, size in (
            (OrderSide.BUY, bid, bid_size),
            (OrderSide.SELL, ask, ask_size),
        ):
            if size:
                order = BookOrder(side, prices[price], sizes[size], 0)
                rows.append(OrderBookDelta(iid, BookAction.ADD, order, F_LAST, 0, te, ti))
        out.append(OrderBookDeltas(iid, rows))
    return out


def _closes(catalog: Catalog, rank: int, ref: InstrumentRef, low: int, high: int) -> Source:
    rows: list[tuple[int, Any]] = []
    for path in catalog.files(Kind.CLOSES, ref.iid, low, high):
        table = read_table(path)
        event, init = (table[n].cast(pa.int64()).to_pylist() for n in ("ts_event", "ts_init"))
        precision = int((table.schema.metadata or {})[b"price_precision"])
        for value, kind, te, ti in zip(
            table["close_price"].to_pylist(),
            table["close_type"].to_pylist(),
            event,
            init,
            strict=True,
        ):
            price = Price.from_decimal_dp(value, precision)
            close_type = getattr(InstrumentCloseType, kind)
            rows.append((ti, InstrumentClose(ref.native, price, close_type, te, ti)))
    return _listed(rank, rows, low, high)


def _statuses(catalog: Catalog, rank: int, ref: InstrumentRef, low: int, high: int) -> Source:
    rows: list[tuple[int, Any]] = []
    for path in catalog.files(Kind.STATUSES, ref.iid, low, high):
        table = read_table(path)
        event, init = (table[n].cast(pa.int64()).to_pylist() for n in ("ts_event", "ts_init"))
        for action, reason, te, ti in zip(
            table["action"].to_pylist(), table["reason"].to_pylist(), event, init, strict=True
        ):
            status = InstrumentStatus(
                ref.native, getattr(MarketStatusAction, action), te, ti, reason
            )
            rows.append((ti, status))
    return _listed(rank, rows, low, high)


def _listed(rank: int, rows: list[tuple[int, Any]], low: int, high: int) -> Source:
    """Return a source of ready objects within ``low <= ts < high``."""
    kept = sorted((r for r in rows if low <= r[0] < high), key=lambda r: r[0])
    items = [item for _, item in kept]
    ts = np.array([t for t, _ in kept], dtype=np.int64)
    return Source(rank, ts, lambda at: [items[n] for n in at.tolist()])
