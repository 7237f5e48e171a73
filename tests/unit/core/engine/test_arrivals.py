"""A replay sends its orders to arrive when those of the recorded run did."""

from core.engine.arrivals import Arrival, Arrivals

MS = 1_000_000


def arrivals(*rows, usual=50, window=500):
    made = [
        Arrival("S#0", "A", "BUY", decided * MS, arrived * MS, canceled * MS)
        for decided, arrived, canceled in rows
    ]
    return Arrivals(made, usual * MS, window * MS)


def test_each_order_arrives_when_its_own_did():
    book = arrivals((100, 130, 0), (200, 290, 0))
    assert book.of_order("a", "S#0", "A", "BUY", 100 * MS) == 130 * MS
    assert book.of_order("b", "S#0", "A", "BUY", 200 * MS) == 290 * MS
    assert book.arrived_ns("b", 200 * MS) == 290 * MS


def test_the_nearest_decision_is_taken_and_those_before_it_are_passed_over():
    book = arrivals((100, 130, 0), (200, 290, 0), (300, 310, 0))
    assert book.of_order("b", "S#0", "A", "BUY", 201 * MS) == 290 * MS
    assert book.of_order("c", "S#0", "A", "BUY", 202 * MS) == 310 * MS


def test_an_order_that_the_run_did_not_send_has_the_usual_latency():
    book = arrivals((100, 130, 0))
    assert book.of_order("x", "S#0", "A", "SELL", 100 * MS) == 150 * MS
    assert book.of_order("y", "S#0", "A", "BUY", 900 * MS) == 950 * MS
    assert book.arrived_ns("y", 900 * MS) == 950 * MS


def test_nothing_arrives_before_it_was_decided():
    book = arrivals((100, 130, 0))
    assert book.of_order("a", "S#0", "A", "BUY", 180 * MS) == 180 * MS


def test_a_cancel_arrives_when_it_did_or_as_usual():
    book = arrivals((100, 130, 400))
    book.of_order("a", "S#0", "A", "BUY", 100 * MS)
    assert book.of_cancel("a", 380 * MS) == 400 * MS
    assert book.of_cancel("a", 500 * MS) == 550 * MS
    assert book.of_cancel("unknown", 500 * MS) == 550 * MS


def test_an_order_that_never_reached_the_venue_lends_no_arrival():
    assert arrivals((100, 0, 0)).of_order("a", "S#0", "A", "BUY", 100 * MS) == 150 * MS


def test_a_cancel_never_arrives_before_its_order():
    book = arrivals((100, 700, 0))
    book.of_order("a", "S#0", "A", "BUY", 100 * MS)
    assert book.of_cancel("a", 200 * MS) == 700 * MS + 1
