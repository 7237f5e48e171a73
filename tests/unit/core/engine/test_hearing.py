"""In a replay own news is known when the recorded node knew it: by the gate when it booked, by the strategy when it heard."""

import pytest

from core.engine.arrivals import Arrival, Arrivals, Ending, Known, Place
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.rig import D, Tape, level, market, ns, run, snapshot, write

YES = "M-YES.PM"
NAME = "Listens#0"


class Listens(BetaStrategy):
    """Buys one share at the first change, and notes at each what it knows; buys once more when it hears of a fill."""

    def on_start(self):
        self.watch_book(YES)
        type(self).seen, type(self).told = {}, []

    def on_book(self, iid):
        second = (self.now_ns - ns(0)) / 1e9
        self.seen[second] = (self.position(YES), len(self.working(YES)))
        if second == 1:
            self.buy(YES, D(1), D("0.60"), reason="first")

    def on_fill(self, fill):
        self.told.append((self.now_ns - ns(0)) / 1e9)
        if len(self.told) == 1:
            self.buy(YES, D(1), D("0.60"), reason="answer")

    def on_order_done(self, client_order_id, status):
        self.told.append(status)


@pytest.fixture
def catalog(tmp_path):
    """A change each second from 0 to 8."""
    rows = snapshot(0, [("0.30", "5")], [("0.60", "50")])
    for second in range(1, 9):
        rows += level(second, 2, "0.60", str(50 + second))
    return write(tmp_path / "c", [market()], {YES: Tape(books=rows)})


def place(after, at):
    return Place(ns(after), ns(at))


def fill(booked, heard, shares=1):
    return Known(place(*booked), place(*heard), D(shares))


def replay(catalog, *rows, **told):
    arrivals = Arrivals(rows, usual_ns=0, window_ns=0)
    result = run(catalog, Listens, arrivals=arrivals, **told)
    return result, arrivals


def bought(*fills, end=None):
    """The first order: decided at 1 s, at the venue at 1.5 s."""
    return Arrival(NAME, YES, "BUY", ns(1), ns(1.5), fills=fills, end=end)


def knew(result):
    """When position and working orders changed, as the strategy saw it at the changes of the book."""
    held = [s for s, (position, _) in sorted(Listens.seen.items()) if position >= 1]
    free = [s for s, (_, working) in sorted(Listens.seen.items()) if s > 1 and not working]
    return held[0], free[0]


def test_without_a_record_of_it_news_is_told_when_the_venue_makes_it(catalog):
    result, arrivals = replay(catalog, bought())
    assert [f.ts_ns for f in result.fills] == [ns(1.5)] * 2
    assert Listens.told == [1.5, 1.5]
    assert knew(result) == (2, 2)
    assert len(arrivals.late) == 2


def test_gate_and_strategy_know_a_fill_after_the_same_news_as_on_the_node(catalog):
    result, arrivals = replay(catalog, bought(fill((2, 2.2), (4, 4.7))))
    first, answer = result.orders
    assert [f.ts_ns for f in result.fills] == [ns(1.5), ns(4.7)], "the venue fills at its moment"
    assert Listens.told[0] == 4.7
    assert answer.ts_ns == ns(4.7)
    assert Listens.seen[2] == (0, 1)
    assert Listens.seen[3] == (1, 1), "the gate has it, the strategy has not heard"
    assert Listens.seen[4] == (1, 1)
    assert Listens.seen[5] == (2, 0)
    assert first.order_id not in arrivals.late


def test_news_heard_when_later_data_had_been_received_comes_before_that_data(catalog):
    """On a busy machine data of 5 s had come at 5.3 s, and was handed on after the news."""
    replay(catalog, bought(fill((2, 5.3), (4, 5.3))))
    assert Listens.seen[2] == (0, 1)
    assert Listens.seen[3] == (1, 1)
    assert Listens.told[0] == 5
    assert Listens.seen[5] == (1, 1), "its first order is over, the answer to it on its way"


