"""Read a catalog: what it holds, its markets, and its columns."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.domain.errors import CorruptData, MissingData
from core.domain.market import Event, Market
from core.engine.catalog import layout, values
from core.engine.catalog.columns import (
    Aggressor,
    BarColumns,
    BookAction,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
)
from core.engine.catalog.decimals import decode_ticks
from core.engine.catalog.instruments import Precision
from core.engine.catalog.layout import Kind
from core.engine.catalog.meta import CatalogMeta, FileEntry, read_manifest
from core.engine.catalog.staging import sweep

_ACTION_CODES = {a.name: a.value for a in BookAction}
_SIDE_CODES = {"NO_ORDER_SIDE": 0, "BUY": 1, "SELL": 2}
#: Bytes up to which a file is read by one thread.
SMALL_FILE = 1 << 20
#: Exclusive end that means "all".
_END = (1 << 63) - 1
_AGGRESSOR_CODES = {"NO_AGGRESSOR": 0, "BUY": Aggressor.BUY.value, "SELL": Aggressor.SELL.value}


class Catalog:
    """A committed catalog folder, read only.

    Attributes
    ----------
    root : Path
        Absolute folder; the engine reads ``root / "data"`` itself.
    meta : CatalogMeta
        What it is; `meta.synthetic` must be shown with every result.
    """

    def __init__(self, root: Path, meta: CatalogMeta) -> None:
        self.root = root
        self.meta = meta

    @classmethod
    def open(cls, path: Path | str) -> Catalog:
        """Open the catalog at `path` (a folder; names are resolved by `find_catalog`).

        Raises
        ------
        MissingData
            If there is no catalog.
        CorruptData
            If its description cannot be read.
        """
        root = Path(path).absolute()
        description = root / layout.CATALOG_JSON
        if not root.exists() and root.parent.is_dir():
            sweep(root)
        if not description.is_file():
            raise MissingData(
                "no catalog here", path, "beta data ls, or beta data ingest SET --from DIR"
            )
        return cls(root, CatalogMeta.from_json(description.read_text(), description))

    # -- what is there ------------------------------------------------------------------------

    @functools.cached_property
    def _manifest(self) -> list[FileEntry]:
        return read_manifest(self.root / layout.MANIFEST)

    @functools.cached_property
    def _by_instrument(self) -> dict[str, dict[Kind, list[FileEntry]]]:
        grouped: dict[str, dict[Kind, list[FileEntry]]] = {}
        for entry in self._manifest:
            key = entry.key
            if entry.kind is Kind.BARS:
                key = layout.instrument_of_bar_type(key)
            grouped.setdefault(key, {}).setdefault(entry.kind, []).append(entry)
        return grouped

    def manifest(self) -> list[FileEntry]:
        """Return every file of the catalog, instrument definitions included."""
        return list(self._manifest)

    def manifest_of(self, instrument_id: str) -> list[FileEntry]:
        """Return the files of one instrument."""
        return [e for kind in self._by_instrument.get(instrument_id, {}).values() for e in kind]

    def markets(self) -> dict[str, Market]:
        """Return all markets by id."""
        lines = values.read_values(self.root / layout.MARKETS)
        return {m.market_id: m for m in map(values.market_from_json, lines)}

    def events(self) -> dict[str, Event]:
        """Return all events by id."""
        lines = values.read_values(self.root / layout.EVENTS)
        return {e.event_id: e for e in map(values.event_from_json, lines)}

    def instrument_ids(self) -> tuple[str, ...]:
        """Return the ids of all instruments that have data, sorted."""
        return tuple(
            sorted(
                iid for iid, kinds in self._by_instrument.items() if set(kinds) - layout.DEFINITIONS
            )
        )

    def kinds(self, instrument_id: str) -> frozenset[Kind]:
        """Return the kinds of data of one instrument (empty when it is unknown)."""
        return frozenset(self._by_instrument.get(instrument_id, {})) - layout.DEFINITIONS

    def bar_types(self, instrument_id: str | None = None) -> tuple[str, ...]:
        """Return the bar types of one instrument, or of all, sorted."""
        found = {e.key for kinds in self._kinds_of(instrument_id) for e in kinds.get(Kind.BARS, ())}
        return tuple(sorted(found))

    def _kinds_of(self, instrument_id: str | None) -> Iterable[dict[Kind, list[FileEntry]]]:
        if instrument_id is None:
            return self._by_instrument.values()
        return [self._by_instrument.get(instrument_id, {})]

    def files(self, kind: Kind, key: str, start_ns: int = 0, end_ns: int = _END) -> list[Path]:
        """Return the files of one kind and instrument (or bar type) that reach into a period, oldest first."""
        instrument = layout.instrument_of_bar_type(key) if kind is Kind.BARS else key
        found = self._by_instrument.get(instrument, {}).get(kind, [])
        entries = [
            e for e in found if e.key == key and e.start_ns < end_ns and e.end_ns >= start_ns
        ]
        return [self.root / e.path for e in sorted(entries, key=lambda e: e.start_ns)]

    def rows(self, kind: Kind, instrument_id: str | None = None) -> int:
        """Return the number of rows of one kind, of one instrument or of all."""
        return sum(e.rows for kinds in self._kinds_of(instrument_id) for e in kinds.get(kind, ()))

    def span_ns(self, instrument_id: str | None = None) -> tuple[int, int]:
        """Return the first and last time (both inclusive) of all data, or of one instrument.

        Raises
        ------
        MissingData
            If there is none.
        """
        entries = [
            e
            for kinds in self._kinds_of(instrument_id)
            for kind, found in kinds.items()
            if kind not in layout.DEFINITIONS
            for e in found
        ]
        if not entries:
            raise MissingData("no data of this instrument", instrument_id, "beta data ls")
        return min(e.start_ns for e in entries), max(e.end_ns for e in entries)

    def precisions(self) -> dict[str, Precision]:
        """Return the decimals of every defined instrument."""
        out: dict[str, Precision] = {}
        for iid, kinds in self._by_instrument.items():
            for kind in layout.DEFINITIONS & set(kinds):
                table = read_table(self.root / kinds[kind][0].path)
                price, size = (table[n][0].as_py() for n in ("price_precision", "size_precision"))
                out[iid] = Precision(price, size)
        return out

    # -- columns ------------------------------------------------------------------------------

    def deltas(self, instrument_id: str, start_ns: int = 0, end_ns: int = _END) -> DeltaColumns:
        """Return book changes with ``start_ns <= ts_init < end_ns``."""
        table, prec = self._table(Kind.DELTAS, instrument_id, start_ns, end_ns)
        return DeltaColumns(
            **_times(table),
            price_precision=prec.price,
            size_precision=prec.size,
            action=_codes(table["action"], _ACTION_CODES),
            side=_codes(table["side"], _SIDE_CODES),
            price=decode_ticks(table["price"], prec.price),
            size=decode_ticks(table["size"], prec.size),
            flags=table["flags"].to_numpy(),
            sequence=table["sequence"].to_numpy(),
        )

    def quotes(self, instrument_id: str, start_ns: int = 0, end_ns: int = _END) -> QuoteColumns:
        """Return quotes with ``start_ns <= ts_init < end_ns``."""
        table, prec = self._table(Kind.QUOTES, instrument_id, start_ns, end_ns)
        return QuoteColumns(
            **_times(table),
            price_precision=prec.price,
            size_precision=prec.size,
            bid=decode_ticks(table["bid_price"], prec.price),
            ask=decode_ticks(table["ask_price"], prec.price),
            bid_size=decode_ticks(table["bid_size"], prec.size),
            ask_size=decode_ticks(table["ask_size"], prec.size),
        )

    def trades(self, instrument_id: str, start_ns: int = 0, end_ns: int = _END) -> TradeColumns:
        """Return trades with ``start_ns <= ts_init < end_ns``."""
        table, prec = self._table(Kind.TRADES, instrument_id, start_ns, end_ns)
        return TradeColumns(
            **_times(table),
            price_precision=prec.price,
            size_precision=prec.size,
            price=decode_ticks(table["price"], prec.price),
            size=decode_ticks(table["size"], prec.size),
            aggressor=_codes(table["aggressor_side"], _AGGRESSOR_CODES),
            trade_id=table["trade_id"].to_pylist(),
        )

    def bars(self, bar_type: str, start_ns: int = 0, end_ns: int = _END) -> BarColumns:
        """Return bars that closed in ``start_ns <= ts_init < end_ns``."""
        table, prec = self._table(Kind.BARS, bar_type, start_ns, end_ns)
        prices = {n: decode_ticks(table[n], prec.price) for n in ("open", "high", "low", "close")}
        return BarColumns(
            **_times(table),
            price_precision=prec.price,
            size_precision=prec.size,
            volume=decode_ticks(table["volume"], prec.size),
            **prices,
        )

    def _table(
        self, kind: Kind, key: str, start_ns: int, end_ns: int
    ) -> tuple[pa.Table, Precision]:
        paths = self.files(kind, key)
        if not paths:
            raise MissingData(f"no {kind} of {key} in {self.meta.name}", key, "beta data ls")
        # Only files that reach into the period; the first is read in any case, for its decimals.
        met = self.files(kind, key, start_ns, end_ns) or paths[:1]
        parts = [read_table(path) for path in met]
        meta = parts[0].schema.metadata or {}
        try:
            precision = Precision(
                int(meta[b"price_precision"]), int(meta.get(b"size_precision", b"0"))
            )
        except (KeyError, ValueError) as exc:
            raise CorruptData(
                "file without its precision", paths[0], "beta data verify, then ingest again"
            ) from exc
        table = pa.concat_tables(parts)
        if start_ns > 0 or end_ns < _END:
            ts = table["ts_init"].cast(pa.int64()).to_numpy()
            low, high = np.searchsorted(ts, [start_ns, end_ns])
            table = table.slice(low, high - low)
        return table, precision


def read_table(path: Path) -> pa.Table:
    """Return a Parquet file of a catalog.

    Raises
    ------
    CorruptData
        If the file is missing, cut short or damaged; the message names it.
    """
    try:
        # A catalog of thousands of markets is thousands of small files: what is set up for one large file
        # (buffering ahead, threads for its columns) costs half the time of reading a small one.
        with pa.OSFile(str(path)) as file:
            return pq.ParquetFile(file, pre_buffer=False).read(use_threads=file.size() > SMALL_FILE)
    except (OSError, ValueError, pa.ArrowException) as exc:
        raise CorruptData(
            "file of the catalog cannot be read",
            f"{path}: {exc}",
            "beta data verify, then ingest again",
        ) from exc


def _times(table: pa.Table) -> dict[str, Any]:
    event, init = (table[n].cast(pa.int64()).to_numpy() for n in ("ts_event", "ts_init"))
    return {"ts_event": event, "ts_init": init}


def _codes(column: pa.ChunkedArray, words: dict[str, int]) -> Any:
    parts = []
    for chunk in column.chunks:
        table = np.array([words[w] for w in chunk.dictionary.to_pylist()], dtype=np.uint8)
        parts.append(table[chunk.indices.to_numpy(zero_copy_only=False)])
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)
