"""Head hashes kept outside the chain: what was there can then not be cut off unseen.

A chain proves that no row inside it was changed, but a chain whose end was removed still verifies.
``anchors.jsonl`` beside the files, the log line, each backup and each export hold heads; whoever
must trust nobody keeps a copy elsewhere and gives it to ``beta ledger verify --expect-head``.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import msgspec

from core.domain.clock import iso_from_ns
from core.ledger.rows import Head

_LOG = logging.getLogger("beta.ledger")
FILE = "anchors.jsonl"


class Anchor(msgspec.Struct, frozen=True):
    """A head that was on disk at a time; `file_sha256` covers the whole file when it was at rest."""

    ts: str
    seq: int
    hash: str
    file: str
    why: str
    file_sha256: str = ""


def write_anchor(
    directory: Path, head: Head, file: str, why: str, ts_ns: int, file_sha256: str = ""
) -> Anchor:
    """Append a head to ``anchors.jsonl`` and to the log; a full disk costs the anchor, not the run."""
    anchor = Anchor(iso_from_ns(ts_ns), head.seq, head.hash.hex(), file, why, file_sha256)
    _LOG.info("ledger head seq=%d hash=%s file=%s why=%s", anchor.seq, anchor.hash, file, why)
    try:
        fd = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, msgspec.json.encode(anchor) + b"\n")
            if file_sha256:
                os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as exc:
        _LOG.warning("no anchor written: %s", exc)
    return anchor


def read_anchors(directory: Path) -> list[Anchor]:
    """Return the anchors of a directory; a line torn by a crash is passed over."""
    path = directory / FILE
    if not path.is_file():
        return []
    out = []
    for line in path.read_bytes().splitlines():
        try:
            out.append(msgspec.convert(json.loads(line), Anchor))
        except (ValueError, msgspec.ValidationError):
            continue
    return out
