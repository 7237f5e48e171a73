"""One ledger file on disk: created whole, appended to, checkpointed, closed for good."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import apsw

from core.domain.clock import NS_PER_SECOND, date_from_ns, iso_from_ns
from core.domain.errors import LedgerCorrupt, LedgerWriteError
from core.domain.faultpoints import point
from core.ledger.rows import COLUMNS, Head, Row, StoredRow
from core.ledger.schema import (
    APPLICATION_ID,
    authorize,
    check_header,
    check_schema,
    migrate,
)

_NAME = re.compile(r"ledger-(\d{12})-(\d{4}-\d{2})\.sqlite")
_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT = f"INSERT INTO ledger ({COLUMNS}) VALUES {_PLACES}"
#: So few rows, as an order's with what it was decided on, go in one statement: a transaction by itself, and one
#: call that leaves and takes the interpreter's lock instead of one for each row and two around them.
FEW_ROWS = 8
_FEW = tuple(
    f"INSERT INTO ledger ({COLUMNS}) VALUES {', '.join([_PLACES] * n)}" for n in range(FEW_ROWS + 1)
)
#: Pages in the write-ahead log after which the writer moves them into the file.
CHECKPOINT_PAGES = 1_000
#: Page cache of the writer in KiB (SQLite wants them negative): rows are only added at the end, where 2 MB, the
#: default, would keep what nobody reads again.
CACHE = -512


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How files are written.

    Attributes
    ----------
    durable : bool
        FULL sync at each commit (paper and live). False: no sync until close (backtests).
    checkpoints : bool
        False when a replicator (Litestream) owns checkpoints.
    max_pages : int
        Upper limit of a file in 4 KiB pages; 0 = none.
    vfs : str
        SQLite VFS name; empty = the system's.
    tail_rows : int
        Rows at the end that are verified on opening.
    """

    durable: bool = True
    checkpoints: bool = True
    max_pages: int = 0
    vfs: str = ""
    tail_rows: int = 10_000


class SegmentName(NamedTuple):
    """A file of the ledger: first row number and month it was opened in."""

    path: Path
    first_seq: int
    month: str


def segments(directory: Path) -> list[SegmentName]:
    """Return the ledger files of a directory in chain order."""
    out = []
    for path in directory.glob("ledger-*.sqlite"):
        match = _NAME.fullmatch(path.name)
        if match:
            out.append(SegmentName(path, int(match[1]), match[2]))
    return sorted(out, key=lambda s: s.first_seq)


def month_of(ts_ns: int) -> str:
    """Return the UTC month of a time as ``YYYY-MM``."""
    return f"{date_from_ns(ts_ns):%Y-%m}"


def month_end_ns(month: str) -> int:
    """Return the first nanosecond after a month ``YYYY-MM``."""
    year, number = map(int, month.split("-"))
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(after.timestamp()) * NS_PER_SECOND


