"""Tampering of every kind is found, and the first bad row is named."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from core.domain.errors import LedgerCorrupt, LedgerError, MissingData
from core.ledger import BatchLedger, DurableLedger
from core.ledger.anchors import FILE as ANCHORS
from core.ledger.projections import Projections
from core.ledger.reader import LedgerReader
from core.ledger.rows import COLUMNS, Row
from core.ledger.segment import segments
from core.ledger.verify import Report, verify
from tests.unit.core.ledger import rows_for_tests as make

ROWS = 500
MONTH_NS = 31 * make.DAY_NS


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that was closed cleanly."""
    directory = tmp_path_factory.mktemp("closed") / "ledger"
    with BatchLedger(directory, start_ns=make.T0) as ledger:
        run = ledger.begin_run(make.started(), ts_event=make.T0)
        for n in range(ROWS):
            ledger.append(make.fill(trade=f"T{n}"), ts_event=make.T0 + n, parents=(run, run + n))
        ledger.end_run(make.ended(), ts_event=make.T0 + ROWS)
    return directory


@pytest.fixture
def ledger_copy(closed: Path, tmp_path: Path) -> Path:
    """The same, to be tampered with."""
    return shutil.copytree(closed, tmp_path / "ledger")


def file_of(directory: Path, index: int = -1) -> Path:
    return segments(directory)[index].path


def attack(directory: Path, *statements: str) -> None:
    """Change a file as somebody with write access and SQLite would."""
    with closing(apsw.Connection(str(file_of(directory)))) as db:
        for name in ("ledger_no_update", "ledger_no_delete", "ledger_chain"):
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)


