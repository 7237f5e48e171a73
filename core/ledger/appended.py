"""The newest number given to a row, noted beside the ledger: what a killed process had not yet put on disk.

Rows are numbered when they are appended and committed in groups. The writer notes the newest number
before each commit, in a file of its own that a kill cannot take back (a power cut can). Rows appended
while the last commit ran are not in it: what it tells is a lower bound.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

FILE = "ledger.appended"
_WIDTH = 20


class Appended:
    """The note of one writer. A disk that refuses it costs the note, not the run."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def read(self) -> int:
        """Return the number that the last writer noted; 0 when it closed in order, or left none."""
        text = b""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                text = os.pread(self._fd, _WIDTH + 1, 0)
        return int(text) if len(text) == _WIDTH + 1 and text.strip().isdigit() else 0

    def note(self, seq: int) -> None:
        """Overwrite the number."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._fd, b"%0*d\n" % (_WIDTH, seq), 0)

    def close(self) -> None:
        """Remove the note: everything appended is on disk."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._path.unlink(missing_ok=True)


def fate(noted: int, head_seq: int) -> str:
    """Say what is known of rows that a dead process had appended and that are not on disk; nothing without a note."""
    missing = noted - head_seq
    if missing > 0:
        return (
            f"at least {missing} appended rows, none of them acknowledged, did not reach the disk"
        )
    if noted:
        return "no appended row is known to be missing, except what came during its last commit or 50 ms before its end"
    return ""
