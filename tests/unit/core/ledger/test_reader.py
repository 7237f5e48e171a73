"""Reading: by run, window, hour, kind, manifest, and from a fill back to the data that caused it."""

from __future__ import annotations

import json
import random
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.errors import LedgerCorrupt, MissingData, UsageError
from core.ledger import BatchLedger, DurableLedger
from core.ledger.compare import Comparable, comparable
from core.ledger.kinds import OrderIntended, Settled
from core.ledger.reader import LedgerReader
from core.ledger.rows import Row
from core.ledger.segment import segments
from core.ledger.selection import Selection, hour, read_manifest, window
from tests.unit.core.ledger import rows_for_tests as make

HOUR_NS = 3_600 * 10**9


def story(
    directory: Path, run: str = "run-1", *, price: str = "0.43", lead: int = 0
) -> dict[str, int]:
    """Write one decision from data to settlement and return row numbers by name."""
    seq: dict[str, int] = {}
    with BatchLedger(directory, start_ns=make.T0) as ledger:
        for _ in range(lead):
            ledger.append(make.snapshot(), ts_event=make.T0)
        seq["run"] = ledger.begin_run(make.started(run), ts_event=make.T0)
        seq["other"] = ledger.append(make.snapshot(1), ts_event=make.T0)
        seq["data"] = ledger.append(make.snapshot(2), ts_event=make.T0)
        seq["forecast"] = ledger.append(make.forecast(), ts_event=make.T0, parents=(seq["data"],))
        seq["proposal"] = ledger.append(
            make.proposal(), ts_event=make.T0, parents=(seq["forecast"],)
        )
        seq["verdict"] = ledger.append(make.verdict(), ts_event=make.T0, parents=(seq["proposal"],))
        seq["intent"] = ledger.append(
            make.intent(), ts_event=make.T0 + 1, parents=(seq["verdict"],)
        )
        seq["fill"] = ledger.append(
            make.fill(price=price), ts_event=make.T0 + HOUR_NS, parents=(seq["intent"],)
        )
        seq["settlement"] = ledger.append(
            Settled(
                venue="KALSHI",
                instrument_id=make.YES,
                payout=Decimal(1),
                quantity=Decimal(10),
                currency="USD",
            ),
            ts_event=make.T0 + 2 * HOUR_NS,
            parents=(seq["fill"],),
        )
        seq["end"] = ledger.end_run(make.ended(run), ts_event=make.T0 + 3 * HOUR_NS)
    return seq


def test_a_fill_leads_back_to_the_data_snapshot(tmp_path: Path) -> None:
    seq = story(tmp_path)
    chain = LedgerReader(tmp_path).ancestors(seq["fill"])
    assert [(depth, row.name) for depth, row in chain] == [
        (0, "order.filled"),
        (1, "order.intent"),
        (2, "verdict"),
        (3, "proposal"),
        (4, "forecast"),
        (5, "data.snapshot"),
    ]
    assert chain[-1][1].decoded() == make.snapshot(2)


def test_a_snapshot_leads_on_to_the_settlement(tmp_path: Path) -> None:
    seq = story(tmp_path)
    reader = LedgerReader(tmp_path)
    assert [row.name for _, row in reader.descendants(seq["data"])][-2:] == [
        "order.filled",
        "settlement",
    ]
    assert len(reader.descendants(seq["other"])) == 1


def test_rows_are_chosen_by_run_window_hour_and_kind(tmp_path: Path) -> None:
    story(tmp_path, "a")
    seq = story(tmp_path, "b")
    reader = LedgerReader(tmp_path)
    assert [r.run_id for r in reader.runs()] == ["a", "b"]
    rows = list(reader.rows(Selection(run="b")))
    assert (rows[0].seq, rows[-1].seq) == (seq["run"], seq["end"])
    assert {r.run_id for r in rows} == {"b"}
    assert [r.name for r in reader.rows(Selection(run="b", kinds=("order.*",)))] == [
        "order.intent",
        "order.filled",
    ]
    assert [r.name for r in reader.rows(Selection(run="b", kinds=("order.filled",)))] == [
        "order.filled"
    ]
    from core.domain.clock import iso_from_ns

    hour_text = iso_from_ns(make.T0 + HOUR_NS)[:13]
    chosen = hour(hour_text, "b")
    assert chosen.end_ns is not None
    assert chosen.start_ns is not None
    assert chosen.end_ns - chosen.start_ns == HOUR_NS
    assert [r.name for r in reader.rows(chosen)] == ["order.filled"]
    span = window(iso_from_ns(make.T0 + 1), iso_from_ns(make.T0 + HOUR_NS), "b")
    assert [r.name for r in reader.rows(span)] == ["order.intent"]
    assert [r.seq for r in reader.tail(2)] == [seq["end"] - 1, seq["end"]]
    assert reader.tail(1, Selection(kinds=("forecast",)))[0].seq == seq["forecast"]


