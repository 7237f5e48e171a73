"""Every reason class is named only when the records show it."""

from decimal import Decimal

import pytest

from core.engine.arrivals import strategy_key
from core.engine.parity.compare import HEARD, STOOD, Circumstances, Reason, differences, pair_orders
from core.engine.parity.orders import ComparedOrder, Execution, RunOrders

D = Decimal
MS = 1_000_000


def order(at_ms, *fills, arrival_ms=None, role="taker", fee="0.01", side="BUY", **more):
    made = ComparedOrder(
        f"o{at_ms}", "S#0", "A-YES.KALSHI", side, D(2), D("0.50"), "IOC", False, at_ms * MS,
        (at_ms + 20 if arrival_ms is None else arrival_ms) * MS,
    )  # fmt: skip
    for name, value in more.items():
        setattr(made, name, value)
    for price, quantity in fills:
        made.fills.append(Execution(made.arrival_ns, D(price), D(quantity), D(fee), role))
    return made


def compare(left, right, run=None, window_ms=100, **known):
    run = run or RunOrders(orders=left)
    return differences(pair_orders(left, right, window_ms * MS), run, Circumstances(**known))


def reasons(*args, **known):
    return [d.reason for d in compare(*args, **known)]


FULL = ("0.50", "2")


def test_equal_orders_do_not_differ():
    assert compare([order(1, FULL), order(500, FULL)], [order(3, FULL), order(480, FULL)]) == []


def test_an_order_of_one_run_only_is_unexplained_unless_something_says_why():
    assert reasons([order(1, FULL)], []) == [Reason.UNEXPLAINED]
    assert reasons([], [order(1, FULL)], RunOrders(halts=[MS])) == [Reason.HALTED]
    assert reasons([], [order(9, FULL)], RunOrders(ended_ns=5 * MS)) == [Reason.RUN_ENDED]
    assert reasons([order(1, FULL)], [], data_start_ns=5 * MS) == [Reason.MISSING_DATA]
    assert reasons([order(1, FULL)], [], lost_rows=True) == [Reason.MISSING_DATA]
    held = {"A-YES.KALSHI": "3"}
    assert reasons([order(1, FULL)], [], positions=held) == [Reason.OPENING_POSITION]


def test_another_size_is_what_other_shares_of_the_account_were_worth():
    other = order(1, FULL)
    other.quantity += 1
    held = {"B-YES.KALSHI": "3"}
    assert reasons([order(1, FULL)], [other], positions=held) == [Reason.OPENING_POSITION]
    assert reasons([order(1, FULL)], [other]) == [Reason.UNEXPLAINED]
    other.price = D("0.60")
    assert reasons([order(1, FULL)], [other], positions=held) == [Reason.UNEXPLAINED]


def test_what_follows_a_difference_is_its_consequence():
    assert reasons([order(1, FULL), order(900, FULL)], []) == [
        Reason.UNEXPLAINED,
        Reason.CONSEQUENCE,
    ]


def test_an_order_decided_while_one_run_had_not_heard_of_a_fill_differs_by_latency():
    late = order(1, FULL, arrival_ms=900)
    sold = order(500, FULL, side="SELL")
    assert reasons([order(1, FULL), sold], [late]) == [Reason.LATENCY]
    assert reasons([order(1, FULL), order(950, FULL, side="SELL")], [late]) == [Reason.UNEXPLAINED]
    assert reasons([order(1, FULL), sold], [order(1, FULL)]) == [Reason.UNEXPLAINED]


def made_of(*parts):
    """Return an order at 1 ms with one share a fill at each moment, in ms."""
    made = order(1)
    made.fills += [Execution(at * MS, D("0.50"), D(q), q * D("0.005"), "maker") for at, q in parts]
    return made


def test_an_order_decided_between_the_news_of_the_same_part_differs_by_latency():
    left, right = made_of((400, 1), (600, 1)), made_of((400, 1), (640, 1))
    told = {"moved": lambda iid, start, end: True}
    again, other = order(620, FULL), order(620, FULL, price=D("0.51"))
    (one,) = compare([left, again], [right, other], **told)
    assert (one.reason, one.detail) == (Reason.LATENCY, HEARD), "sharper than the timing"
    (one,) = compare([left, order(700, FULL)], [right, order(700, FULL, price=D("0.51"))], **told)
    assert one.reason is Reason.TIMING


@pytest.mark.parametrize("taken", [True, False])
def test_an_order_decided_when_another_part_had_filled_in_one_run_differs_by_the_queue(taken):
    """Seven and five shares at two moments are other executions than twelve later on: another place in the queue."""
    before = [order(0, FULL, arrival_ms=0, side="SELL")] if taken else []
    left, right = made_of((400, 1), (500, 1)), made_of((800, 2))
    (one,) = compare([*before, left, order(510, FULL)], [*before, right])
    assert one.reason is (Reason.TAKEN if taken else Reason.QUEUE)
    assert one.detail == STOOD


def test_an_order_decided_before_the_news_of_an_expiry_differs_by_latency():
    told = {"expire_ns": 300 * MS, "ended_ns": 340 * MS, "status": "EXPIRED"}
    replayed = order(1, status="EXPIRED")
    (one,) = compare([order(1, **told)], [replayed, order(320, FULL)])
    assert (one.reason, one.detail) == (Reason.LATENCY, HEARD)
    assert reasons([order(1, **told)], [replayed, order(350, FULL)]) == [Reason.UNEXPLAINED]


