"""The folder of a report: page, JSON and CSV files appear together or not at all."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

from core.domain.errors import UsageError
from core.engine.report.chain import chains_of
from core.engine.report.document import dumps
from core.engine.report.page import page
from core.engine.report.summary import Summary
from core.engine.report.wording import times
from core.engine.results import RunResult

PAGE, RESULT = "report.html", "result.json"
#: Everything a report folder holds; a folder with anything else is somebody's and is left alone.
FILES = (PAGE, RESULT, "fills.csv", "orders.csv", "trades.csv", "forecasts.csv", "equity.csv")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report is."""

    folder: Path
    page: Path
    result: Path


def check_folder(folder: Path) -> Path:
    """Return `folder` if a report can be written there: absent, empty, or an earlier report.

    Raises
    ------
    UsageError
        If it is a file, holds files that no report wrote, or its place takes no new folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("the report folder is a file", folder, "name another folder: --report DIR")
    strangers = [p.name for p in folder.iterdir() if p.name not in FILES] if folder.is_dir() else []
    if strangers:
        raise UsageError(
            "the report folder holds other files",
            f"{folder}: {', '.join(sorted(strangers)[:3])}",
            "name a new folder: --report DIR",
        )
    place = next(p for p in folder.absolute().parents if p.exists())
    probe = place / f".{folder.name}.tmp-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as exc:
        raise UsageError(
            "the report folder cannot be written",
            f"{place}: {exc.strerror}",
            "name another folder: --report DIR",
        ) from exc
    return folder


def write_report(summary: Summary, folder: Path, ledger: Path | None = None) -> ReportPaths:
    """Write the report into `folder`, replacing an earlier report there in one rename.

    With the `ledger` of the run, a click on a fill shows the rows it came from. Everything is written into a temporary sibling first, so an interruption leaves either the old
    report or none, never half of one.
    """
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.parent / f".{folder.name}.tmp-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        (work / PAGE).write_bytes(page(summary, chains_of(summary.result, ledger)))
        (work / RESULT).write_text(dumps(summary) + "\n", encoding="utf-8")
        _tables(summary.result, summary, work)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return ReportPaths(folder, folder / PAGE, folder / RESULT)


def _tables(result: RunResult, summary: Summary, folder: Path) -> None:
    _rows(folder / "fills.csv", FILL_COLUMNS, result.fills)
    _rows(folder / "orders.csv", ORDER_COLUMNS, result.orders)
    _rows(folder / "trades.csv", TRADE_COLUMNS, summary.trades)
    if result.forecasts:
        _rows(folder / "forecasts.csv", FORECAST_COLUMNS, result.forecasts)
    curve = result.equity
    columns = (curve.ts_ns, curve.equity, curve.cash, curve.exposure)
    cells = chain.from_iterable(zip(*(c.tolist() for c in columns), strict=True))
    text = ("%d,%.6f,%.6f,%.6f\n" * len(curve.ts_ns)) % tuple(cells)
    (folder / "equity.csv").write_text(f"ts_ns,equity,cash,exposure\n{text}", encoding="utf-8")


FILL_COLUMNS = [
    "ts_ns",
    "order_id",
    "strategy_id",
    "venue",
    "market_id",
    "instrument_id",
    "side",
    "role",
    "price",
    "quantity",
    "fee",
    "fee_rule",
    "reason",
    "ledger_seq",
]
ORDER_COLUMNS = [
    "ts_ns",
    "order_id",
    "strategy_id",
    "venue",
    "market_id",
    "instrument_id",
    "side",
    "quantity",
    "price",
    "tif",
    "status",
    "filled",
    "avg_price",
    "code",
    "reason",
]
TRADE_COLUMNS = [
    "opened_ns",
    "closed_ns",
    "strategy_id",
    "venue",
    "market_id",
    "fills",
    "bought",
    "cost",
    "proceeds",
    "fees",
    "pnl",
    "entry_reason",
    "exit_reason",
    "settled",
]
FORECAST_COLUMNS = [
    "ts_ns",
    "instrument_id",
    "market_id",
    "event_id",
    "probability",
    "market_price",
    "outcome",
    "model_id",
]


def _rows(path: Path, columns: Sequence[str], rows: Sequence[Any]) -> None:
    """Write `rows` column by column, their first time column also in ISO form."""
    first = list(map(attrgetter(columns[0]), rows))
    cells: list[list[Any]] = [times(first), first]
    for name in columns[1:]:
        values = list(map(attrgetter(name), rows))
        if values and isinstance(values[0], str):
            inert = {v: _inert(v) for v in set(values)}
            values = [inert[v] for v in values]
        cells.append(values)
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["time", *columns])
        writer.writerows(zip(*cells, strict=True))


def _inert(value: str) -> str:
    """Return a cell that a spreadsheet will not run as a formula (market texts are hostile)."""
    return "'" + value if value[:1] in FORMULA_STARTS and value else value


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
