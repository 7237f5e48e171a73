"""The fake venues keep an exact truth: money is conserved, nothing is filled twice, refusals change nothing."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.domain.fees import FeeCharge, FeeSchedule
from core.engine.paper.account import NettedAccount, TokenAccount
from core.engine.paper.exchange import Exchange, FakeMarket, FakeOrder, VenueRefusal

D = Decimal
START = 100_000_000  # 100 dollars in micros
FAR = 10**18


class FlatFee:
    """One cent per contract: enough to see whether fees are booked."""

    def charge(self, schedule, fill):
        return FeeCharge(fill.quantity * D("0.01"), "flat")

    estimate = charge

    def worst_case(self, schedule, price, quantity, ts_ns):
        return quantity * D("0.01")


def exchange(kind=NettedAccount):
    ex = Exchange(kind(START), FlatFee(), "x")
    ex.markets["M"] = FakeMarket("M", FeeSchedule("X"), close_ns=FAR)
    return ex


def order(
    side="bid", price=4000, quantity=1000, *, tif="GTC", outcome="YES", cid="", post_only=False
):
    return FakeOrder("", cid, "M", side, outcome, price, quantity, tif, post_only, 0)


def test_an_ioc_takes_what_is_shown_level_by_level_and_cancels_the_rest():
    ex = exchange()
    ex.level("M", "ask", 4000, 300, 0)
    ex.level("M", "ask", 4100, 400, 0)
    done = ex.submit(order(price=4100, quantity=1000, tif="IOC"), 1)
    assert (done.filled, done.status) == (700, "canceled")
    assert done.cost == 4000 * 300 + 4100 * 400
    assert ex.account.cash == START - done.cost - 70_000
    again = ex.submit(order(price=4100, quantity=1000, tif="IOC"), 2)
    assert again.filled == 0, "consumed liquidity is not there twice"


def test_a_resting_bid_waits_behind_the_queue():
    ex = exchange()
    ex.level("M", "bid", 4000, 5000, 0)
    resting = ex.submit(order(price=4000, quantity=1000), 1)
    ex.trade("M", 4000, 2000, "ask", 2)
    assert resting.filled == 0
    ex.trade("M", 4000, 4000, "ask", 3)
    assert resting.filled == 1000
    assert ex.executions[-1].maker


def test_a_level_that_shrinks_moves_us_forward():
    ex = exchange()
    ex.level("M", "bid", 4000, 5000, 0)
    resting = ex.submit(order(price=4000, quantity=1000), 1)
    ex.level("M", "bid", 4000, 100, 2)
    ex.trade("M", 4000, 400, "ask", 3)
    assert resting.filled == 300


def test_a_crossing_replayed_level_fills_the_resting_order_at_its_own_price():
    ex = exchange()
    resting = ex.submit(order(price=4000, quantity=1000), 1)
    ex.level("M", "ask", 3900, 600, 2)
    assert resting.filled == 600
    assert ex.executions[-1].price == 4000


def test_the_same_book_told_again_gives_nothing_twice():
    ex = exchange()
    resting = ex.submit(order(price=4000, quantity=1000), 1)
    book = {"bid": {3900: 500}, "ask": {4000: 300, 4100: 900}}
    ex.snapshot("M", book, 2)
    assert resting.filled == 300
    ex.snapshot("M", book, 3)
    assert resting.filled == 300, "its 300 are ours already"
    ex.snapshot("M", {"bid": {}, "ask": {4000: 450}}, 4)
    assert resting.filled == 450
    assert ex.markets["M"].book.levels == {"bid": {}, "ask": {4000: 450}}


def test_a_whole_book_keeps_the_place_in_the_queue():
    ex = exchange()
    ex.level("M", "bid", 4000, 5000, 0)
    resting = ex.submit(order(price=4000, quantity=1000), 1)
    ex.snapshot("M", {"bid": {4000: 6000, 3900: 100}, "ask": {}}, 2)
    ex.trade("M", 4000, 5000, "ask", 3)
    assert resting.filled == 0
    ex.snapshot("M", {"bid": {}, "ask": {}}, 4)  # the link is lost: no news of the queue
    ex.snapshot("M", {"bid": {4000: 1000}, "ask": {}}, 5)
    ex.trade("M", 4000, 200, "ask", 6)
    assert resting.filled == 200
    ex.snapshot("M", {"bid": {3900: 100}, "ask": {}}, 7)
    ex.snapshot("M", {"bid": {4000: 700}, "ask": {}}, 8)
    ex.trade("M", 4000, 100, "ask", 9)
    assert resting.filled == 300


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"price": 4050}, "invalid_price"),
        ({"price": 10_000}, "invalid_price"),
        ({"quantity": 0}, "invalid_order"),
        ({"quantity": 10_000_000}, "insufficient_balance"),
    ],
)
def test_a_refusal_changes_nothing(bad, code):
    ex = exchange()
    with pytest.raises(VenueRefusal) as caught:
        ex.submit(order(**bad), 1)
    assert caught.value.code == code
    assert not ex.orders
    assert ex.account.cash == START


def test_a_client_order_id_works_once():
    ex = exchange()
    ex.submit(order(cid="a"), 1)
    with pytest.raises(VenueRefusal) as caught:
        ex.submit(order(cid="a"), 2)
    assert caught.value.code == "order_already_exists"


def test_post_only_and_fok_refuse_rather_than_take():
    ex = exchange()
    ex.level("M", "ask", 4000, 300, 0)
    with pytest.raises(VenueRefusal):
        ex.submit(order(price=4000, quantity=100, post_only=True), 1)
    with pytest.raises(VenueRefusal):
        ex.submit(order(price=4000, quantity=400, tif="FOK"), 1)
    assert ex.account.cash == START


def test_no_order_after_close_and_resting_orders_go():
    ex = exchange()
    resting = ex.submit(order(), 1)
    ex.markets["M"].close_ns = 10
    ex.expire(10)
    assert (resting.status, resting.reason) == ("canceled", "CloseCancel")
    with pytest.raises(VenueRefusal):
        ex.submit(order(), 11)


def test_a_netted_pair_locks_one_dollar_and_settlement_pays_once():
    ex = exchange()
    ex.level("M", "ask", 4000, 1000, 0)
    ex.level("M", "bid", 3500, 5000, 0)
    ex.submit(order("bid", 4000, 1000, tif="IOC"), 1)
    ex.submit(order("ask", 3500, 1500, tif="IOC", outcome="NO"), 2)
    assert ex.account.positions() == {("M", "NO"): 500}
    fees = 100_000 + 150_000
    assert ex.account.cash == START - 4000 * 1000 + 3500 * 1500 - 10_000 * 500 - fees
    before = ex.account.cash
    assert ex.settle("M", 0, 3) == 10_000 * 500
    assert ex.settle("M", 10_000, 4) == 0
    assert ex.account.cash == before + 10_000 * 500


def test_a_token_account_cannot_sell_what_it_has_promised():
    ex = exchange(TokenAccount)
    ex.level("M", "ask", 4000, 1000, 0)
    ex.submit(order("bid", 4000, 1000, tif="IOC"), 1)
    ex.submit(order("ask", 9000, 600), 2)
    with pytest.raises(VenueRefusal):
        ex.submit(order("ask", 9000, 500), 3)


def test_two_resting_sells_cannot_both_lean_on_the_same_shares():
    ex = exchange()
    ex.account.cash = 8_000_000
    ex.level("M", "ask", 4000, 1000, 0)
    ex.submit(order("bid", 4000, 1000, tif="IOC"), 1)
    ex.submit(order("ask", 5000, 1000), 2)
    with pytest.raises(VenueRefusal):
        ex.submit(order("ask", 5000, 1000), 3)


class Conservation(RuleBasedStateMachine):
    """Whatever happens, cash + reserved collateral + payouts equals what was put in less fees."""

    kind = NettedAccount

    def __init__(self):
        super().__init__()
        self.ex = exchange(self.kind)
        self.now = 1
        self.settled = False

    @rule(
        side=st.sampled_from(["bid", "ask"]),
        price=st.integers(1, 99),
        quantity=st.integers(0, 3000),
    )
    def replay_level(self, side, price, quantity):
        book = self.ex.markets["M"].book
        best_other = book.best("ask" if side == "bid" else "bid")
        tick = price * 100
        if best_other is not None and (tick >= best_other if side == "bid" else tick <= best_other):
            return  # a replayed book is never crossed with itself
        if not self.settled:
            self.ex.level("M", side, tick, quantity, self.now)

    @rule(
        price=st.integers(1, 99),
        quantity=st.integers(1, 2000),
        side=st.sampled_from(["bid", "ask"]),
    )
    def replay_trade(self, price, quantity, side):
        self.ex.trade("M", price * 100, quantity, side, self.now)

    @rule(
        side=st.sampled_from(["bid", "ask"]),
        outcome=st.sampled_from(["YES", "NO"]),
        price=st.integers(1, 99),
        quantity=st.integers(1, 2000),
        tif=st.sampled_from(["GTC", "IOC", "FOK"]),
    )
    def send(self, side, outcome, price, quantity, tif):
        self.now += 1
        with contextlib.suppress(VenueRefusal):
            self.ex.submit(order(side, price * 100, quantity, tif=tif, outcome=outcome), self.now)

    @rule(data=st.data())
    def cancel(self, data):
        working = self.ex.working()
        if working:
            self.ex.cancel(data.draw(st.sampled_from(working)).order_id, self.now)

    @precondition(lambda self: not self.settled)
    @rule(payout=st.sampled_from([0, 5000, 10_000]))
    def settle(self, payout):
        self.settled = True
        self.ex.settle("M", payout, self.now)

    @invariant()
    def money_is_conserved(self):
        spent = 0
        for e in self.ex.executions:
            own = e.price if e.outcome == "YES" else 10_000 - e.price
            buys = (e.side == "bid") == (e.outcome == "YES")
            spent += (own if buys else -own) * e.quantity + e.fee
        signed = 0
        for (_, outcome), quantity in self.ex.account.positions().items():
            signed += quantity if outcome == "YES" else -quantity
        if isinstance(self.ex.account, NettedAccount):
            # A NO is a dollar less a YES: replay all executions in YES terms.
            cash = START
            held = 0
            for e in self.ex.executions:
                delta = e.quantity if e.side == "bid" else -e.quantity
                locked_before = max(-held, 0) * 10_000
                held += delta
                locked_after = max(-held, 0) * 10_000
                cash += -e.price * delta - (locked_after - locked_before) - e.fee
            if not self.settled:
                assert self.ex.account.cash == cash
                assert signed == held
        elif not self.settled:
            assert self.ex.account.cash == START - spent

    @invariant()
    def cash_covers_what_is_promised(self):
        assert self.ex.account.cash >= 0
        assert self.ex.reserved() <= self.ex.account.cash or not self.ex.working()

    @invariant()
    def every_order_adds_up(self):
        for o in self.ex.orders.values():
            fills = sum(e.quantity for e in self.ex.executions if e.order_id == o.order_id)
            assert fills == o.filled <= o.quantity


class TokenConservation(Conservation):
    kind = TokenAccount


Conservation.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TokenConservation.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestNetted = Conservation.TestCase
TestTokens = TokenConservation.TestCase


@given(st.integers(1, 9999), st.integers(1, 10_000))
def test_a_fill_is_whole_micro_dollars(price, quantity):
    assert (D(price) / 10_000) * (D(quantity) / 100) * 1_000_000 == price * quantity
