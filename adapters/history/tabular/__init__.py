"""Your own tables: documented CSV and Parquet formats, in and out of a catalog (docs/data.md)."""

from adapters.history.tabular.export import export_table
from adapters.history.tabular.load import FORMATS, TableOptions, ingest_table

__all__ = ["FORMATS", "TableOptions", "export_table", "ingest_table"]
