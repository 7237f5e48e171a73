"""Long lists are gone through in slices, with the loop free in between."""

from __future__ import annotations

import asyncio

import pytest

from core.engine.live import slices
from core.engine.live.slices import MAX_RESTS, ROWS, sliced


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list in which every rest is noted instead of being taken."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr(slices.asyncio, "sleep", rest)
    return found


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1, 10 * ROWS + 3])
async def test_every_row_comes_once_in_order_with_a_rest_after_every_few(
    count: int, rests: list[float]
) -> None:
    assert [row async for row in sliced(range(count))] == list(range(count))
    assert len(rests) == max(0, count - 1) // ROWS


async def test_a_very_long_list_rests_no_more_often_than_a_long_one(rests: list[float]) -> None:
    rows = range(40 * ROWS * MAX_RESTS)
    assert sum([1 async for _ in sliced(rows)]) == len(rows)
    assert len(rests) <= MAX_RESTS


async def test_the_loop_runs_on_between_two_slices() -> None:
    seen: list[int] = []
    rows = range(3 * ROWS)

    async def other() -> None:
        for _ in range(50):
            seen.append(len(done))
            await asyncio.sleep(0.0005)

    done: list[int] = []
    task = asyncio.create_task(other())
    async for row in sliced(rows):
        done.append(row)
    await task
    assert ROWS in seen or 2 * ROWS in seen
