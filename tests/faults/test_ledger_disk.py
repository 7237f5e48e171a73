"""Disk full, I/O errors and read-only media: halt, tell whoever waits, lose nothing acknowledged, go on."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from core.domain.errors import ExitCode, LedgerError, LedgerWriteError
from core.ledger import BatchLedger, DurableLedger, StoreOptions, WriterState, durable
from core.ledger.kinds import LedgerFault
from core.ledger.reader import LedgerReader
from core.ledger.verify import verify
from tests.unit.core.ledger import rows_for_tests as make


class Disk:
    """A disk that fails on command: every call of `calls` from the `nth` on, `times` times (0 = for good)."""

    def __init__(self) -> None:
        self.error: type[apsw.Error] | None = None
        self.calls: tuple[str, ...] = ()
        self.nth = 1
        self.times = 0
        self.failed = 0

    def fail(
        self, error: type[apsw.Error], calls: tuple[str, ...], nth: int = 1, times: int = 0
    ) -> None:
        """Begin to fail."""
        self.failed, self.nth, self.times, self.calls, self.error = 0, nth, times, calls, error

    def mend(self) -> None:
        """Stop failing."""
        self.error = None

    def passes(self, call: str) -> None:
        """Raise when this call shall fail."""
        if self.error is None or call not in self.calls:
            return
        self.nth -= 1
        if self.nth <= 0 and (not self.times or self.failed < self.times):
            self.failed += 1
            raise self.error("injected")


DISK = Disk()


class FaultyFile(apsw.VFSFile):
    """The system's file with faults in front of it."""

    def xWrite(self, data: bytes, offset: int) -> None:
        DISK.passes("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        DISK.passes("sync")
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        DISK.passes("truncate")
        super().xTruncate(size)


class FaultyVfs(apsw.VFS):
    """SQLite's default VFS with `FaultyFile`."""

    def __init__(self) -> None:
        super().__init__("faulty", "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return FaultyFile("", name, flags)


@pytest.fixture(scope="module", autouse=True)
def vfs() -> Iterator[FaultyVfs]:
    shim = FaultyVfs()
    yield shim
    shim.unregister()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(durable, "RETRY_S", 0.02)
    DISK.mend()
    yield
    DISK.mend()


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def kinds(directory: Path) -> list[str]:
    return [row.name for row in LedgerReader(directory).rows()]


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError, apsw.ReadOnlyError])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_disk_that_refuses_halts_the_node_and_goes_on_once_it_takes_rows_again(
    tmp_path: Path, error: type[apsw.Error], call: str
) -> None:
    halts: list[str] = []
    ledger = DurableLedger(tmp_path, StoreOptions(vfs="faulty"), on_halt=halts.append)
    acked = {ledger.append_durable(make.snapshot(n), ts_event=make.T0): n for n in range(20)}
    DISK.fail(error, (call,))
    with pytest.raises(LedgerWriteError) as caught:
        ledger.append_durable(make.intent(), ts_event=make.T0)
    assert caught.value.exit_code == ExitCode.LEDGER
    assert ledger.state is WriterState.FAILING
    assert len(halts) == 1
    waiting = ledger.append(make.snapshot(99), ts_event=make.T0)
    with pytest.raises(LedgerWriteError):
        ledger.append_durable(make.fill(), ts_event=make.T0)
    with pytest.raises(LedgerWriteError):
        asyncio.run(ledger.append_durable_async(make.fill(trade="T-2"), ts_event=make.T0))
    DISK.mend()
    until(lambda: ledger.state is WriterState.RUNNING)
    after = ledger.append_durable(make.snapshot(100), ts_event=make.T0)
    assert ledger.head.seq == after
    ledger.close()
    assert len(halts) == 1, "one incident, one halt"
    report = verify(tmp_path)
    assert report.ok, report.findings
    rows = {row.seq: row for row in LedgerReader(tmp_path).rows()}
    assert sorted(rows) == list(range(1, len(rows) + 1))
    for seq, n in acked.items():
        assert rows[seq].decoded() == make.snapshot(n)
    assert rows[waiting].decoded() == make.snapshot(99)
    (fault,) = [row.decoded() for row in rows.values() if row.name == "ledger.fault"]
    assert isinstance(fault, LedgerFault)
    assert fault.attempts >= 1
    # what was refused is kept in its place: an unacknowledged row may appear, an acknowledged one must
    assert [n for n in kinds(tmp_path) if n == "order.filled"] == ["order.filled"] * 2


