"""What is refused at opening, and what is mended without being asked."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from core.domain.errors import (
    ExitCode,
    LedgerCorrupt,
    LedgerError,
    LedgerTooNew,
    LedgerWriteError,
    UsageError,
)
from core.ledger import BatchLedger, DurableLedger, StoreOptions
from core.ledger.lock import holder
from core.ledger.projections import Projections
from core.ledger.quarantine import quarantine
from core.ledger.reader import LedgerReader
from core.ledger.segment import segments
from core.ledger.verify import verify
from tests.unit.core.ledger import rows_for_tests as make


def filled(directory: Path, rows: int = 50, run: str = "run-1") -> Path:
    with DurableLedger(directory) as ledger:
        ledger.begin_run(make.started(run), ts_event=make.T0)
        for n in range(rows):
            ledger.append(make.snapshot(n), ts_event=make.T0 + n)
    return segments(directory)[-1].path


def change(path: Path, sql: str) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.execute(sql)


def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = filled(tmp_path)
    change(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(LedgerTooNew, match="schema 99") as caught:
        DurableLedger(tmp_path)
    assert caught.value.exit_code == ExitCode.LEDGER
    with pytest.raises(LedgerTooNew):
        LedgerReader(tmp_path).head()
    assert path.read_bytes() == before
    assert holder(tmp_path) is None, "the lock is given back"


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, content: bytes) -> None:
    path = filled(tmp_path)
    path.write_bytes(content)
    with pytest.raises(LedgerCorrupt) as caught:
        DurableLedger(tmp_path)
    assert caught.value.exit_code == ExitCode.LEDGER
    assert path.read_bytes() == content
    assert not verify(tmp_path).ok


def test_another_applications_database_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.unlink()
    change(path, "CREATE TABLE t (x)")
    with pytest.raises(LedgerCorrupt, match="not a ledger file"):
        BatchLedger(tmp_path)


def test_a_migration_that_was_altered_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path)
    change(path, "UPDATE schema_migrations SET sha256 = 'x'")
    with pytest.raises(LedgerCorrupt, match="migration was altered"):
        DurableLedger(tmp_path)


def test_a_tail_that_does_not_verify_is_refused_with_the_row_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    change(path, "DROP TRIGGER ledger_no_update")
    change(path, "UPDATE ledger SET ts_event = 0 WHERE seq = 40")
    change(
        path,
        "CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN\n    SELECT RAISE(ABORT, 'ledger rows are never changed');\nEND",
    )
    with pytest.raises(LedgerCorrupt, match="row 40"):
        DurableLedger(tmp_path)
    # a full verification is not part of opening: older rows are the verifier's business
    with DurableLedger(tmp_path, StoreOptions(tail_rows=5)):
        pass


def test_a_file_that_was_never_finished_is_dropped(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "ledger-000000000099-2026-05.tmp").write_bytes(b"half")
    DurableLedger(tmp_path).close()
    assert not list(tmp_path.glob("*.tmp"))
    assert verify(tmp_path).ok


def test_a_second_process_is_refused(tmp_path: Path, repo_root: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom core.domain.errors import LedgerLocked\n"
        "from core.ledger import DurableLedger\n"
        "try:\n    DurableLedger(Path(sys.argv[1]))\nexcept LedgerLocked as exc:\n"
        "    print(exc); sys.exit(int(exc.exit_code))\n"
    )
    with DurableLedger(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=repo_root,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == ExitCode.LEDGER
        assert "process" in done.stdout
        assert holder(tmp_path) is not None
    assert holder(tmp_path) is None


def test_a_directory_that_cannot_be_made_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerWriteError):
        DurableLedger(tmp_path / "file" / "ledger")


def test_a_run_id_is_used_once(tmp_path: Path) -> None:
    filled(tmp_path, run="once")
    with DurableLedger(tmp_path) as ledger, pytest.raises(UsageError, match="already holds"):
        ledger.begin_run(make.started("once"), ts_event=make.T0)


def test_a_run_over_a_month_border_is_sealed_in_the_newer_file(tmp_path: Path) -> None:
    now = make.T0
    with DurableLedger(tmp_path, wall_clock=lambda: now) as ledger:
        ledger.begin_run(make.started("long"), ts_event=now)
        now += 40 * make.DAY_NS
        ledger.append(make.snapshot(), ts_event=now)
    assert len(segments(tmp_path)) == 2
    with DurableLedger(tmp_path, wall_clock=lambda: now) as ledger:
        assert ledger.recovered_runs == ("long",)
    (run,) = LedgerReader(tmp_path).runs()
    assert run.outcome == "crashed_recovered"


def test_quarantine_keeps_the_damaged_file_and_goes_on_after_the_last_good_row(
    tmp_path: Path,
) -> None:
    path = filled(tmp_path)
    with pytest.raises(UsageError, match="verifies"):
        quarantine(tmp_path)
    good = {row.seq: row for row in LedgerReader(tmp_path).rows()}
    change(path, "DROP TRIGGER ledger_no_update")
    change(path, "UPDATE ledger SET payload = x'00' WHERE seq = 30")
    done = quarantine(tmp_path)
    assert (done.first_bad_seq, done.good_head.seq, done.runs) == (30, 29, ("run-1",))
    assert done.good_head.hash == good[29].hash
    assert done.file.exists()
    report = verify(tmp_path)
    assert report.ok, report.findings
    assert any("quarantined from row 30" in note for note in report.notes)
    with DurableLedger(tmp_path) as ledger:
        assert ledger.recovered_runs == ()
        new = ledger.append(make.snapshot(), ts_event=make.T0)
    assert new > max(good), "numbers of rows that were set aside are not used again"
    (seal,) = [r for r in LedgerReader(tmp_path).rows() if r.name == "run.ended"]
    assert b'"outcome":"quarantined"' in seal.payload
    assert verify(tmp_path).ok


def test_quarantine_twice_goes_on_twice(tmp_path: Path) -> None:
    for _ in range(2):
        with DurableLedger(tmp_path) as ledger:
            for n in range(20):
                last = ledger.append(make.snapshot(n), ts_event=make.T0)
        path = segments(tmp_path)[-1].path
        change(path, "DROP TRIGGER ledger_no_update")
        change(path, f"UPDATE ledger SET payload = x'00' WHERE seq = {last - 3}")
        done = quarantine(tmp_path)
        assert done.good_head.seq == last - 4
    report = verify(tmp_path)
    assert report.ok, report.findings
    DurableLedger(tmp_path).close()


def test_quarantine_of_a_file_that_cannot_be_opened_begins_anew(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.write_bytes(b"\0" * 8192)
    done = quarantine(tmp_path)
    assert done.good_head.seq == 0
    assert verify(tmp_path).ok
    with DurableLedger(tmp_path) as ledger:
        assert ledger.append(make.snapshot(), ts_event=make.T0) > 50


def test_a_run_whose_beginning_was_set_aside_is_still_listed_as_quarantined(tmp_path: Path) -> None:
    with DurableLedger(tmp_path) as ledger:
        ledger.begin_run(make.started("hurt"), ts_event=make.T0)
        for n in range(50):
            ledger.append(make.fill(trade=str(n)), ts_event=make.T0)
    path = segments(tmp_path)[0].path
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("UPDATE ledger SET ts_event = 1 WHERE seq = 30")
    quarantine(tmp_path)
    (run,) = LedgerReader(tmp_path).runs()
    assert (run.run_id, run.outcome, run.first_seq) == ("hurt", "quarantined", 0)
    assert [row.name for row in LedgerReader(tmp_path).rows()] == ["ledger.genesis", "run.ended"]


@pytest.mark.slow
def test_no_flipped_byte_makes_opening_reading_or_folding_fail_otherwise_than_typed(
    tmp_path: Path,
) -> None:
    """Damage is a LedgerError or goes unnoticed there; it is never another exception."""
    rng = random.Random(5)
    source = tmp_path / "source"
    with DurableLedger(source) as ledger:
        ledger.begin_run(make.started(), ts_event=make.T0)
        for n in range(60):
            ledger.append(make.fill(trade=str(n)), ts_event=make.T0)
        ledger.end_run(make.ended(), ts_event=make.T0)
    pristine = segments(source)[0].path.read_bytes()
    refused = 0
    for position in rng.sample(range(len(pristine)), 500):
        directory = tmp_path / "ledger"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(source, directory)
        broken = bytearray(pristine)
        broken[position] ^= 1 << rng.randrange(8)
        segments(directory)[0].path.write_bytes(broken)
        with contextlib.suppress(LedgerError):
            reader = LedgerReader(directory)
            reader.head()
            reader.runs()
            list(reader.rows())
            with Projections(directory) as projections:
                projections.catch_up()
        try:
            with DurableLedger(directory) as ledger:
                ledger.append_durable(make.snapshot(), ts_event=make.T0)
        except LedgerError:
            refused += 1
            assert holder(directory) is None
    assert refused > 300


def killed_with_rows_waiting(folder: Path, waiting: int) -> None:
    """Append `waiting` rows that no commit takes before the process is killed."""
    code = f"""
