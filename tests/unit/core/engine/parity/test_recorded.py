"""The orders of a run from its rows: when each reached the venue, which never left, where its strategies ended."""

from decimal import Decimal

import pytest

from core.domain.fees import Side
from core.engine.arrivals import Ending, Known, Place
from core.engine.parity.orders import recorded
from core.engine.parity.run import arrivals_of
from core.ledger import DurableLedger
from core.ledger.kinds import (
    NewsHeard,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
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


def part(quantity, trade_id):
    return OrderFilled(
        client_order_id="A1", venue_order_id="v", trade_id=trade_id, strategy_id="S-001", venue="KALSHI",
        instrument_id="A", side=Side.BUY, quantity=Decimal(quantity), price=Decimal("0.4"),
        fee=Decimal(0), currency="USD",
    )  # fmt: skip


def test_when_the_node_knew_of_fills_and_ends_is_read_and_never_later_than_the_recording(tmp_path):
    book = DurableLedger(tmp_path / "ledger")
    book.begin_run(started(), ts_event=1)

    def write(at, row, parents=()):
        return book.append(row, ts_event=at * MS, parents=parents)

    def heard(at, booked, told, seq):
        write(at, NewsHeard(booked_after_ns=booked * MS, heard_after_ns=told * MS), (seq,))

    write(10, intent("A1"))
    first, second = write(20, part("0.4", "t1")), write(21, part("0.3", "t2"))
    heard(24, 19, 23, first)
    heard(25, 20, 23, second)
    write(30, part("0.1", "t3"))  # the node was killed before its strategy heard of it
    heard(33, 30, 31, write(31, OrderCanceled(client_order_id="A1")))
    book.close()
    run = recorded(tmp_path / "ledger", "run-1")
    (one,) = arrivals_of(run, 1.0, 1.0, 32 * MS).recorded

    def place(after, at):
        return Place(after * MS, at * MS)

    terms = {"price": Decimal("0.4"), "fee": Decimal(0), "role": ""}
    first, second = Decimal("0.4"), Decimal("0.3")
    assert one.fills == (
        Known(place(19, 20), place(23, 24), first, quantity=first, **terms),
        Known(place(20, 21), place(23, 25), first + second, quantity=second, **terms),
    )
    assert one.end == Known(place(30, 31), place(31, 32)), (
        "at the end of the recording at the latest"
    )


def test_a_live_order_arrives_before_data_that_its_strategy_saw_when_its_end_was_booked(tmp_path):
    """Its answer came at 30 ms, when the strategy had been handed news up to 20 ms: other news was received in between."""
    book = DurableLedger(tmp_path / "ledger")
    book.begin_run(started(), ts_event=1)
    book.append(intent("A1"), ts_event=10 * MS)
    book.append(OrderAccepted(client_order_id="A1"), ts_event=30 * MS)
    seq = book.append(OrderCanceled(client_order_id="A1"), ts_event=31 * MS)
    heard = NewsHeard(booked_after_ns=20 * MS, heard_after_ns=28 * MS)
    book.append(heard, ts_event=33 * MS, parents=(seq,))
    book.close()

    def arrival(*moved):
        def has(iid, start, end):
            return any(start < t * MS <= end for t in moved)

        (one,) = recorded(tmp_path / "ledger", "run-1", moved=has).orders
        return one.arrival_ns / MS

    assert arrival(15, 35) == 20, "the same book at both moments"
    assert arrival(25) == 30, "another book: it met that one"


def test_what_is_sold_arrives_after_what_was_known_to_be_bought(tmp_path):
    """Both have whole milliseconds of the venue; the sale was decided when the purchase was booked."""
    book = DurableLedger(tmp_path / "ledger")
    book.begin_run(started(), ts_event=1)
    book.append(intent("A1"), ts_event=10 * MS)
    book.append(OrderAccepted(client_order_id="A1"), ts_event=30 * MS)
    seq = book.append(part("1", "t1"), ts_event=30 * MS)
    heard = NewsHeard(booked_after_ns=19 * MS, heard_after_ns=19 * MS)
    book.append(heard, ts_event=31 * MS, parents=(seq,))
    for name, decided in (("knew", 20), ("not", 18)):
        book.append(intent(name), ts_event=decided * MS)
        book.append(OrderAccepted(client_order_id=name), ts_event=25 * MS)
    book.close()
    run = recorded(tmp_path / "ledger", "run-1", received=lambda *told: told[-1])
    assert {o.order_id: o.arrival_ns for o in run.orders} == {
        "A1": 30 * MS, "knew": 30 * MS + 1, "not": 25 * MS
    }  # fmt: skip
