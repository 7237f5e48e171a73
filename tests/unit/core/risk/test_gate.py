"""The gate's day-one checks: identity, market, grid, coverage, netting, cash, and exact release."""

from __future__ import annotations

from copy import replace
from decimal import Decimal

import pytest

from core.domain.errors import MarketError
from core.domain.fees import Side
from core.domain.grid import TickGrid
from core.domain.market import MarketStatus
from core.risk import Code, MarketView
from tests.unit.core.risk.world import K2YES, KNO, KYES, PNO, PYES, D, Desk, market


def refused(answer, code) -> None:
    assert not answer.approved, answer
    assert answer.code == code, answer.reason
    assert not answer.checks[-1].passed
    assert answer.mend


def test_an_order_within_all_checks_is_approved_with_every_check_listed(desk: Desk):
    answer = desk.send(KYES, "BUY", "10", "0.40")
    assert answer.approved
    names = [c.name for c in answer.checks]
    assert names[:5] == ["trading", "market", "book_age_ns", "price_grid", "collar"]
    assert names[-1] == "cash"
    assert {"rate", "repeats", "opposite_held", "order", "market_exposure"} < set(names)
    assert answer.verdict().approved
    assert answer.checks[-1].value == "4.168"  # 10 * 0.40 + 0.07 * 0.4 * 0.6 * 10


def test_a_client_order_id_is_approved_once(desk: Desk):
    assert desk.send(KYES, "BUY", "1", "0.40").approved
    refused(desk.send(KYES, "BUY", "1", "0.40", client_order_id="O-1"), Code.DUPLICATE_ID)
    desk.gate.on_done("O-1")
    refused(desk.send(KYES, "BUY", "1", "0.40", client_order_id="O-1"), Code.DUPLICATE_ID)


@pytest.mark.parametrize(
    "status",
    [MarketStatus.PAUSED, MarketStatus.CLOSED, MarketStatus.RESOLVED],
)
def test_a_market_that_is_not_active_takes_no_order(desk: Desk, status: MarketStatus):
    desk.gate.on_status("K1", status)
    refused(desk.send(KYES, "BUY", "1", "0.40"), Code.MARKET_CLOSED)
    assert desk.send(K2YES, "BUY", "1", "0.40").approved


def test_an_unopened_market_takes_no_order(desk: Desk):
    desk.gate.on_market(market("KALSHI", "K3", "", status=MarketStatus.UNOPENED))
    refused(desk.send("K3-YES.KALSHI", "BUY", "1", "0.40"), Code.MARKET_CLOSED)
    desk.gate.on_status("K3", MarketStatus.ACTIVE)
    assert desk.send("K3-YES.KALSHI", "BUY", "1", "0.40").approved


def test_an_order_at_or_after_close_or_before_open_is_refused(desk: Desk):
    desk.gate.on_market(market("KALSHI", "K3", open_ns=50, close_ns=100))
    yes = "K3-YES.KALSHI"
    refused(desk.send(yes, "BUY", "1", "0.40", now_ns=49), Code.MARKET_CLOSED)
    assert desk.send(yes, "BUY", "1", "0.40", now_ns=50).approved
    assert desk.send(yes, "BUY", "1", "0.40", now_ns=99).approved
    refused(desk.send(yes, "BUY", "1", "0.40", now_ns=100), Code.MARKET_CLOSED)


def test_a_resolved_market_cannot_be_reopened(desk: Desk):
    desk.gate.on_settlement(KYES, D(1))
    desk.gate.on_status("K1", MarketStatus.ACTIVE)
    refused(desk.send(KYES, "BUY", "1", "0.40"), Code.MARKET_CLOSED)


@pytest.mark.parametrize("price", ["0", "1", "0.405", "1.2", "-0.1", "0.0000000001", "1e30"])
def test_a_price_off_the_grid_is_refused(desk: Desk, price: str):
    refused(desk.send(KYES, "BUY", "1", price), Code.PRICE_OFF_GRID)


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_a_price_that_is_not_finite_is_refused(desk: Desk, price: str):
    refused(desk.send(KYES, "BUY", "1", price), Code.INVALID_PRICE)


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity", "1e-10", "1e13", "sNaN"])
def test_a_quantity_that_is_no_quantity_is_refused(desk: Desk, quantity: str):
    refused(desk.send(KYES, "BUY", quantity, "0.40"), Code.INVALID_QUANTITY)


