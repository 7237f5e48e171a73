"""A reader goes on when the engine has worked off what it was told, and not before."""

import asyncio
import time

import pytest

from core.engine.live import backlog as module
from core.engine.live.backlog import AHEAD_NS, Backlog


async def test_a_reader_waits_until_an_actor_has_seen_the_news():
    backlog = Backlog()
    backlog.told(now := time.time_ns())
    waiting = asyncio.create_task(backlog.worked_off())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    backlog.saw(now)
    await asyncio.wait_for(waiting, 60)
    assert (backlog.waits, backlog.unseen) == (1, 0)


async def test_a_reader_that_is_hardly_ahead_only_lets_others_have_their_turn():
    backlog, turns = Backlog(), []
    backlog.saw(1_000)
    backlog.told(1_000 + AHEAD_NS)
    asyncio.get_running_loop().call_soon(turns.append, 1)
    await backlog.worked_off()
    assert turns == [1]
    assert backlog.waits == 0


async def test_news_that_nobody_follows_is_waited_for_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    backlog = Backlog()
    backlog.told(time.time_ns())
    await asyncio.wait_for(backlog.worked_off(), 60)
    await asyncio.wait_for(backlog.worked_off(), 60)
    assert (backlog.waits, backlog.unseen) == (1, 1)


def test_the_worst_lag_is_that_since_the_last_look():
    backlog = Backlog()
    backlog.saw(time.time_ns() - 2_000_000_000)
    backlog.saw(time.time_ns())
    assert backlog.worst_lag_s() >= 2
    assert backlog.worst_lag_s() == 0
