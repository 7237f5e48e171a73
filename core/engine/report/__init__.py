"""Report of a run: figures from a `RunResult`, shown in a terminal, as JSON and as one HTML page."""

from __future__ import annotations

from core.engine.report.document import SCHEMA_VERSION, document, dumps
from core.engine.report.files import ReportPaths, check_folder, write_report
from core.engine.report.summary import Summary, summarise

__all__ = [
    "SCHEMA_VERSION",
    "ReportPaths",
    "Summary",
    "check_folder",
    "document",
    "dumps",
    "summarise",
    "write_report",
]
