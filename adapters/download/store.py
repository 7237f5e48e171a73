"""Raw rows on disk: every row verbatim as JSON text in Parquet, so that nothing can be lost in parsing."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.download.journal import Journal, Progress
from core.domain.errors import CorruptData, UsageError

if TYPE_CHECKING:
    from adapters.download.unit import Unit

SCHEMA = pa.schema(
    [
        ("unit", pa.string()),
        ("key", pa.string()),
        ("start_s", pa.int64()),
        ("end_s", pa.int64()),
        ("attempt", pa.int32()),
        ("page", pa.int32()),
        ("row", pa.int32()),
        ("payload", pa.string()),
    ]
)
#: Rows and seconds after which buffered pages are written.
FLUSH_ROWS = 20_000
FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as the venue sent it, and where it lies.

    Attributes
    ----------
    value : Any
        Decoded JSON.
    key : str
        What it was downloaded for.
    start_s, end_s : int
        Period of the unit it was downloaded for.
    file, row : str, int
        Raw file and 0-based row, for reports.
    """

    value: Any
    key: str
    start_s: int
    end_s: int
    file: str
    row: int


class RawStore:
    """Folder of one download: ``state.jsonl`` and ``TABLE/part-000001.parquet``.

    Only one process may have it open.

    Parameters
    ----------
    root : Path
    identity : dict
        What is being downloaded; see `Journal`.
    restart : bool
        Forget what is there.
    """

    def __init__(self, root: Path, identity: dict[str, Any], restart: bool = False) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            if restart:
                self._clear()
            self.journal = Journal(root / "state.jsonl", identity)
        except BaseException:
            self._lock.close()
            raise
        self._buffer: dict[str, list[dict[str, Any]]] = {}
        self._changed: dict[str, Progress] = {}
        self._rows = 0
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what is buffered and release the folder."""
        try:
            self.flush()
        finally:
            self.journal.close()
            self._lock.close()

    # -- writing ------------------------------------------------------------------------------

    def start(self, unit: Unit) -> Progress:
        """Return where to go on with `unit`; a unit not begun in this run starts afresh."""
        known = self.journal.units.get(unit.name)
        if known is None or known.tier != unit.tier:
            return self._fresh(unit, known)
        current = known.run == self.journal.run
        goes_on = current or (not unit.listing and not known.done)
        return known if goes_on else self._fresh(unit, known)

    def restart(self, unit: Unit) -> Progress:
        """Begin a new attempt at `unit`; rows of earlier attempts no longer count."""
        return self._fresh(unit, self.journal.units.get(unit.name))

    def add(self, unit: Unit, at: Progress, rows: Sequence[Any], cursor: str | None) -> None:
        """Store one page of `unit` and move its state on; `cursor` None ends the unit."""
        table = self._buffer.setdefault(unit.table, [])
        for number, row in enumerate(rows):
            table.append(
                {
                    "unit": unit.name,
                    "key": unit.key,
                    "start_s": unit.start_s,
                    "end_s": unit.end_s,
                    "attempt": at.attempt,
                    "page": at.pages,
                    "row": number,
                    "payload": msgspec.json.encode(row).decode(),
                }
            )
        at.pages += 1
        at.rows += len(rows)
        at.cursor = cursor
        at.done = cursor is None
        at.run = self.journal.run
        if rows and self.journal.next_part not in (at.parts or []):
            at.parts = [*(at.parts or []), self.journal.next_part]
        self.journal.put(unit.name, at)
        self._changed[unit.name] = at
        self._rows += len(rows)
        if self._rows >= FLUSH_ROWS or time.monotonic() - self._since > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write buffered rows, then record that they are there."""
        self._since = time.monotonic()
        if not self._changed:
            return
        part = self.journal.next_part if self._rows else None
        for name, rows in self._buffer.items():
            if rows:
                self._write_part(name, rows)
        self.journal.record(list(self._changed.items()), part)
        self._buffer.clear()
        self._changed.clear()
        self._rows = 0

    # -- reading ------------------------------------------------------------------------------

    def covered(self, table: str, key: str) -> list[tuple[int, int]]:
        """Return the periods of this key that are complete."""
        return [
            (p.start_s, p.end_s)
            for p in self.journal.of(table, key)
            if p.done and p.end_s and p.end_s > p.start_s
        ]

    def unfinished(self, table: str, key: str) -> list[Progress]:
        """Return the periods of this key that were begun and not finished."""
        return [p for p in self.journal.of(table, key) if not p.done and p.end_s]

    def keys(self, table: str) -> list[str]:
        """Return the keys that have rows in this table, in the order of their first raw file."""
        first: dict[str, int] = {}
        for p in self.journal.units.values():
            if p.table == table and p.parts and p.done:
                first[p.key] = min(first.get(p.key, p.parts[0]), p.parts[0])
        return sorted(first, key=lambda key: (first[key], key))

    def rows(self, table: str, key: str | None = None) -> Iterator[StoredRow]:
        """Yield the rows of complete units, of one key or of all, in the order of the raw files.

        Raises
        ------
        CorruptData
            If a raw file cannot be read.
        """
        self.flush()
        units = self.journal.units.values() if key is None else self.journal.of(table, key)
        wanted = [p for p in units if p.table == table and p.parts and p.done]
        attempts = {f"{p.table}|{p.key}|{p.start_s}|{p.end_s}": p for p in wanted}
        for part in sorted({n for p in wanted for n in p.parts or ()}):
            yield from self._part_rows(table, part, attempts)

    def _part_rows(self, table: str, part: int, wanted: dict[str, Progress]) -> Iterator[StoredRow]:
        path = self._part_path(table, part)
        if not path.exists():
            return
        try:
            data = pq.read_table(path, filters=[("unit", "in", list(wanted))] if wanted else None)
        except (OSError, pa.ArrowException) as exc:
            raise CorruptData(
                "a raw file of the download cannot be read",
                f"{path}: {exc}",
                "start over with --restart",
            ) from exc
        columns = [data[name].to_pylist() for name in SCHEMA.names]
        name = f"{table}/{path.name}"
        for unit, key, start_s, end_s, attempt, page, row, payload in zip(*columns, strict=True):
            at = wanted[unit]
            if attempt == at.attempt and page < at.pages:
                yield StoredRow(msgspec.json.decode(payload), key, start_s, end_s, name, row)

    # -- files --------------------------------------------------------------------------------

    def _fresh(self, unit: Unit, known: Progress | None) -> Progress:
        return Progress(
            unit.table,
            unit.key,
            unit.start_s,
            unit.end_s,
            tier=unit.tier,
            attempt=known.attempt + 1 if known else 0,
            run=self.journal.run,
        )

    def _part_path(self, table: str, part: int) -> Path:
        return self.root / table / f"part-{part:06d}.parquet"

    def _write_part(self, table: str, rows: list[dict[str, Any]]) -> None:
        path = self._part_path(table, self.journal.next_part)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def _take_lock(self) -> IO[bytes]:
        file = (self.root / "lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise UsageError(
                "another process is downloading into this folder", self.root, "wait for it"
            ) from exc
        return file

    def _clear(self) -> None:
        for path in self.root.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
