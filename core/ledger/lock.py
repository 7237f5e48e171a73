"""One writer: an exclusive lock on a ledger directory, released by the kernel when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.domain.errors import LedgerLocked, LedgerWriteError


class DirectoryLock:
    """Exclusive advisory lock (`flock`) on ``<directory>/ledger.lock``.

    The file holds the owner's process id for the message of whoever comes second.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ledger.lock"
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        LedgerLocked
            If another process, or another ledger of this one, holds it.
        LedgerWriteError
            If the lock file cannot be created.
        """
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise LedgerWriteError(
                "the ledger directory cannot be written", f"{self.path}: {exc}"
            ) from exc
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(fd, 64).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise LedgerLocked(
                "another process writes this ledger",
                f"{self.path.parent} (process {owner})",
                "stop that process, or give this one its own ledger directory",
            ) from None
        self._fd = fd
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk must not keep the owner out: the text only serves the message

    def release(self) -> None:
        """Give the lock back; does nothing when it is not held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(directory: Path) -> int | None:
    """Return the process id that holds the ledger of `directory`, or None when nobody does."""
    path = directory / "ledger.lock"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.read(fd, 64).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(fd)
    return None