def test_size_step_and_minimum_are_enforced(desk: Desk):
    refused(desk.send(KYES, "BUY", "1.005", "0.40"), Code.SIZE_OFF_STEP)
    refused(desk.send(PYES, "BUY", "4.99", "0.40"), Code.SIZE_TOO_SMALL)
    assert desk.send(PYES, "BUY", "5", "0.40").approved


def test_names_that_are_not_the_instruments_own_are_refused(desk: Desk):
    refused(desk.send(KYES, "BUY", "1", "0.40", market_id="K2"), Code.INTENT_MISMATCH)
    refused(desk.send(KYES, "BUY", "1", "0.40", event_id="E2"), Code.INTENT_MISMATCH)
    refused(desk.send("X-YES.KALSHI", "BUY", "1", "0.40"), Code.UNKNOWN_INSTRUMENT)
    refused(desk.send("X-YES.BETFAIR", "BUY", "1", "0.40"), Code.UNKNOWN_VENUE)


def test_a_sale_must_be_covered_by_the_strategys_own_shares(desk: Desk):
    refused(desk.send(KYES, "SELL", "1", "0.40"), Code.COVERED_SELL)
    desk.hold(KYES, "10")
    refused(desk.send(KYES, "SELL", "10.01", "0.40"), Code.COVERED_SELL)
    refused(desk.send(KYES, "SELL", "1", "0.40", strategy_id="S2"), Code.COVERED_SELL)
    assert desk.send(KYES, "SELL", "10", "0.40").approved


def test_resting_sales_count_against_what_may_be_sold(desk: Desk):
    desk.hold(KYES, "100")
    assert desk.send(KYES, "SELL", "100", "0.60").approved
    refused(desk.send(KYES, "SELL", "100", "0.60"), Code.COVERED_SELL)
    assert desk.gate.on_done("O-1")
    assert desk.send(KYES, "SELL", "100", "0.60").approved


def test_two_half_sales_cover_exactly_the_holding(desk: Desk):
    desk.hold(KYES, "100")
    assert desk.send(KYES, "SELL", "50", "0.60").approved
    desk.fill("O-1", "20", "0.60")
    assert desk.gate.sellable("S1", KYES) == D(50)
    assert desk.send(KYES, "SELL", "50", "0.61").approved
    refused(desk.send(KYES, "SELL", "0.01", "0.61"), Code.COVERED_SELL)


def test_unconfirmed_shares_cannot_be_sold(desk: Desk):
    desk.send(PYES, "BUY", "10", "0.40")
    desk.gate.on_fill("O-1", "T1", D(10), D("0.40"), D(0), provisional=True)
    refused(desk.send(PYES, "SELL", "10", "0.40"), Code.COVERED_SELL)
    desk.gate.on_confirmed("T1")
    assert desk.send(PYES, "SELL", "10", "0.40").approved


def test_the_opposite_of_a_held_outcome_is_refused_where_the_venue_nets(desk: Desk):
    desk.hold(KYES, "10")
    refused(desk.send(KNO, "BUY", "1", "0.40"), Code.OPPOSITE_HELD)
    refused(desk.send(KNO, "BUY", "1", "0.40", strategy_id="S2"), Code.OPPOSITE_HELD)
    desk.hold(PYES, "10")
    assert desk.send(PNO, "BUY", "5", "0.40").approved


def test_the_opposite_of_what_another_strategy_buys_is_refused_where_the_venue_nets(desk: Desk):
    assert desk.send(KYES, "BUY", "10", "0.40").approved
    refused(desk.send(KNO, "BUY", "1", "0.40", strategy_id="S2"), Code.OPPOSITE_BID)
    assert desk.send(KNO, "BUY", "1", "0.40").approved, "both sides of one strategy are its own"
    assert desk.send(KYES, "BUY", "1", "0.40", strategy_id="S2").code == Code.OPPOSITE_BID
    desk.gate.on_done("O-1")
    desk.gate.on_done("O-3")
    assert desk.send(KNO, "BUY", "1", "0.40", strategy_id="S2").approved
    desk.send(PYES, "BUY", "10", "0.40")
    assert desk.send(PNO, "BUY", "5", "0.40", strategy_id="S2").approved


