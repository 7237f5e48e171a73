"""Ids of sent orders: what is over leaves memory and is found on disk; a trade of it is told with the ids of the first time."""

import subprocess
import sys
from decimal import Decimal

import pytest

from adapters.polymarket import order_ids
from adapters.polymarket.order_ids import KEEP_NS, OrderIds, SentOrder
from core.domain.fees import Side

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
