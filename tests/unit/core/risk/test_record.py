"""What a verdict shows is made of the numbers that the checks kept, whichever way they were kept."""

from __future__ import annotations

from core.domain.decision import CheckResult, TimeInForce
from core.risk.record import CASH, LIMIT, MAY_BUY, MONEY, Shape, results
from core.risk.states import TradingState
from tests.unit.core.risk.world import KYES, PYES, D, Desk, world

NANO, ATTO = 10**9, 10**18


def names(checks: tuple[CheckResult, ...]) -> list[str]:
    return [check.name for check in checks]


def test_a_shape_shows_each_number_in_the_unit_of_its_check():
    seen = [(MAY_BUY, TradingState.RUNNING, 5, 10), (LIMIT, 4 * 10**8, 45 * 10**7, 2 * NANO, NANO)]
    assert results([*seen, (CASH, 3 * ATTO // 2, 2 * ATTO)]) == (
        CheckResult("trading", "RUNNING", "RUNNING", True),
        CheckResult("market", "active", "active", True),
        CheckResult("book_age_ns", "5", "10", True),
        CheckResult("price_grid", "0.4", "grid", True),
        CheckResult("collar", "0.4", "0.45", True),
        CheckResult("size", "2", "1", True),
        CheckResult("cash", "1.5", "2", True),
    )


def test_a_check_of_its_own_reads_like_one_of_a_shape():
    one = Shape(("order", 1, 2))
    assert results([(one, ATTO, 2 * ATTO)]) == results([("order", ATTO, 2 * ATTO, True)])
    assert results([("price", D("NaN"), "finite", False)])[0].value == "NaN"


def test_every_shape_of_money_ends_with_the_cost_and_the_free_cash():
    seen = (MONEY, *range(1, 13))
    last = results([seen])[-1]
    assert (last.name, last.value) == ("cash", results([(CASH, seen[-2], seen[-1])])[0].value)


def test_a_purchase_shows_every_check_and_a_sale_those_that_it_needs(desk: Desk):
    both = ["trading", "market"]
    paced = ["price_grid", "collar", "size", "depth", "rate", "repeats"]
    limits = ["order", "market_exposure", "event_exposure", "venue_exposure", "total_exposure"]
    bought = desk.send(KYES, "BUY", "10", "0.40", ask=D("0.40"), depth=D(100))
    assert names(bought.checks) == [
        *both, "book_age_ns", *paced, "unknown_orders", "open_orders", "opposite_held", "opposite_bid",
        *limits, "cash",
    ]  # fmt: skip
    assert all(check.passed for check in bought.checks)
    desk.hold(PYES, "50")
    sold = desk.send(PYES, "SELL", "10", None, tif=TimeInForce.IOC, bid=D("0.40"))
    assert names(sold.checks) == [
        *both, "worst_price", "size", "rate", "repeats", "covered_sell", "cash",
    ]  # fmt: skip


def test_a_refusal_shows_what_was_passed_before_the_check_that_failed():
    desk = Desk(world(cash="100"))
    far = desk.send(KYES, "BUY", "10", "0.90", ask=D("0.40"), bid=D("0.39"))
    assert names(far.checks) == ["trading", "market", "book_age_ns", "price_grid", "collar"]
    step = desk.send(KYES, "BUY", "10.005", "0.40")
    assert names(step.checks)[-3:] == ["price_grid", "collar", "size_step"]
    small = desk.send(PYES, "BUY", "4", None, ask=D("0.40"))
    assert names(small.checks)[-2:] == ["worst_price", "size"]
    old = desk.send(KYES, "BUY", "10", "0.40", book_age_ns=10**18)
    assert names(old.checks) == ["trading", "market", "book_age_ns"]
    for answer in (far, step, small, old):
        assert [check.passed for check in answer.checks].index(False) == len(answer.checks) - 1
