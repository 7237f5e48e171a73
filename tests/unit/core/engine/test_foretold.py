"""Live, news of a fill can come before the market data that made it: told as recorded, and what the engine makes is compared."""

import pytest

from core.engine.arrivals import Arrival, Arrivals, Known, Made, Place
from core.engine.parity.compare import Circumstances, Reason, differences, pair_orders
from core.engine.parity.orders import ComparedOrder, Execution, RunOrders, replayed
from core.engine.strategy import BetaStrategy, TimeInForce
from tests.unit.core.engine.rig import BID, D, Tape, level, market, ns, run, snapshot, write

YES = "M-YES.PM"
NAME = "Listens#0"


class Listens(BetaStrategy):
    """Buys one share at 1 s and takes the order back at 6 s; notes what it knows at each change."""

    tif = TimeInForce.IOC
    price = D("0.60")

    def on_start(self):
        self.watch_book(YES)
        type(self).seen, type(self).told = {}, []

    def on_book(self, iid):
        second = (self.now_ns - ns(0)) / 1e9
        self.seen[second] = (self.position(YES), len(self.working(YES)))
        if second == 1:
            self.buy(YES, D(1), self.price, tif=type(self).tif)
        if second == 6:
            self.cancel_all(YES)

    def on_fill(self, fill):
        self.told.append(((self.now_ns - ns(0)) / 1e9, str(fill.price.normalize())))

    def on_order_done(self, client_order_id, status):
        self.told.append(((self.now_ns - ns(0)) / 1e9, status))


class Rests(Listens):
    """The same below the market."""

    tif = TimeInForce.GTC
    price = D("0.40")


def catalog(path, ask="0.60", close=None):
    rows = snapshot(0, [("0.30", "5")], [(ask, "50")])
    for second in range(1, 13):
        rows += level(second, BID, "0.30", str(50 + second))
    return write(path, [market()], {YES: Tape(books=rows, close=close)})


def place(after, at):
    return Place(ns(after), ns(at))


#: Booked after the news of 2 s, heard after that of 3 s; by the venue's time the order was there at 5 s.
FILL = Known(
    place(2, 2.2), place(3, 3.3), D(1), price=D("0.60"), quantity=D(1), fee=D(0), role="taker"
)


def bought(**changes):
    told = {"fills": (FILL,), "ended": "FILLED", "quantity": D(1), "price": D("0.60")} | changes
    return Arrival(NAME, YES, "BUY", ns(1), ns(5), **told)


def replay(path, *rows, foretold=True, strategy=Listens):
    arrivals = Arrivals(rows, usual_ns=0, window_ns=0, foretold=foretold)
    return run(path, strategy, arrivals=arrivals), arrivals


def compared(result, arrivals, *fills):
    """What parity says of a run whose order got these fills."""
    theirs = replayed(result, arrivals)
    ours = ComparedOrder(
        "o", NAME, YES, "BUY", D(1), D("0.60"), "IOC", False, ns(1), ns(5), status="FILLED"
    )
    ours.fills += [Execution(ns(2.2), D(p), D(q), D(0), "taker") for p, q in fills]
    found = RunOrders(orders=[ours])
    return theirs, differences(pair_orders([ours], theirs.orders, 10**9), found, Circumstances())


def test_gate_and_strategy_know_it_as_recorded_and_the_engine_fills_at_the_venues_moment(tmp_path):
    result, arrivals = replay(catalog(tmp_path / "c"), bought())
    assert [Listens.seen[s] for s in (2, 3, 4, 8)] == [(0, 1), (1, 1), (1, 0), (1, 0)]
    assert Listens.told == [(3.3, "0.6")]
    ((made,),) = arrivals.made.values()
    assert made == Made(ns(5), D("0.60"), D(1), D(0), "taker")
    theirs, found = compared(result, arrivals, ("0.60", "1"))
    assert found == []
    assert [f.ts_ns for f in theirs.orders[0].fills] == [ns(5)]
    assert theirs.orders[0].as_heard


def test_without_leave_to_do_so_nothing_is_told_before_it_is_made(tmp_path):
    result, arrivals = replay(catalog(tmp_path / "c"), bought(), foretold=False)
    assert Listens.told == [(5, "0.6")]
    assert arrivals.made == {}
    assert not replayed(result, arrivals).orders[0].as_heard


@pytest.mark.parametrize("close", [None, (11, "1"), (11, "0")])
@pytest.mark.parametrize(("ask", "fills"), [("0.55", [("0.55", "1")]), ("0.65", [])])
def test_what_the_engine_makes_otherwise_is_found_and_the_money_still_adds_up(
    tmp_path, ask, fills, close
):
    result, arrivals = replay(catalog(tmp_path / "c", ask, close), bought())
    assert Listens.told == [(3.3, "0.6")], "as recorded"
    assert [(str(m.price.normalize()), str(m.quantity.normalize())) for (m,) in filter(None, arrivals.made.values())] == fills  # fmt: skip
    _, (one,) = compared(result, arrivals, ("0.60", "1"))
    assert one.what == "fill"
    assert one.reason in (Reason.UNEXPLAINED, Reason.DEPTH)


def test_an_end_is_told_as_recorded_and_the_cancel_still_reaches_the_engine(tmp_path):
    end = Known(place(7, 7.2), place(8, 8.3))
    rests = Arrival(
        "Rests#0", YES, "BUY", ns(1), ns(1.5), canceled_ns=ns(10), end=end, ended="CANCELED",
        quantity=D(1), price=D("0.40"),
    )  # fmt: skip
    rows = snapshot(0, [("0.30", "5")], [("0.60", "50")])
    for second in range(1, 13):
        rows += level(second, BID, "0.30", str(50 + second))
    trades = [(9, "0.40", "1", 2), (11, "0.40", "1", 2)]
    path = write(tmp_path / "c", [market()], {YES: Tape(books=rows, trades=trades)})
    _, arrivals = replay(path, rests, strategy=Rests)
    assert Rests.told == [(8.3, "CANCELED")]
    ((made,),) = arrivals.made.values()
    assert made.ts_ns == ns(9), "the engine filled it before the cancel: that is compared"
    early, arrivals = replay(
        path, Arrival(**{f: getattr(rests, f) for f in rests.__slots__} | {"canceled_ns": ns(8.5)}), strategy=Rests
    )  # fmt: skip
    assert list(arrivals.made.values()) == [[]]
    assert early.fills == []


def test_an_order_of_other_terms_is_told_what_the_engine_makes_of_it(tmp_path):
    _, arrivals = replay(catalog(tmp_path / "c"), bought(quantity=D(2)))
    assert Listens.told == [(5, "0.6")]
    assert arrivals.made == {}


def test_what_the_engine_has_made_in_time_is_not_kept_apart(tmp_path):
    in_time = bought()
    in_time.arrived_ns = ns(1.5)
    result, arrivals = replay(catalog(tmp_path / "c"), in_time)
    assert Listens.told == [(3.3, "0.6")]
    assert arrivals.made == {}
    assert [f.ts_ns for f in result.fills] == [ns(1.5)]


def test_an_order_that_arrives_after_the_recording_has_ended_is_matched_all_the_same(tmp_path):
    late = bought()
    late.arrived_ns = ns(12)
    _, arrivals = replay(catalog(tmp_path / "c"), late)
    ((made,),) = arrivals.made.values()
    assert made.price == D("0.60")
