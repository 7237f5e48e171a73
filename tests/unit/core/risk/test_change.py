"""A modification is reviewed for what it could cost more; both terms stay reserved until the answer."""

from __future__ import annotations

from copy import replace

import pytest

from core.domain.errors import ApprovalInvalid
from core.domain.grid import Band, TickGrid
from core.risk import Code, MarketView, TradingState
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import KYES, D, Desk, market

FEE = D("0.07")


def working(desk: Desk, side: str = "BUY", quantity: str = "10", price: str = "0.40"):
    answer = desk.send(KYES, side, quantity, price)
    desk.gate.redeem(answer, 10)
    desk.gate.on_working(answer.intent.client_order_id)
    return answer.intent


def change(desk: Desk, intent, quantity: str, price: str, now_ns: int = 10):
    view = MarketView(now_ns, D(price), D(price))
    cid = intent.client_order_id
    return desk.gate.review_change(cid, D(quantity), D(price), intent, view)


def cost(price: str, quantity: str):
    p, q = D(price), D(quantity)
    return p * q + FEE * p * (1 - p) * q


def test_the_worse_of_both_terms_is_reserved_until_the_venue_answers(desk: Desk):
    intent = working(desk)
    answer = change(desk, intent, "20", "0.30")
    assert answer.approved
    assert desk.gate.redeem(answer, 11).quantity == 20
    assert desk.gate.exposure() == cost("0.40", "20"), "either may still fill"
    desk.gate.adopt_change("O-1", D(20), D("0.30"), 11)
    assert desk.gate.exposure() == cost("0.30", "20")


def test_a_refused_change_leaves_the_old_terms(desk: Desk):
    intent = working(desk)
    desk.gate.redeem(change(desk, intent, "20", "0.50"), 11)
    desk.gate.on_modify_rejected("O-1")
    assert desk.gate.exposure() == cost("0.40", "10")


def test_a_change_that_is_never_sent_expires(desk: Desk):
    intent = working(desk)
    answer = change(desk, intent, "20", "0.50")
    desk.gate.on_time(answer.expires_ns)
    assert desk.gate.exposure() == cost("0.40", "10")
    with pytest.raises(ApprovalInvalid):
        desk.gate.redeem(answer, 11)


def test_only_what_is_more_needs_cash(desk: Desk):
    intent = working(desk, quantity="200", price="0.40")  # 83.36 of 100
    assert change(desk, intent, "210", "0.40").approved
    desk.gate.on_modify_rejected("O-1")
    refused(change(desk, intent, "260", "0.40"), Code.CASH)


def test_a_sale_may_grow_only_as_far_as_it_is_covered(desk: Desk):
    desk.hold(KYES, "15")
    intent = working(desk, "SELL")
    refused(change(desk, intent, "15.01", "0.40"), Code.COVERED_SELL)
    assert change(desk, intent, "15", "0.40").approved
    refused(desk.send(KYES, "SELL", "0.01", "0.40"), Code.COVERED_SELL)


def test_fills_while_changing_count_for_either_terms(desk: Desk):
    intent = working(desk)
    desk.gate.redeem(change(desk, intent, "5", "0.30"), 11)
    desk.fill("O-1", "6", "0.40", "0.1")
    desk.gate.adopt_change("O-1", D(5), D("0.30"), 11)
    assert not desk.gate.book.orders, "6 of 5 are filled: nothing is left"
    assert desk.gate.exposure() == D("2.5")


@pytest.mark.parametrize(("held", "left"), [("10", "4"), ("15", "9"), ("20", "14")])
def test_what_the_venue_holds_stays_reserved_also_where_it_is_not_what_was_asked_for(
    desk: Desk, held: str, left: str
):
    intent = working(desk)
    desk.gate.redeem(change(desk, intent, "20", "0.40"), 11)
    desk.fill("O-1", "6", "0.40", "0.1008")
    desk.gate.adopt_change("O-1", D(held), D("0.40"), 12)
    assert desk.gate.exposure() == D("2.5008") + cost("0.40", left)
    assert desk.gate.holds.state is TradingState.RUNNING


def test_a_decrease_that_the_venue_did_not_make_releases_nothing(desk: Desk):
    intent = working(desk)
    desk.gate.redeem(change(desk, intent, "5", "0.40"), 11)
    desk.gate.adopt_change("O-1", D(10), D("0.40"), 12)
    assert desk.gate.exposure() == cost("0.40", "10")
    assert change(desk, intent, "4", "0.40").approved, "the change before it is over"


@pytest.mark.parametrize(("quantity", "price"), [("21", "0.40"), ("10", "0.41")])
def test_terms_that_nobody_approved_are_reserved_and_stop_buying(
    desk: Desk, quantity: str, price: str
):
    intent = working(desk)
    desk.gate.redeem(change(desk, intent, "20", "0.30"), 11)
    desk.gate.adopt_change("O-1", D(quantity), D(price), 12)
    assert desk.gate.exposure() == cost(price, quantity)
    assert desk.gate.holds.state is TradingState.REDUCE_ONLY
    assert "TERMS_UNAPPROVED" in desk.gate.holds.reason


def test_only_an_accepted_order_that_is_not_changing_can_be_changed(desk: Desk):
    answer = desk.send(KYES, "BUY", "10", "0.40")
    refused(change(desk, answer.intent, "11", "0.40"), Code.NOT_WORKING)
    desk.gate.redeem(answer, 10)
    desk.gate.on_working("O-1")
    assert change(desk, answer.intent, "11", "0.40").approved
    refused(change(desk, answer.intent, "12", "0.40"), Code.NOT_WORKING)
    ghost = replace(answer.intent, client_order_id="GHOST")
    refused(change(desk, ghost, "12", "0.40"), Code.NOT_WORKING)


def test_every_check_of_an_order_is_made_of_a_change(desk: Desk):
    intent = working(desk)
    refused(change(desk, intent, "10", "0.405"), Code.PRICE_OFF_GRID)
    refused(change(desk, intent, "10.001", "0.40"), Code.SIZE_OFF_STEP)
    refused(change(desk, intent, "NaN", "0.40"), Code.INVALID_QUANTITY)
    from core.domain.market import MarketStatus

    desk.gate.on_status("K1", MarketStatus.PAUSED)
    refused(change(desk, intent, "11", "0.40"), Code.MARKET_CLOSED)


def test_an_order_that_a_new_grid_left_between_two_steps_may_only_become_smaller(desk: Desk):
    """The venue takes a smaller size for it (it names no price), and no other price off the grid."""
    cent = market("KALSHI", "K1", "E1")
    fine = market("KALSHI", "K1", "E1", grid=TickGrid((Band(D(0), D(1), D("0.001")),)))
    desk.gate.on_market(fine)
    intent = working(desk, price="0.405")
    desk.gate.on_market(cent)
    refused(change(desk, intent, "5", "0.404"), Code.PRICE_OFF_GRID)
    refused(change(desk, intent, "10", "0.405"), Code.PRICE_OFF_GRID)
    refused(change(desk, intent, "12", "0.405"), Code.PRICE_OFF_GRID)
    answer = change(desk, intent, "5", "0.405")
    assert answer.approved
    desk.gate.redeem(answer, 11)
    desk.gate.adopt_change("O-1", D(5), D("0.405"), 11)
    assert desk.gate.exposure() == cost("0.405", "5")
