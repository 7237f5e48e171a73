"""The orders of a run from its rows: when each reached the venue, which never left, where its strategies ended."""

from decimal import Decimal

import pytest

from core.domain.fees import Side
from core.engine.arrivals import Ending
from core.engine.parity.orders import recorded
from core.engine.parity.run import arrivals_of
from core.ledger import DurableLedger
from core.ledger.kinds import (
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderIntended,
    OrderRejected,
    RunStopping,
)
from tests.unit.core.ledger.rows_for_tests import started

MS = 1_000_000


def intent(order):
    return OrderIntended(
        client_order_id=order, strategy_id="S-001", venue="KALSHI", instrument_id="A", market_id="M",
        event_id="E", side=Side.BUY, quantity=Decimal(1), price=Decimal("0.4"), tif="FOK",
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    rows = [
        (10, intent("taken")),
        (11, intent("refused")),
        (12, intent("held")),
        (13, intent("unwritten")),
        (14, intent("denied")),
        (34, OrderDenied(client_order_id="denied", reason="HALTED: trading is halted")),
        (35, OrderAccepted(client_order_id="taken", venue_ns=30 * MS)),
        (36, OrderRejected(client_order_id="refused", reason="fok_unfilled: no", venue_ns=31 * MS)),
        (37, OrderRejected(client_order_id="held", reason="HALTED: the node is stopping")),
        (38, OrderRejected(client_order_id="unwritten", reason="LEDGER: disk full")),
        (45, OrderCanceled(client_order_id="taken", venue_ns=41 * MS)),
        (50, RunStopping(run_id="run-1", seen_ns=48 * MS, reason="signal")),
    ]
    book = DurableLedger(tmp_path / "ledger")
    book.begin_run(started(), ts_event=1)
    for at, row in rows:
        book.append(row, ts_event=at * MS)
    book.close()
    return tmp_path / "ledger"


def when(run):
    return {o.order_id: (o.arrival_ns // MS, o.canceled_ns // MS) for o in run.orders}


def test_on_paper_an_order_also_a_refused_one_arrived_when_the_venue_says(ledger):
    run = recorded(ledger, "run-1", own_clock=True)
    assert when(run) == {
        "taken": (30, 41),
        "refused": (31, 0),
        "held": (0, 0),
        "unwritten": (0, 0),
        "denied": (0, 0),
    }
    assert [o.order_id for o in run.orders if o.unsent] == ["held", "unwritten", "denied"]


def test_live_it_arrived_when_it_was_heard_of(ledger):
    run = recorded(ledger, "run-1")
    assert when(run)["taken"] == (35, 45)
    assert when(run)["refused"] == (36, 0)


def test_live_the_recording_can_say_better_than_the_answer(ledger):
    asked = []

    def received(iid, venue_ns, first_ns, last_ns):
        asked.append((iid, venue_ns / MS, first_ns / MS, last_ns / MS))
        return last_ns - MS

    run = recorded(ledger, "run-1", received=received)
    assert when(run)["taken"] == (34, 44)
    assert asked == [("A", 30, 10, 35), ("A", 31, 11, 36), ("A", 41, 34.000001, 45)]


def test_the_end_of_the_strategies_is_read(ledger):
    assert recorded(ledger, "run-1").ending == Ending(48 * MS, 50 * MS)


def test_what_arrived_after_the_last_recorded_news_meets_the_book_of_then(ledger):
    arrivals = arrivals_of(recorded(ledger, "run-1", own_clock=True), 1.0, 1.0, 25 * MS)
    assert arrivals.of_order("x", "S#0", "A", "BUY", 10 * MS) == 25 * MS