def test_where_the_venue_nets_a_resting_opposite_buy_takes_away_what_may_be_sold(desk: Desk):
    assert desk.send(KYES, "BUY", "10", "0.40").approved
    assert desk.send(KNO, "BUY", "10", "0.50").approved
    desk.fill("O-1", "10", "0.40")
    # If the NO order fills, the venue nets the YES away and a resting sale of it would go short.
    refused(desk.send(KYES, "SELL", "10", "0.60"), Code.COVERED_SELL)
    desk.gate.on_done("O-2")
    assert desk.send(KYES, "SELL", "10", "0.60").approved


def test_cash_must_cover_cost_fee_and_earlier_reservations(desk: Desk):
    refused(desk.send(KYES, "BUY", "200", "0.50"), Code.CASH)  # 100 + 3.50 fee
    assert desk.send(KYES, "BUY", "100", "0.50").approved  # 50 + 1.75
    refused(desk.send(KYES, "BUY", "100", "0.50"), Code.CASH)
    assert desk.gate.free_cash("KALSHI") == D("48.25")
    assert desk.send(PYES, "BUY", "190", "0.50").approved, "venues have separate cash"


def test_a_market_order_is_priced_at_its_worst_case_on_the_grid(desk: Desk):
    refused(desk.send(KYES, "BUY", "10", None), Code.NO_REFERENCE)
    answer = desk.send(KYES, "BUY", "10", None, ask=D("0.50"))
    assert answer.worst_price == D("0.53")  # 0.50 * 1.05 = 0.525, up to the grid
    assert desk.gate.free_cash("KALSHI") == 100 - D("5.3") - D("0.07") * D("0.25") * 10
    high = desk.send(K2YES, "BUY", "10", None, ask=D("0.99"))
    assert high.worst_price == D("0.99")


def test_an_exit_needs_no_cash(desk: Desk):
    desk.hold(KYES, "10")
    desk.gate.on_cash("KALSHI", D(0))
    assert desk.send(KYES, "SELL", "10", "0.40").approved


def test_partial_fills_release_exactly_and_the_rest_stays_reserved(desk: Desk):
    desk.send(KYES, "BUY", "10", "0.40")
    gate = desk.gate
    assert gate.exposure() == D("4.168")
    desk.fill("O-1", "4", "0.39", "0.06")
    # held 4 at 1.56 + 0.06; 6 still to buy at 0.40; of the fee bound 0.168, 0.108 is left
    assert gate.cash("KALSHI") == 100 - D("1.62")
    assert gate.exposure() == D("1.62") + D("2.4") + D("0.108")
    gate.on_done("O-1")
    assert gate.exposure() == D("1.62")
    assert gate.free_cash("KALSHI") == gate.cash("KALSHI")


def test_a_trade_is_booked_once(desk: Desk):
    desk.send(KYES, "BUY", "10", "0.40")
    gate = desk.gate
    assert gate.on_fill("O-1", "T", D(4), D("0.40"), D(0))
    assert not gate.on_fill("O-1", "T", D(4), D("0.40"), D(0))
    assert gate.position("S1", KYES) == 4


def test_a_fill_after_the_order_was_closed_is_still_booked(desk: Desk):
    desk.send(KYES, "BUY", "10", "0.40")
    desk.gate.on_done("O-1")
    assert desk.fill("O-1", "4", "0.40")
    assert desk.gate.position("S1", KYES) == 4
    assert desk.gate.cash("KALSHI") == D("98.4")


