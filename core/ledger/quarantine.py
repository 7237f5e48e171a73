"""Go on after damage without a backup: set the damaged file aside and say so in the chain.

The new file's first row links the last row that still verifies and carries the sha256 of the damaged
file, which is kept. Runs that it leaves unsealed are sealed ``quarantined``.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw

from core.domain.errors import BetaError, LedgerCorrupt, MissingData, UsageError
from core.ledger.anchors import read_anchors, write_anchor
from core.ledger.canonical import encode_payload
from core.ledger.kinds import Genesis, RunEnded, RunOutcome
from core.ledger.lock import DirectoryLock
from core.ledger.recovery import genesis_row
from core.ledger.registry import spec_of
from core.ledger.rows import COLUMNS, Head, Row, Waiting, link
from core.ledger.schema import SCHEMA_VERSION
from core.ledger.segment import (
    Segment,
    SegmentName,
    StoreOptions,
    file_sha256,
    open_reader,
    segment_path,
    segments,
)


class Quarantined(NamedTuple):
    """What was set aside."""

    file: Path
    first_bad_seq: int
    good_head: Head
    runs: tuple[str, ...]
    new_file: Path


def quarantine(directory: Path) -> Quarantined:
    """Set the newest file aside if it does not verify, and begin a new one after its last good row.

    Raises
    ------
    UsageError
        If the newest file verifies: there is nothing to set aside.
    LedgerCorrupt
        If an older file does not continue; only a backup helps then.
    """
    names = segments(directory)
    if not names:
        raise MissingData("no ledger here", str(directory), "--dir names another folder")
    lock = DirectoryLock(directory)
    lock.acquire()
    try:
        return _quarantine(directory, names)
    finally:
        lock.release()


def _quarantine(directory: Path, names: list[SegmentName]) -> Quarantined:
    """Do it under the lock."""
    damaged = names[-1]
    good, last_seq, open_runs, sound = _good_part(damaged, _head_before(names))
    anchored = [a.seq for a in read_anchors(directory) if a.file == damaged.path.name]
    last_seq = max([last_seq, good.seq, *anchored])
    if sound and last_seq == good.seq:
        raise UsageError("the newest ledger file verifies", damaged.path.name, "beta ledger verify")
    aside = damaged.path.with_name(damaged.path.name + ".quarantined")
    digest = file_sha256(damaged.path)
    damaged.path.rename(aside)
    for suffix in ("-wal", "-shm"):
        extra = damaged.path.with_name(damaged.path.name + suffix)
        if extra.exists():
            extra.rename(aside.with_name(aside.name + suffix))
    now = time.time_ns()
    genesis = Genesis(
        schema=SCHEMA_VERSION,
        previous_file=aside.name,
        previous_seq=good.seq,
        previous_hash=good.hash.hex(),
        quarantined_sha256=digest,
        first_bad_seq=good.seq + 1,
    )
    first = genesis_row(Head(last_seq, good.hash), genesis, now)
    path = segment_path(directory, first.seq, now)
    segment = Segment.create(path, first, StoreOptions())
    head = Head(first.seq, first.hash)
    rows, head = link([_seal(head.seq + 1 + i, run, now) for i, run in enumerate(open_runs)], head)
    if rows:
        segment.insert(rows)
    segment.close()
    write_anchor(directory, head, path.name, "quarantine", now)
    return Quarantined(aside, good.seq + 1, good, open_runs, path)


def _good_part(name: SegmentName, before: Head) -> tuple[Head, int, tuple[str, ...], bool]:
    """Return last good row, highest row number seen, unsealed runs before the damage, and soundness."""
    head, top, runs = before, before.seq, dict[str, bool]()
    try:
        with closing(open_reader(name.path)) as db:
            top = max(top, int(next(db.execute("SELECT max(seq) FROM ledger"))[0] or 0))
            for record in db.execute(f"SELECT {COLUMNS} FROM ledger ORDER BY seq"):
                row = Row(*record)
                if row.seq == name.first_seq and _declares_break(row):
                    head = Head(row.seq - 1, row.prev_hash)
                if row.seq != head.seq + 1 or row.prev_hash != head.hash or not row.verifies:
                    return head, top, _unsealed(runs), False
                head = Head(row.seq, row.hash)
                if row.run_id:
                    runs[row.run_id] = row.name != "run.ended"
            problems = [str(r[0]) for r in db.execute("PRAGMA integrity_check(1)")]
    except (BetaError, apsw.Error, UnicodeDecodeError, TypeError, AttributeError):
        return head, top, _unsealed(runs), False
    return head, top, _unsealed(runs), problems == ["ok"]


def _declares_break(row: Row) -> bool:
    """Whether a first row says that it follows a file that was set aside."""
    if row.name != "ledger.genesis" or not row.verifies:
        return False
    payload = row.decoded()
    return isinstance(payload, Genesis) and payload.first_bad_seq > 0


def _head_before(names: list[SegmentName]) -> Head:
    """Return the head of the file before the newest."""
    if len(names) < 2:
        return Head()
    try:
        with closing(open_reader(names[-2].path)) as db:
            for seq, digest in db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1"):
                return Head(seq, digest)
    except apsw.Error as exc:
        raise LedgerCorrupt(
            "an older ledger file is damaged",
            f"{names[-2].path.name}: {exc}",
            "beta ledger restore",
        ) from exc
    return Head()


def _unsealed(runs: dict[str, bool]) -> tuple[str, ...]:
    """Return runs that are still open."""
    return tuple(run for run, is_open in runs.items() if is_open)


def _seal(seq: int, run: str, ts_ns: int) -> Waiting:
    """Return the row that seals a run whose rest is not proof of anything."""
    payload = RunEnded(run_id=run, outcome=RunOutcome.QUARANTINED, reason="its file was damaged")
    return Waiting(seq, run, ts_ns, ts_ns, spec_of(payload).tag, "[]", encode_payload(payload))
