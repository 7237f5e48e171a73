"""What a catalog says about one instrument at one moment: the rows that a decision then could have seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from core.domain.clock import iso_from_ns
from core.domain.errors import MissingData, UsageError
from core.engine.catalog.layout import Kind
from core.engine.catalog.reader import Catalog
from core.engine.catalog.tops import tops_of


def market_at(catalog: Catalog, iid: str, at_ns: int) -> dict[str, dict[str, Any]]:
    """Return the newest row of each kind of data at or before `at_ns`, prices as exact Decimals.

    Returns
    -------
    dict
        By ``book``, ``quote``, ``trade`` and ``bar TYPE``, each with ``time`` (ISO 8601) and ``ts_ns``. A
        side without an order has size 0.

    Raises
    ------
    UsageError
        If the catalog has no data of the instrument.
    MissingData
        If its data begins later.
    """
    kinds = catalog.kinds(iid)
    if not kinds:
        raise UsageError("no data of this instrument in the catalog", iid, "beta data ls NAME")
    found: list[tuple[str, Any, tuple[str, ...]]] = []
    two_sides = ("bid", "bid_size", "ask", "ask_size")
    if Kind.DELTAS in kinds:
        found.append(("book", tops_of(catalog.deltas(iid, 0, at_ns + 1), iid), two_sides))
    if Kind.QUOTES in kinds:
        found.append(("quote", catalog.quotes(iid, 0, at_ns + 1), two_sides))
    if Kind.TRADES in kinds:
        found.append(("trade", catalog.trades(iid, 0, at_ns + 1), ("price", "size")))
    for bar_type in catalog.bar_types(iid):
        bars = catalog.bars(bar_type, 0, at_ns + 1)
        found.append((f"bar {bar_type}", bars, ("open", "high", "low", "close", "volume")))
    out = {name: _last(columns, fields) for name, columns, fields in found if len(columns)}
    if not out:
        first = iso_from_ns(catalog.span_ns(iid)[0])
        raise MissingData(
            "no data of this instrument yet", iso_from_ns(at_ns), f"it begins {first}"
        )
    return out


def _last(columns: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the last row of `columns`."""
    ts = int(np.asarray(columns.ts)[-1])
    out: dict[str, Any] = {"time": iso_from_ns(ts), "ts_ns": ts}
    for name in fields:
        size = name.endswith("size") or name == "volume"
        digits = columns.size_precision if size else columns.price_precision
        out[name] = Decimal(int(getattr(columns, name)[-1])).scaleb(-digits)
    return out
