"""Retention of market data: full detail while it is hot, top of book by the minute while warm, bars when cold.

Definitions, settlements, status changes and bars are kept for ever: they are small, and old results must
stay explainable. What was thinned is stated in `CatalogMeta`, because a backtest over it would see less
than was there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.domain.clock import NS_PER_DAY, NS_PER_SECOND, iso_from_ns
from core.domain.errors import UsageError
from core.engine.catalog.columns import BarColumns, Int64, QuoteColumns, TradeColumns
from core.engine.catalog.crosses import starting_at
from core.engine.catalog.layout import Kind
from core.engine.catalog.reader import Catalog
from core.engine.catalog.tops import tops_of
from core.engine.catalog.writer import CatalogWriter

MINUTE_NS = 60 * NS_PER_SECOND
HOUR_NS = 3_600 * NS_PER_SECOND
#: Kinds that grow without end and are thinned.
THINNED = (Kind.DELTAS, Kind.QUOTES, Kind.TRADES)


@dataclass(frozen=True, slots=True)
class Windows:
    """How long data stays hot and warm, days before now."""

    hot_days: float = 30.0
    warm_days: float = 180.0

    def borders(self, now_ns: int) -> tuple[int, int]:
        """Return ``(hot_from, warm_from)``, whole minutes and hours.

        Raises
        ------
        UsageError
            If a window is negative or warm ends before hot.
        """
        if not 0 <= self.hot_days <= self.warm_days:
            raise UsageError(
                "windows need 0 <= hot days <= warm days",
                f"{self.hot_days} and {self.warm_days}",
                "beta data clean --hot-days 30 --warm-days 180",
            )
        hot = now_ns - int(self.hot_days * NS_PER_DAY)
        warm = now_ns - int(self.warm_days * NS_PER_DAY)
        return hot // MINUTE_NS * MINUTE_NS, warm // HOUR_NS * HOUR_NS


@dataclass(slots=True)
class Cleaning:
    """What a clean-up does (or would do): rows and bytes before and after."""

    catalog: str
    hot_from: str
    warm_from: str
    series: int = 0
    rows_before: int = 0
    rows_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    applied: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"schema_version": 1, **asdict(self)}


def clean_catalog(path: Path, windows: Windows, now_ns: int, *, dry_run: bool = False) -> Cleaning:
    """Thin a catalog to its retention windows, all or nothing.

    Parameters
    ----------
    now_ns : int
        The end of the hot window.
    dry_run : bool
        Only count the rows that would go.
    """
    catalog = Catalog.open(path)
    hot_from, warm_from = windows.borders(now_ns)
    out = Cleaning(str(catalog.root), iso_from_ns(hot_from), iso_from_ns(warm_from))
    out.bytes_before = sum(e.bytes for e in catalog.manifest())
    out.rows_before = sum(e.rows for e in catalog.manifest())
    old = sorted({e.key for e in catalog.manifest() if e.kind in THINNED and e.start_ns < hot_from})
    out.series = len(old)
    if dry_run or not old:
        late = [e for e in catalog.manifest() if e.kind in THINNED and e.end_ns < hot_from]
        out.rows_after = out.rows_before - sum(e.rows for e in late)
        out.bytes_after = out.bytes_before - sum(e.bytes for e in late)
        return out
    with CatalogWriter(path, mode="extend") as writer:
        for iid in old:
            _thin(catalog, writer, iid, hot_from, warm_from)
        writer.detail(
            max(hot_from, catalog.meta.full_from_ns), max(warm_from, catalog.meta.minutes_from_ns)
        )
        writer.note(
            f"Cleaned up: full detail from {out.hot_from}, top of book by the minute from "
            f"{out.warm_from}, hourly bars before."
        )
    after = Catalog.open(path)
    out.rows_after = sum(e.rows for e in after.manifest())
    out.bytes_after = sum(e.bytes for e in after.manifest())
    out.applied = True
    return out


def _thin(catalog: Catalog, writer: CatalogWriter, iid: str, hot_from: int, warm_from: int) -> None:
    """Rewrite the thinned kinds of one instrument."""
    kinds = catalog.kinds(iid)
    for entry in catalog.manifest_of(iid):
        if entry.kind in THINNED:
            writer.remove(entry)
    tops: QuoteColumns | None = None
    if Kind.DELTAS in kinds:
        deltas = catalog.deltas(iid)
        tops = tops_of(deltas, iid)
        recent = starting_at(deltas, int(np.searchsorted(deltas.ts, hot_from)))
        if len(recent):
            writer.deltas(iid, recent)
    quotes = catalog.quotes(iid) if Kind.QUOTES in kinds else tops
    if quotes is not None:
        keep_hot = Kind.QUOTES in kinds
        _thin_quotes(writer, iid, quotes, hot_from, warm_from, keep_hot)
    trades = catalog.trades(iid) if Kind.TRADES in kinds else None
    if trades is not None:
        recent_trades = trades.take(slice(int(np.searchsorted(trades.ts, warm_from)), len(trades)))
        if len(recent_trades):
            writer.trades(iid, recent_trades)
    bars = _hourly(quotes, trades, warm_from)
    if bars is not None:
        _add_bars(catalog, writer, iid, *bars)


def _thin_quotes(
    writer: CatalogWriter,
    iid: str,
    quotes: QuoteColumns,
    hot_from: int,
    warm_from: int,
    keep_hot: bool,
) -> None:
    """Write the last quote of each minute of the warm window, and all of the hot one if recorded as quotes."""
    low, high = np.searchsorted(quotes.ts, [warm_from, hot_from])
    warm: QuoteColumns = quotes.take(slice(int(low), int(high)))
    minute = warm.ts // MINUTE_NS
    warm = warm.take(np.append(minute[1:] != minute[:-1], True)[: len(warm)])
    hot: QuoteColumns = quotes.take(slice(int(high), len(quotes)))
    for part in (warm, hot) if keep_hot else (warm,):
        if len(part):
            writer.quotes(iid, part)


def _hourly(
    quotes: QuoteColumns | None, trades: TradeColumns | None, warm_from: int
) -> tuple[str, BarColumns] | None:
    """Return hourly bars of the mid (of trades where there are no quotes) of the cold part."""
    if quotes is not None:
        both = (quotes.bid_size > 0) & (quotes.ask_size > 0) & (quotes.ts < warm_from)
        ts, price = quotes.ts[both], (quotes.bid[both] + quotes.ask[both]) // 2
        kind, precision = "MID", (quotes.price_precision, quotes.size_precision)
    elif trades is not None:
        cold = trades.ts < warm_from
        ts, price = trades.ts[cold], trades.price[cold]
        kind, precision = "LAST", (trades.price_precision, trades.size_precision)
    else:
        return None
    ts, price = ts[price > 0], price[price > 0]
    if not len(ts):
        return None
    hour = ts // HOUR_NS
    first = np.flatnonzero(np.append(True, hour[1:] != hour[:-1]))
    last = np.append(first[1:], len(ts)) - 1
    return kind, BarColumns(
        ts_event=(hour[first] + 1) * HOUR_NS,
        price_precision=precision[0],
        size_precision=precision[1],
        open=price[first],
        high=np.maximum.reduceat(price, first),
        low=np.minimum.reduceat(price, first),
        close=price[last],
        volume=_volume(trades, hour[first], warm_from),
    )


def _volume(trades: TradeColumns | None, hours: Int64, warm_from: int) -> Int64:
    """Return the size traded in each hour of the cold part."""
    volume = np.zeros(len(hours), dtype=np.int64)
    if trades is None:
        return volume
    hour = trades.ts // HOUR_NS
    place = np.minimum(np.searchsorted(hours, hour), len(hours) - 1)
    known = (hours[place] == hour) & (trades.ts < warm_from)
    np.add.at(volume, place[known], trades.size[known])
    return volume


def _add_bars(
    catalog: Catalog, writer: CatalogWriter, iid: str, kind: str, bars: BarColumns
) -> None:
    """Write bars where the catalog has none of this type yet."""
    bar_type = f"{iid}-1-HOUR-{kind}-EXTERNAL"
    free = np.ones(len(bars), dtype=bool)
    for entry in catalog.manifest_of(iid):
        if entry.kind is Kind.BARS and entry.key == bar_type:
            free &= (bars.ts < entry.start_ns) | (bars.ts > entry.end_ns)
    for part in np.split(
        np.flatnonzero(free), np.flatnonzero(np.diff(np.flatnonzero(free)) > 1) + 1
    ):
        if len(part):
            writer.bars(bar_type, bars.take(part))
