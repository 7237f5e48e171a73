"""`clock.read`: what the clock said is a row where nothing but the clock decided, and the decision names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain.clock import NS_PER_DAY, NS_PER_SECOND
from core.domain.errors import ApprovalInvalid
from core.engine.journal import Causes
from core.engine.live.journal import LiveJournal, OrderJournal
from core.ledger import DurableLedger
from core.ledger.kinds import ClockRead, DataManifest, OrderAbsent, OrderDenied, StateChanged
from core.ledger.reader import LedgerReader
from core.ledger.rows import Row
from core.risk import Gate, Limits
from tests.unit.core.ledger import rows_for_tests as make
from tests.unit.core.risk.world import KYES, Desk, world

T0 = make.T0
HOUR_NS = 3_600 * NS_PER_SECOND


class Node:
    """A gate, its journals and a ledger on disk, as a node has them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, T0
        self.ledger = DurableLedger(folder)
        self.ledger.begin_run(make.started(), ts_event=T0)
        causes = Causes()
        feed = DataManifest(
            snapshot_id="feed", source="feed", sha256="", rows=0, start_ns=T0, end_ns=0
        )
        causes.source = self.ledger.append(feed, ts_event=T0)
        self.journal = LiveJournal(self.ledger, {"KALSHI": "USD"}, lambda cid, seq: None, causes)
        self.orders = OrderJournal(self.ledger, lambda: self.now, "KALSHI", "USD", causes)

    def tell(self, gate: Gate) -> None:
        """Write what the risk layer has moved."""
        for event in gate.drain():
            self.journal.risk(event)

    def rows(self) -> dict[int, Row]:
        self.ledger.flush()
        return {row.seq: row for row in LedgerReader(self.folder).rows()}

    def reads_behind(self, row: Row) -> list[ClockRead]:
        """Return the readings of the clock that a row names."""
        rows = self.rows()
        found = [rows[seq].decoded() for seq in row.parent_seqs]
        return [payload for payload in found if isinstance(payload, ClockRead)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "ledger")
    yield made
    made.ledger.close()


def moves(node: Node, machine: str) -> list[tuple[Row, StateChanged]]:
    found = [(row, row.decoded()) for row in node.rows().values() if row.name == "state"]
    return [(r, m) for r, m in found if isinstance(m, StateChanged) and m.machine == machine]


def losing(gate: Gate, at_ns: int) -> None:
    """Take six dollars of the hundred away and let the governors see it."""
    gate.on_time(at_ns)
    gate.on_cash("KALSHI", gate.cash("KALSHI") - 6)
    gate.on_time(at_ns + NS_PER_SECOND)


def test_a_daily_loss_names_no_clock_and_its_end_the_reading_of_the_new_day(node: Node) -> None:
    low = {"breaker.daily_loss": "0.028", "governors.daily_loss": "0.028"}
    limits = Limits.of(Limits().flat() | low | {"governors.drawdown": "0.9"})
    gate = world(limits)
    losing(gate, T0)
    node.tell(gate)
    tomorrow = (T0 // NS_PER_DAY + 1) * NS_PER_DAY
    gate.on_time(tomorrow + 5)
    node.tell(gate)
    (began, stop), (over, end) = moves(node, "trading")
    assert (stop.after, end.after) == ("REDUCE_ONLY", "RUNNING")
    assert node.reads_behind(began) == [], "money moved it"
    assert node.reads_behind(over) == [
        ClockRead(purpose="trading daily_loss", value_ns=tomorrow + 5)
    ]


def test_a_calm_day_that_lifts_the_posture_names_the_reading(node: Node) -> None:
    limits = Limits.of(
        Limits().flat() | {"governors.soft_drawdown": "0.02", "governors.drawdown": "0.9",
                           "governors.daily_loss": "0.9"}
    )  # fmt: skip
    gate = world(limits)
    losing(gate, T0)
    for hours in range(1, 50):  # the window of the drawdown passes, then a calm day
        gate.on_time(T0 + hours * HOUR_NS)
    node.tell(gate)
    (down, fell), (up, calm), *_ = moves(node, "posture")
    assert (fell.before, fell.after) == ("AGGRESSIVE", "BALANCED")
    assert calm.after == "AGGRESSIVE"
    assert node.reads_behind(down) == []
    assert node.reads_behind(up) == [ClockRead(purpose="posture calm", value_ns=up.ts_event)]


def test_a_pause_of_the_breaker_that_is_over_names_the_reading(node: Node) -> None:
    gate = world(Limits())
    gate.on_strategy("S1", "arbitrage")
    gate.on_time(T0)
    for n in range(3):
        gate.breaker.error(f"O-{n}", "rejected", T0)
    gate.breaker.tick(T0 + 301 * NS_PER_SECOND)
    node.tell(gate)
    (opened, _), (probing, probe) = moves(node, "breaker")
    assert probe.after == "PROBING"
    assert node.reads_behind(opened) == []
    assert node.reads_behind(probing) == [
        ClockRead(purpose="breaker arbitrage", value_ns=probing.ts_event)
    ]


def test_an_order_whose_approval_ran_out_is_denied_by_a_reading_of_the_clock(node: Node) -> None:
    desk = Desk(world())
    approved = desk.send(KYES, "BUY", "1", "0.40", now_ns=T0)
    node.now = T0 + 6 * NS_PER_SECOND
    with pytest.raises(ApprovalInvalid) as caught:
        desk.gate.redeem(approved, node.now)
    late = node.orders.denied("O-1", f"{caught.value.code}: {caught.value}")
    other = node.orders.denied("O-2", "APPROVAL_FORGED: the approval's signature is not the gate's")
    rows = node.rows()
    assert isinstance(rows[late].decoded(), OrderDenied)
    assert node.reads_behind(rows[late]) == [
        ClockRead(purpose="expiry of an approval", value_ns=node.now)
    ]
    assert node.reads_behind(rows[other]) == [], "a forgery is one at any time"


def test_an_order_old_enough_to_be_absent_names_the_reading(node: Node) -> None:
    unknown = node.orders.event(OrderDenied, "O-9", reason="stands for the order so far")
    node.now = T0 + 40 * NS_PER_SECOND
    seq = node.orders.absent("O-9")
    row = node.rows()[seq]
    assert isinstance(row.decoded(), OrderAbsent)
    assert node.reads_behind(row) == [
        ClockRead(purpose="age of an order of unknown fate", value_ns=node.now)
    ]
    assert unknown in row.parent_seqs
