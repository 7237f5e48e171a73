"""The verification report of one import: what came in, what went out, what was checked, what was wrong."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPORT_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One verified statement about the imported data.

    Attributes
    ----------
    name, passed : str, bool
        What is claimed and whether it held for every case.
    checked, failed : int
        Cases looked at and cases that did not hold.
    detail : str
        What was compared with what.
    """

    name: str
    passed: bool
    checked: int
    failed: int
    detail: str = ""


@dataclass(slots=True)
class IngestReport:
    """Everything a user must know before trusting an imported catalog.

    Attributes
    ----------
    rows_in : dict
        Rows read by source file.
    rows_out : dict
        Rows written by kind.
    rows_per_s : float
        Source rows per second of the whole import.
    issues : dict
        See `IssueLog.to_dict`; the full list is in `issues_file`.
    """

    set: str
    source: str
    catalog: str
    synthetic: bool = False
    rows_in: dict[str, int] = field(default_factory=dict)
    rows_out: dict[str, int] = field(default_factory=dict)
    markets: int = 0
    settled: int = 0
    unresolved: int = 0
    seconds: float = 0.0
    rows_per_s: float = 0.0
    checks: list[Check] = field(default_factory=list)
    issues: dict[str, Any] = field(default_factory=dict)
    issues_file: str = ""
    notes: list[str] = field(default_factory=list)
    content_sha: str = ""
    schema_version: int = REPORT_SCHEMA

    @property
    def passed(self) -> bool:
        """Whether every check held."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {**asdict(self), "passed": self.passed}

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.tmp-{os.getpid()}")
        draft.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")
        draft.replace(path)
