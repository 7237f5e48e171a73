"""Ids of sent orders: what is over leaves memory and is found on disk; a trade of it is told with the ids of the first time."""

import asyncio
import subprocess
import sys
from decimal import Decimal

import pytest

from adapters.polymarket import order_ids
from adapters.polymarket.id_lines import IdLines
from adapters.polymarket.order_ids import KEEP_NS, OrderIds
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.engine.live.port import SentOrder
from tests.conformance.rig import play

D = Decimal
SECOND = 1_000_000_000


def order(number, sent_ns=0):
    return SentOrder(
        f"0x{number:064x}", f"O-{number}", "i", Side.BUY, D("1.5"), D("0.4"), sent_ns or number
    )


@pytest.fixture
def quick(monkeypatch):
    """Leave out the wait for the disk: nothing here is about a power cut."""
    monkeypatch.setattr(order_ids.os, "fsync", lambda fd: None)


def test_what_was_let_go_is_found_by_both_ids_and_nothing_else_is(tmp_path, quick):
    with OrderIds(tmp_path / "ids") as ids:
        for number in range(1, 300):
            ids.write(order(number))
        ids.forget(order(n).order_id for n in range(1, 280))
        assert len(ids._kept) == len(ids._by_client) == 20
        for number in (1, 150, 279, 280, 299):
            assert ids.order(order(number).order_id) == order(number)
            assert ids.of_client(f"O-{number}") == order(number)
            assert order(number).order_id in ids
        assert ids.order(order(300).order_id) is None and ids.of_client("O-300") is None
        assert ids.of_client("") is None


def test_reading_further_back_than_memory_reads_the_disk(tmp_path, quick):
    with OrderIds(tmp_path / "ids") as ids:
        for number in range(1, 30):
            ids.write(order(number))
        ids.forget(order(n).order_id for n in range(1, 20))
        assert [o.sent_ns for o in ids.since(20)] == list(range(20, 30))
        assert sorted(o.sent_ns for o in ids.since(5)) == list(range(5, 30))
        ids.forget(order(n).order_id for n in range(1, 30))
        assert sorted(o.sent_ns for o in ids.since(5)) == list(range(5, 30))


def test_a_start_keeps_the_last_hour_in_memory_and_finds_the_rest(tmp_path, quick):
    path = tmp_path / "ids"
    with OrderIds(path) as ids:
        for number in range(1, 100):
            ids.write(order(number, number * 60 * SECOND))
    with OrderIds(path) as ids:
        assert len(ids._kept) == KEEP_NS // (60 * SECOND) + 1
        assert ids.of_client("O-1") == order(1, 60 * SECOND)
        assert len(ids.since(0)) == 99
        ids.write(order(100, 6_000 * SECOND))
        ids.forget([order(n).order_id for n in (1, 100)])
        assert ids.of_client("O-100") == order(100, 6_000 * SECOND)
        assert ids.of_client("O-1") == order(1, 60 * SECOND)


def test_without_a_file_nothing_is_let_go():
    ids = OrderIds()
    ids.write(order(1))
    ids.forget([order(1).order_id])
    assert ids.of_client("O-1") == order(1)


FULL_DISK = """
import resource, sys
from adapters.polymarket.order_ids import OrderIds
from tests.unit.adapters.polymarket.test_order_ids import order

with OrderIds(__import__("pathlib").Path(sys.argv[1])) as ids:
    ids.write(order(1))
    full = ids.path.stat().st_size + 50
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    try:
        ids.write(order(2))
    except OSError:
        print("refused", ids.kept(order(2).order_id))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ids.write(order(3))
"""


def test_a_disk_that_takes_a_part_of_a_line_refuses_the_order_and_costs_no_other(
    tmp_path, repo_root
):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "ids")]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=120)
    assert done.stdout == "refused False\n", done.stderr
    with OrderIds(tmp_path / "ids") as ids:
        found = [ids.of_client(f"O-{number}") for number in (1, 2, 3)]
    assert found == [order(1), None, order(3)]


def test_an_order_is_known_at_once_and_its_line_follows(tmp_path, quick):
    path = tmp_path / "ids"
    with OrderIds(path) as ids:
        ids.note(order(1))
        assert ids.of_client("O-1") == order(1) and path.read_bytes() == b""
        ids.forget([order(1).order_id])
        assert ids.kept(order(1).order_id), "it is nowhere else yet"
        ids.note(order(2))
        ids.flush()
        ids.flush()
        assert path.read_bytes().count(b"\n") == 2 and not ids.unwritten
        ids.forget([order(1).order_id, order(2).order_id])
        assert not ids._kept and ids.of_client("O-2") == order(2)
        ids.note(order(3))
    assert path.read_bytes().count(b"\n") == 3, "closing writes the last ones"


def test_what_a_kill_kept_out_of_the_file_comes_from_the_ledger_once(tmp_path, quick):
    path = tmp_path / "ids"
    with OrderIds(path) as ids:
        ids.write(order(1))
        ids.note(order(2))
        ids.unwritten.clear()
    for _ in range(2):
        with OrderIds(path) as ids:
            ids.restore([order(1), order(2)])
            assert ids.of_client("O-2") == order(2)
            assert path.read_bytes().count(b"\n") == 2


async def test_a_disk_that_refuses_lines_is_asked_again(tmp_path, monkeypatch):
    tasks, full = [], [True]

    def fsync(descriptor):
        if full[0]:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(order_ids.os, "fsync", fsync)
    monkeypatch.setattr("adapters.polymarket.id_lines.FLUSH_S", 0.01)
    with OrderIds(tmp_path / "ids") as ids:
        lines = IdLines(ids, lambda work, name: tasks.append(asyncio.create_task(work)))
        lines.note(order(1))
        for _ in range(500):
            if lines.refused:
                break
            await asyncio.sleep(0.01)
        assert "No space" in lines.refused and list(ids.unwritten) == [order(1)]
        full[0] = False
        for _ in range(500):
            if not ids.unwritten:
                break
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        assert not ids.unwritten and lines.refused == ""
    with OrderIds(tmp_path / "ids") as ids:  # a line twice is a line once
        assert ids.of_client("O-1") == order(1) and len(ids.since(0)) == 1


def test_while_the_disk_refuses_lines_no_order_leaves_without_its_own(tmp_path):
    async def script(stand, trader):
        def send():
            return trader.send(stand.markets[0], Side.BUY, D(5), D("0.38"), TimeInForce.GTC)

        ids, taken = stand.port.ids, stand.port.ids._append

        def refuse(lines):
            raise OSError(28, "No space left on device")

        ids._append = refuse
        await send()
        await asyncio.sleep(2.0)
        assert len(stand.exchange.orders) == 1, "the ledger has its id"
        await send()
        await asyncio.sleep(2.0)
        assert len(stand.exchange.orders) == 1
        ids._append = taken
        await asyncio.sleep(10.0)
        assert not ids.unwritten
        await send()
        await asyncio.sleep(2.0)
        assert len(stand.exchange.orders) == 2

    play(tmp_path, "POLYMARKET", script)
