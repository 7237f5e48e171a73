"""What is on its way to the paper venue meets the book of the moment it arrives at."""

import asyncio

import pytest

from core.engine.paper.arrivals import AFTER_NEWS_NS, GRACE_S, ArrivalQueue

MS = 1_000_000


def run(story, latency_ms=100):
    now = [0]
    seen = []
    queue = ArrivalQueue(lambda: now[0], latency_ms * MS)

    async def main():
        await story(queue, seen, now)

    asyncio.run(main())
    return seen


async def started(queue, decided_ms, act):
    task = asyncio.ensure_future(queue.at(decided_ms * MS, act))
    await asyncio.sleep(0)
    return task


def test_an_order_is_matched_before_the_news_that_came_after_it():
    async def story(queue, seen, now):
        task = await started(queue, 0, lambda at: seen.append(("order", at)))
        for news in (40, 99, 101, 150):
            seen.append(("news", queue.news(news * MS)))
        await task

    assert run(story) == [
        ("news", 40 * MS),
        ("news", 99 * MS),
        ("order", 100 * MS),
        ("news", 101 * MS),
        ("news", 150 * MS),
    ]


def test_orders_arrive_in_the_order_of_their_moments():
    async def story(queue, seen, now):
        second = await started(queue, 20, lambda at: seen.append(("b", at)))
        first = await started(queue, 10, lambda at: seen.append(("a", at)))
        queue.news(200 * MS)
        await asyncio.gather(first, second)

    assert run(story) == [("a", 110 * MS), ("b", 120 * MS)]


def test_an_order_that_is_late_is_matched_after_the_news_it_missed():
    async def story(queue, seen, now):
        queue.news(500 * MS)
        await queue.at(0, lambda at: seen.append(at))

    assert run(story) == [500 * MS + AFTER_NEWS_NS]


def test_without_news_the_clock_lets_it_arrive():
    async def story(queue, seen, now):
        await queue.at(0, lambda at: seen.append(at))

    assert run(story, latency_ms=5) == [5 * MS]


def test_a_refusal_reaches_whoever_sent_the_order():
    async def story(queue, seen, now):
        def refuse(at):
            raise ValueError("no")

        task = await started(queue, 0, refuse)
        queue.news(300 * MS)
        with pytest.raises(ValueError, match="no"):
            await task
        seen.append("told")

    assert run(story) == ["told"]


def test_a_sender_that_gave_up_sends_nothing():
    async def story(queue, seen, now):
        task = await started(queue, 0, lambda at: seen.append(at))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        queue.news(300 * MS)

    assert run(story) == []


def test_an_order_waits_for_news_from_before_it_that_is_still_on_its_way():
    """The machine is late: the order is overdue for long, and the news that it must meet has not been handled."""
    late = [True]

    async def story(queue, seen, now):
        queue.behind = lambda ts_ns: late[0] and ts_ns == 100 * MS
        now[0] = 110 * MS
        task = await started(queue, 0, lambda at: seen.append(("order", at)))
        await asyncio.sleep(5 * GRACE_S)
        assert not task.done()
        seen.append(("news", queue.news(80 * MS)))
        late[0] = False
        await task

    assert run(story) == [("news", 80 * MS), ("order", 100 * MS)]


def test_an_order_does_not_wait_for_ever_for_news_that_nobody_follows():
    async def story(queue, seen, now):
        queue.behind = lambda ts_ns: True
        now[0] = 110 * MS
        await queue.at(0, lambda at: seen.append(at))

    assert run(story) == [100 * MS]
