"""One node per folder: a lock that the system releases when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.domain.errors import LedgerLocked


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the folder of a node.

    Raises
    ------
    LedgerLocked
        If another node runs on it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "node.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.seek(0)
            raise LedgerLocked(
                "another node runs in this folder",
                f"{home} (process {file.read().strip()})",
                "stop it, or use --home",
            ) from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