def test_a_manifest_lists_runs_and_windows(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(
        json.dumps(
            {
                "schema_version": 1,
                "selections": [
                    {"run": "a"},
                    {"run": "b", "start": "2026-05-28T20:00:00Z", "end": "2026-05-28T21:00:00Z"},
                ],
            }
        )
    )
    one, two = read_manifest(path)
    assert one == Selection(run="a")
    assert (two.run, two.end_ns is not None) == ("b", True)
    for bad in (
        "{}",
        "[]",
        "x",
        '{"schema_version":1,"selections":[{"run":"a","speed":2}]}',
        '{"schema_version":2,"selections":[]}',
    ):
        path.write_text(bad)
        with pytest.raises(UsageError):
            read_manifest(path)


def test_what_cannot_be_found_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(MissingData):
        LedgerReader(tmp_path)
    story(tmp_path, "paper-7")
    reader = LedgerReader(tmp_path)
    with pytest.raises(UsageError, match="did you mean paper-7"):
        list(reader.rows(Selection(run="paper-8")))
    for seq in (0, 10_000):
        with pytest.raises(UsageError, match="no such row"):
            reader.row(seq)
    for text in ("2026-05-28T20:30", "nonsense"):
        with pytest.raises(UsageError):
            hour(text)
    with pytest.raises(UsageError, match="end after"):
        window("2026-05-28", "2026-05-27")


def test_reading_goes_on_while_rows_are_written(tmp_path: Path) -> None:
    with DurableLedger(tmp_path) as ledger:
        for n in range(1, 6):
            seq = ledger.append_durable(make.snapshot(n), ts_event=make.T0)
            reader = LedgerReader(tmp_path)
            assert reader.head().seq == seq
            assert len(list(reader.rows())) == n + 1


def test_a_damaged_page_is_a_typed_error_that_names_the_last_good_row(tmp_path: Path) -> None:
    with BatchLedger(tmp_path) as ledger:
        for n in range(400):
            ledger.append(make.fill(trade=str(n)), ts_event=make.T0)
    path = segments(tmp_path)[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2 // 4096 * 4096 : len(data) // 2 // 4096 * 4096 + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match="after row"):
        list(LedgerReader(tmp_path).rows())


def rows_of(directory: Path, run: str) -> list[Row]:
    return list(LedgerReader(directory).rows(Selection(run=run)))


def compared(directory: Path, run: str) -> list[Comparable]:
    rows = LedgerReader(directory).rows(Selection(run=run))
    return [row._replace(seq=0) for row in comparable(rows)]


def test_a_replay_in_another_ledger_compares_equal_whatever_its_row_numbers(tmp_path: Path) -> None:
    story(tmp_path / "a", "recorded")
    story(tmp_path / "b", "replayed", lead=7)
    recorded = compared(tmp_path / "a", "recorded")
    assert len(recorded) == 8
    assert recorded == compared(tmp_path / "b", "replayed")


def test_another_price_is_another_payload(tmp_path: Path) -> None:
    story(tmp_path / "a", "recorded")
    story(tmp_path / "b", "replayed", price="0.44")
    old, new = compared(tmp_path / "a", "recorded"), compared(tmp_path / "b", "replayed")
    differing = [n for n, (left, right) in enumerate(zip(old, new, strict=True)) if left != right]
    assert differing[0] == 6
    assert old[6]._replace(payload=b"") == new[6]._replace(payload=b"")


def test_other_parents_make_another_row(tmp_path: Path) -> None:
    def write(name: str, parent: int) -> Comparable:
        with BatchLedger(tmp_path / name) as ledger:
            ledger.begin_run(make.started(), ts_event=0)
            ledger.append(make.snapshot(1), ts_event=0)
            ledger.append(make.snapshot(2), ts_event=0)
            ledger.append(make.forecast(), ts_event=0, parents=(parent,))
        return compared(tmp_path / name, "run-1")[-1]

    base = write("base", 3)
    assert base == write("same", 3)
    other = write("parent", 4)
    assert base.parents != other.parents
    assert base == other._replace(parents=base.parents)


def test_a_row_decodes_to_its_payload(tmp_path: Path) -> None:
    seq = story(tmp_path)
    assert isinstance(LedgerReader(tmp_path).row(seq["intent"]).decoded(), OrderIntended)


def test_a_read_that_a_damaged_page_would_end_early_is_refused(tmp_path: Path) -> None:
    """Noise that happens to be a page with a row number beyond the last one asked for ends a read without an error."""
    with BatchLedger(tmp_path, start_ns=make.T0) as ledger:
        ledger.begin_run(make.started(), ts_event=make.T0)
        for n in range(400):
            ledger.append(make.fill(trade=str(n)), ts_event=make.T0)
        ledger.end_run(make.ended(), ts_event=make.T0)
    path = segments(tmp_path)[0].path
    pristine = path.read_bytes()
    rng = random.Random(11)
    for page in range(5, len(pristine) // 4096 - 2):
        at = page * 4096
        path.write_bytes(pristine[:at] + rng.randbytes(4096) + pristine[at + 4096 :])
        for chosen in (Selection(run="run-1"), Selection(kinds=("order.filled",), last_seq=403)):
            with pytest.raises(LedgerCorrupt):
                list(LedgerReader(tmp_path).rows(chosen))


def test_a_row_that_was_deleted_is_no_smaller_ledger(tmp_path: Path) -> None:
    seq = story(tmp_path)
    with sqlite3.connect(segments(tmp_path)[0].path) as db:
        db.execute("DROP TRIGGER ledger_no_delete")
        db.execute("DELETE FROM ledger WHERE seq = ?", (seq["fill"],))
    reader = LedgerReader(tmp_path)
    with pytest.raises(LedgerCorrupt, match="rows are missing"):
        list(reader.rows(Selection(kinds=("order.filled",))))
    rest = reader.rows(Selection(first_seq=seq["settlement"]))
    assert [row.seq for row in rest] == [seq["settlement"], seq["end"]]
