"""Repeat a recorded run in a process of its own and compare row by row."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from core.domain.clock import iso_from_ns
from core.domain.errors import BetaError, LedgerCorrupt, StrategyError, UsageError
from core.engine.backtest.spec import Progress
from core.engine.replay.recorded import RecordedRun, catalog_for, causes, recorded_run
from core.engine.replay.report import Divergence, ReplayReport
from core.engine.strategy_files import PREFIX
from core.ledger.compare import NOT_COMPARED, Comparable, Difference, comparable
from core.ledger.kinds.runs import RECORDING
from core.ledger.reader import LedgerReader
from core.ledger.rows import Row
from core.ledger.selection import Selection

#: From here the child finds this package, whatever the working directory is.
ROOT = Path(__file__).resolve().parents[3]
#: The data set is compared as a cause, so that the first decision it changed is the row that is named.
LEFT_OUT = NOT_COMPARED | {"data.manifest"}
#: Compared in this order; the first that differs names the difference.
FIELDS = ("kind", "ts_event", "payload", "parents")


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay.

    Attributes
    ----------
    ledger : Path
        Ledger folder that holds the run.
    run_id : str
        Run; empty = the newest backtest.
    selection : Selection
        Which rows count (window or hour). The run is repeated whole: a decision depends on all before.
    catalog : str or Path, optional
        Catalog to read; None = the one with the recorded content, else of the recorded name.
    files : dict
        Module name to file, for strategies that are files outside the packages. Empty = the files that the run
        recorded, which must not have changed.
    keep : Path, optional
        Folder that keeps the replay's own ledger.
    changes : dict
        Values of the recorded configuration to replace (``params``, ``limits``, ``latency_ms``...), to see
        from which decision on they matter.
    """

    ledger: Path
    run_id: str = ""
    selection: Selection = field(default_factory=Selection)
    catalog: str | Path | None = None
    files: dict[str, str] = field(default_factory=dict)
    keep: Path | None = None
    changes: dict[str, Any] = field(default_factory=dict)


def replay(request: ReplayRequest, progress: Progress | None = None) -> ReplayReport:
    """Repeat the run and return what agrees and what does not.

    Raises
    ------
    BetaError
        If the run cannot be repeated at all: no such run, no catalog, no strategy, a damaged record.
    """
    recorded = recorded_run(request.ledger, request.run_id)
    _verify(request.ledger, recorded.run_id)
    _overlaps(request.selection, recorded)
    catalog = catalog_for(recorded, request.catalog)
    with tempfile.TemporaryDirectory(prefix="beta-replay-") as scratch:
        out = request.keep or Path(scratch) / "ledger"
        told = _repeat(request, recorded, str(catalog.root), out, progress)
        error = _error(told)
        try:
            replayed = recorded_run(out)
        except BetaError as exc:
            mend = told.get("mend", "")
            if PREFIX in recorded.config["strategies"][0]["path"] and "--strategy" not in mend:
                mend = f"beta replay {recorded.run_id} --strategy FILE.py"
            raise StrategyError("the run cannot be repeated", error or exc.what, mend) from exc
        rows, difference = _compare(request, recorded, replayed, out, stopped=bool(error))
        return ReplayReport(
            run_id=recorded.run_id,
            rows=rows,
            divergence=Divergence.of(difference) if difference is not None else None,
            causes=causes(recorded, replayed),
            findings=told.get("findings", []),
            error=error,
            complete=recorded.complete,
        )


def _verify(ledger: Path, run_id: str) -> None:
    """Refuse a record whose rows are not what was written: a difference would be blamed on the code."""
    before: Row | None = None
    for row in LedgerReader(ledger).rows(Selection(run=run_id)):
        linked = before is None or row.seq > before.seq + 1 or row.prev_hash == before.hash
        before = row
        if not row.verifies or not linked:
            raise LedgerCorrupt(
                "a ledger row does not verify",
                f"{ledger}: row {row.seq}",
                "beta ledger verify, then beta ledger restore",
            )


