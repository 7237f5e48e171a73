"""A replay ends its strategies where the recorded node ended them: not a news later, not a news earlier."""

import pytest

from core.engine.arrivals import Arrival, Arrivals, Ending
from core.engine.strategy import BetaStrategy, TimeInForce
from tests.unit.core.engine.rig import D, Tape, level, market, ns, run, snapshot, write

YES = "M-YES.PM"
NAME = "BidsAtEachChange#0"


class BidsAtEachChange(BetaStrategy):
    """Rests a bid of one share at each change of the book, and bids again when one is filled."""

    def on_start(self):
        self.watch_book(YES)

    def bid(self, why):
        self.buy(YES, D(1), D("0.40"), tif=TimeInForce.GTC, post_only=True, reason=why)

    def on_book(self, iid):
        self.bid("change")

    def on_fill(self, fill):
        self.bid("fill")


@pytest.fixture
def catalog(tmp_path):
    """A change each second from 0 to 8; trades of one share at our bid at 4.25, 4.75 and 7.5."""
    rows = snapshot(0, [("0.30", "5")], [("0.60", "50")])
    for second in range(1, 9):
        rows += level(second, 2, "0.60", str(50 + second))
    trades = [(t, "0.40", "1", 2) for t in (4.25, 4.75, 7.5)]
    return write(tmp_path / "c", [market()], {YES: Tape(books=rows, trades=trades)})


def moments(result):
    return [(o.ts_ns - ns(0)) / 1e9 for o in result.orders]


def test_without_an_end_every_change_is_seen(catalog):
    result = run(catalog, BidsAtEachChange)
    assert moments(result) == [0, 1, 2, 3, 4, 4.25, 4.75, 5, 6, 7, 7.5, 8]


def test_news_up_to_the_last_that_was_seen_is_handed_on_and_no_other(catalog):
    for last, ending in ((3, Ending(ns(3), ns(3.1))), (2, Ending(ns(3) - 1, ns(3.1)))):
        assert moments(run(catalog, BidsAtEachChange, ending=ending)) == list(range(last + 1))


def test_until_it_was_stopped_a_strategy_hears_of_its_fills_and_answers(catalog):
    result = run(catalog, BidsAtEachChange, ending=Ending(ns(3), ns(4.5)))
    sent = [m for m in moments(result) if m <= 4.5]
    assert sent == [0, 1, 2, 3, 4.25]


def test_what_works_is_withdrawn_and_later_trades_fill_nothing(catalog):
    result = run(catalog, BidsAtEachChange, ending=Ending(ns(3), ns(4.5)))
    assert [f.ts_ns for f in result.fills] == [ns(4.25)]
    kept = run(catalog, BidsAtEachChange, ending=Ending(ns(3), ns(4.5), keeps_orders=True))
    assert [f.ts_ns for f in kept.fills] == [ns(4.25), ns(4.75), ns(7.5)]


def test_each_order_is_withdrawn_when_its_cancel_reached_the_venue(catalog):
    cancels = [0, ns(4.6), ns(4.8)]  # of bids that the trades at 4.25 and 4.75 reach in this order
    rows = [
        Arrival(NAME, YES, "BUY", ns(second), ns(second + 0.1), cancel)
        for second, cancel in enumerate(cancels)
    ]
    arrivals = Arrivals(rows, usual_ns=0, window_ns=0)
    result = run(catalog, BidsAtEachChange, ending=Ending(ns(2), ns(4.5)), arrivals=arrivals)
    status = {(o.ts_ns - ns(0)) / 1e9: o.status for o in result.orders}
    bid_again_too_late = {4.75: "DENIED"}
    assert (
        status == {0: "FILLED", 1: "CANCELED", 2: "FILLED", 4.25: "CANCELED"} | bid_again_too_late
    )


def test_an_order_that_was_held_back_on_its_last_steps_never_reaches_the_venue(catalog):
    rows = [Arrival(NAME, YES, "BUY", ns(0), 0, 0, unsent=True)]
    arrivals = Arrivals(rows, usual_ns=0, window_ns=0)
    result = run(catalog, BidsAtEachChange, ending=Ending(ns(0), ns(0.5)), arrivals=arrivals)
    assert [o.status for o in result.orders] == ["DENIED"]
    assert not result.fills


def test_a_cancel_of_the_moment_at_which_its_order_arrives_comes_after_it(catalog):
    """Both may have the time of the last news before them."""
    rows = [Arrival(NAME, YES, "BUY", ns(second), ns(3), ns(3)) for second in (0, 1, 2)]
    arrivals = Arrivals(rows, usual_ns=0, window_ns=0)
    result = run(catalog, BidsAtEachChange, ending=Ending(ns(2), ns(2.5)), arrivals=arrivals)
    assert [o.status for o in result.orders] == ["CANCELED"] * 3