def test_a_voided_trade_gives_back_shares_and_cash_once(desk: Desk):
    desk.send(PYES, "BUY", "10", "0.40")
    gate = desk.gate
    gate.on_fill("O-1", "T", D(10), D("0.40"), D("0.05"), provisional=True)
    assert gate.on_fill_voided("T")
    assert not gate.on_fill_voided("T")
    assert (gate.cash("POLYMARKET"), gate.exposure(), gate.position("S1", PYES)) == (100, 0, 0)


def test_proceeds_of_an_unconfirmed_sale_cannot_be_spent(desk: Desk):
    desk.hold(PYES, "10", "0.40")
    desk.send(PYES, "SELL", "10", "0.50")
    gate = desk.gate
    gate.on_fill("O-1", "T", D(10), D("0.50"), D(0), provisional=True)
    assert gate.cash("POLYMARKET") == 105
    assert gate.free_cash("POLYMARKET") == 100
    assert gate.exposure() == 4, "exposure stays until the sale is final"
    gate.on_confirmed("T")
    assert gate.free_cash("POLYMARKET") == 105
    assert gate.exposure() == 0


def test_an_unknown_order_stays_reserved_until_the_venue_proves_it(desk: Desk):
    approved = desk.send(KYES, "BUY", "10", "0.40")
    gate = desk.gate
    gate.redeem(approved, 11)
    assert not gate.on_done("O-1", proven=False), "an engine's own time-out is no proof"
    assert gate.exposure() == D("4.168")
    assert gate.book.unknown == 1
    gate.on_working("O-1")
    assert gate.book.unknown == 0
    gate.on_unknown("O-1")
    assert gate.on_done("O-1", proven=True)
    assert (gate.exposure(), gate.book.unknown) == (0, 0)


def test_settlement_pays_once_and_frees_the_exposure(desk: Desk):
    gate = desk.gate
    desk.hold(KYES, "10", "0.40")
    desk.hold(KYES, "5", "0.40", strategy="S2")
    gate.on_settlement(KYES, D(1))
    gate.on_settlement(KYES, D(0))
    assert gate.cash("KALSHI") == 115
    assert gate.exposure() == 0
    assert gate.equity() == 215


def test_a_trade_voided_after_settlement_takes_the_payout_back(desk: Desk):
    gate = desk.gate
    desk.send(PYES, "BUY", "10", "0.40")
    gate.on_fill("O-1", "T", D(10), D("0.40"), D(0), provisional=True)
    gate.on_settlement(PYES, D(1))
    assert gate.cash("POLYMARKET") == 106
    assert gate.free_cash("POLYMARKET") == 96, "the payout of an unconfirmed trade is not ours yet"
    gate.on_fill_voided("T")
    assert gate.free_cash("POLYMARKET") == gate.cash("POLYMARKET") == 100


def test_merged_pairs_become_dollars_and_split_dollars_become_pairs(desk: Desk):
    gate = desk.gate
    desk.hold(PYES, "10", "0.40")
    desk.hold(PNO, "10", "0.50")
    gate.on_merge("S1", "P1", D(10))
    assert (gate.cash("POLYMARKET"), gate.exposure()) == (110, 0)
    with pytest.raises(MarketError):
        gate.on_merge("S1", "P1", D(1))
    gate.on_split("S1", "P1", D(4))
    assert (gate.cash("POLYMARKET"), gate.exposure()) == (106, 4)
    assert gate.position("S1", PNO) == 4


def test_marks_move_equity_but_not_exposure(desk: Desk):
    desk.hold(KYES, "10", "0.40")
    gate = desk.gate
    assert gate.equity() == 204
    gate.on_mark(KYES, D("0.60"), D("0.62"))
    assert gate.equity() == 200 + D("6.1")
    assert gate.exposure() == 4
    gate.on_mark(K2YES, D("0.60"), D("0.62"))


