"""What runs beside the engine: a part that fails halts trading and stops the node, and says where."""

import asyncio

import pytest

from core.domain.errors import LedgerWriteError, VenueUncertain
from core.engine.live.beside import Beside, guarded


class Told:
    """What the node was asked for."""

    def __init__(self):
        self.halts, self.stops, self.lines = [], 0, []
        self.beside = Beside(self.halts.append, self._stop, self._say)

    def _stop(self):
        self.stops += 1

    def _say(self, event, **values):
        self.lines.append((event, values))


async def fails(error):
    raise error


async def test_a_part_that_fails_halts_stops_and_says_where():
    told = Told()
    task = told.beside.begin("audit", fails(KeyError("KXT-1")))
    await asyncio.wait({task})
    await asyncio.sleep(0)
    (why,) = told.halts
    assert "audit failed: KeyError: 'KXT-1'" in why and "restart the node" in why
    assert told.stops == 1
    ((event, values),) = told.lines
    assert event == "part.failed" and values["part"] == "audit"
    assert values["where"][-1].endswith("fails")


async def test_a_ledger_that_failed_halts_and_leaves_the_node_up_for_its_watch():
    told = Told()
    task = told.beside.begin("audit", fails(LedgerWriteError("the disk is full", "x", "y")))
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert len(told.halts) == 1 and told.stops == 0


@pytest.mark.parametrize("ends", [False, True])
async def test_a_part_that_is_cancelled_or_has_nothing_to_do_is_no_failure(ends):
    told = Told()
    task = told.beside.begin("collector", asyncio.sleep(0 if ends else 60))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert (told.halts, told.stops, told.lines) == ([], 0, [])


async def test_a_task_of_a_client_halts_by_an_error_of_ours_and_not_by_a_venue_that_is_away():
    halts = []
    with pytest.raises(KeyError):
        await guarded(fails(KeyError("x")), "leftovers", halts.append)
    with pytest.raises(VenueUncertain):
        await guarded(fails(VenueUncertain("no answer")), "cash", halts.append)
    assert await guarded(asyncio.sleep(0, result=7), "cash", halts.append) == 7
    assert len(halts) == 1 and halts[0].startswith("leftovers failed: KeyError")
