"""What a process says of itself is what the system says of it."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.engine.live import health
from core.engine.live.health import Health

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


async def test_a_task_a_thread_and_a_file_more_are_seen(tmp_path: Path) -> None:
    before, stop = Health.now(), threading.Event()
    assert before.rss_mb > 1
    task = asyncio.create_task(asyncio.sleep(60))
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with (tmp_path / "open").open("w"):
        after = Health.now()
    stop.set()
    thread.join()
    task.cancel()
    assert after.tasks == before.tasks + 1
    assert after.threads == before.threads + 1
    assert after.files == before.files + 1


async def test_a_system_that_does_not_tell_gives_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STATUS", Path("/nowhere"))
    seen = Health.now()
    assert (seen.rss_mb, seen.threads, seen.files) == (0, 0, 0)
    assert seen.tasks >= 1


@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="another C library")
def test_the_c_library_takes_the_settings_of_a_small_heap(repo_root: Path) -> None:
    code = "from core.engine.live.health import keep_heap_small; print(keep_heap_small())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


def test_what_the_recorder_writes_takes_no_memory_of_arrows_own_allocator(
    repo_root: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; import console.cli.node_options; from array import array; from pathlib import Path;"
        "import pyarrow as pa; from core.engine.live.recording import write_part;"
        "write_part(Path(sys.argv[1]), 1, array('q', range(200_000)), [None] * 20_000);"
        "print(pa.mimalloc_memory_pool().max_memory())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"},
    )
    assert done.stdout.strip() == "0"
    assert len(list(tmp_path.glob("*.parquet"))) == 1
