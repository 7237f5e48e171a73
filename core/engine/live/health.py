"""How the process itself is: memory, tasks, threads, open files. What leaks shows here first; the heap is kept small."""

from __future__ import annotations

import asyncio
import ctypes
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

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


#: glibc's mallopt parameters (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_heap_small() -> bool:
    """Make freed memory go back to the system; return whether the C library took it.

    By default glibc gives each thread a heap of its own and raises the size from which a buffer is returned when
    freed up to 32 MiB, so that the recorder's and the parser's buffers stay in the process for ever.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        libc = ctypes.CDLL(None)
        taken = [
            libc.mallopt(M_ARENA_MAX, 2),
            libc.mallopt(M_MMAP_THRESHOLD, 128 << 10),
            libc.mallopt(M_TRIM_THRESHOLD, 128 << 10),
        ]
    except (OSError, AttributeError):
        return False  # another C library
    return all(taken)