def restore_triggers(directory: Path, pristine: Path) -> None:
    with closing(apsw.Connection(str(file_of(pristine)))) as db:
        sqls = [r[0] for r in db.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")]
    with closing(apsw.Connection(str(file_of(directory)))) as db:
        for sql in sqls:
            db.execute(sql)


def content(directory: Path) -> list[Row] | None:
    """Return the rows as a reader sees them, or None when they cannot be read."""
    try:
        return list(LedgerReader(directory).rows())
    except LedgerError:
        return None


def bad_rows(report: Report) -> set[int | None]:
    return {finding.seq for finding in report.findings}


def test_an_untouched_ledger_verifies_and_says_what_was_checked(closed: Path) -> None:
    report = verify(closed)
    assert report.ok
    assert (report.rows, report.files, report.files_at_rest, report.anchors) == (ROWS + 3, 1, 1, 1)
    assert verify(closed, expect_head=report.head_hash).ok


def flips(directory: Path, count: int, seed: int, check: Callable[[int, Report], None]) -> None:
    """Change one byte at `count` random positions, one at a time."""
    path, rng = file_of(directory), random.Random(seed)
    pristine = path.read_bytes()
    for position in rng.sample(range(len(pristine)), count):
        broken = bytearray(pristine)
        broken[position] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        check(position, verify(directory))
    path.write_bytes(pristine)
    assert verify(directory).ok


def run_flips_at_rest(directory: Path, count: int, seed: int) -> int:
    """Every flip is found; where a row changed, the first such row is the first bad one."""
    original = content(directory)
    assert original is not None
    named = 0

    def check(position: int, report: Report) -> None:
        nonlocal named
        assert not report.ok, f"the byte at {position} changed unseen"
        now = content(directory)
        if now is not None and len(now) == len(original):
            changed = [a.seq for a, b in zip(original, now, strict=True) if a != b]
            if changed:
                named += 1
                assert report.first_bad is not None
                assert report.first_bad.seq == changed[0]

    flips(directory, count, seed, check)
    return named


def test_single_byte_changes_of_a_file_at_rest_are_all_found(ledger_copy: Path) -> None:
    assert run_flips_at_rest(ledger_copy, 60, seed=1) > 20


@pytest.mark.slow
def test_a_thousand_single_byte_changes_of_a_file_at_rest_are_all_found(ledger_copy: Path) -> None:
    assert run_flips_at_rest(ledger_copy, 1_000, seed=2) > 500


@pytest.mark.slow
def test_while_in_use_every_change_of_content_is_found_and_only_free_space_is_not(
    ledger_copy: Path,
) -> None:
    """Without the sha256 of the file (it is in use): what is not found has not changed a row."""
    (ledger_copy / ANCHORS).unlink()
    original, unseen = content(ledger_copy), 0

    def check(position: int, report: Report) -> None:
        nonlocal unseen
        if report.ok:
            unseen += 1
            assert content(ledger_copy) == original, f"byte {position} changed a row unseen"

    flips(ledger_copy, 300, seed=3, check=check)
    assert unseen < 60


def test_a_changed_value_is_found_even_with_the_triggers_put_back(
    ledger_copy: Path, closed: Path
) -> None:
    attack(
        ledger_copy,
        "UPDATE ledger SET payload = CAST(replace(CAST(payload AS TEXT), '0.43', '0.34') AS BLOB) WHERE seq = 77",
    )
    restore_triggers(ledger_copy, closed)
    report = verify(ledger_copy)
    assert report.first_bad is not None
    assert (report.first_bad.seq, report.first_bad.code) == (77, "hash")


@pytest.mark.parametrize(
    "column", ["run_id", "ts_event", "ts_init", "kind", "parents", "payload", "prev_hash", "hash"]
)
def test_every_column_is_covered(ledger_copy: Path, column: str) -> None:
    new = {"ts_event": "ts_event + 1", "ts_init": "ts_init + 1"}.get(
        column,
        f"CAST(substr({column}, 2) || 'x' AS {'TEXT' if column in ('run_id', 'kind', 'parents') else 'BLOB'})",
    )
    attack(ledger_copy, f"UPDATE ledger SET {column} = {new} WHERE seq = 50")
    assert 50 in bad_rows(verify(ledger_copy))
    assert verify(ledger_copy).first_bad.seq == 50  # type: ignore[union-attr]


def test_a_field_moved_across_the_border_of_two_columns_is_found(ledger_copy: Path) -> None:
    """Length prefixes: 'run-1' + 'order...' cannot be read as 'run-' + '1order...'."""
    attack(
        ledger_copy,
        "UPDATE ledger SET run_id = 'run-', kind = '1' || kind WHERE seq = 50",
    )
    assert verify(ledger_copy).first_bad.seq == 50  # type: ignore[union-attr]


def test_a_deleted_row_is_found(ledger_copy: Path, closed: Path) -> None:
    attack(ledger_copy, "DELETE FROM ledger WHERE seq = 200")
    restore_triggers(ledger_copy, closed)
    report = verify(ledger_copy)
    assert report.first_bad is not None
    assert (report.first_bad.seq, report.first_bad.code) == (200, "missing")


def test_swapped_rows_are_found(ledger_copy: Path, closed: Path) -> None:
    attack(
        ledger_copy,
        "UPDATE ledger SET seq = -1 WHERE seq = 100",
        "UPDATE ledger SET seq = 100 WHERE seq = 101",
        "UPDATE ledger SET seq = 101 WHERE seq = -1",
    )
    restore_triggers(ledger_copy, closed)
    assert verify(ledger_copy).first_bad.seq == 100  # type: ignore[union-attr]


def test_rows_cut_off_the_end_are_found_by_the_anchor(ledger_copy: Path, closed: Path) -> None:
    attack(ledger_copy, f"DELETE FROM ledger WHERE seq > {ROWS}")
    restore_triggers(ledger_copy, closed)
    report = verify(ledger_copy)
    assert report.first_bad is not None
    assert (report.first_bad.seq, report.first_bad.code) == (ROWS + 1, "truncated")
    with pytest.raises(LedgerCorrupt, match="gone"):
        BatchLedger(ledger_copy)


def test_a_file_cut_short_is_found_and_refused(ledger_copy: Path) -> None:
    path = file_of(ledger_copy)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = verify(ledger_copy)
    assert not report.ok
    assert report.first_bad is not None
    assert report.first_bad.seq is not None
    with pytest.raises(LedgerCorrupt):
        DurableLedger(ledger_copy)


def test_a_chain_forged_to_the_end_is_found_by_the_anchor_and_by_a_head_kept_elsewhere(
    ledger_copy: Path, closed: Path
) -> None:
    rows = content(ledger_copy)
    assert rows is not None
    head = rows[-1].hash.hex()
    attack(ledger_copy, "DELETE FROM ledger WHERE seq >= 400")
    prev = rows[398].hash
    with closing(apsw.Connection(str(file_of(ledger_copy)))) as db:
        for row in rows[399:]:
            forged = row._replace(prev_hash=prev, payload=row.payload.replace(b"0.43", b"0.34"))
            forged = forged._replace(hash=forged.expected_hash())
            prev = forged.hash
            db.execute(f"INSERT INTO ledger ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", forged)
    restore_triggers(ledger_copy, closed)
    assert {f.code for f in verify(ledger_copy).findings} == {"anchor", "file"}
    with pytest.raises(LedgerCorrupt, match="anchored"):
        BatchLedger(ledger_copy)
    (ledger_copy / ANCHORS).unlink()
    assert verify(ledger_copy).ok, "nothing inside can show a forged chain"
    assert {f.code for f in verify(ledger_copy, expect_head=head).findings} == {"anchor"}
    assert {f.code for f in verify(ledger_copy, expect_head="zz").findings} == {"anchor"}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO ledger SELECT seq, 'x', ts_event, ts_init, kind, parents, payload, prev_hash, hash FROM ledger WHERE seq = 9",
        "REPLACE INTO ledger SELECT * FROM ledger WHERE seq = 9",
        "INSERT INTO ledger SELECT * FROM ledger WHERE seq = 9 ON CONFLICT DO UPDATE SET run_id = 'x'",
        "INSERT OR IGNORE INTO ledger SELECT seq + 9000, run_id, ts_event, ts_init, kind, parents, payload, prev_hash, hash FROM ledger WHERE seq = 9",
        "INSERT INTO ledger SELECT (SELECT max(seq) + 1 FROM ledger), run_id, ts_event, ts_init, kind, parents, payload, prev_hash, hash FROM ledger WHERE seq = 9",
        "UPDATE ledger SET run_id = 'x' WHERE seq = 9",
        "UPDATE OR REPLACE ledger SET seq = 8 WHERE seq = 9",
        "DELETE FROM ledger WHERE seq = 9",
    ],
)
@pytest.mark.parametrize("recursive", [False, True])
def test_plain_sql_cannot_change_a_row(ledger_copy: Path, statement: str, recursive: bool) -> None:
    before = content(ledger_copy)
    with closing(apsw.Connection(str(file_of(ledger_copy)))) as db:
        db.pragma("recursive_triggers", recursive)
        with pytest.raises(apsw.ConstraintError, match="ledger rows are"):
            db.execute(statement)
    assert content(ledger_copy) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET run_id = 'x'",
        "DELETE FROM ledger",
        "DROP TRIGGER ledger_no_update",
        "DROP TABLE ledger",
        "ALTER TABLE ledger RENAME TO other",
        "CREATE TABLE x (a)",
        "ATTACH ':memory:' AS other",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = OFF",
        "INSERT INTO schema_migrations VALUES (9, 'x', 'x')",
        "VACUUM",
    ],
)
def test_the_writers_own_connection_may_do_nothing_but_add_rows(
    tmp_path: Path, statement: str
) -> None:
    with BatchLedger(tmp_path) as ledger, pytest.raises((apsw.AuthError, apsw.ConstraintError)):
        ledger._segment._db.execute(statement)


