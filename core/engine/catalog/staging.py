"""All or nothing: a catalog is built beside its place under a hidden name and moved there by rename.

A crash or Ctrl-C at any moment leaves either the old catalog or the new one. What a killed process
left behind (``.NAME.tmp-PID``) is never read and is removed by the next writer. One writer at a time
holds ``.NAME.lock``.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from core.domain.errors import UsageError


class CatalogBusy(UsageError):
    """Another live process writes this catalog."""


class Staging:
    """A temporary sibling of `target` that becomes `target` on `commit`.

    Parameters
    ----------
    target : Path
        Where the folder shall be.
    extend : bool
        Start from the present content of `target`: files are hard-linked, not copied.
    """

    def __init__(self, target: Path, *, extend: bool = False) -> None:
        self.target, self._extend = target, extend
        self.root = target.with_name(f".{target.name}.tmp-{os.getpid()}")
        self._lock: int | None = None

    def begin(self) -> None:
        """Take the lock and make the folder; whoever holds this object can `abandon` it from here on.

        Raises
        ------
        CatalogBusy
            If another writer of the same target is alive.
        """
        target = self.target
        target.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(target)
        # Ctrl-C can strike between two lines of a with statement, where no clean-up is called.
        atexit.register(self._abandon_at_exit, os.getpid())
        recover(target)
        if self._extend and target.is_dir():
            shutil.copytree(target, self.root, copy_function=_link)
        else:
            self.root.mkdir()

    def link(self, file: Path, relative: str) -> None:
        """Take a file of another catalog over, as a link where the disk allows it."""
        to = self.root / relative
        to.parent.mkdir(parents=True, exist_ok=True)
        _link(str(file), str(to))

    def commit(self, then: Callable[[], None] | None = None) -> None:
        """Move the folder into place; an older one is removed after the swap.

        `then` is called while the lock is still held: it moves what lies beside the folder.
        """
        _sync(self.root)
        if not self.target.exists():
            self.root.rename(self.target)
        else:
            old = self.target.with_name(f".{self.target.name}.old-{os.getpid()}")
            self.target.rename(old)
            self.root.rename(self.target)
            shutil.rmtree(old, ignore_errors=True)
        if then is not None:
            then()
        _sync(self.target.parent)
        self._release()

    def abandon(self) -> None:
        """Remove what was written; the target stays as it was, or is brought back by `recover`."""
        if self._lock is not None:  # without it the folder is another writer's
            shutil.rmtree(self.root, ignore_errors=True)
            self._release()

    def _abandon_at_exit(self, owner: int) -> None:
        if os.getpid() == owner:
            self.abandon()

    def _release(self) -> None:
        if self._lock is not None:
            atexit.unregister(self._abandon_at_exit)
            os.close(self._lock)
            self._lock = None


def await_writer(target: Path) -> None:
    """Return once no process writes `target`; the lock of a killed one is free at once."""
    handle = os.open(
        target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def sweep(target: Path) -> list[Path]:
    """Recover `target` and remove what dead writers left, unless a writer is at work now."""
    if not any(target.parent.glob(f".{target.name}.*-*")):
        return []
    try:
        handle = _lock(target)
    except UsageError:
        return []
    try:
        return recover(target)
    finally:
        os.close(handle)


def recover(target: Path) -> list[Path]:
    """As `sweep`, for a caller that holds the lock. Return the folders removed."""
    removed = []
    for path in sorted(target.parent.glob(f".{target.name}.old-*")):
        if not target.exists():  # the swap was cut between its two renames
            path.rename(target)
        else:
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    for path in sorted(target.parent.glob(f".{target.name}.tmp-*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:  # a list that was to lie beside the folder
            path.unlink(missing_ok=True)
        removed.append(path)
    return removed


def _lock(target: Path) -> int:
    path = target.with_name(f".{target.name}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(handle)
        raise CatalogBusy(
            "another process is writing this catalog", target, "wait until it is done"
        ) from exc
    return handle


def _link(source: str, destination: str) -> None:
    # The writer never modifies a file in place, so a shared inode is safe.
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def _sync(folder: Path) -> None:
    # Torn data files after a power loss are found by their sha256; the names must be durable.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