def test_a_fee_difference_does_not_explain_later_orders():
    left = [order(1, FULL, fee="0.02"), order(900, FULL)]
    assert reasons(left, [order(1, FULL, fee="0.05")]) == [Reason.UNEXPLAINED, Reason.UNEXPLAINED]


def test_decisions_too_far_apart_are_two_orders():
    assert len(compare([order(1, FULL)], [order(300, FULL)])) == 2


@pytest.mark.parametrize(
    ("left", "right", "moved", "reason"),
    [
        (order(1, ("0.49", "2")), order(1, FULL), True, Reason.LATENCY),
        (order(1, ("0.50", "1")), order(1, FULL), False, Reason.DEPTH),
        (order(1, ("0.49", "2")), order(1, FULL), False, Reason.UNEXPLAINED),
        (order(1, role="maker"), order(1, FULL, role="maker"), False, Reason.QUEUE),
        (order(1, unknown=True), order(1, FULL), True, Reason.UNKNOWN_OUTCOME),
        (order(1, status="REJECTED", code="x"), order(1, FULL), True, Reason.REJECTED),
        (
            order(1, code="SelfTradeCancel", status="CANCELED"),
            order(1, FULL),
            False,
            Reason.SELF_TRADE,
        ),
        (order(1, FULL, fee="0.0101"), order(1, FULL), True, Reason.ROUNDING),
        (order(1, FULL, fee="0.03"), order(1, FULL), True, Reason.UNEXPLAINED),
        (order(1, FULL, price=D("0.51")), order(1, FULL), True, Reason.TIMING),
        (order(1, FULL, price=D("0.51")), order(1, FULL), False, Reason.UNEXPLAINED),
    ],
)
def test_a_pair_that_differs_gets_the_reason_that_the_records_show(left, right, moved, reason):
    (one,) = compare([left], [right], moved=lambda iid, start, end: moved)
    assert one.reason is reason
    assert one.recorded and one.replayed


def test_strategies_of_both_engines_are_counted_from_zero():
    assert strategy_key("Momentum-001", 1) == strategy_key("Momentum-000", 0) == "Momentum#0"
    assert strategy_key("EXTERNAL", 1) == "EXTERNAL"


def test_decisions_of_one_moment_are_one_order_even_when_others_are_near():
    left = [order(1, FULL), order(20, FULL), order(40, FULL)]
    right = [order(20, FULL), order(40, FULL)]
    (one,) = compare(left, right)
    assert one.ts_ns == 1 * MS
    assert one.replayed == ""


def test_a_level_that_was_taken_from_before_is_named():
    left = [order(1, FULL), order(900, ("0.50", "1"))]
    right = [order(1, FULL), order(900, FULL)]
    (one,) = compare(left, right)
    assert one.reason is Reason.TAKEN
    assert one.detail == "0.5"


@pytest.mark.parametrize(
    ("status", "at"),
    [("CANCELED", {"canceled_ns": 300 * MS}), ("REJECTED", {"arrival_ns": 300 * MS})],
)
def test_an_order_decided_before_the_news_of_a_cancel_or_a_refusal_differs_by_latency(status, at):
    ours = order(1, status=status, ended_ns=340 * MS, **at)
    (one,) = compare([ours], [order(1, status=status), order(320, FULL)])
    assert (one.reason, one.detail) == (Reason.LATENCY, HEARD)


def test_a_live_fill_differs_by_latency_when_the_book_moved_before_the_answer_came():
    """Nobody told when the order arrived: some time between its decision and the answer."""
    told = {"moved": lambda iid, start, end: (start, end) == (1 * MS, 90 * MS)}
    ours, theirs = order(1, ("0.49", "2"), heard_ns=90 * MS), order(1, FULL)
    assert reasons([ours], [theirs], **told) == [Reason.LATENCY]
    assert reasons([order(1, ("0.49", "2"))], [theirs], **told) == [Reason.UNEXPLAINED]


@pytest.mark.parametrize("as_heard", [False, True])
def test_nothing_is_blamed_on_news_that_the_replay_told_when_the_run_had_heard_it(as_heard):
    """The replay then knew what the run knew: a sale in one run only is a defect until it is explained."""
    ours, theirs = order(1, FULL, arrival_ms=900), order(1, FULL)
    theirs.as_heard = as_heard
    (one,) = compare([ours], [theirs, order(500, FULL, side="SELL")])
    assert one.reason is (Reason.UNEXPLAINED if as_heard else Reason.LATENCY)
    told = {"expire_ns": 300 * MS, "ended_ns": 340 * MS, "status": "EXPIRED"}
    theirs = order(1, status="EXPIRED", as_heard=as_heard)
    (one,) = compare([order(1, **told)], [theirs, order(320, FULL)])
    assert one.reason is (Reason.UNEXPLAINED if as_heard else Reason.LATENCY)


def test_other_parts_than_recorded_are_still_another_place_in_the_queue():
    left, right = made_of((400, 1), (500, 1)), made_of((800, 2))
    right.as_heard = True
    (one,) = compare([left, order(510, FULL)], [right])
    assert (one.reason, one.detail) == (Reason.QUEUE, STOOD)