@pytest.mark.parametrize("call", ["write", "sync", "truncate"])
def test_one_fault_at_every_single_call_loses_nothing(tmp_path: Path, call: str) -> None:
    """Fail the 1st, 2nd, 3rd ... call of a kind, once each, in one go through open, write and close."""
    for nth in range(1, 200):
        directory = tmp_path / str(nth)
        DISK.fail(apsw.IOError, (call,), nth=nth, times=1)
        acked: list[int] = []
        try:
            with DurableLedger(directory, StoreOptions(vfs="faulty")) as ledger:
                ledger.begin_run(make.started(), ts_event=make.T0)
                for n in range(12):
                    try:
                        acked.append(ledger.append_durable(make.snapshot(n), ts_event=make.T0))
                    except LedgerError:
                        until(lambda: ledger.state is WriterState.RUNNING)
        except LedgerError:
            pass  # refused at opening: nothing was acknowledged then
        reached = DISK.failed
        DISK.mend()
        with DurableLedger(directory) as ledger:
            assert ledger.head.seq >= max(acked, default=1)
        report = verify(directory)
        assert report.ok, (nth, report.findings)
        if not reached:
            assert nth > 1, "the fault was never injected"
            return
    pytest.fail("there are more calls than this test tried")


def test_a_full_file_system_quota_is_survived(tmp_path: Path) -> None:
    """`max_page_count` is SQLite's own disk-full; raising it is freeing space."""
    halts: list[str] = []
    ledger = DurableLedger(tmp_path, StoreOptions(max_pages=24), on_halt=halts.append)
    acked = 0
    with pytest.raises(LedgerWriteError, match="FullError"):
        while True:
            acked = ledger.append_durable(make.snapshot(), ts_event=make.T0)
    assert acked > 10
    assert len(halts) == 1
    with pytest.raises(LedgerWriteError, match="closed without its last rows"):
        ledger.close()
    assert LedgerReader(tmp_path).head().seq == acked
    assert verify(tmp_path).ok
    with DurableLedger(tmp_path) as ledger:  # more space now
        assert ledger.append_durable(make.snapshot(), ts_event=make.T0) == acked + 1


