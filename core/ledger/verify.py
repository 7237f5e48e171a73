"""Prove a ledger: every row, every link, every file, every anchor; name the first row that is wrong.

What is covered. Content: all nine columns of every row, their order and their number, through the
chain. The end: heads in ``anchors.jsonl`` (and ``--expect-head``), since a shorter chain is still a
chain. The schema: table, index, triggers, migrations. The file: SQLite's own structure check, and
for a file at rest (closed, or closed cleanly and not opened since) a sha256 of every byte. While a
file is in use, bytes in unused space of its pages are covered by nothing; they carry no content.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import msgspec

from core.domain.errors import BetaError, LedgerTooNew, MissingData
from core.ledger.anchors import Anchor, read_anchors
from core.ledger.canonical import GENESIS_HASH, pack_header
from core.ledger.kinds import FileDigest, Genesis
from core.ledger.lock import holder
from core.ledger.registry import decode
from core.ledger.rows import Head
from core.ledger.schema import check_schema
from core.ledger.segment import SegmentName, file_sha256, open_reader, segments

MAX_FINDINGS = 100
_TEXTS = "CAST(run_id AS BLOB), ts_event, ts_init, CAST(kind AS BLOB), CAST(parents AS BLOB)"
_BYTES = f"SELECT seq, {_TEXTS}, payload, prev_hash, hash FROM ledger WHERE seq > ? ORDER BY seq"
#: The same row when a blob of it became text that is no UTF-8; None makes it fail its check.
_BROKEN = (
    f"SELECT seq, {_TEXTS}, NULL, CAST(prev_hash AS BLOB), CAST(hash AS BLOB) "
    "FROM ledger WHERE seq > ? ORDER BY seq LIMIT 1"
)
_TYPES = (
    "SELECT seq FROM ledger WHERE typeof(run_id) <> 'text' OR typeof(kind) <> 'text' "
    "OR typeof(parents) <> 'text' OR typeof(ts_event) <> 'integer' OR typeof(ts_init) <> 'integer' "
    "OR typeof(payload) <> 'blob' OR typeof(prev_hash) <> 'blob' OR typeof(hash) <> 'blob' "
    "ORDER BY seq LIMIT 1"
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong; `seq` is the first row it touches, None when it touches no row."""

    code: str
    file: str
    detail: str
    seq: int | None = None


class Report(msgspec.Struct, kw_only=True):
    """Result of a verification; `ok` when `findings` is empty."""

    rows: int = 0
    files: int = 0
    bytes: int = 0
    head_seq: int = 0
    head_hash: str = ""
    files_at_rest: int = 0
    anchors: int = 0
    findings: list[Finding] = []
    notes: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def first_bad(self) -> Finding | None:
        """The finding with the lowest row number, else the first without one."""
        with_row = [f for f in self.findings if f.seq is not None]
        return (
            min(with_row, key=lambda f: f.seq or 0) if with_row else next(iter(self.findings), None)
        )


Progress = Callable[[int], None]


