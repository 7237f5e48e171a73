"""Write a catalog: columns straight to Parquet in the engine's layout, all or nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from core.domain.clock import iso_from_ns
from core.domain.errors import CorruptData, MissingData, OverlappingData, UsageError
from core.domain.market import Event, Market, MarketStatus
from core.engine.catalog import layout, tables, values
from core.engine.catalog.columns import (
    BarColumns,
    Columns,
    DeltaColumns,
    Int64,
    QuoteColumns,
    TradeColumns,
)
from core.engine.catalog.instruments import (
    Pair,
    Precision,
    instrument_table,
    is_spot,
    precision_of,
)
from core.engine.catalog.layout import Kind
from core.engine.catalog.meta import (
    CatalogMeta,
    FileEntry,
    content_sha,
    periods_of,
    write_manifest,
)
from core.engine.catalog.parquet import FileSink
from core.engine.catalog.reader import Catalog
from core.engine.catalog.staging import Staging

#: Rows per file: bounds the memory of one write and lets a reader skip by file name.
ROWS_PER_FILE = 1 << 20

Mode = Literal["create", "extend", "replace"]


class CatalogWriter:
    """Build or extend a catalog; nothing is visible until the ``with`` block ends without an error.

    Parameters
    ----------
    path : Path
        Folder of the catalog.
    name, source, licence : str
        Shown by ``beta data ls`` and in every report made from this data.
    synthetic : bool
        True when any row was generated. A catalog once synthetic stays so when extended.
    mode : {"create", "extend", "replace"}
        What to do with a catalog that is already there; ``create`` refuses.
    created_ns : int, optional
        Time written as `CatalogMeta.created`; None = now (the sample passes a fixed one).

    Attributes
    ----------
    on_commit : callable, optional
        Called once the folder is in place and before another writer may begin.

    Examples
    --------
    >>> with CatalogWriter(Path("catalogs/mine"), name="mine", synthetic=False) as w:  # doctest: +SKIP
    ...     w.markets([market])
    ...     w.deltas(market.outcomes[0].instrument_id, columns)
    ...     w.closes(market.outcomes[0].instrument_id, settled_ns, Decimal(1))
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        synthetic: bool = False,
        source: str = "",
        licence: str = "",
        mode: Mode = "create",
        created_ns: int | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        if mode == "create" and self.path.exists():
            raise OverlappingData(
                "this catalog exists already", self.path, "use --extend or --replace"
            )
        self._name, self._source, self._licence = name or self.path.name, source, licence
        self._synthetic, self._created_ns, self._mode = synthetic, created_ns, mode
        self._notes: list[str] = []
        self._markets: dict[str, Market] = {}
        self._events: dict[str, Event] = {}
        self._precisions: dict[str, Precision] = {}
        self._used: dict[str, Precision] = {}
        self._entries: dict[str, FileEntry] = {}
        self._last: dict[tuple[Kind, str], list[tuple[int, int]]] = {}
        self._full_from_ns = self._minutes_from_ns = 0
        self._staging: Staging | None = None
        self._sink: FileSink | None = None
        self.on_commit: Callable[[], None] | None = None

    # -- opening and closing ------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start writing beside the target."""
        old = None
        if self._mode == "extend" and self.path.exists():
            old = Catalog.open(self.path)
        try:
            self._staging = Staging(self.path, extend=old is not None)
            self._staging.begin()
            self._sink = FileSink(self._staging.root)
            if old is not None:
                self._continue(old)
            return self
        except BaseException as error:  # Ctrl-C between the folder and the with block's body
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit on success; on any error, Ctrl-C included, leave the target as it was."""
        staging, sink = self._staging, self._sink
        if staging is None:
            return
        self._staging = None
        try:
            if kind is None and sink is not None:
                self._finish(staging.root, sink)
            if sink is not None:
                sink.stop()
            if kind is None:
                staging.commit(self.on_commit)
            else:
                staging.abandon()
        except BaseException:  # also Ctrl-C between two of these lines
            if sink is not None:
                sink.stop()
            staging.abandon()
            raise
        finally:
            self._sink = None

    def _continue(self, old: Catalog) -> None:
        self._synthetic = self._synthetic or old.meta.synthetic
        self._name = old.meta.name
        self._source = "; ".join(dict.fromkeys(s for s in (old.meta.source, self._source) if s))
        self._licence = "; ".join(dict.fromkeys(s for s in (old.meta.licence, self._licence) if s))
        self._notes.extend(old.meta.notes)
        self.detail(old.meta.full_from_ns, old.meta.minutes_from_ns)
        self._markets.update(old.markets())
        self._events.update(old.events())
        self._precisions.update(old.precisions())
        for entry in old.manifest():
            self._entries[entry.path] = entry
            self._last.setdefault((entry.kind, entry.key), []).append(
                (entry.start_ns, entry.end_ns)
            )

    def absorb(self, other: Catalog) -> None:
        """Take over everything of another catalog; its files are linked, not copied.

        Raises
        ------
        OverlappingData
            If data of the same kind, instrument and period is here already, or a market of the same id is
            another one.
        """
        if self._staging is None:
            raise UsageError("the catalog writer is not open", self.path, "use it in a with block")
        self._synthetic = self._synthetic or other.meta.synthetic
        licences = (self._licence, other.meta.licence)
        self._licence = "; ".join(dict.fromkeys(text for text in licences if text))
        for text in other.meta.notes:
            self.note(text)
        self.detail(
            max(self._full_from_ns, other.meta.full_from_ns),
            max(self._minutes_from_ns, other.meta.minutes_from_ns),
        )
        for market in other.markets().values():
            self.markets([self._same(market)])
        self.events(other.events().values())
        for entry in other.manifest():
            if entry.kind not in layout.DEFINITIONS:
                self._claim(entry.kind, entry.key, entry.start_ns, entry.end_ns)
                self._staging.link(other.root / entry.path, entry.path)
                self._entries[entry.path] = entry

    def _same(self, market: Market) -> Market:
        """Return `market`, or the one that is here already if it differs in knowing its payouts only."""
        known = self._markets.get(market.market_id)
        if known is None or known == market:
            return market
        if _terms(known) != _terms(market):
            raise OverlappingData(
                "two catalogs tell this market differently",
                market.market_id,
                "run them apart, or ingest one of them again",
            )
        return known if known.resolved else market

    # -- what can be written ------------------------------------------------------------------

    def markets(self, markets: Iterable[Market]) -> None:
        """Add markets and define one instrument per outcome; a known id is replaced (it may have resolved).

        A market with one outcome is a spot pair (see `Pair.market`).
        """
        for market in markets:
            precision = precision_of(market)
            self._markets[market.market_id] = market
            for outcome in market.outcomes:
                known = self._precisions.setdefault(outcome.instrument_id, precision)
                if known != precision:
                    raise CorruptData(
                        f"{outcome.instrument_id} has other decimals in this catalog",
                        f"{known} against {precision}",
                        "write to a new catalog",
                    )

    def events(self, events: Iterable[Event]) -> None:
        """Add events; a known id is replaced."""
        self._events.update({event.event_id: event for event in events})

    def pairs(self, pairs: Iterable[Pair]) -> None:
        """Add spot pairs, each as a market with one outcome."""
        self.markets(pair.market() for pair in pairs)

    def remove(self, entry: FileEntry) -> None:
        """Leave a file of the extended catalog out of the new one."""
        self._entries.pop(entry.path, None)
        spans = self._last.get((entry.kind, entry.key), [])
        if (entry.start_ns, entry.end_ns) in spans:
            spans.remove((entry.start_ns, entry.end_ns))
        if not spans:
            self._last.pop((entry.kind, entry.key), None)
        if self._staging is not None:
            (self._staging.root / entry.path).unlink(missing_ok=True)

    def detail(self, full_from_ns: int, minutes_from_ns: int) -> None:
        """State how much detail is left after a clean-up (see `CatalogMeta`)."""
        self._full_from_ns, self._minutes_from_ns = full_from_ns, minutes_from_ns

    def note(self, text: str) -> None:
        """Record an assumption that readers of results must know."""
        if text not in self._notes:
            self._notes.append(text)

    def deltas(self, instrument_id: str, cols: DeltaColumns) -> None:
        """Write order book changes (absolute sizes) of one outcome."""
        self._write(Kind.DELTAS, instrument_id, cols)

    def quotes(self, instrument_id: str, cols: QuoteColumns) -> None:
        """Write top-of-book quotes of one instrument."""
        self._write(Kind.QUOTES, instrument_id, cols)

    def trades(self, instrument_id: str, cols: TradeColumns) -> None:
        """Write public trades of one instrument."""
        self._write(Kind.TRADES, instrument_id, cols)

    def bars(self, bar_type: str, cols: BarColumns) -> None:
        """Write bars; `bar_type` is the engine's, for example ``BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL``."""
        self._write(Kind.BARS, bar_type, cols)

    def closes(self, instrument_id: str, ts_ns: int, payout: Decimal) -> None:
        """Write the settlement of one outcome: dollars per share, known at `ts_ns`.

        Raises
        ------
        OverlappingData
            If the outcome has a settlement already.
        CorruptData
            If the payout is outside 0..1 or has more decimals than the instrument.
        """
        if (Kind.CLOSES, instrument_id) in self._last:
            raise OverlappingData(
                "a settlement of this outcome is already there",
                instrument_id,
                "settle an outcome once, or use --replace",
            )
        precision = self._precisions.get(instrument_id, Precision(4, 2)).price
        table = tables.close_table(instrument_id, ts_ns, payout, precision)
        self._store(Kind.CLOSES, instrument_id, table, ts_ns, ts_ns)

    def statuses(self, instrument_id: str, rows: Sequence[tuple[int, str, str]]) -> None:
        """Write trading-state changes: ``(ts_ns, action, reason)`` with the engine's action words.

        ``TRADING``, ``PAUSE``, ``CLOSE`` stop or allow orders in the engine.
        """
        if not rows:
            raise CorruptData(
                f"no rows for statuses of {instrument_id}",
                0,
                "leave the instrument out, or give its rows",
            )
        if any(a[0] > b[0] for a, b in itertools.pairwise(rows)):
            raise CorruptData(
                f"time goes backwards: statuses of {instrument_id}",
                rows[0],
                "sort the rows by time",
            )
        table = tables.status_table(instrument_id, rows)
        self._claim(Kind.STATUSES, instrument_id, rows[0][0], rows[-1][0])
        self._store(Kind.STATUSES, instrument_id, table, rows[0][0], rows[-1][0])

    # -- how it is written --------------------------------------------------------------------

    def _write(self, kind: Kind, key: str, cols: Columns) -> None:
        cols.check(f"{kind} of {key}")
        instrument = layout.instrument_of_bar_type(key) if kind is Kind.BARS else key
        used = Precision(cols.price_precision, cols.size_precision)
        if self._used.setdefault(instrument, used) != used:
            raise CorruptData(
                f"{key} comes with two sets of decimals",
                used,
                "round both to the same decimals before they are written",
            )
        ts = cols.ts
        self._claim(kind, key, int(ts[0]), int(ts[-1]))
        start = 0
        while start < len(cols):
            stop = _cut(ts, start)
            part = cols.take(slice(start, stop)) if stop - start < len(cols) else cols
            self._store(
                kind, key, _table(kind, key, part, start), int(ts[start]), int(ts[stop - 1])
            )
            start = stop

    def _claim(self, kind: Kind, key: str, start_ns: int, end_ns: int) -> None:
        spans = self._last.setdefault((kind, key), [])
        for low, high in spans:
            if start_ns <= high and low <= end_ns:
                raise OverlappingData(
                    f"{kind} of {key} for this period are already there",
                    f"{iso_from_ns(start_ns)}..{iso_from_ns(end_ns)} meets "
                    f"{iso_from_ns(low)}..{iso_from_ns(high)}",
                    "ingest another period, or use --replace",
                )
        spans.append((start_ns, end_ns))

    def _store(
        self,
        kind: Kind,
        key: str,
        table: pa.Table,
        start_ns: int,
        end_ns: int,
    ) -> None:
        if self._sink is None:
            raise UsageError("the catalog writer is not open", self.path, "use it in a with block")
        path = layout.relative_path(kind, key, start_ns, end_ns)
        self._last.setdefault((kind, key), [(start_ns, end_ns)])
        self._sink.put(
            FileEntry(kind, key, path, start_ns, end_ns, table.num_rows, 0, "", ""), table
        )

    def _finish(self, root: Path, sink: FileSink) -> None:
        for market in self._markets.values():
            kind = Kind.PAIRS if is_spot(market) else Kind.OPTIONS
            for outcome in market.outcomes:
                key = outcome.instrument_id
                self._store(kind, key, instrument_table(market, outcome), 0, 0)
        self._entries.update({entry.path: entry for entry in sink.finish()})
        entries = list(self._entries.values())
        data = [e for e in entries if e.kind not in layout.DEFINITIONS]
        if not data:
            raise MissingData(
                "nothing was written to this catalog: the source has no row that can be used",
                self.path,
                "look at its .failed.issues.jsonl, or give other files with --from",
            )
        self._check_definitions(data)
        market_rows = [
            (m.market_id, m.venue, values.market_to_json(m)) for m in self._markets.values()
        ]
        event_rows = [(e.event_id, e.venue, values.event_to_json(e)) for e in self._events.values()]
        for name in (layout.MARKETS, layout.EVENTS, layout.MANIFEST, layout.CATALOG_JSON):
            (root / name).unlink(missing_ok=True)
        blobs = [
            values.write_values(root / layout.MARKETS, market_rows),
            values.write_values(root / layout.EVENTS, event_rows),
        ]
        write_manifest(entries, root / layout.MANIFEST)
        created = (
            iso_from_ns(self._created_ns)
            if self._created_ns is not None
            else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        meta = CatalogMeta(
            name=self._name,
            synthetic=self._synthetic,
            source=self._source,
            created=created,
            content_sha=content_sha(entries, blobs),
            periods=periods_of(data),
            notes=tuple(self._notes),
            licence=self._licence,
            full_from_ns=self._full_from_ns,
            minutes_from_ns=self._minutes_from_ns,
        )
        (root / layout.CATALOG_JSON).write_text(meta.to_json())

    def _check_definitions(self, data: list[FileEntry]) -> None:
        for entry in data:
            key = entry.key
            instrument = layout.instrument_of_bar_type(key) if entry.kind is Kind.BARS else key
            defined = self._precisions.get(instrument)
            if defined is None:
                raise CorruptData(
                    "data of an instrument that is not defined",
                    instrument,
                    "write its market first",
                )
            used = self._used.get(instrument, defined)
            if used != defined:
                # The engine would silently ignore such rows in matching.
                raise CorruptData(
                    f"{instrument} is defined with other decimals than its data",
                    f"{defined} against {used}",
                    "define the instrument with the decimals of its data",
                )


def _terms(market: Market) -> Market:
    """Return a market without what is only known at its end."""
    outcomes = tuple(replace(o, payout=None) for o in market.outcomes)
    return replace(market, outcomes=outcomes, status=MarketStatus.ACTIVE, info={})


def _cut(ts: Int64, start: int) -> int:
    """Return the end of the file that starts at row `start`: rows of one time stay together."""
    stop = min(start + ROWS_PER_FILE, len(ts))
    if stop == len(ts):
        return stop
    same = int(np.searchsorted(ts, ts[stop - 1], side="left"))
    return same if same > start else int(np.searchsorted(ts, ts[stop - 1], side="right"))


def _table(kind: Kind, key: str, cols: Columns, first_row: int) -> pa.Table:
    match cols:
        case DeltaColumns():
            return tables.delta_table(key, cols)
        case QuoteColumns():
            return tables.quote_table(key, cols)
        case TradeColumns():
            return tables.trade_table(key, cols, first_row)
        case BarColumns():
            return tables.bar_table(key, layout.instrument_of_bar_type(key), cols)
    raise UsageError(
        f"not columns of {kind}",
        type(cols).__name__,
        "give the columns of this kind (core/engine/catalog/columns.py)",
    )