def segment_path(directory: Path, first_seq: int, ts_ns: int) -> Path:
    """Return the path of the file that begins with row `first_seq`; names sort in chain order."""
    return directory / f"ledger-{first_seq:012d}-{month_of(ts_ns)}.sqlite"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, byte for byte."""
    with path.open("rb") as handle:
        return file_digest(handle, "sha256").hexdigest()


def fsync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power loss."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_reader(path: Path) -> apsw.Connection:
    """Open a ledger file read-only, next to a running writer or on read-only media.

    Raises
    ------
    LedgerCorrupt, LedgerTooNew
        If the file is not a ledger that this version can read.
    """
    # A writer keeps the -wal file for as long as it lives; without one the file cannot change.
    still = "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"
    try:
        db = apsw.Connection(
            f"file:{_quoted(path)}?mode=ro{still}",
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        )
        db.set_busy_timeout(5_000)
        db.pragma("trusted_schema", False)
        check_header(db, path.name)
    except apsw.Error as exc:
        raise LedgerCorrupt(
            "a ledger file cannot be read", f"{path}: {exc}", "beta ledger verify"
        ) from exc
    return db


class Segment:
    """The file that rows are added to. Only its owner's thread may call it."""

    def __init__(self, path: Path, options: StoreOptions) -> None:
        self.path = path
        self.options = options
        self._added = False
        self._db = _connect(path, options)

    @classmethod
    def create(cls, path: Path, genesis: Row, options: StoreOptions) -> Segment:
        """Create a file that holds `genesis`; it appears under its name whole or not at all."""
        temporary = path.with_suffix(".tmp")
        try:
            temporary.unlink(missing_ok=True)
            db = apsw.Connection(os.fspath(temporary), vfs=options.vfs or None)
            db.pragma("journal_mode", "MEMORY")
            db.pragma("application_id", APPLICATION_ID)
            migrate(db, iso_from_ns(genesis.ts_init))
            with db:
                db.execute(_INSERT, genesis)
            db.close()
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            point("ledger.create.before_rename")
            temporary.rename(path)
            fsync_directory(path.parent)
            point("ledger.create.after_rename")
        except (apsw.Error, OSError) as exc:
            raise _write_error(exc, path) from exc
        return cls(path, options)

    @property
    def month(self) -> str:
        """Month of the file's name, ``YYYY-MM``."""
        return self.path.stem[-7:]

    def head(self) -> Head:
        """Return the last row's number and hash."""
        for seq, digest in self._db.execute(
            "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1"
        ):
            return Head(seq, digest)
        raise LedgerCorrupt("a ledger file has no first row", str(self.path), "beta ledger verify")

    def query(self, sql: str, *values: int | str) -> list[tuple[object, ...]]:
        """Run a read on the writer's own connection."""
        return list(self._db.execute(sql, values))

    def insert(self, rows: list[StoredRow]) -> None:
        """Commit `rows` in one transaction; on any failure none of them is there.

        Raises
        ------
        LedgerWriteError
            Disk full, I/O error, read-only file.
        """
        db = self._db
        try:
            point("ledger.write.before_begin")
            if 0 < len(rows) <= FEW_ROWS:
                point("ledger.write.before_commit")
                db.execute(_FEW[len(rows)], tuple(chain.from_iterable(rows)))
            else:
                db.execute("BEGIN IMMEDIATE")
                db.executemany(_INSERT, rows)
                point("ledger.write.before_commit")
                db.execute("COMMIT")
            self._added = True
            point("ledger.write.after_commit")
        except apsw.Error as exc:
            if db.in_transaction:
                _quietly(lambda: db.execute("ROLLBACK"))
            raise _write_error(exc, self.path) from exc

    def checkpoint_when_due(self, *, idle: bool) -> None:
        """Move the log into the file when it is long, or shorten it to nothing when idle."""
        if not self.options.checkpoints or not self._added:
            return
        if idle or self._pages_in_wal() >= CHECKPOINT_PAGES:
            point("ledger.checkpoint.before")
            mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if idle else apsw.SQLITE_CHECKPOINT_PASSIVE
            # A reader in the way or a full disk only delays a checkpoint: the rows are safe in the log.
            _quietly(lambda: self._db.wal_checkpoint(mode=mode))
            self._added = False
            point("ledger.checkpoint.after")

    def close(self) -> None:
        """Move everything into the file and close it (synced, also in relaxed mode)."""
        if self.options.checkpoints:
            _quietly(lambda: self._db.pragma("synchronous", "FULL"))
            _quietly(lambda: self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE))
        _quietly(self._db.close)

    def _pages_in_wal(self) -> int:
        """Return how long the write-ahead log is.

        Asked after the commit: SQLite's own word of it comes in the middle of one, where whoever waits for the row would
        wait once more for the interpreter's lock.
        """
        try:
            return self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0]
        except apsw.Error:
            return 0


def _connect(path: Path, options: StoreOptions) -> apsw.Connection:
    """Open a file for appending and take away everything else."""
    try:
        db = apsw.Connection(
            os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=options.vfs or None
        )
        db.set_busy_timeout(5_000)
        check_header(db, path.name)
        db.pragma("trusted_schema", False)
        db.pragma("journal_mode", "WAL")
        db.pragma("fullfsync", True)  # macOS: without it a sync does not reach the disk
        db.pragma("synchronous", "FULL" if options.durable else "OFF")
        db.pragma("wal_autocheckpoint", 0)
        db.pragma("cache_size", CACHE)
        if options.max_pages:
            db.pragma("max_page_count", options.max_pages)
        check_schema(db, path.name)
        db.authorizer = authorize
    except apsw.Error as exc:
        raise _open_error(exc, path) from exc
    return db


def _open_error(exc: apsw.Error, path: Path) -> LedgerCorrupt | LedgerWriteError:
    """Tell a damaged file from one that cannot be written now."""
    if isinstance(exc, (apsw.NotADBError, apsw.CorruptError, apsw.SQLError)):
        return LedgerCorrupt(
            "a ledger file is damaged", f"{path}: {exc}", "beta ledger verify; beta ledger restore"
        )
    return _write_error(exc, path)


def _write_error(exc: Exception, path: Path) -> LedgerWriteError:
    """Wrap a failure to write."""
    return LedgerWriteError(
        "the ledger cannot be written",
        f"{path}: {type(exc).__name__}: {exc}",
        "free disk space or mend the disk; rows already acknowledged are safe",
    )


def _quietly(action: Callable[[], object]) -> None:
    """Run a step whose failure loses nothing."""
    try:
        action()
    except apsw.Error:
        return


def _quoted(path: Path) -> str:
    """Return a path for an SQLite URI."""
    return os.fspath(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
