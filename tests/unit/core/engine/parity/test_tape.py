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
