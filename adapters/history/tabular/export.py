"""Write a series of a catalog as a table in the same formats that can be imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from core.domain.errors import UsageError
from core.engine.catalog import (
    F_SNAPSHOT,
    BookAction,
    Catalog,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
)
from core.engine.catalog.columns import Int64

_STEPS_NS = {"SECOND": 10**9, "MINUTE": 60 * 10**9, "HOUR": 3_600 * 10**9, "DAY": 86_400 * 10**9}


def export_table(catalog: Catalog, fmt: str, key: str, out: Path) -> int:
    """Write one series to a ``.csv`` or ``.parquet`` file; return the number of rows.

    Parameters
    ----------
    fmt : str
        ``trades``, ``quotes``, ``deltas`` or ``bars``.
    key : str
        Instrument id, or bar type for bars.

    Raises
    ------
    UsageError
        Unknown format, instrument or file type.
    MissingData
        If the catalog has no such series.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise UsageError("a table is .csv or .parquet", out.name, f"--to {out.with_suffix('.csv')}")
    if fmt == "bars":
        frame = _bars(catalog, key)
    elif fmt in ("trades", "quotes", "deltas"):
        market, outcome = _owner(catalog, key)
        frame = {"trades": _trades, "quotes": _quotes, "deltas": _deltas}[fmt](catalog, key)
        frame = frame.insert_column(1, pl.Series("market", [market] * len(frame), dtype=pl.String))
        frame = frame.insert_column(
            2, pl.Series("outcome", [outcome] * len(frame), dtype=pl.String)
        )
    else:
        raise UsageError("unknown table format", fmt, "formats: trades, quotes, deltas, bars")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".csv":
        frame.write_csv(out)
    else:
        frame.write_parquet(out)
    return len(frame)


def _owner(catalog: Catalog, iid: str) -> tuple[str, str]:
    for market in catalog.markets().values():
        for number, outcome in enumerate(market.outcomes):
            if outcome.instrument_id == iid:
                return market.market_id, "no" if number else "yes"
    raise UsageError("no such instrument in the catalog", iid, "beta data ls")


def _text(ticks: Int64, precision: int) -> pl.Series:
    """Return exact decimal texts: a table that goes out and in again is the same to the last digit."""
    whole, part = np.divmod(ticks, 10**precision)
    if precision == 0:
        return pl.Series(whole).cast(pl.String)
    return (
        pl.Series(whole).cast(pl.String)
        + "."
        + pl.Series(part).cast(pl.String).str.zfill(precision)
    )


def _trades(catalog: Catalog, iid: str) -> pl.DataFrame:
    cols: TradeColumns = catalog.trades(iid)
    words = np.array(["", "buy", "sell"])
    return pl.DataFrame(
        {
            "ts": cols.ts,
            "price": _text(cols.price, cols.price_precision),
            "size": _text(cols.size, cols.size_precision),
            "taker": words[cols.aggressor.astype(np.int64)],
            "id": list(cols.trade_id or [str(i) for i in range(len(cols))]),
        }
    )


def _quotes(catalog: Catalog, iid: str) -> pl.DataFrame:
    cols: QuoteColumns = catalog.quotes(iid)
    columns: dict[str, pl.Series] = {"ts": pl.Series(cols.ts)}
    for side, price, size in (("bid", cols.bid, cols.bid_size), ("ask", cols.ask, cols.ask_size)):
        there = pl.Series(size > 0)
        columns[side] = _where(there, _text(price, cols.price_precision))
        columns[f"{side}_size"] = _where(there, _text(size, cols.size_precision))
    return pl.DataFrame(columns)


def _deltas(catalog: Catalog, iid: str) -> pl.DataFrame:
    """Return level changes; a CLEAR shows as the ``snapshot`` flag of the rows that follow it.

    A clear that nothing follows at its time (the end of a recording) has no row: it is made again when
    the table is imported, one nanosecond after the last change.
    """
    cols: DeltaColumns = catalog.deltas(iid)
    levels = cols.action != BookAction.CLEAR
    words = np.array(["", "bid", "ask"])
    return pl.DataFrame(
        {
            "ts": cols.ts[levels],
            "side": words[cols.side[levels].astype(np.int64)],
            "price": _text(cols.price[levels], cols.price_precision),
            "size": _text(cols.size[levels], cols.size_precision),
            "snapshot": ((cols.flags[levels] & F_SNAPSHOT) > 0).astype(np.int8),
        }
    )


def _bars(catalog: Catalog, bar_type: str) -> pl.DataFrame:
    cols = catalog.bars(bar_type)
    instrument, amount, unit, *_ = bar_type.rsplit("-", 4)
    opened = cols.ts - int(amount) * _STEPS_NS[unit]
    prices = {
        name: _text(getattr(cols, name), cols.price_precision)
        for name in ("open", "high", "low", "close")
    }
    return pl.DataFrame(
        {
            "ts": opened,
            "instrument": [instrument] * len(cols),
            **prices,
            "volume": _text(cols.volume, cols.size_precision),
        }
    )


def _where(there: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(there).then(values).otherwise(None)).to_series()
