"""In a replay of a node's run what is left of a level is asked when an order arrives, as the venue does, not when it is decided."""

import pytest

from core.engine.arrivals import Arrival, Arrivals
from core.engine.strategy import BetaStrategy, TimeInForce
from tests.unit.core.engine.rig import BID, D, Tape, level, market, ns, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"
IOC = TimeInForce.IOC
ASK = 2


class Takes(BetaStrategy):
    """Buys 30 of what is shown at 1 s, and as many at 3 s."""

    tif = IOC

    def on_start(self):
        self.watch_book(YES)
        type(self).ended = []

    def on_book(self, iid):
        if self.now_ns in (ns(1), ns(3)):
            self.buy(YES, D(30), D("0.40"), tif=type(self).tif)

    def on_order_done(self, client_order_id, status):
        self.ended.append(status)


class TakesAll(Takes):
    """The same, all or nothing."""

    tif = TimeInForce.FOK


def catalog(path, *later):
    """30 offered at 0.40; 25 of them from 2 s on, all but five of which are ours; then what `later` says."""
    rows = snapshot(0, [("0.30", "5")], [("0.40", "30"), ("0.60", "50")])
    rows += level(1, BID, "0.30", "6") + level(2, ASK, "0.40", "35") + level(3, BID, "0.30", "7")
    for at, size in later:
        rows += level(at, ASK, "0.40", size)
    rows += level(9, BID, "0.30", "8")
    return write(path, [market()], {YES: Tape(books=rows)})


def replay(path, strategy=Takes, arrives=5):
    name = f"{strategy.__name__}#0"
    rows = [
        Arrival(name, YES, "BUY", ns(1), ns(1.1)), Arrival(name, YES, "BUY", ns(3), ns(arrives))
    ]  # fmt: skip
    return run(path, strategy, arrivals=Arrivals(rows, usual_ns=0, window_ns=0))


def second(result):
    order = result.orders[1]
    return order.status, sum(
        (f.quantity for f in result.fills if f.order_id == order.order_id), D(0)
    )


def test_what_was_refilled_before_the_arrival_is_there(tmp_path):
    """At its decision five are left. A backtest without arrivals would send no more than these."""
    assert second(replay(catalog(tmp_path / "c", (4, "70")))) == ("FILLED", 30)
    assert second(run(catalog(tmp_path / "d", (4, "70")), Takes)) == ("CANCELED", 5)


def test_what_went_before_the_arrival_is_not(tmp_path):
    assert second(replay(catalog(tmp_path / "c", (4, "31")))) == ("CANCELED", 1)
    assert second(replay(catalog(tmp_path / "d", (4, "20")))) == ("CANCELED", 0)
    assert Takes.ended == ["CANCELED"]


@pytest.mark.parametrize(("size", "status"), [("60", ("FILLED", 30)), ("59", ("CANCELED", 0))])
def test_all_or_nothing_is_asked_at_the_arrival(tmp_path, size, status):
    assert second(replay(catalog(tmp_path / "c", (4, size)), TakesAll)) == status


class BothSides(BetaStrategy):
    """Rests a bid for YES, and offers nothing else than NO that it holds: the mirror of it."""

    def on_start(self):
        self.watch_book(YES)

    def on_book(self, iid):
        if self.now_ns == ns(1):
            self.buy(NO, D(5), D("0.60"))
        if self.now_ns == ns(3):
            self.buy(YES, D(5), D("0.35"), tif=TimeInForce.GTC)
            self.sell(NO, D(5), D("0.55"))


def test_an_order_that_the_node_sent_beside_its_mirror_is_sent(tmp_path):
    yes = snapshot(0, [("0.40", "50")], [("0.45", "50")])
    for at in range(1, 6):
        yes += level(at, BID, "0.30", str(at))
    no = snapshot(0, [("0.55", "50")], [("0.60", "50")])
    path = write(tmp_path / "c", [market()], {YES: Tape(books=yes), NO: Tape(books=no)})
    arrivals = Arrivals([], usual_ns=0, window_ns=0)
    sent = [o.status for o in run(path, BothSides, arrivals=arrivals).orders]
    assert sent == ["FILLED", "ACCEPTED", "FILLED"]
    assert run(path, BothSides).orders[2].code == "MIRROR_BUSY"