_LIMITED = """
import json, resource, signal, sys, time
from pathlib import Path
from core.domain.errors import LedgerWriteError
from core.ledger import DurableLedger, durable
from tests.unit.core.ledger import rows_for_tests as make
durable.RETRY_S = 0.02
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
ledger, acked, refused = DurableLedger(Path(sys.argv[1])), 0, 0
while not refused:
    try:
        acked = ledger.append_durable(make.snapshot(), ts_event=make.T0)
    except LedgerWriteError as exc:
        refused = int(exc.exit_code)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
time.sleep(0.3)
after = ledger.append_durable(make.snapshot(), ts_event=make.T0)
ledger.close()
print(json.dumps({"acked": acked, "refused": refused, "after": after}))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no RLIMIT_FSIZE on this system")
def test_a_process_file_size_limit_is_survived(tmp_path: Path, repo_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "ledger")],
        cwd=repo_root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["refused"] == ExitCode.LEDGER
    assert said["after"] > said["acked"] > 20
    assert verify(tmp_path / "ledger").ok
    assert LedgerReader(tmp_path / "ledger").head().seq == said["after"]


def test_a_batch_ledger_says_so_and_keeps_its_rows_until_there_is_space(tmp_path: Path) -> None:
    ledger = BatchLedger(tmp_path, StoreOptions(durable=False, vfs="faulty"))
    DISK.fail(apsw.FullError, ("write",))
    with pytest.raises(LedgerWriteError) as caught:
        for n in range(2_000):
            ledger.append(make.snapshot(n), ts_event=make.T0)
    assert caught.value.exit_code == ExitCode.LEDGER
    DISK.mend()
    ledger.close()
    assert verify(tmp_path).ok
    assert LedgerReader(tmp_path).head().seq == 1_001


def test_a_stalled_disk_halts_even_when_nobody_waits_for_an_answer(tmp_path: Path) -> None:
    halts: list[str] = []
    gate = threading.Event()

    class Slow(apsw.Error):
        def __init__(self, *_: object) -> None:
            gate.wait(60)
            super().__init__("slow")

    ledger = DurableLedger(tmp_path, StoreOptions(vfs="faulty"), on_halt=halts.append, stall_s=0.2)
    DISK.fail(Slow, ("sync",), times=1)
    ledger.append(make.snapshot(), ts_event=make.T0)
    time.sleep(0.3)
    ledger.append(make.snapshot(), ts_event=make.T0)
    assert len(halts) == 1
    assert "in time" in halts[0]
    with pytest.raises(LedgerWriteError, match="in time"):
        ledger.append_durable(make.snapshot(), ts_event=make.T0)
    DISK.mend()
    gate.set()
    until(
        lambda: (
            ledger.head.seq == 4 + (ledger.state is WriterState.RUNNING) * 0 or ledger.head.seq >= 4
        )
    )
    ledger.close()
    assert verify(tmp_path).ok


def test_a_full_queue_refuses_rather_than_grow(tmp_path: Path) -> None:
    halts: list[str] = []
    ledger = DurableLedger(
        tmp_path, StoreOptions(vfs="faulty"), queue_rows=50, stall_s=0.3, on_halt=halts.append
    )
    DISK.fail(apsw.FullError, ("write",))
    with pytest.raises(LedgerWriteError, match="queue is full"):
        for n in range(1_000):
            ledger.append(make.snapshot(n), ts_event=make.T0)
    DISK.mend()
    until(lambda: ledger.state is WriterState.RUNNING)
    ledger.close()
    report = verify(tmp_path)
    assert report.ok
    assert 50 <= report.rows <= 53
    assert len(halts) == 1


def test_a_listener_that_raises_does_not_take_the_writer_down(tmp_path: Path) -> None:
    def listener(reason: str) -> None:
        raise RuntimeError(reason)

    ledger = DurableLedger(tmp_path, StoreOptions(vfs="faulty"), on_halt=listener)
    DISK.fail(apsw.IOError, ("write",), times=1)
    with pytest.raises(LedgerWriteError):
        ledger.append_durable(make.snapshot(), ts_event=make.T0)
    until(lambda: ledger.state is WriterState.RUNNING)
    ledger.append_durable(make.snapshot(), ts_event=make.T0)
    ledger.close()
    assert verify(tmp_path).ok


def test_a_writer_that_dies_halts_and_takes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halts: list[str] = []
    ledger = DurableLedger(tmp_path, on_halt=halts.append)
    acked = ledger.append_durable(make.snapshot(), ts_event=make.T0)

    def broken(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(durable, "link", broken)
    with pytest.raises(LedgerWriteError):
        ledger.append_durable(make.snapshot(), ts_event=make.T0)
    assert ledger.state is WriterState.DEAD
    assert halts == ["ledger writer died: RuntimeError: unforeseen"]
    with pytest.raises(LedgerWriteError, match="takes no rows"):
        ledger.append(make.snapshot(), ts_event=make.T0)
    with pytest.raises(LedgerWriteError):
        ledger.close()
    assert LedgerReader(tmp_path).head().seq == acked