def test_a_pair_is_worth_a_dollar_whatever_its_two_books_show(desk: Desk):
    gate = desk.gate
    desk.hold(PYES, "10", "0.40")
    desk.hold(PNO, "4", "0.50")
    # The middles are 0.44 and 0.61: four pairs and six shares of YES, not five cents a pair more.
    gate.on_mark(PYES, D("0.43"), D("0.45"))
    gate.on_mark(PNO, D("0.60"), D("0.62"))
    assert gate.equity() == 200 + 4 + 6 * D("0.44")
    gate.on_merge("S1", "P1", D(4))
    assert gate.equity() == 200 + 4 + 6 * D("0.44")
    desk.hold(PNO, "8", "0.50")
    gate.on_mark(PNO, D("0.56"), D("0.58"))
    assert gate.equity() == 200 + 4 + 6 + 2 * D("0.57")
    gate.on_settlement(PYES, D(1))
    assert gate.equity() == 200 + 4 + 6 + 8 * D("0.57")
    assert not gate.book.paired


def test_a_refusal_changes_nothing(desk: Desk):
    gate = desk.gate
    desk.send(KYES, "BUY", "200", "0.50")
    assert gate.exposure() == 0
    assert gate.free_cash("KALSHI") == 100
    assert not gate.book.orders
    assert not gate.book.known


def test_the_fee_bound_comes_from_the_markets_own_schedule_and_venue(desk: Desk):
    desk.send(PYES, "BUY", "10", "0.50")
    assert desk.gate.exposure() == 5 + D("0.02") * D("0.25") * 10


def test_tick_grids_can_change_and_are_mirrored_for_the_second_outcome(desk: Desk):
    from core.domain.grid import Band, TickGrid

    fine = TickGrid((Band(D(0), D("0.1"), D("0.001")), Band(D("0.1"), D(1), D("0.01"))))
    desk.gate.on_market(market("KALSHI", "K1", "E1", grid=fine))
    assert desk.send(KYES, "BUY", "1", "0.055").approved
    refused(desk.send(KYES, "BUY", "1", "0.955"), Code.PRICE_OFF_GRID)
    assert desk.send(KNO, "BUY", "1", "0.955").approved
    refused(desk.send(KNO, "BUY", "1", "0.055"), Code.PRICE_OFF_GRID)


def test_review_reads_no_clock(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    import time

    for name in ("time", "time_ns", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: pytest.fail("the gate read a clock"))
    intent = desk.intent(KYES, "BUY", "1", "0.40")
    assert desk.gate.review(intent, MarketView(10, bid=D("0.39"), ask=D("0.40"))).approved
    other = replace(intent, client_order_id="X", side=Side.SELL, quantity=Decimal(1))
    assert not desk.gate.review(other, MarketView(10)).approved


def test_a_market_whose_trade_was_taken_back_takes_no_purchase_until_the_operator_resumes(
    desk: Desk,
):
    assert desk.send(PYES, "BUY", "10", "0.40").approved
    desk.fill("O-1", "10", "0.40", provisional=True)
    assert desk.gate.on_fill_voided("T-2")
    for iid in (PYES, PNO):
        refused(desk.send(iid, "BUY", "10", "0.40"), Code.MARKET_BARRED)
    assert desk.send(KYES, "BUY", "1", "0.40").approved
    desk.gate.on_resume(20)
    assert desk.send(PYES, "BUY", "10", "0.40").approved


def test_a_price_that_was_of_the_old_grid_is_not_of_the_new_one(desk: Desk):
    assert desk.send(KYES, "BUY", "1", "0.41").approved
    coarse = TickGrid.uniform(D("0.05"))
    desk.gate.on_market(market("KALSHI", "K1", "E1", grid=coarse))
    assert desk.send(KYES, "BUY", "1", "0.41").code == Code.PRICE_OFF_GRID
    assert desk.send(KYES, "BUY", "1", "0.40").approved


def test_approvals_run_out_in_the_order_they_were_given(desk: Desk):
    first, second, third = (desk.send(KYES, "BUY", "1", "0.40", now_ns=now) for now in (10, 20, 30))
    desk.gate.redeem(second, 31)
    assert list(desk.gate.book.waiting) == ["O-1", "O-3"]
    desk.gate.on_time(first.expires_ns)
    assert list(desk.gate.book.waiting) == ["O-3"]
    assert list(desk.gate.book.orders) == ["O-2", "O-3"]
    desk.gate.on_done("O-3", third.ts_ns)
    assert not desk.gate.book.waiting
