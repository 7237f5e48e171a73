"""How the process itself is: memory, tasks, threads, open files. What leaks shows here first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")
FILES = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Health:
    """A moment of this process.

    Attributes
    ----------
    rss_mb : float
        Resident memory in MiB (VmRSS); 0 where the system does not tell.
    tasks : int
        Unfinished tasks of the running event loop.
    threads, files : int
        Threads and open file descriptors; 0 where the system does not tell.
    """

    rss_mb: float
    tasks: int
    threads: int
    files: int

    @classmethod
    def now(cls) -> Health:
        """Return the present moment; called on the event loop."""
        rss = threads = files = 0
        try:
            for line in STATUS.read_text().splitlines():
                name, _, value = line.partition(":")
                if name == "VmRSS":
                    rss = int(value.split()[0])
                elif name == "Threads":
                    threads = int(value)
            files = sum(1 for _ in FILES.iterdir())
        except OSError:
            pass  # no /proc on this system
        return cls(round(rss / 1024, 2), len(asyncio.all_tasks()), threads, files)
