"""Catalogs of market data: columns in, Parquet that the engine streams, markets and events beside it."""

from core.engine.catalog.columns import (
    F_LAST,
    F_SNAPSHOT,
    PRICE_PRECISION,
    SIZE_PRECISION,
    Aggressor,
    BarColumns,
    BookAction,
    BookSide,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
)
from core.engine.catalog.instruments import CURRENCY, FAR_FUTURE_NS, Pair
from core.engine.catalog.layout import Kind
from core.engine.catalog.meta import CatalogMeta, FileEntry, Period
from core.engine.catalog.reader import Catalog
from core.engine.catalog.resolve import catalog_names, catalog_path, find_catalog
from core.engine.catalog.writer import CatalogWriter

__all__ = [
    "CURRENCY",
    "FAR_FUTURE_NS",
    "F_LAST",
    "F_SNAPSHOT",
    "PRICE_PRECISION",
    "SIZE_PRECISION",
    "Aggressor",
    "BarColumns",
    "BookAction",
    "BookSide",
    "Catalog",
    "CatalogMeta",
    "CatalogWriter",
    "DeltaColumns",
    "FileEntry",
    "Kind",
    "Pair",
    "Period",
    "QuoteColumns",
    "TradeColumns",
    "catalog_names",
    "catalog_path",
    "find_catalog",
]
