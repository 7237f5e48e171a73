"""The way to the writer: what somebody waits for wakes it, the rest goes along or follows soon."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from core.domain import faultpoints
from core.domain.errors import LedgerWriteError
from core.ledger import DurableLedger
from core.ledger.acknowledgement import Ack
from core.ledger.durable import GROUP_ROWS
from core.ledger.lingering import LingeringQueue
from core.ledger.rows import link
from core.ledger.segment import FEW_ROWS, Segment, StoreOptions, segments
from tests.unit.core.ledger import rows_for_tests as make

#: Longer than any test: only the bell can wake the reader.
NEVER_S = 300.0


def plain(n: int) -> Any:
    return (n, None)


def urgent(n: int) -> Any:
    return (n, Ack())


def test_a_row_that_somebody_waits_for_wakes_the_reader_and_takes_the_earlier_ones_along() -> None:
    queue = LingeringQueue(100, NEVER_S)
    for n in range(3):
        queue.put(plain(n))
    queue.put(urgent(3))
    assert [queue.get(NEVER_S)[0] for _ in range(4)] == [0, 1, 2, 3]  # type: ignore[index]
    assert queue.empty()


def test_rows_that_nobody_waits_for_are_handed_over_by_themselves() -> None:
    queue = LingeringQueue(100, 0.01)
    queue.put(plain(7))
    assert queue.get(NEVER_S) == (7, None)


def test_a_full_queue_wakes_the_reader() -> None:
    queue = LingeringQueue(3, NEVER_S)
    for n in range(3):
        queue.put(plain(n))
    assert [queue.get(NEVER_S)[0] for _ in range(3)] == [0, 1, 2]  # type: ignore[index]


def test_a_reader_that_is_awake_takes_all_there_is_before_it_rests() -> None:
    queue = LingeringQueue(100, NEVER_S)
    queue.put(urgent(0))
    queue.get(NEVER_S)
    queue.put(plain(1))
    assert queue.get(NEVER_S) == (1, None)


def test_stop_wakes_the_reader() -> None:
    queue = LingeringQueue(100, NEVER_S)
    queue.put(None)
    assert queue.get(NEVER_S) is None


def test_a_reader_without_rows_is_told_so_in_time() -> None:
    with pytest.raises(Empty):
        LingeringQueue(100, 0.005).get(0.01)
    with pytest.raises(Empty):
        LingeringQueue(100).get_nowait()


def test_nothing_is_lost_and_nothing_that_is_waited_for_is_left_lying_among_many_threads() -> None:
    queue, got = LingeringQueue(64, NEVER_S), []

    def read() -> None:
        while (item := queue.get(NEVER_S)) is not None:
            got.append(item[0])
            if item[1] is not None:
                item[1].release(None)

    def write(base: int) -> None:
        for n in range(400):
            ack = Ack() if n % 7 == 6 or n == 399 else None
            queue.put((base + n, ack))  # type: ignore[arg-type]
            assert ack is None or ack.wait(60.0)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(1_000 * k,)) for k in range(4)]
    for thread in [reader, *writers]:
        thread.start()
    for thread in writers:
        thread.join(120)
    queue.put(None)
    reader.join(60)
    assert sorted(got) == [1_000 * k + n for k in range(4) for n in range(400)]
    for k in range(4):
        own = [n for n in got if n // 1_000 == k]
        assert own == sorted(own)


class Patient(DurableLedger):
    """Its writer is woken by nothing but the bell."""

    def _new_queue(self) -> LingeringQueue:
        return LingeringQueue(GROUP_ROWS, NEVER_S)


def test_what_an_order_was_decided_on_and_its_intent_are_one_commit(tmp_path: Path) -> None:
    passed: list[str] = []
    with Patient(tmp_path) as ledger:
        ledger.begin_run(make.started(), ts_event=make.T0)
        faultpoints.listen(passed.append)
        try:
            for n in range(3):
                ledger.append(make.snapshot(n), ts_event=make.T0 + n)
            seq = ledger.append_durable(make.snapshot(3), ts_event=make.T0 + 3)
        finally:
            faultpoints.listen(None)
        assert ledger.head.seq == seq
    assert passed.count("ledger.write.after_commit") == 1


@pytest.mark.parametrize("count", [2, FEW_ROWS, FEW_ROWS + 1])
def test_of_rows_of_which_one_cannot_be_written_none_is_there(tmp_path: Path, count: int) -> None:
    with DurableLedger(tmp_path) as ledger:
        ledger.begin_run(make.started(), ts_event=make.T0)
    segment = Segment(segments(tmp_path)[0].path, StoreOptions())
    head = segment.head()
    _, _, *there = segment.query("SELECT * FROM ledger ORDER BY seq DESC LIMIT 1")[0]
    waiting: Any = [(head.seq + 1 + n, "run-1", *there[:5]) for n in range(count)]
    rows, _ = link(waiting, head)
    with pytest.raises(LedgerWriteError):
        segment.insert([*rows[:-1], rows[0]])  # its number is taken, and so is its place
    assert segment.head() == head
    segment.insert(rows)
    assert segment.head().seq == head.seq + count
    segment.close()
