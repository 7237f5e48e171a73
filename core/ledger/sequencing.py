"""What both writers share: opening, checking a payload, numbering, runs, sealing crashed runs, closing."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.domain.errors import LedgerError, UsageError
from core.ledger.anchors import write_anchor
from core.ledger.canonical import encode_parents, encode_payload
from core.ledger.kinds import RunEnded, RunOutcome, RunStarted
from core.ledger.recovery import Opened, open_for_writing
from core.ledger.registry import Payload, spec_of
from core.ledger.rows import Head
from core.ledger.segment import StoreOptions, file_sha256

_INT64 = 1 << 63
_LOG = logging.getLogger("beta.ledger")


class SequencingLedger(ABC):
    """Base of the writers; see `core.ledger.protocol.Ledger` for the contract.

    Parameters
    ----------
    directory : Path
        Folder of the ledger; made if absent. One process writes it at a time.
    options : StoreOptions
        How files are written.
    wall_clock : callable
        Nanoseconds UTC, for ``ts_init``, file months and anchors. Rows are ordered by ``seq``, so a
        clock that steps back changes no order.

    Attributes
    ----------
    recovered_runs : tuple of str
        Runs that the last process left open; each has been sealed ``crashed_recovered``.
    fate : str
        What is known of rows that the last process had appended and that are not on disk.
    """

    fate = ""

    def __init__(
        self, directory: Path, options: StoreOptions, wall_clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.directory = directory
        self.options = options
        self._wall_clock = wall_clock
        self._opened: Opened = open_for_writing(directory, options, wall_clock())
        self._segment = self._opened.segment
        self._head = self._opened.head
        self._seq = self._head.seq
        self._run_id = ""
        self._closed = False
        self._known_runs = set(self._opened.known_runs)
        self.recovered_runs: tuple[str, ...] = self._opened.open_runs

    @property
    def run_id(self) -> str:
        """Run that rows belong to; empty between runs."""
        return self._run_id

    @property
    def head(self) -> Head:
        """Last row that is committed."""
        return self._head

    @abstractmethod
    def append(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Add a row and return its number."""

    @abstractmethod
    def flush(self) -> None:
        """Return when everything appended so far is committed."""

    @abstractmethod
    def _stop(self) -> None:
        """Commit what waits and stop any thread."""

    def begin_run(self, started: RunStarted, *, ts_event: int) -> int:
        """Write ``run.started`` durably; rows that follow belong to it.

        Raises
        ------
        UsageError
            If a run is open, or the id was used before in this file.
        """
        if self._run_id:
            raise UsageError("a run is already open in this ledger", self._run_id, "end it first")
        if not started.run_id:
            raise UsageError("a run needs an id", "''", "give RunStarted a run_id")
        if started.run_id in self._known_runs:
            raise UsageError(
                "this ledger already holds a run of that id",
                started.run_id,
                "name another ledger, or give the run a new id",
            )
        self._known_runs.add(started.run_id)
        self._run_id = started.run_id
        return self.append(started, ts_event=ts_event, durable=True)

    def end_run(self, ended: RunEnded, *, ts_event: int) -> int:
        """Write ``run.ended`` durably: the run is sealed."""
        if ended.run_id != self._run_id:
            raise UsageError(
                "this run is not the open one",
                f"{ended.run_id} (open: {self._run_id})",
                "end the open run first",
            )
        seq = self.append(ended, ts_event=ts_event, durable=True)
        self._run_id = ""
        return seq

    def close(self) -> Head:
        """Commit everything, close the file, anchor its head and sha256, release the lock."""
        if self._closed:
            return self._head
        self._closed = True
        try:
            self._stop()
        finally:
            self._segment.close()
            path = self._segment.path
            log = path.with_name(path.name + "-wal")
            at_rest = not log.exists() or log.stat().st_size == 0
            digest = file_sha256(path) if at_rest else ""
            write_anchor(self.directory, self._head, path.name, "close", self._wall_clock(), digest)
            self._opened.lock.release()
        return self._head

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _seal_crashed(self, ts_ns: int) -> None:
        """Seal each run that a dead process left open, under its own id."""
        for run in self.recovered_runs:
            self._run_id = run
            reason = f"process died; {self.fate}" if self.fate else "process died"
            _LOG.warning("ledger run %s sealed as crashed: %s", run, reason)
            self.end_run(
                RunEnded(run_id=run, outcome=RunOutcome.CRASHED_RECOVERED, reason=reason),
                ts_event=ts_ns,
            )

    def append_made(
        self, make: Callable[..., Payload], *parts: Any, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add the row ``make(*parts)`` and return its number."""
        return self.append(make(*parts), ts_event=ts_event, parents=parents)

    def _prepare(self, payload: Payload, ts_event: int) -> tuple[str, bytes]:
        """Check a payload and return its tag and bytes."""
        spec = spec_of(payload)
        spec.check(payload)
        if type(ts_event) is not int or not -_INT64 <= ts_event < _INT64:
            raise LedgerError(
                "a row time must be integer nanoseconds",
                repr(ts_event),
                "give nanoseconds since 1970 as int",
            )
        return spec.tag, encode_payload(payload)

    def _links(self, parents: Sequence[int], seq: int) -> str:
        """Return parents as text after checking that each is an earlier row."""
        for parent in parents:
            if type(parent) is not int or not 0 < parent < seq:
                raise LedgerError(
                    "a parent must be an earlier row",
                    f"{parent!r} of row {seq}",
                    "append the parent first and name its seq",
                )
        return encode_parents(parents)
