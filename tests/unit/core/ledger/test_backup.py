"""Backups are complete, verified, restorable, and never overwrite; exports carry their own proof."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.domain.errors import LedgerCorrupt, LedgerLocked, MissingData, UsageError
from core.ledger import DurableLedger
from core.ledger.backup import MANIFEST, backup, restore
from core.ledger.export import export, verify_export
from core.ledger.reader import LedgerReader
from core.ledger.segment import segments
from core.ledger.selection import Selection
from core.ledger.verify import verify
from tests.unit.core.ledger import rows_for_tests as make


def fill(directory: Path, rows: int = 200, months: int = 1) -> None:
    now = make.T0
    with DurableLedger(directory, wall_clock=lambda: now) as ledger:
        for month in range(months):
            for n in range(rows):
                ledger.append(make.snapshot(n), ts_event=now)
            ledger.flush()
            now += 31 * make.DAY_NS if month < months - 1 else 0


def test_a_backup_restores_to_the_same_rows(tmp_path: Path) -> None:
    fill(tmp_path / "ledger", months=3)
    done = backup(tmp_path / "ledger", tmp_path / "copies" / "one")
    assert done.rows == verify(tmp_path / "ledger").rows
    report = restore(tmp_path / "copies" / "one", tmp_path / "again")
    assert report.ok
    assert list(LedgerReader(tmp_path / "again").rows()) == list(
        LedgerReader(tmp_path / "ledger").rows()
    )
    with DurableLedger(tmp_path / "again") as ledger:
        assert ledger.append_durable(make.snapshot(), ts_event=make.T0) > done.head_seq
    assert verify(tmp_path / "again", expect_head=done.head_hash).ok


def test_a_ledger_can_be_backed_up_while_it_is_written(tmp_path: Path) -> None:
    stop = threading.Event()
    with DurableLedger(tmp_path / "ledger") as ledger:

        def write() -> None:
            while not stop.is_set():
                ledger.append_durable(make.fill(), ts_event=make.T0)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            heads = [backup(tmp_path / "ledger", tmp_path / f"copy-{n}").head_seq for n in range(4)]
        finally:
            stop.set()
            thread.join()
    assert heads == sorted(heads)
    assert heads[-1] > heads[0]
    for n in range(4):
        assert verify(tmp_path / f"copy-{n}").ok
    assert verify(tmp_path / "ledger").ok


def test_a_backup_goes_to_a_new_folder_and_needs_a_ledger(tmp_path: Path) -> None:
    fill(tmp_path / "ledger")
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="new folder"):
        backup(tmp_path / "ledger", tmp_path / "there")
    with pytest.raises(MissingData):
        backup(tmp_path / "nothing", tmp_path / "copy")


def test_a_damaged_ledger_gives_no_backup(tmp_path: Path) -> None:
    fill(tmp_path / "ledger")
    path = segments(tmp_path / "ledger")[0].path
    data = bytearray(path.read_bytes())
    data[data.index(b'"sequence":150')] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match="row 152"):
        backup(tmp_path / "ledger", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    fill(tmp_path / "ledger")
    backup(tmp_path / "ledger", tmp_path / "copy")
    path = segments(tmp_path / "copy")[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    before = path.read_bytes()
    with pytest.raises(LedgerCorrupt, match="changed"):
        restore(tmp_path / "copy", tmp_path / "ledger", replace=True)
    assert (tmp_path / "ledger").exists()
    assert path.read_bytes() == before
    (tmp_path / "copy" / MANIFEST).write_text("{")
    with pytest.raises(LedgerCorrupt, match="manifest"):
        restore(tmp_path / "copy", tmp_path / "new")
    (tmp_path / "copy" / MANIFEST).unlink()
    with pytest.raises(MissingData):
        restore(tmp_path / "copy", tmp_path / "new")


def test_a_restore_moves_aside_what_is_there_and_never_touches_a_ledger_in_use(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "ledger")
    backup(tmp_path / "ledger", tmp_path / "copy")
    with pytest.raises(UsageError, match="already there"):
        restore(tmp_path / "copy", tmp_path / "ledger")
    with DurableLedger(tmp_path / "ledger"), pytest.raises(LedgerLocked):
        restore(tmp_path / "copy", tmp_path / "ledger", replace=True)
    report = restore(tmp_path / "copy", tmp_path / "ledger", replace=True)
    (aside,) = tmp_path.glob("ledger.replaced-*")
    assert str(aside) in report.notes[0]
    assert verify(aside).ok
    assert verify(tmp_path / "ledger").ok


def test_an_export_proves_itself(tmp_path: Path) -> None:
    fill(tmp_path / "ledger")
    out = tmp_path / "rows.jsonl"
    with out.open("wb") as handle:
        count, head = export(LedgerReader(tmp_path / "ledger").rows(), handle)
    assert (count, head) == (201, LedgerReader(tmp_path / "ledger").head())
    found = verify_export(out, expect_head=head.hash.hex())
    assert (found.rows, found.head, found.left_out) == (count, head, 0)
    part = tmp_path / "part.jsonl"
    with part.open("wb") as handle:
        export(LedgerReader(tmp_path / "ledger").rows(Selection(first_seq=50, last_seq=60)), handle)
    assert verify_export(part)[0] == 11
    with pytest.raises(LedgerCorrupt, match="expected hash"):
        verify_export(part, expect_head=head.hash.hex())


def test_rows_taken_out_of_an_export_are_counted(tmp_path: Path) -> None:
    fill(tmp_path / "ledger")
    out = tmp_path / "rows.jsonl"
    with out.open("wb") as handle:
        export(LedgerReader(tmp_path / "ledger").rows(), handle)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:70] + lines[73:]))
    found = verify_export(out)
    assert (found.rows, found.left_out, found.first_left_out) == (198, 3, 71)
    out.write_bytes(b"".join([*lines[:70], lines[71], lines[70], *lines[72:]]))
    with pytest.raises(LedgerCorrupt, match="row 71"):
        verify_export(out)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"sequence":99,', '"sequence":98,'),
        lambda text: "\n".join(text.splitlines()[:70] + text.splitlines()[71:]).replace(
            '"seq":72', '"seq":71'
        ),
        lambda text: text.replace('"run_id":""', '"run_id":"x"', 1),
        lambda text: text[:500] + text[520:],
        lambda text: text.replace('"prev_hash":"', '"prev_hash":"g', 3),
        lambda text: text.replace('"seq":72,', f'"seq":{1 << 70},'),
    ],
)
def test_a_changed_export_is_found(tmp_path: Path, change: object) -> None:
    fill(tmp_path / "ledger")
    out = tmp_path / "rows.jsonl"
    with out.open("wb") as handle:
        export(LedgerReader(tmp_path / "ledger").rows(), handle)
    out.write_text(change(out.read_text()))  # type: ignore[operator]
    with pytest.raises(LedgerCorrupt):
        verify_export(out)
