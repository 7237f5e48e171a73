"""Where files live inside a catalog folder: the engine's layout plus ours.

::

    catalog.json         what this catalog is (CatalogMeta)
    manifest.parquet     every data file with its period, rows and sha256
    markets.parquet      domain markets and events.parquet domain events, as JSON
    data/<kind>/<instrument or bar type>/<first>_<last>.parquet     read by the engine directly
"""

from __future__ import annotations

import re
from enum import StrEnum

from core.domain.clock import NS_PER_SECOND, iso_from_ns
from core.domain.errors import CorruptData

CATALOG_JSON = "catalog.json"
MANIFEST = "manifest.parquet"
MARKETS = "markets.parquet"
EVENTS = "events.parquet"
SCHEMA_VERSION = 1

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*\.[A-Z0-9_]+")
_SAFE_BAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")


class Kind(StrEnum):
    """Kinds of data a catalog holds for an instrument."""

    DELTAS = "deltas"
    QUOTES = "quotes"
    TRADES = "trades"
    BARS = "bars"
    CLOSES = "closes"
    STATUSES = "statuses"
    OPTIONS = "binary_option"
    PAIRS = "currency_pair"


#: Folder of each kind below ``data/`` (the engine's names).
FOLDERS: dict[Kind, str] = {
    Kind.DELTAS: "order_book_deltas",
    Kind.QUOTES: "quotes",
    Kind.TRADES: "trades",
    Kind.BARS: "bars",
    Kind.CLOSES: "instrument_closes",
    Kind.STATUSES: "instrument_status",
    Kind.OPTIONS: "binary_option",
    Kind.PAIRS: "currency_pair",
}

#: Kinds that are definitions of instruments, not market data.
DEFINITIONS = frozenset({Kind.OPTIONS, Kind.PAIRS})


def stamp(ts_ns: int) -> str:
    """Return the engine's file stamp of a time: ``2023-11-14T22-13-20-000000000Z``."""
    seconds, fraction = divmod(ts_ns, NS_PER_SECOND)
    return iso_from_ns(seconds * NS_PER_SECOND)[:-1].replace(":", "-") + f"-{fraction:09d}Z"


def relative_path(kind: Kind, key: str, start_ns: int, end_ns: int) -> str:
    """Return the path of a data file below the catalog root.

    Raises
    ------
    CorruptData
        If `key` is not an instrument id (or bar type) that is safe as a folder name.
    """
    pattern = _SAFE_BAR if kind is Kind.BARS else _SAFE_ID
    if not pattern.fullmatch(key):
        raise CorruptData(
            "not an instrument id of the form SYMBOL.VENUE",
            key,
            "beta data ls CATALOG lists the ids",
        )
    return f"data/{FOLDERS[kind]}/{key}/{stamp(start_ns)}_{stamp(end_ns)}.parquet"


def instrument_of_bar_type(bar_type: str) -> str:
    """Return the instrument id inside ``BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL``."""
    parts = bar_type.rsplit("-", 4)
    if len(parts) != 5:
        raise CorruptData(
            "not a bar type like BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL",
            bar_type,
            "beta data ls CATALOG lists the bar types",
        )
    return parts[0]