def test_a_trigger_that_is_missing_is_named(ledger_copy: Path) -> None:
    attack(ledger_copy)
    codes = {(f.code, f.seq) for f in verify(ledger_copy).findings}
    assert ("schema", None) in codes
    with pytest.raises(LedgerCorrupt, match="schema is missing"):
        BatchLedger(ledger_copy)


def test_progress_is_told_and_no_ledger_is_an_error(closed: Path, tmp_path: Path) -> None:
    told: list[int] = []
    verify(closed, progress=told.append)
    assert told[-1] == ROWS + 3
    with pytest.raises(MissingData):
        verify(tmp_path)


class Months:
    """A wall clock that moves a month on command."""

    def __init__(self) -> None:
        self.now = make.T0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def three_months(tmp_path: Path) -> Path:
    clock = Months()
    with DurableLedger(tmp_path / "ledger", wall_clock=clock) as ledger:
        ledger.begin_run(make.started(), ts_event=clock.now)
        for _ in range(3):
            for n in range(40):
                ledger.append(make.snapshot(n), ts_event=clock.now)
            ledger.flush()
            clock.now += MONTH_NS
        ledger.append(make.snapshot(), ts_event=clock.now)
        ledger.end_run(make.ended(), ts_event=clock.now)
    return tmp_path / "ledger"


