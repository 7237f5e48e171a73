"""The run as one JSON document: what `--json` prints and ``result.json`` holds.

Money is a string (exact Decimal), ratios and probabilities are numbers, times are ISO 8601 in UTC,
and what cannot be computed is null. `SCHEMA_VERSION` rises when a field changes meaning or leaves;
new fields may come at any time.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from core.domain.clock import iso_from_ns
from core.engine.report.returns import SAMPLING
from core.engine.report.summary import Summary

SCHEMA_VERSION = 1


def document(summary: Summary) -> dict[str, Any]:
    """Return the document of `summary`, with values that `json.dumps` takes."""
    result, totals = summary.result, summary.totals
    header = plain(result.header)
    for name in ("start", "end", "read_from"):
        header[name] = iso_from_ns(header.pop(f"{name}_ns"))
    seconds = result.header.engine_seconds
    header["records_per_s"] = round(result.header.records / seconds) if seconds > 0 else None
    figures = plain(totals)
    if totals.max_drawdown is not None:
        fall = figures["max_drawdown"]
        for name in ("peak", "trough", "recovered"):
            at = fall.pop(f"{name}_ns")
            fall[name] = None if at is None else iso_from_ns(at)
    figures["sampling"] = SAMPLING
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "backtest",
        "header": header,
        "decision_hash": result.decision_hash,
        "totals": figures,
        "forecasts": plain(summary.scores),
        "benchmarks": plain(summary.benchmarks),
        "markets": [_market(m) for m in summary.markets],
        "unresolved": [_market(m) for m in result.unresolved],
        "exit_reasons": plain(summary.exits),
        "fees": plain(summary.fees),
        "strategies": plain(summary.strategies),
        "refusals": plain(summary.refusals),
        "warnings": plain(summary.cautions),
    }


def dumps(summary: Summary) -> str:
    """Return the document as indented JSON text; NaN and infinity cannot get in."""
    return json.dumps(document(summary), indent=1, allow_nan=False)


def _market(row: Any) -> dict[str, Any]:
    out: dict[str, Any] = plain(row)
    return out


def plain(value: Any) -> Any:
    """Return `value` as JSON types: Decimals as strings, dataclasses as objects, NaN as None."""
    if value is None or isinstance(value, str | bool | int):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return str(value)