def verify(
    directory: Path,
    *,
    expect_head: str = "",
    structure: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Verify a whole ledger directory.

    Parameters
    ----------
    expect_head : str
        Head hash (hex) kept elsewhere that must be in the chain.
    structure : bool
        Also run SQLite's integrity check.
    progress : callable, optional
        Called with the number of rows done, every 50,000 rows.

    Raises
    ------
    MissingData
        If there is no ledger. Everything else is a finding, not an exception.
    """
    names = segments(directory)
    if not names and not read_anchors(directory):
        raise MissingData("no ledger here", str(directory), "--dir names another folder")
    run = _Verification(directory, structure, progress)
    with run.pool:
        for name in names:
            run.file(name)
        run.finish(names, expect_head)
    return run.report


class _Verification:
    """State of one pass over the files."""

    def __init__(self, directory: Path, structure: bool, progress: Progress | None) -> None:
        self.report = Report(findings=[], notes=[])
        self.structure = structure
        self.progress = progress
        self.anchors = read_anchors(directory)
        self.by_seq: dict[int, list[Anchor]] = {}
        for anchor in self.anchors:
            self.by_seq.setdefault(anchor.seq, []).append(anchor)
        self.head = Head()
        self.heads: dict[str, int] = {}
        self.digests: dict[str, str] = {}
        self.sums: dict[str, Future[str]] = {}
        self.newer = False
        self.pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ledger-verify")

    def find(self, code: str, file: str, detail: str, seq: int | None = None) -> None:
        """Note something wrong."""
        if len(self.report.findings) < MAX_FINDINGS:
            self.report.findings.append(Finding(code=code, file=file, detail=detail, seq=seq))

    def file(self, name: SegmentName) -> None:
        """Verify one file; its structure and its bytes are checked on other cores meanwhile."""
        label = name.path.name
        self.report.files += 1
        self.report.bytes += name.path.stat().st_size
        if _at_rest(name.path):
            self.sums[label] = self.pool.submit(file_sha256, name.path)
        pages = self.pool.submit(_structure, name.path) if self.structure else None
        try:
            with closing(open_reader(name.path)) as db:
                self.rows(db, name)
                self.schema(db, label)
        except LedgerTooNew as exc:
            self.newer = True
            self.find("newer", label, f"{exc.what}: {exc.seen}", self.head.seq + 1)
            pages = None
        except (BetaError, apsw.Error) as exc:
            self.find("unreadable", label, str(exc), self.head.seq + 1)
        if pages is not None and (problem := pages.result()):
            self.find("structure", label, *problem)
        self.heads[label] = self.head.seq

    def rows(self, db: apsw.Connection, name: SegmentName) -> None:
        """Recompute the chain of one file. The loop is flat because it runs for every row."""
        label, done, started = name.path.name, self.report.rows, False
        (last, head), by_seq, progress = self.head, self.by_seq, self.progress
        try:
            for seq, run, ts_event, ts_init, kind, links, payload, prev, digest in _raw_rows(db):
                if not started:
                    self.first_row(label, name, seq, kind, payload, prev)
                    started = True
                elif seq != last + 1:
                    self.find("missing", label, f"row {seq} follows row {last}", last + 1)
                elif prev != head:
                    self.find("chain", label, "does not link to the row before it", seq)
                at = (
                    seq if seq > last else last + 1
                )  # a row numbered backwards is named by its place
                try:
                    sizes = len(run), len(kind), len(links), len(payload)
                    parts = (
                        prev,
                        pack_header(seq, ts_event, ts_init, *sizes),
                        run,
                        kind,
                        links,
                        payload,
                    )
                    if sha256(b"".join(parts)).digest() != digest:
                        self.find("hash", label, "content does not match its hash", at)
                    elif kind.startswith(b"ledger.digest@"):
                        self.digest_row(kind, payload)
                except (TypeError, struct.error):
                    self.find("hash", label, "a value of the wrong type", at)
                last, head = at, digest
                if seq in by_seq:
                    self.anchored(label, seq, digest)
                done += 1
                if progress is not None and not done % 50_000:
                    progress(done)
        except apsw.Error as exc:
            self.find("unreadable", label, str(exc), last + 1)
        if not started:
            self.find("missing", label, "the file holds no rows", name.first_seq)
        self.head = Head(last, head if isinstance(head, bytes) else b"")
        self.report.rows = done
        if progress is not None:
            progress(done)

    def first_row(
        self, label: str, name: SegmentName, seq: int, kind: bytes, payload: bytes, prev: bytes
    ) -> None:
        """Check the genesis row of a file and its link to the file before."""
        if not kind.startswith(b"ledger.genesis@"):
            self.find("missing", label, "the first row is not a genesis row", name.first_seq)
            return
        try:
            genesis = decode(kind.decode(), payload)
        except (BetaError, UnicodeDecodeError):
            return  # its hash cannot match either, and that finding names the row
        assert isinstance(genesis, Genesis)
        if genesis.first_bad_seq:
            self.report.notes.append(
                f"{genesis.previous_file} was quarantined from row {genesis.first_bad_seq} "
                f"to {seq - 1}; its sha256 was {genesis.quarantined_sha256}"
            )
            expected = Head(seq - 1, bytes.fromhex(genesis.previous_hash))
        else:
            expected = self.head
        if seq != name.first_seq or seq != expected.seq + 1:
            self.find("missing", label, f"begins with row {seq}", expected.seq + 1)
        elif prev != (expected.hash if expected.seq else GENESIS_HASH):
            self.find("chain", label, "does not link to the file before it", seq)

    def digest_row(self, kind: bytes, payload: bytes) -> None:
        """Remember the digest of a closed file, itself a row of the chain."""
        digest = decode(kind.decode(), payload)
        assert isinstance(digest, FileDigest)
        self.digests[digest.file] = digest.sha256

    def anchored(self, label: str, seq: int, digest: object) -> None:
        """Check a row against heads kept outside."""
        for anchor in self.by_seq[seq]:
            if digest == bytes.fromhex(anchor.hash):
                self.report.anchors += 1
            else:
                self.find("anchor", label, f"the anchored hash was {anchor.hash}", seq)

    def schema(self, db: apsw.Connection, label: str) -> None:
        """Check table, index, triggers and migrations."""
        try:
            check_schema(db, label)
        except BetaError as exc:
            self.find("schema", label, str(exc))

    def at_rest(self, name: SegmentName, *, newest: bool) -> None:
        """Compare the sha256 of a file that nobody has written since it was taken."""
        label = name.path.name
        taken = [a for a in self.anchors if a.file == label and a.file_sha256]
        expected = self.digests.get(label, taken[-1].file_sha256 if taken else "")
        if label not in self.sums or not expected:
            return
        if newest and (taken[-1].seq < self.heads[label] or holder(name.path.parent) is not None):
            return  # opened again since: by a process that writes now, or did not get to close it
        self.report.files_at_rest += 1
        if self.sums[label].result() != expected:
            detail = "bytes of the file changed since it was closed"
            if not any(f.file == label for f in self.report.findings):
                detail += "; every row verifies, so the change lies outside row content"
            self.find("file", label, detail)

    def finish(self, names: list[SegmentName], expect_head: str) -> None:
        """Check what only the whole ledger can show."""
        report = self.report
        report.head_seq, report.head_hash = self.head.seq, self.head.hash.hex()
        for name in names:
            self.at_rest(name, newest=name is names[-1])
        beyond = [a for a in self.anchors if a.seq > self.head.seq]
        if beyond and not self.newer:
            newest = max(a.seq for a in beyond)
            self.find(
                "truncated", beyond[-1].file, f"rows up to {newest} were on disk", self.head.seq + 1
            )
        if expect_head and not _holds(names, expect_head):
            file = names[-1].path.name if names else ""
            self.find("anchor", file, f"no row has the expected hash {expect_head}")


def _raw_rows(db: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield rows with their texts as bytes, also past a row whose blob became text."""
    last = -1
    while True:
        try:
            for row in db.execute(_BYTES, (last,)):
                last = row[0]
                yield row
            return
        except UnicodeDecodeError:
            for row in db.execute(_BROKEN, (last,)):
                last = row[0]
                yield row


def _at_rest(path: Path) -> bool:
    """Whether nothing of a file is in its write-ahead log."""
    log = path.with_name(path.name + "-wal")
    return not log.exists() or log.stat().st_size == 0


def _structure(path: Path) -> tuple[str, int | None] | None:
    """Run SQLite's own check of every page; return what is wrong and the first row it can name."""
    try:
        with closing(open_reader(path)) as db:
            problems = [str(row[0]) for row in db.execute("PRAGMA integrity_check(10)")]
            if problems == ["ok"]:
                return None
            wrong = [int(row[0]) for row in db.execute(_TYPES)]
            return "; ".join(problems)[:300], wrong[0] if wrong else None
    except (BetaError, apsw.Error) as exc:
        return str(exc)[:300], None


def _holds(names: list[SegmentName], head: str) -> bool:
    """Whether a row with this hash is in one of the files."""
    try:
        wanted = bytes.fromhex(head)
    except ValueError:
        return False
    for name in reversed(names):
        with suppress(BetaError, apsw.Error), closing(open_reader(name.path)) as db:
            if list(db.execute("SELECT 1 FROM ledger WHERE hash = ? LIMIT 1", (wanted,))):
                return True
    return False
