"""The projections file: brought up to date from the ledger, rebuilt to the same bytes, never a source."""

from __future__ import annotations

import decimal
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from core.domain.errors import LedgerWriteError
from core.ledger.lots import EXACT
from core.ledger.projections.fold import KINDS, fold_row
from core.ledger.projections.schema import NAMES, TABLES, VERSION
from core.ledger.projections.state import State
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

FILE = "projections.sqlite"
#: Rows folded in one transaction.
STEP_ROWS = 20_000


class Projections:
    """Projections of one ledger directory.

    Where the directory cannot be written (a mounted backup), they are folded in memory.

    Parameters
    ----------
    directory : Path
        The ledger.
    file : Path, optional
        Another place for the projections file.
    """

    def __init__(self, directory: Path, file: Path | None = None) -> None:
        self.directory = directory
        self.path = file or directory / FILE
        self._reader = LedgerReader(directory)
        try:
            self.db = _open(os.fspath(self.path))
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("ROLLBACK")
        except apsw.Error:
            self.db = _open(":memory:")

    def catch_up(self, progress: Callable[[int], None] | None = None) -> int:
        """Fold every row that is not folded yet; return the number of the last one.

        A file of another version, or of a ledger that was replaced, is folded again from the start.
        """
        head = self._reader.head()
        while True:
            with _transaction(self.db):
                done = self._begin()
                last = min(done + STEP_ROWS, head.seq)
                if done >= head.seq:
                    return done
                state = State(self.db)
                with decimal.localcontext(EXACT):
                    chosen = Selection(kinds=KINDS, first_seq=done + 1, last_seq=last)
                    for row in self._reader.rows(chosen):
                        fold_row(state, row)
                    state.finish()
                self._meta(last, self._reader.head_at(last).hash.hex())
            if progress is not None:
                progress(last)

    def rebuild(self, progress: Callable[[int], None] | None = None) -> str:
        """Fold the whole ledger into a new file, put it in place and return its content sha256."""
        with _transaction(self.db):
            _drop(self.db)
        self.catch_up(progress)
        self.compact()
        return self.content_sha256()

    def compact(self) -> None:
        """Rewrite the file so that its bytes depend on its content alone."""
        if not self.db.filename:
            return
        fresh = self.path.with_suffix(".tmp")
        fresh.unlink(missing_ok=True)
        try:
            _copy_sorted(self.db, fresh)
            self.db.close()
            for suffix in ("-wal", "-shm", "-journal"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            fresh.replace(self.path)
            self.db = _open(os.fspath(self.path))
        except (apsw.Error, OSError) as exc:
            raise LedgerWriteError(
                "the projections cannot be written", f"{self.path}: {exc}"
            ) from exc

    def content_sha256(self) -> str:
        """Return the sha256 of every table's rows in key order, independent of the file's layout."""
        digest = sha256()
        for name in NAMES:
            digest.update(name.encode())
            for row in self.db.execute(f"SELECT * FROM {name}"):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def query(self, sql: str, *values: str | int) -> list[dict[str, str | int | None]]:
        """Return rows of a read as dicts of column to value."""
        cursor = self.db.execute(sql, values)
        out: list[dict[str, str | int | None]] = []
        names: list[str] = []
        for row in cursor:
            names = names or [column[0] for column in cursor.get_description()]
            out.append(dict(zip(names, row, strict=True)))
        return out

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _begin(self) -> int:
        """Return the last row folded, after starting over where the file does not belong to this ledger."""
        known = {str(row[0]) for row in self.db.execute("SELECT name FROM sqlite_schema")}
        if "meta" in known:
            meta = dict(self.db.execute("SELECT key, value FROM meta"))
            last = int(meta.get("last_seq", 0))
            same = not last or self._reader.head_at(last).hash.hex() == meta.get("last_hash")
            if meta.get("version") == str(VERSION) and same:
                return last
            _drop(self.db)
        self.db.execute(TABLES).fetchall()
        self._meta(0, "")
        return 0

    def _meta(self, seq: int, digest: str) -> None:
        """Remember how far the fold is."""
        for key, value in (
            ("version", str(VERSION)),
            ("last_seq", str(seq)),
            ("last_hash", digest),
        ):
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


@contextmanager
def _transaction(db: apsw.Connection) -> Iterator[None]:
    """Hold the write lock from the start, so that two processes catch up one after the other."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _open(name: str) -> apsw.Connection:
    """Open a projections database; it can always be made again, so it is never synced."""
    db = apsw.Connection(name)
    db.set_busy_timeout(30_000)
    db.pragma("synchronous", "OFF")
    return db


def _copy_sorted(db: apsw.Connection, to: Path) -> None:
    """Write every table into a new file in key order. (VACUUM would carry over header counters.)"""
    with closing(_open(os.fspath(to))) as copy, _transaction(copy):
        copy.execute(TABLES).fetchall()
        for name in NAMES:
            for row in db.execute(f"SELECT * FROM {name}"):
                copy.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)


def _drop(db: apsw.Connection) -> None:
    """Remove every table."""
    for (name,) in list(db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")):
        db.execute(f"DROP TABLE {name}")
