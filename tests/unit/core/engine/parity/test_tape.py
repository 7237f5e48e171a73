"""Where a moment of the venue's clock lies among the news that a node received."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.engine.catalog import Kind
from core.engine.parity.tape import Tape

MS = 1_000_000


class News:
    """A catalog of one instrument: (received, venue time) in milliseconds of book changes and of trades."""

    def __init__(self, deltas, trades):
        self.rows = {Kind.DELTAS: deltas, Kind.TRADES: trades}

    def markets(self):
        return {}

    def kinds(self, iid):
        return [k for k, rows in self.rows.items() if rows]

    def _columns(self, kind):
        received, venue = zip(*self.rows[kind], strict=True)
        ns = [
            np.array([round(t * MS) for t in times], dtype=np.int64) for times in (received, venue)
        ]
        return SimpleNamespace(ts=ns[0], ts_event=ns[1])

    def deltas(self, iid):
        return self._columns(Kind.DELTAS)

    def trades(self, iid):
        return self._columns(Kind.TRADES)


def tape(deltas=((12, 10), (33, 30)), trades=((24, 20),)):
    return Tape(News(deltas, trades))


@pytest.mark.parametrize(
    ("venue", "decided", "answered", "moment"),
    [
        (15, 5, 60, 24),  # after the news of 10 and before that of 20, which came at 24
        (20, 5, 60, 24),  # of the same millisecond: the venue may have told what this order did
        (20.4, 5, 60, 24),  # news is stamped in whole milliseconds
        (21, 5, 60, 33),
        (15, 5, 18, 18.000001),  # no later than the answer
        (15, 30, 60, 30.000001),  # no earlier than the decision
        (40, 5, 60, 60.000001),  # after all news: when we heard of it
        (1, 5, 60, 12),
    ],
)
def test_news_with_an_earlier_time_of_the_venue_came_before_and_the_other_after(
    venue, decided, answered, moment
):
    got = tape().received("A", round(venue * MS), decided * MS, answered * MS)
    assert got == round(moment * MS) - 1


def test_news_that_overtook_other_news_counts_from_where_it_was_received():
    told = tape(deltas=((12, 20), (14, 10), (33, 30)), trades=())
    assert told.received("A", 15 * MS, 5 * MS, 60 * MS) == 12 * MS - 1


def test_an_instrument_without_news_gives_the_answer():
    assert tape((), ()).received("A", 15 * MS, 5 * MS, 60 * MS) == 60 * MS


def test_the_market_moved_when_a_book_change_or_a_trade_was_received():
    assert tape().moved("A", 23 * MS, 24 * MS)
    assert not tape().moved("A", 24 * MS, 32 * MS)


@pytest.mark.parametrize(
    ("venue", "answered", "moment"),
    [
        (
            25,
            15,
            24,
        ),  # news of 10 and 20 came after the answer and was before the order: it met that book
        (15, 60, 23.999999),  # between two news, as `received`
        (35, 20, 33),
        (35, 60, 60),
        (1, 5, 5),
    ],
)
def test_news_from_before_an_order_that_came_after_its_answer_is_in_the_book_that_it_met(
    venue, answered, moment
):
    assert tape().happened("A", venue * MS, 5 * MS, answered * MS) == round(moment * MS)


def test_news_that_came_much_later_than_the_answer_says_nothing():
    told = tape(deltas=((12, 10), (5000, 20), (6000, 40)), trades=())
    assert told.happened("A", 25 * MS, 5 * MS, 30 * MS) == 30 * MS


class Sides:
    """A catalog of the two outcomes of a market: (received, venue time) in milliseconds of each book's changes."""

    def __init__(self, yes, no):
        self.books = {"YES": News(yes, ()), "NO": News(no, ())}

    def markets(self):
        return {
            "M": SimpleNamespace(outcomes=[SimpleNamespace(instrument_id=i) for i in ("YES", "NO")])
        }

    def kinds(self, iid):
        return self.books[iid].kinds(iid)

    def deltas(self, iid):
        return self.books[iid].deltas(iid)


YES = ((10, 1), (20, 2), (30, 3))
LATER = ((10.5, 1), (20.5, 2), (30.5, 3))


@pytest.mark.parametrize(
    ("other", "moment", "meant"),
    [
        (LATER, 20.2, 20.5),  # the other side has not said yet what the venue's book knew
        (LATER, 20.7, 20.7),
        (LATER, 9, 9),
        (LATER, 30.1, 30.5),
        (((9, 1), (18, 2), (28, 3)), 19, 18 - 1e-6),  # it has said what the book did not know
        (((9, 1), (18, 2), (28, 3)), 29, 28 - 1e-6),
        (((10.5, 1), (20.5, 5), (30.5, 3)), 20.2, 20.2),  # not the same news
        (((10.5, 1),), 20.2, 20.2),  # the recording ends before it says so
        (((10.5, 1.2), (20.5, 2), (30.5, 3)), 20.2, 20.2),
    ],
)
def test_a_moment_of_the_paper_venue_lies_between_the_same_news_of_the_other_outcome(
    other, moment, meant
):
    told = Tape(Sides(YES, other))
    assert told.followed("NO", round(moment * MS), 0, 0) == round(meant * MS)
    assert told.followed("YES", round(moment * MS), 0, 0) == round(moment * MS)


def test_news_without_a_time_of_the_venue_is_the_same_by_its_place():
    told = Tape(Sides(((10, 1.11), (20, 2)), ((10.5, 1.61), (20.5, 2))))
    assert told.followed("NO", round(20.2 * MS), 0, 0) == round(20.5 * MS)
