"""A download of spot bars to a catalog, with every missing bar reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from adapters.crypto.history import INTERVALS
from adapters.download import RawStore, StoredRow
from adapters.download.build import building
from adapters.download.rows import Rejected, accepted, exact_ticks, number, price_ticks
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob, Progress, silent
from adapters.history.report import IngestReport
from adapters.mends import SHAPE_MEND
from core.domain.clock import NS_PER_SECOND
from core.domain.errors import CorruptData
from core.engine.catalog import BarColumns, Pair

SPECS = {
    "1m": "1-MINUTE",
    "5m": "5-MINUTE",
    "15m": "15-MINUTE",
    "30m": "30-MINUTE",
    "1h": "1-HOUR",
    "4h": "4-HOUR",
    "1d": "1-DAY",
}
#: Position of open, high, low, close, volume in a bar row; the time is first in both.
LAYOUT = {"binance": (1, 2, 3, 4, 5), "kraken": (1, 2, 3, 4, 6)}
KRAKEN_NAMES = {"XBT": "BTC", "XDG": "DOGE"}

Bar = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Reader:
    """How to read the bars of one pair."""

    pair: Pair
    layout: tuple[int, int, int, int, int]
    per_s: int
    step_s: int

    def bar(self, row: StoredRow) -> Bar | None:
        """Return (open time, open, high, low, close, volume in ticks); None outside its period."""
        values = row.value
        if not isinstance(values, list) or len(values) <= max(self.layout):
            raise Rejected(Issue.NOT_A_NUMBER, values)
        if isinstance(values[0], bool) or not isinstance(values[0], int):
            raise Rejected(Issue.BAD_TIME, values[0])
        ts_s = values[0] // self.per_s
        if ts_s % self.step_s:
            raise Rejected(Issue.BAD_TIME, values[0])
        if not row.start_s <= ts_s < row.end_s:
            return None
        prices = []
        for at in self.layout[:4]:
            prices.append(price_ticks(values[at], self.pair.price_precision)[0])
        opened, high, low, closed = prices
        if not low <= min(opened, closed) <= max(opened, closed) <= high:
            raise Rejected(Issue.BAD_PRICE, values[:6])
        volume, _ = exact_ticks(values[self.layout[4]], self.pair.size_precision)
        if volume < 0:
            raise Rejected(Issue.BAD_SIZE, values[self.layout[4]])
        return ts_s, opened, high, low, closed, volume


def origin(venue: str) -> str:
    """Return the source named in catalogs of this venue's downloads."""
    return f"{venue.capitalize()} public API, beta data fetch"


def build(venue: str, raw: Path, target: Path, *, progress: Progress = silent) -> IngestReport:
    """Make the catalog `target` of everything downloaded from `venue` into `raw`."""
    with RawStore(raw, {"venue": venue.upper(), "format": 1}) as store:
        return building(
            f"{venue}_history",
            origin(venue),
            raw,
            target,
            progress,
            lambda job: load(job, store, venue),
        )


def load(job: IngestJob, store: RawStore, venue: str) -> None:
    """Write pairs and bars of a download."""
    pairs: dict[str, Pair] = {}
    for row in store.rows("symbols"):
        pairs[row.key] = (binance_pair if venue == "binance" else kraken_pair)(row.value)
    keys = store.keys("bars")
    for symbol, pair in pairs.items():
        own = [key for key in keys if key.rpartition(":")[0] == symbol]
        pairs[symbol] = replace(
            pair,
            price_precision=_decimals_seen(store, own, LAYOUT[venue][:4], pair.price_precision),
            size_precision=_decimals_seen(store, own, LAYOUT[venue][4:], pair.size_precision),
        )
    job.writer.pairs(pairs.values())
    for done, key in enumerate(keys):
        job.progress("bars", done, len(keys))
        symbol, _, interval = key.rpartition(":")
        step_s = INTERVALS[interval]
        per_s = 1000 if venue == "binance" else 1
        reader = _Reader(pairs[symbol], LAYOUT[venue], per_s, step_s)
        found = accepted(job, store.rows("bars", key), reader.bar)
        bars = [bar for _, bar in sorted({bar[0]: bar for bar in found}.items())]
        _report_gaps(job, store, key, bars, step_s)
        if bars:
            name = f"{pairs[symbol].instrument_id}-{SPECS[interval]}-LAST-EXTERNAL"
            job.writer.bars(name, _columns(pairs[symbol], bars, step_s))


def binance_pair(payload: Mapping[str, Any]) -> Pair:
    """Return the pair of a ``GET /api/v3/exchangeInfo`` symbol.

    Raises
    ------
    CorruptData
        If names or filters are missing.
    """
    try:
        filters = {f["filterType"]: f for f in payload["filters"]}
        return Pair(
            f"{payload['symbol']}.BINANCE",
            str(payload["baseAsset"]),
            str(payload["quoteAsset"]),
            _decimals(filters["PRICE_FILTER"]["tickSize"]),
            _decimals(filters["LOT_SIZE"]["stepSize"]),
        )
    except (KeyError, TypeError, Rejected) as exc:
        raise CorruptData(
            "Binance describes the pair in another shape", str(exc), SHAPE_MEND
        ) from exc


def kraken_pair(payload: Mapping[str, Any]) -> Pair:
    """Return the pair of a ``GET /0/public/AssetPairs`` row, with the common names of its currencies.

    Raises
    ------
    CorruptData
        If names or decimals are missing.
    """
    try:
        base, quote = (KRAKEN_NAMES.get(x, x) for x in str(payload["wsname"]).split("/"))
        return Pair(
            f"{base}{quote}.KRAKEN",
            base,
            quote,
            int(payload["pair_decimals"]),
            int(payload["lot_decimals"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptData(
            "Kraken describes the pair in another shape", str(exc), SHAPE_MEND
        ) from exc


def _decimals_seen(
    store: RawStore, keys: list[str], places: tuple[int, ...], published: int
) -> int:
    """Return the decimals that hold every value: venues coarsen ticks, old bars stay as they were."""
    most = published
    for key in keys:
        for row in store.rows("bars", key):
            for at in places:
                try:
                    most = max(most, _decimals(row.value[at]))
                except (Rejected, TypeError, IndexError, KeyError):
                    continue  # reported when the row is read
    return min(most, 9)


def _decimals(step: Any) -> int:
    exponent = number(step).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _report_gaps(job: IngestJob, store: RawStore, key: str, bars: list[Bar], step_s: int) -> None:
    """Report every stretch of the downloaded periods that has no bar."""
    times = [bar[0] for bar in bars]
    for start_s, end_s in store.covered("bars", key):
        inside = [t for t in times if start_s <= t < end_s]
        edges = [start_s - step_s, *inside, end_s]
        for before, after in pairwise(edges):
            lost = (after - before) // step_s - 1
            if lost > 0:
                job.issues.add(
                    Issue.TIME_GAP,
                    Fate.KEPT,
                    file="bars",
                    subject=key,
                    seen=f"no bar after {before + step_s} for {lost} bars",
                    rows=lost,
                )


def _columns(pair: Pair, bars: list[Bar], step_s: int) -> BarColumns:
    table = np.array(bars, dtype=np.int64)
    return BarColumns(
        ts_event=(table[:, 0] + step_s) * NS_PER_SECOND,
        open=table[:, 1],
        high=table[:, 2],
        low=table[:, 3],
        close=table[:, 4],
        volume=table[:, 5],
        price_precision=pair.price_precision,
        size_precision=pair.size_precision,
    )
