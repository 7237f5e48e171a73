"""The two writers keep one contract: numbered, chained, checked, sealed, locked."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.domain import faultpoints
from core.domain.errors import LedgerError, LedgerLocked, LedgerWriteError, UsageError
from core.ledger import BatchLedger, DurableLedger
from core.ledger.canonical import GENESIS_HASH
from core.ledger.kinds import DataSnapshot, RunEnded
from core.ledger.reader import LedgerReader
from core.ledger.rows import COLUMNS, Row
from core.ledger.segment import open_reader, segments
from tests.unit.core.ledger import rows_for_tests as make


def rows_of(directory: Path) -> list[Row]:
    out: list[Row] = []
    for name in segments(directory):
        with closing(open_reader(name.path)) as db:
            out += [Row(*r) for r in db.execute(f"SELECT {COLUMNS} FROM ledger ORDER BY seq")]
    return out


@pytest.fixture(params=[BatchLedger, DurableLedger])
def writer(request: pytest.FixtureRequest) -> type[BatchLedger] | type[DurableLedger]:
    return request.param


def test_rows_are_numbered_without_gaps_and_each_hash_covers_the_row_and_the_one_before(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path
) -> None:
    with writer(tmp_path) as ledger:
        first = ledger.begin_run(make.started(), ts_event=make.T0)
        seqs = [
            ledger.append(make.snapshot(i), ts_event=make.T0 + i, parents=(first,))
            for i in range(2_500)
        ]
        assert seqs == list(range(first + 1, first + 2_501))
        ledger.end_run(make.ended(), ts_event=make.T0 + 9)
    rows = rows_of(tmp_path)
    assert [r.seq for r in rows] == list(range(1, 2_504))
    previous = GENESIS_HASH
    for row in rows:
        assert row.prev_hash == previous
        assert row.expected_hash() == row.hash
        previous = row.hash
    assert rows[5].parent_seqs == (first,)
    assert rows[5].decoded() == make.snapshot(3)
    assert rows[5].run_id == "run-1"


def test_a_second_writer_of_the_same_directory_is_refused_with_the_owner_named(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path
) -> None:
    with writer(tmp_path), pytest.raises(LedgerLocked, match="process"):
        writer(tmp_path)
    writer(tmp_path).close()


def test_a_run_left_open_is_sealed_as_crashed_when_the_ledger_is_opened_again(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path
) -> None:
    with writer(tmp_path) as ledger:
        ledger.begin_run(make.started("dead"), ts_event=make.T0)
        ledger.append(make.snapshot(), ts_event=make.T0)
    with writer(tmp_path) as ledger:
        assert ledger.recovered_runs == ("dead",)
    last = rows_of(tmp_path)[-1]
    payload = last.decoded()
    assert isinstance(payload, RunEnded)
    assert (payload.run_id, payload.outcome, last.run_id) == ("dead", "crashed_recovered", "dead")
    with writer(tmp_path) as ledger:
        assert ledger.recovered_runs == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"bid": 0.41},
        {"bid": float("nan")},
        {"bid": Decimal("NaN")},
        {"ask": Decimal("Infinity")},
        {"sequence": 1.0},
        {"sequence": True},
        {"instrument_id": 3},
        {"instrument_id": "\ud800"},
        {"book_sha256": None},
    ],
)
def test_floats_and_values_of_the_wrong_type_never_become_rows(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path, bad: dict[str, object]
) -> None:
    with writer(tmp_path) as ledger:
        good = ledger.append(make.snapshot(), ts_event=make.T0)
        payload = DataSnapshot(**{"instrument_id": "X", **bad})  # type: ignore[arg-type]
        with pytest.raises(LedgerError):
            ledger.append(payload, ts_event=make.T0)
        assert ledger.append(make.snapshot(), ts_event=make.T0) == good + 1


def test_a_parent_must_be_an_earlier_row_and_a_time_an_integer(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path
) -> None:
    with writer(tmp_path) as ledger:
        seq = ledger.append(make.snapshot(), ts_event=make.T0)
        for parents in ((seq + 1,), (0,), (-1,), (1.0,), (True,)):
            with pytest.raises(LedgerError):
                ledger.append(make.snapshot(), ts_event=make.T0, parents=parents)  # type: ignore[arg-type]
        for ts in (1.5, 2**63, None):
            with pytest.raises(LedgerError):
                ledger.append(make.snapshot(), ts_event=ts)  # type: ignore[arg-type]
        assert ledger.append(make.snapshot(), ts_event=make.T0, parents=(seq,)) == seq + 1


def test_runs_do_not_nest_and_only_the_open_run_can_be_ended(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path
) -> None:
    with writer(tmp_path) as ledger:
        ledger.begin_run(make.started("a"), ts_event=make.T0)
        with pytest.raises(UsageError, match="already open"):
            ledger.begin_run(make.started("b"), ts_event=make.T0)
        with pytest.raises(UsageError, match="not the open one"):
            ledger.end_run(make.ended("b"), ts_event=make.T0)
        ledger.end_run(make.ended("a"), ts_event=make.T0)


def test_a_closed_ledger_takes_no_rows(
    writer: type[BatchLedger] | type[DurableLedger], tmp_path: Path
) -> None:
    ledger = writer(tmp_path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerWriteError):
        ledger.append(make.snapshot(), ts_event=make.T0)


def test_two_backtests_of_the_same_decisions_have_the_same_head_hash(tmp_path: Path) -> None:
    heads = []
    for name in ("a", "b"):
        with BatchLedger(tmp_path / name, start_ns=make.T0) as ledger:
            ledger.begin_run(make.started(), ts_event=make.T0)
            for i in range(1_500):
                ledger.append(make.fill(trade=f"T{i}"), ts_event=make.T0 + i)
            ledger.end_run(make.ended(), ts_event=make.T0 + 9)
        heads.append(ledger.head)
    assert heads[0] == heads[1]


def test_a_durable_row_is_committed_when_append_returns(tmp_path: Path) -> None:
    with DurableLedger(tmp_path) as ledger:
        seq = ledger.append_durable(make.intent(), ts_event=make.T0)
        with closing(open_reader(segments(tmp_path)[0].path)) as db:
            assert db.execute("SELECT max(seq) FROM ledger").fetchone() == (seq,)


async def test_durable_rows_are_awaited_without_blocking_the_loop(tmp_path: Path) -> None:
    with DurableLedger(tmp_path) as ledger:
        seqs = await asyncio.gather(
            *(ledger.append_durable_async(make.snapshot(i), ts_event=make.T0) for i in range(500))
        )
        assert sorted(seqs) == list(range(2, 502))
        assert ledger.head.seq == 501


async def test_an_answer_that_came_while_the_loop_was_busy_is_an_answer(tmp_path: Path) -> None:
    halts: list[str] = []
    with DurableLedger(tmp_path, stall_s=0.2, on_halt=halts.append) as ledger:
        waiting = asyncio.ensure_future(
            ledger.append_durable_async(make.snapshot(), ts_event=make.T0)
        )
        await asyncio.sleep(0)
        time.sleep(0.5)  # the loop is blocked; the row is on disk meanwhile
        assert await waiting == 2
    assert halts == []


async def test_a_waiter_that_gives_up_takes_nothing_with_it(tmp_path: Path) -> None:
    with DurableLedger(tmp_path) as ledger:
        task = asyncio.ensure_future(ledger.append_durable_async(make.snapshot(), ts_event=make.T0))
        await asyncio.sleep(0)
        task.cancel()
        assert await ledger.append_durable_async(make.snapshot(), ts_event=make.T0) == 3
    assert len(rows_of(tmp_path)) == 3


def test_rows_of_many_threads_make_one_chain_without_gaps(tmp_path: Path) -> None:
    seen: list[int] = []

    def produce(ledger: DurableLedger, n: int) -> None:
        for i in range(100):
            seen.append(ledger.append(make.snapshot(i), ts_event=n, durable=i % 10 == 0))

    with DurableLedger(tmp_path) as ledger:
        threads = [threading.Thread(target=produce, args=(ledger, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ledger.flush()
        assert ledger.head.seq == 801
    assert sorted(seen) == list(range(2, 802))
    assert all(r.expected_hash() == r.hash for r in rows_of(tmp_path))


def test_payloads_are_encoded_in_one_canonical_way() -> None:
    from core.ledger.canonical import encode_payload

    one = encode_payload(make.fill())
    assert one == encode_payload(
        msgspec.convert(msgspec.to_builtins(make.fill()), type(make.fill()))
    )
    assert b'"price":"0.43"' in one
    assert b'"quantity":"10"' in one


def test_a_flush_of_a_long_queue_waits_as_long_as_it_moves(tmp_path: Path) -> None:
    halts: list[str] = []
    faultpoints.listen(lambda name: time.sleep(0.2) if name == "ledger.write.before_ack" else None)
    try:
        with DurableLedger(tmp_path, on_halt=halts.append, stall_s=2.0) as ledger:
            for n in range(256 * 15):
                ledger.append(make.snapshot(n), ts_event=make.T0)
            ledger.flush()  # fifteen commits of a fifth of a second
            assert ledger.head.seq == 1 + 256 * 15
    finally:
        faultpoints.listen(None)
    assert halts == []


def test_rows_made_with_their_batch_are_the_rows_made_at_once(tmp_path: Path) -> None:
    heads = []
    for name, later in (("at-once", False), ("later", True)):
        with BatchLedger(tmp_path / name, start_ns=make.T0) as ledger:
            for n in range(2_500):
                parents = (n,) if n else ()
                if later and n % 3:
                    seq = ledger.append_made(make.snapshot, ts_event=make.T0 + n, parents=parents)
                else:
                    seq = ledger.append(make.snapshot(), ts_event=make.T0 + n, parents=parents)
                assert seq == n + 2
            ledger.flush()
            heads.append(ledger.head)
    assert heads[0] == heads[1]


def test_a_row_that_turns_out_wrong_when_it_is_made_ends_the_run_after_the_rows_before_it(
    tmp_path: Path,
) -> None:
    ledger = BatchLedger(tmp_path, start_ns=make.T0)
    good = ledger.append_made(make.snapshot, ts_event=make.T0)
    ledger.append_made(
        lambda: DataSnapshot(instrument_id="X", bid=0.5),  # type: ignore[arg-type]
        ts_event=make.T0,
    )
    ledger.append(make.snapshot(), ts_event=make.T0)
    with pytest.raises(LedgerError):
        ledger.flush()
    with pytest.raises(LedgerError):
        ledger.close()
    assert LedgerReader(tmp_path).head().seq == good
    with BatchLedger(tmp_path) as again:
        assert again.append(make.snapshot(), ts_event=make.T0) == good + 1