def test_each_month_is_a_file_whose_genesis_links_the_one_before(three_months: Path) -> None:
    names = segments(three_months)
    assert len(names) == 4
    report = verify(three_months)
    assert report.ok, report.findings
    assert report.files_at_rest == 4
    reader = LedgerReader(three_months)
    seqs = [row.seq for row in reader.rows()]
    assert seqs == list(range(1, len(seqs) + 1))
    (run,) = reader.runs()
    assert (run.outcome, run.first_seq) == ("ended", 2)
    assert len([r for r in reader.rows() if r.name == "ledger.digest"]) == 3
    assert all(not name.path.stat().st_mode & 0o222 for name in names[:-1])


def test_a_closed_month_that_is_gone_swapped_or_changed_is_found(three_months: Path) -> None:
    names = segments(three_months)
    middle = names[1].path
    kept = middle.read_bytes()
    middle.unlink()
    report = verify(three_months)
    assert report.first_bad is not None
    assert report.first_bad.seq == names[1].first_seq
    middle.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert "file" in {f.code for f in verify(three_months).findings}
    middle.write_bytes(names[0].path.read_bytes())
    assert not verify(three_months).ok
    middle.write_bytes(kept)
    assert verify(three_months).ok
    last = names[-1].path
    last.unlink()
    report = verify(three_months)
    assert report.first_bad is not None
    assert (report.first_bad.code, report.first_bad.seq) == ("truncated", names[-1].first_seq)


def test_reading_never_passes_over_a_closed_month_that_is_gone(three_months: Path) -> None:
    names = segments(three_months)
    for gone in names[:-1]:
        aside = gone.path.with_suffix(".aside")
        gone.path.rename(aside)
        with pytest.raises(LedgerCorrupt, match="rows are missing"):
            list(LedgerReader(three_months).rows())
        with Projections(three_months) as projections, pytest.raises(LedgerCorrupt):
            projections.rebuild()
        aside.rename(gone.path)
    assert len(list(LedgerReader(three_months).rows())) == LedgerReader(three_months).head().seq


def test_a_newest_month_that_is_gone_is_not_written_on_from_the_month_before(
    three_months: Path,
) -> None:
    names = segments(three_months)
    names[-1].path.unlink()
    with pytest.raises(LedgerCorrupt, match="on disk are gone"):
        DurableLedger(three_months)
    for name in names[:-1]:
        name.path.unlink()
    with pytest.raises(LedgerCorrupt, match="files of a ledger are gone"):
        DurableLedger(three_months)
    report = verify(three_months)
    assert report.first_bad is not None
    assert (report.first_bad.code, report.first_bad.seq) == ("truncated", 1)
    assert not segments(three_months)


def test_a_file_of_a_newer_version_is_named_as_that_and_nothing_else(closed: Path) -> None:
    (closed / ANCHORS).unlink()
    with sqlite3.connect(segments(closed)[0].path) as db:
        db.execute("PRAGMA user_version = 99")
    assert [f.code for f in verify(closed).findings] == ["newer"]


def test_a_digest_that_a_crash_prevented_is_made_at_the_next_start(three_months: Path) -> None:
    (three_months / ANCHORS).unlink()
    with DurableLedger(three_months, wall_clock=lambda: make.T0) as ledger:
        assert ledger.recovered_runs == ()
    assert len([r for r in LedgerReader(three_months).rows() if r.name == "ledger.digest"]) == 6
    assert verify(three_months).ok


def test_a_clock_that_steps_back_neither_reorders_rows_nor_begins_a_file(tmp_path: Path) -> None:
    clock = Months()
    with DurableLedger(tmp_path, wall_clock=clock) as ledger:
        ledger.append(make.snapshot(1), ts_event=clock.now)
        clock.now -= 3 * MONTH_NS
        ledger.append(make.snapshot(2), ts_event=clock.now)
    assert len(segments(tmp_path)) == 1
    rows = content(tmp_path)
    assert rows is not None
    assert [r.decoded() for r in rows[1:]] == [make.snapshot(1), make.snapshot(2)]
    assert rows[2].ts_init < rows[1].ts_init
    assert verify(tmp_path).ok
