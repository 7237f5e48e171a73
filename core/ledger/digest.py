"""sha256 of a ledger file that will never change again."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import apsw

from core.ledger.anchors import read_anchors
from core.ledger.kinds import FileDigest
from core.ledger.segment import SegmentName, file_sha256, open_reader


def settle_file(path: Path, patience_s: float = 10.0) -> FileDigest | None:
    """Move the rest of a closed file's log into it, make it read-only and return its digest.

    Returns None when a reader kept the log busy for `patience_s`; the next start tries again.
    """
    deadline = time.monotonic() + patience_s
    while _unmoved(path):
        try:
            with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as db:
                db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.1)
        else:
            if _unmoved(path):
                return None
    with closing(open_reader(path)) as db:
        seq, head = next(db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1"))
    path.chmod(0o444)
    return FileDigest(
        file=path.name,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        head_seq=seq,
        head_hash=head.hex(),
    )


def _unmoved(path: Path) -> bool:
    """Whether rows of a file are still in its write-ahead log."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def without_digest(directory: Path, files: list[SegmentName]) -> tuple[SegmentName, ...]:
    """Return the closed files among `files` whose digest was never recorded (a crash came between)."""
    known = {a.file for a in read_anchors(directory) if a.why == "rotate" and a.file_sha256}
    return tuple(name for name in files if name.path.name not in known)