def test_the_end_of_an_order_is_heard_as_on_the_node(catalog):
    end = Known(place(2, 2.1), place(4, 4.5))
    late = Arrival(NAME, YES, "BUY", ns(1), ns(1.5), end=end)
    rows = snapshot(0, [("0.30", "5")], [("0.60", "50")]) + level(1.2, 2, "0.60", "0")
    rows += level(1.2001, 2, "0.70", "9")
    for second in range(2, 9):
        rows += level(second, 2, "0.70", str(50 + second))
    rows += level(1, 2, "0.60", "49")
    rows.sort(key=lambda r: r[0])
    gone = write(catalog.parent / "gone", [market()], {YES: Tape(books=rows)})
    replay(gone, late)
    assert Listens.told == ["CANCELED"]
    assert [s for s, (_, n) in sorted(Listens.seen.items()) if n] == [1.2, 1.2001, 2, 3, 4]


def test_what_never_left_is_known_as_on_the_node(catalog):
    end = Known(place(2, 2.1), place(3, 3.5))
    replay(catalog, Arrival(NAME, YES, "BUY", ns(1), 0, unsent=True, end=end))
    assert Listens.told == ["DENIED"]
    assert Listens.seen[3][1] == 1
    assert Listens.seen[4][1] == 0


def test_what_the_run_heard_before_the_replay_can_is_told_at_once_and_noted(catalog):
    result, arrivals = replay(catalog, bought(fill((0, 0.5), (0, 0.6))))
    assert Listens.told[0] == 1.5
    assert result.orders[0].order_id in arrivals.late


def test_the_end_of_the_recording_tells_what_is_left(catalog):
    result, _ = replay(catalog, bought(fill((8, 8), (8, 8))))
    assert knew_nothing_before(8)
    assert result.fills[0].ts_ns == ns(1.5)
    assert Listens.told


def test_a_fill_that_was_heard_after_its_market_had_paid_is_booked_before_it_pays(tmp_path):
    """The engine has settled the share: gate and rows must have had it."""
    rows = snapshot(0, [("0.30", "5")], [("0.60", "50")])
    for second in range(1, 9):
        rows += level(second, 2, "0.60", str(50 + second))
    path = write(tmp_path / "paid", [market()], {YES: Tape(books=rows, close=(5.5, "1"))})
    result, arrivals = replay(path, bought(fill((2, 2.2), (7, 7.2))))
    assert [s.quantity for s in result.settlements] == [1]
    assert result.final_cash == 100 - D("0.60") + 1
    assert result.orders[0].order_id in arrivals.late


def knew_nothing_before(second):
    return all(seen == (0, 1) for s, seen in Listens.seen.items() if 1 < s <= second)


def test_after_its_strategies_were_stopped_a_node_still_hears_and_answers_nothing(catalog):
    result, _ = replay(
        catalog, bought(fill((3, 3.5), (5, 5.5))), ending=Ending(ns(2), ns(4), keeps_orders=True)
    )
    assert max(Listens.seen) == 2
    assert Listens.told[0] == 5.5
    assert [o.status for o in result.orders] == ["FILLED", "DENIED"]


def test_two_parts_of_an_order_are_known_one_by_one(tmp_path):
    rows = snapshot(0, [("0.30", "5")], [("0.50", "0.4"), ("0.60", "50")])
    for second in range(1, 9):
        rows += level(second, 1, "0.30", str(50 + second))
    catalog = write(tmp_path / "parts", [market()], {YES: Tape(books=rows)})
    parts = fill((2, 2.1), (4, 4.1), "0.4"), fill((3, 3.1), (5, 5.1), 1)
    replay(catalog, bought(*parts))
    assert [Listens.seen[s][0] for s in (2, 3, 4)] == [0, D("0.4"), 1]
    assert Listens.told[0] == 4.1
    assert 5.1 in Listens.told
