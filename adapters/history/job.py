"""One import from files to a catalog: writer, issues, report and progress in one place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adapters.history.issues import Fate, Issue, IssueLog
from adapters.history.report import Check, IngestReport
from core.domain.market import Market
from core.engine.catalog import Catalog, CatalogWriter
from core.engine.catalog.writer import Mode

#: ``progress(stage, rows_done, rows_total)``.
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


class IngestJob:
    """Context of one importer run; commits the catalog and writes the report when it ends well.

    Parameters
    ----------
    name : str
        Name of the set, as in ``beta data ingest NAME``.
    source, target : Path
        Folder (or file) with the raw set, and the catalog folder to make.
    options : mapping
        Options of the importer, already checked.

    Attributes
    ----------
    writer : CatalogWriter
        Open inside the ``with`` block.
    issues : IssueLog
        Full list beside the catalog: ``NAME.issues.jsonl``; of an import that failed, when the catalog
        stays as it was, ``NAME.failed.issues.jsonl``.
    report : IngestReport
        Complete after the block; also ``NAME.report.json`` beside the catalog.
    """

    def __init__(
        self,
        name: str,
        source: Path,
        target: Path,
        *,
        origin: str = "",
        licence: str = "",
        mode: Mode = "create",
        synthetic: bool = False,
        options: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> None:
        self.name, self.source, self.target = name, source, target.absolute()
        self.options = dict(options or {})
        self.progress = progress
        self.writer = CatalogWriter(
            target,
            name=target.name,
            synthetic=synthetic,
            source=origin or name,
            licence=licence,
            mode=mode,
        )
        self._extends = mode == "extend"
        # A hidden draft until the catalog is in place: a killed import leaves the earlier list alone.
        draft = self.target.with_name(f".{target.name}.tmp-{os.getpid()}.issues.jsonl")
        self.issues = IssueLog(self._beside("issues.jsonl"), draft)
        self.report = IngestReport(set=name, source=str(source), catalog=str(target))
        self.writer.on_commit = self._committed
        self._settled: set[str] = set()
        self._markets: dict[str, Market] = {}
        self._started = 0.0

    def __enter__(self) -> Self:
        """Start the clock and open the writer."""
        self._started = time.perf_counter()
        try:
            self.writer.__enter__()
            return self
        except BaseException as error:
            self.writer.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit and report; of a failed import only its list of issues remains, under its own name."""
        if error is not None:
            self._failed(error)
            self.writer.__exit__(kind, error, trace)
            return
        try:
            self._flag_unresolved()
            for note in self.report.notes:
                self.writer.note(note)
            self.writer.__exit__(None, None, None)
        except BaseException as failure:
            self._failed(failure)
            self.writer.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._complete()

    def _committed(self) -> None:
        self.issues.commit(after=self._extends)
        self._beside("failed.issues.jsonl").unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self.target.with_name(f"{self.target.name}.{ending}")

    def _failed(self, error: BaseException) -> None:
        broken = isinstance(error, Exception)  # not an interruption: the list tells why
        self.issues.abandon(self._beside("failed.issues.jsonl") if broken else None)

    def read(self, file: str, rows: int) -> None:
        """Count `rows` read from `file`."""
        self.report.rows_in[file] = self.report.rows_in.get(file, 0) + rows

    def add_market(self, market: Market) -> None:
        """Write a market; whether it is settled is judged at the end."""
        self._markets[market.market_id] = market
        self.writer.markets([market])

    def settle(self, market: Market, ts_ns: int, first_payout: Decimal) -> None:
        """Settle a binary market: the first outcome pays `first_payout`, the other the rest."""
        payouts = (first_payout, 1 - first_payout)
        self.add_market(market.resolved_as(payouts))
        for outcome, payout in zip(market.outcomes, payouts, strict=True):
            self.writer.closes(outcome.instrument_id, ts_ns, payout)
        self._settled.add(market.market_id)

    def check(self, name: str, checked: int, failed: int, detail: str = "") -> None:
        """Record a verified statement."""
        self.report.checks.append(Check(name, failed == 0, checked, failed, detail))

    def note(self, text: str) -> None:
        """Record an assumption; it is kept in the catalog too."""
        if text not in self.report.notes:
            self.report.notes.append(text)

    def _flag_unresolved(self) -> None:
        for market_id in sorted(set(self._markets) - self._settled):
            self.issues.add(Issue.UNRESOLVED, Fate.KEPT, file=self.source.name, subject=market_id)

    def _complete(self) -> None:
        report, catalog = self.report, Catalog.open(self.target)
        report.seconds = round(time.perf_counter() - self._started, 3)
        report.rows_out = {p.kind.value: p.rows for p in catalog.meta.periods}
        report.rows_per_s = round(sum(report.rows_in.values()) / max(report.seconds, 1e-9))
        report.markets, report.settled = len(self._markets), len(self._settled)
        report.unresolved = report.markets - report.settled
        report.synthetic, report.content_sha = catalog.meta.synthetic, catalog.meta.content_sha
        report.issues = self.issues.to_dict()
        report.issues_file = str(self.issues.path) if report.issues else ""
        report.write(self._beside("report.json"))