def _overlaps(chosen: Selection, recorded: RecordedRun) -> None:
    """Refuse a window in which the run was not: that nothing differs there proves nothing."""
    begin, end = recorded.config.get("start_ns", 0), recorded.config.get("end_ns", 0)
    before = chosen.end_ns is not None and chosen.end_ns <= begin
    after = chosen.start_ns is not None and end and chosen.start_ns > end
    if before or after:
        raise UsageError(
            "the run has no rows in this window",
            recorded.run_id,
            f"choose from {iso_from_ns(begin)} to {iso_from_ns(end)}",
        )


def _error(told: dict[str, Any]) -> str:
    if told.get("kind") == "done":
        return ""
    seen = told.get("seen", "")
    return f"{told.get('what', 'the replay ended without a word')}{f': {seen}' if seen else ''}"


def _repeat(
    request: ReplayRequest,
    recorded: RecordedRun,
    catalog: str,
    out: Path,
    progress: Progress | None,
) -> dict[str, Any]:
    """Run the child; return its last line."""
    asked = {
        "ledger": str(request.ledger.resolve()),
        "run_id": recorded.run_id,
        "catalog": str(Path(catalog).resolve()),
        "out": str(out.resolve()),
        "files": request.files,
        "changes": request.changes,
        "path": [p for p in sys.path if p],
    }
    seed = int.from_bytes(hashlib.sha256(recorded.run_id.encode()).digest()[:4])
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": path}
    told: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "core.engine.replay.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(asked))
        child.stdin.close()
        for line in child.stdout:
            told = json.loads(line)
            if progress is not None and told["kind"] == "progress":
                progress(told["done"], told["total"], told["at"])
    return told if told.get("kind") in {"done", "failed"} else {"seen": f"exit {child.returncode}"}


def _compare(
    request: ReplayRequest,
    recorded: RecordedRun,
    replayed: RecordedRun,
    out: Path,
    *,
    stopped: bool,
) -> tuple[int, Difference | None]:
    """Compare both streams inside the selection.

    A recorded run that crashed or was interrupted is compared as far as it goes; so is a replay that
    stopped early, unless the record goes on without a difference: then the end is the difference.
    """
    left_out, agree = LEFT_OUT, _same
    if recorded.recording < RECORDING:
        left_out, agree = LEFT_OUT | _not_recorded(request.ledger, recorded.run_id), _as_far_as_told
    old = _rows(request.ledger, recorded.run_id, request.selection, left_out)
    new = _rows(out, replayed.run_id, request.selection, left_out)
    agreed = 0
    for index, (left, right) in enumerate(zip_longest(old, new)):
        if left is None and not recorded.complete:
            break
        if left is None or right is None:
            if right is None and stopped and left is None:
                break
            return agreed, Difference(index, "missing row", left, right)
        name = next((f for f in FIELDS if not agree(f, left, right)), "")
        if name:
            return agreed, Difference(index, name, left, right)
        agreed += 1
    return agreed, None


def _same(field: str, old: Comparable, new: Comparable) -> bool:
    """Whether both rows have the same in a field."""
    return bool(getattr(old, field) == getattr(new, field))


def _as_far_as_told(field: str, old: Comparable, new: Comparable) -> bool:
    """The same, for a record from before every row named its causes: those that it names must be among today's."""
    if field == "parents":
        return set(old.parents) <= set(new.parents)
    return _same(field, old, new)


def _not_recorded(ledger: Path, run_id: str) -> frozenset[str]:
    """Return the kinds that a record from before draws were rows cannot hold."""
    draws = Selection(run=run_id, kinds=("random.draw",))
    return frozenset() if any(LedgerReader(ledger).rows(draws)) else frozenset({"random.draw"})


def _rows(
    ledger: Path, run_id: str, selection: Selection, left_out: frozenset[str]
) -> Iterator[Comparable]:
    """Yield the rows that count. Parents are named before the window is cut, so that they agree."""
    start, end = selection.start_ns, selection.end_ns
    for row in comparable(LedgerReader(ledger).rows(Selection(run=run_id)), left_out):
        if (start is None or row.ts_event >= start) and (end is None or row.ts_event < end):
            yield row