import os, signal, threading, time
from pathlib import Path
from core.domain import faultpoints
from core.ledger import DurableLedger
from tests.unit.core.ledger import rows_for_tests as make

ledger = DurableLedger(Path({str(folder)!r}))
ledger.begin_run(make.started("killed"), ts_event=make.T0)
reached, go_on = threading.Event(), threading.Event()

def at(name):
    if name == "ledger.write.before_ack" and not go_on.is_set():
        reached.set()
        go_on.wait()
    if name == "ledger.write.before_begin" and go_on.is_set():
        os.kill(os.getpid(), signal.SIGKILL)

faultpoints.listen(at)
ledger.append(make.snapshot(), ts_event=make.T0)
reached.wait()
for _ in range({waiting}):
    ledger.append(make.snapshot(), ts_event=make.T0)
go_on.set()
time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert done.returncode == -signal.SIGKILL


def test_after_a_kill_the_seal_says_how_many_appended_rows_are_missing(tmp_path: Path) -> None:
    killed_with_rows_waiting(tmp_path, 7)
    with DurableLedger(tmp_path) as ledger:
        assert ledger.recovered_runs == ("killed",)
    (run,) = LedgerReader(tmp_path).runs()
    assert run.outcome == "crashed_recovered"
    assert run.reason == (
        "process died; at least 7 appended rows, none of them acknowledged, did not reach the disk"
    )
    assert not (tmp_path / "ledger.appended").exists(), "closed in order, so nothing is missing"


def test_a_ledger_that_cannot_keep_its_note_is_written_nevertheless(tmp_path: Path) -> None:
    (tmp_path / "ledger.appended").mkdir()
    with DurableLedger(tmp_path) as ledger:
        ledger.begin_run(make.started("run"), ts_event=make.T0)
    with DurableLedger(tmp_path) as ledger:
        assert ledger.recovered_runs == ("run",)
    (run,) = LedgerReader(tmp_path).runs()
    assert run.reason == "process died"
