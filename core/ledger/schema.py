"""The ledger file: one STRICT table, three triggers, and migrations that only go forward."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256

import apsw

from core.domain.errors import LedgerCorrupt, LedgerTooNew

#: "BTLG" in the file header, so that no other SQLite file is taken for a ledger.
APPLICATION_ID = 0x42544C47


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. Its text is frozen once released: files remember its sha256."""

    version: int
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum that a file stores when the step is applied."""
        return sha256(self.sql.encode()).hexdigest()


_FIRST = """
CREATE TABLE ledger (
    seq       INTEGER PRIMARY KEY,
    run_id    TEXT    NOT NULL,
    ts_event  INTEGER NOT NULL,
    ts_init   INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    parents   TEXT    NOT NULL,
    payload   BLOB    NOT NULL,
    prev_hash BLOB    NOT NULL CHECK (length(prev_hash) = 32),
    hash      BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX ledger_runs ON ledger(seq) WHERE kind GLOB 'run.*';
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed');
END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never deleted');
END;
CREATE TRIGGER ledger_chain BEFORE INSERT ON ledger
WHEN (NEW.seq - 1, NEW.prev_hash) IS NOT (SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1)
 AND EXISTS (SELECT 1 FROM ledger)
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are only added at the head of the chain');
END;
"""

MIGRATIONS: tuple[Migration, ...] = (Migration(1, _FIRST),)
SCHEMA_VERSION = MIGRATIONS[-1].version
_BOOK = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT"
)
#: What an application connection may do: read, and insert into the one table.
_ALLOWED = {
    apsw.SQLITE_SELECT,
    apsw.SQLITE_READ,
    apsw.SQLITE_FUNCTION,
    apsw.SQLITE_TRANSACTION,
    apsw.SQLITE_RECURSIVE,
}
_MEND = "beta ledger verify"
_PRAGMAS = {"wal_checkpoint", "synchronous", "max_page_count", "page_count", "data_version"}


def authorize(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    """Deny everything but reading and inserting into ``ledger`` (an apsw authorizer)."""
    if action in _ALLOWED:
        return apsw.SQLITE_OK
    if action == apsw.SQLITE_INSERT and first == "ledger":
        return apsw.SQLITE_OK
    if action == apsw.SQLITE_PRAGMA and first in _PRAGMAS:
        return apsw.SQLITE_OK
    return apsw.SQLITE_DENY


def check_header(db: apsw.Connection, name: str) -> int:
    """Return the schema version of a file after checking that it is a ledger we may touch.

    Raises
    ------
    LedgerTooNew
        If a newer version wrote it.
    LedgerCorrupt
        If it is no ledger.
    """
    application = int(db.pragma("application_id") or 0)
    if application != APPLICATION_ID:
        raise LedgerCorrupt("not a ledger file", f"{name}: application id {application:#x}", _MEND)
    version = int(db.pragma("user_version") or 0)
    if version > SCHEMA_VERSION:
        raise LedgerTooNew(
            "the ledger was written by a newer version",
            f"{name}: schema {version}, this version knows {SCHEMA_VERSION}",
            "update beta-trader",
        )
    return version


def check_schema(db: apsw.Connection, name: str) -> None:
    """Refuse a file whose table, index or triggers are not exactly those of its migrations.

    Raises
    ------
    LedgerCorrupt
        Naming the object that is missing, altered or foreign.
    """
    version = check_header(db, name)
    try:
        applied = dict(db.execute("SELECT version, sha256 FROM schema_migrations"))
        found = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    except UnicodeDecodeError as exc:
        raise LedgerCorrupt("the ledger schema is damaged", f"{name}: {exc}", _MEND) from exc
    for step in MIGRATIONS[:version]:
        if applied.get(step.version) != step.sha256:
            raise LedgerCorrupt("a schema migration was altered", f"{name}: version {step.version}")
    if set(applied) != set(range(1, version + 1)):
        raise LedgerCorrupt("schema migrations do not match the file", f"{name}: {sorted(applied)}")
    wanted = _objects(version)
    for key in sorted(wanted.keys() | found.keys(), key=str):
        if found.get(key) != wanted.get(key):
            state = "missing" if key not in found else "foreign" if key not in wanted else "altered"
            raise LedgerCorrupt(f"the ledger schema is {state}", f"{name}: {key}", _MEND)


def migrate(db: apsw.Connection, applied_at: str) -> None:
    """Bring a file forward to `SCHEMA_VERSION`, one transaction a step."""
    version = int(db.pragma("user_version") or 0)
    for step in MIGRATIONS[version:]:
        with db:
            db.execute(_BOOK)
            db.execute(step.sql)
            db.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?)",
                (step.version, step.sha256, applied_at),
            )
            db.pragma("user_version", step.version)


_OBJECTS: dict[int, dict[str, str]] = {}


def _objects(version: int) -> dict[str, str]:
    """Return name -> SQL of everything that a file of this version holds."""
    if version not in _OBJECTS:
        with closing(apsw.Connection(":memory:")) as db:
            db.execute(_BOOK)
            for step in MIGRATIONS[:version]:
                db.execute(step.sql)
            _OBJECTS[version] = dict(
                db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
            )
    return _OBJECTS[version]
