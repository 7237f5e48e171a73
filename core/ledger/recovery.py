"""Opening a ledger to write: the same steps after a clean stop and after a kill.

Lock the directory; drop a file that was never finished; check file header, schema and checksums;
verify the first row, the link to the file before, the last rows and the newest anchor; find runs
that nobody sealed. A full check is `core.ledger.verify`; this one takes the same time at any size.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from core.domain.errors import LedgerCorrupt, LedgerError, LedgerWriteError
from core.domain.faultpoints import point
from core.ledger.anchors import read_anchors
from core.ledger.canonical import encode_payload
from core.ledger.digest import without_digest
from core.ledger.kinds import Genesis
from core.ledger.lock import DirectoryLock
from core.ledger.registry import spec_of
from core.ledger.rows import COLUMNS, Head, Row, Waiting, link
from core.ledger.schema import SCHEMA_VERSION
from core.ledger.segment import (
    Segment,
    SegmentName,
    StoreOptions,
    open_reader,
    segment_path,
    segments,
)

_MEND = "beta ledger verify, then beta ledger restore or beta ledger quarantine"


@dataclass(slots=True)
class Opened:
    """A ledger that is ours to write, and what was found."""

    lock: DirectoryLock
    segment: Segment
    head: Head
    known_runs: tuple[str, ...]
    open_runs: tuple[str, ...]
    undigested: tuple[SegmentName, ...]


def genesis_row(head: Head, payload: Genesis, ts_ns: int, run_id: str = "") -> Row:
    """Return the first row of a file that continues after `head`, inside run `run_id` if one is open."""
    spec = spec_of(payload)
    waiting = Waiting(head.seq + 1, run_id, ts_ns, ts_ns, spec.tag, "[]", encode_payload(payload))
    return Row(*link([waiting], head)[0][0])


def open_for_writing(directory: Path, options: StoreOptions, now_ns: int) -> Opened:
    """Open (or begin) the ledger of `directory`.

    Raises
    ------
    LedgerLocked
        If it is already open for writing.
    LedgerTooNew, LedgerCorrupt
        If its newest file was written by a newer version or does not verify.
    LedgerWriteError
        If the disk refuses.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LedgerWriteError(
            "the ledger directory cannot be made",
            f"{directory}: {exc}",
            "name a folder that can be written; a backtest also runs with --ledger off",
        ) from exc
    lock = DirectoryLock(directory)
    lock.acquire()
    try:
        point("ledger.recover.locked")
        for leftover in directory.glob("ledger-*.tmp"):
            leftover.unlink(missing_ok=True)
        files = segments(directory)
        if files:
            segment = Segment(files[-1].path, options)
        elif gone := max((a.seq for a in read_anchors(directory)), default=0):
            raise LedgerCorrupt(
                "the files of a ledger are gone",
                f"{directory}: {gone} rows by its anchors.jsonl",
                "beta ledger restore BACKUP; or take anchors.jsonl away to begin anew",
            )
        else:
            segment = _begin(directory, options, now_ns)
        head = check_tail(segment, files, options.tail_rows)
        check_anchor(directory, segment, head)
        point("ledger.recover.checked")
        runs = _runs(segment)
        left_open = tuple(run for run, is_open in runs.items() if is_open)
        undigested = without_digest(directory, files[:-1])
        return Opened(lock, segment, head, tuple(runs), left_open, undigested)
    except (apsw.Error, UnicodeDecodeError) as exc:
        lock.release()
        raise LedgerCorrupt("a ledger file is damaged", f"{directory}: {exc}", _MEND) from exc
    except LedgerError:
        lock.release()
        raise


def check_tail(segment: Segment, files: list[SegmentName], rows: int) -> Head:
    """Verify the first row of a file, its link to the file before, and its last `rows` rows."""
    name = segment.path.name
    head = segment.head()
    first = Row(*segment.query(f"SELECT {COLUMNS} FROM ledger ORDER BY seq LIMIT 1")[0])  # type: ignore[arg-type]
    if first.name != "ledger.genesis" or not first.verifies:
        raise LedgerCorrupt(
            "the first row of a ledger file does not verify", f"{name}: row {first.seq}", _MEND
        )
    if len(files) > 1:
        check_link(first, files[-2])
    previous: Row | None = None
    for values in segment.query(
        f"SELECT {COLUMNS} FROM ledger WHERE seq > ? ORDER BY seq", head.seq - rows
    ):
        row = Row(*values)  # type: ignore[arg-type]
        if not row.verifies or (
            previous is not None and (row.seq != previous.seq + 1 or row.prev_hash != previous.hash)
        ):
            raise LedgerCorrupt("a ledger row does not verify", f"{name}: row {row.seq}", _MEND)
        previous = row
    return head


def check_link(first: Row, before: SegmentName) -> None:
    """Refuse a first row that does not continue the file before it."""
    genesis = first.decoded()
    assert isinstance(genesis, Genesis)
    if genesis.first_bad_seq:
        return  # the break is declared in the chain itself
    with closing(open_reader(before.path)) as db:
        last = db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    if last is None or tuple(last) != (first.seq - 1, first.prev_hash):
        raise LedgerCorrupt(
            "a ledger file does not continue the one before it",
            f"row {first.seq} after {before.path.name}",
            _MEND,
        )


def check_anchor(directory: Path, segment: Segment, head: Head) -> None:
    """Refuse a file whose end was cut off or replaced since its newest anchor."""
    known = read_anchors(directory)
    top = max((a.seq for a in known), default=0)  # of any file: the newest one may be gone whole
    if top > head.seq:
        raise LedgerCorrupt(
            "ledger rows that were on disk are gone", f"rows {head.seq + 1} to {top}", _MEND
        )
    anchors = [a for a in known if a.file == segment.path.name]
    if not anchors:
        return
    newest = max(anchors, key=lambda a: a.seq)
    found = segment.query("SELECT hash FROM ledger WHERE seq = ?", newest.seq)
    if not found or found[0][0] != bytes.fromhex(newest.hash):
        raise LedgerCorrupt(
            "a ledger row is not the one that was anchored", f"row {newest.seq}", _MEND
        )


def _begin(directory: Path, options: StoreOptions, now_ns: int) -> Segment:
    """Create the first file of a ledger."""
    genesis = genesis_row(Head(), Genesis(schema=SCHEMA_VERSION), now_ns)
    return Segment.create(segment_path(directory, 1, now_ns), genesis, options)


def _runs(segment: Segment) -> dict[str, bool]:
    """Return the runs of this file (also one continued from the file before): still open or sealed."""
    state: dict[str, bool] = {}
    for run_id, kind in segment.query(
        "SELECT run_id, kind FROM ledger WHERE kind GLOB 'run.*' ORDER BY seq"
    ):
        state[str(run_id)] = str(kind).startswith("run.started")
    last = segment.query("SELECT run_id FROM ledger ORDER BY seq DESC LIMIT 1")[0][0]
    if last and str(last) not in state:
        state[str(last)] = True  # it began in an earlier file and goes on in this one
    return state
