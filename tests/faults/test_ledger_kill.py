"""SIGKILL at random instants and at every named point: no acknowledged row is lost, no number is skipped."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ledger import DurableLedger
from core.ledger.reader import LedgerReader
from core.ledger.verify import verify

KILLS_AT_RANDOM = 200
KILLS_PER_POINT = 5


def named_points(root: Path) -> list[str]:
    """Return every named point of the ledger, read from its source so that a new one is never left out."""
    found: set[str] = set()
    for path in sorted((root / "core" / "ledger").rglob("*.py")):
        found.update(re.findall(r'point\("(ledger\.[a-z_.]+)"\)', path.read_text()))
    return sorted(found)


class Writers:
    """The warm process that forks writers."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.ledger_writer"],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, directory: Path, acks: Path, seed: int, point: str, nth: int, delay_s: float
    ) -> int:
        """Run one writer and return the signal that ended it; without a point it is killed after `delay_s`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        acks.unlink(missing_ok=True)
        command = {
            "directory": str(directory),
            "acks": str(acks),
            "point": point,
            "nth": nth,
            "seed": seed,
        }
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        deadline = time.monotonic() + (8.0 if point else delay_s)
        while time.monotonic() < deadline:
            if point and not alive(pid):
                break
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def close(self) -> None:
        """End the warm process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture(scope="module")
def writers(repo_root: Path) -> Iterator[Writers]:
    out = Writers(repo_root)
    yield out
    out.close()


def acknowledged(acks: Path) -> dict[int, str]:
    """Return what the writer was told is on disk: row number to content."""
    if not acks.exists():
        return {}
    complete = acks.read_bytes().rpartition(b"\n")[0].decode().splitlines()
    return {int(line.split()[0]): line.split()[1] for line in complete if line != "ready"}


def check_after_kill(directory: Path, acked: dict[int, str]) -> None:
    """Open the ledger as a restart does, and hold it against what was acknowledged."""
    with DurableLedger(directory) as ledger:
        recovered = ledger.recovered_runs
    report = verify(directory)
    assert report.ok, report.findings
    reader = LedgerReader(directory)
    sealed = {run.run_id: run.outcome for run in reader.runs()}
    assert all(sealed[run] == "crashed_recovered" for run in recovered)
    assert all(sealed.values()), "a run was left open"
    seqs = []
    contents: dict[int, str] = {}
    for row in reader.rows():
        seqs.append(row.seq)
        if row.name == "random.draw":
            contents[row.seq] = str(json.loads(row.payload)["value"])
    assert seqs == list(range(1, len(seqs) + 1)), "a number was skipped"
    lost = {seq: value for seq, value in acked.items() if contents.get(seq) != value}
    assert not lost, f"{len(lost)} acknowledged rows lost"


@pytest.mark.slow
def test_killed_at_random_instants_nothing_acknowledged_is_lost(
    writers: Writers, tmp_path: Path
) -> None:
    rng = random.Random(20_261_121)
    total, acked = 0, dict[int, str]()
    for n in range(KILLS_AT_RANDOM):
        if n % 5 == 0:
            acked = {}
        directory = tmp_path / f"ledger-{n // 5}"
        acks = tmp_path / "acks"
        assert writers.run(directory, acks, n + 1, "", 0, rng.uniform(0.0, 0.15)) == signal.SIGKILL
        new = acknowledged(acks)
        total += len(new)
        acked |= new
        check_after_kill(directory, acked)
    assert total > KILLS_AT_RANDOM, "the writers must have written"


@pytest.mark.slow
def test_killed_at_every_named_point_nothing_acknowledged_is_lost(
    writers: Writers, tmp_path: Path, repo_root: Path
) -> None:
    rng = random.Random(7)
    points = named_points(repo_root)
    assert len(points) >= 12
    for p, point in enumerate(points):
        acked: dict[int, str] = {}
        for n in range(KILLS_PER_POINT):
            once = point.startswith(("ledger.recover", "ledger.create"))
            nth = 1 if once else rng.randint(1, 12)
            seed = 1_000 + p * 100 + n
            got = writers.run(tmp_path / point, tmp_path / "acks", seed, point, nth, 0)
            assert got == signal.SIGKILL, f"{point} was never passed"
            acked |= acknowledged(tmp_path / "acks")
            check_after_kill(tmp_path / point, acked)


def test_a_few_kills_lose_nothing(writers: Writers, tmp_path: Path) -> None:
    acked: dict[int, str] = {}
    for n in range(4):
        writers.run(tmp_path / "ledger", tmp_path / "acks", n + 1, "", 0, 0.05 * (n + 1))
        acked |= acknowledged(tmp_path / "acks")
        check_after_kill(tmp_path / "ledger", acked)
