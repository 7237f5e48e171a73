"""Cyclic garbage is collected between orders, by the loop, and always in the end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from core.engine.live import pauses
from core.engine.live.pauses import (
    FULL_S,
    GIVE_WAY_S,
    OLDER,
    PATIENCE_S,
    YOUNG,
    Collections,
    GiveWay,
)


class Ring:
    """Something that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def by_hand() -> Iterator[None]:
    """Keep the interpreter's own collections out of it."""
    enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    yield
    if enabled:
        gc.enable()


def litter() -> weakref.ref[Ring]:
    kept: list[Ring] = [Ring() for _ in range(2 * YOUNG)]
    return weakref.ref(kept[0])


def test_little_garbage_is_left_alone() -> None:
    assert Collections(lambda: False).look(1.0) == -1


def test_garbage_goes_while_no_order_waits() -> None:
    gone = litter()
    assert Collections(lambda: False).look(1.0) == 0
    assert gone() is None


def test_an_order_on_its_way_puts_a_collection_off_but_not_for_ever() -> None:
    gone, collections = litter(), Collections(lambda: True)
    assert collections.look(1.0) == -1
    assert collections.look(1.0 + PATIENCE_S / 2) == -1
    assert gone() is not None
    assert collections.look(1.0 + PATIENCE_S) == 0
    assert gone() is None
    litter()
    assert collections.look(1.1 + PATIENCE_S) == -1  # the next one has its own patience


def test_every_tenth_collection_goes_deeper_and_one_a_minute_through_everything() -> None:
    collections = Collections(lambda: False)
    start = collections._full_at - FULL_S
    found = []
    for n in range(3 * OLDER):
        litter()
        found.append(collections.look(start + (0 if n < 2 * OLDER else FULL_S)))
    assert found.count(1) == 2
    assert found[-1] == 2
    assert collections._full_at >= start + 2 * FULL_S


async def test_the_interpreter_collects_by_itself_again_when_the_node_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pauses, "LOOK_S", 0.001)
    gc.enable()
    gone = litter()
    task = asyncio.create_task(Collections(lambda: False).run())
    await asyncio.sleep(0)
    assert not gc.isenabled()
    while gone() is not None:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gc.isenabled()


def test_a_thread_gives_way_to_orders_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(pauses.time, "sleep", slept.append)
    GiveWay(lambda: False)()
    assert slept == [GIVE_WAY_S]
    slept.clear()
    give_way = GiveWay(lambda: True)
    give_way()
    assert sum(slept) == pytest.approx(PATIENCE_S, abs=0.01)
    slept.clear()
    give_way()  # a venue that does not answer keeps the log back once
    assert slept == [GIVE_WAY_S]
