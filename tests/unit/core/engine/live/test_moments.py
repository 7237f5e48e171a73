"""A node's strategies see the time of the news they handle, and no two news share one."""

from types import SimpleNamespace

import pytest

from core.engine.live.books import Stamps
from core.engine.live.feed import LiveFeed
from core.engine.session import Moments


class Clock:
    def __init__(self, *times):
        self.times = list(times)

    def timestamp_ns(self):
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def test_receive_times_never_repeat_and_never_go_back():
    stamps = Stamps(Clock(100, 100, 90, 200))
    assert [stamps.next(), stamps.beside(), stamps.next(), stamps.next(), stamps.next()] == [
        100, 101, 102, 103, 200,
    ]  # fmt: skip


def test_the_moment_is_the_news_while_it_is_handled_and_the_clock_otherwise():
    moments = Moments()
    moments.clock = Clock(7_000)
    feed = LiveFeed.__new__(LiveFeed)
    seen = []
    session = SimpleNamespace(moments=moments)
    feed.session = session
    feed._during(SimpleNamespace(ts_init=5_000), lambda news: seen.append(moments.timestamp_ns()))
    assert seen == [5_000]
    assert moments.timestamp_ns() == 7_000


def test_an_error_in_a_callback_does_not_stop_the_time():
    moments = Moments()
    moments.clock = Clock(7_000)
    feed = LiveFeed.__new__(LiveFeed)
    feed.session = SimpleNamespace(moments=moments)

    def fails(news):
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        feed._during(SimpleNamespace(ts_init=5_000), fails)
    assert moments.timestamp_ns() == 7_000
