"""Off the book after a halt: past failures, past late orders, with and without the venue's kill switch."""

import asyncio

import pytest

from core.domain.errors import VenueUncertain
from core.engine.live import sweep as module
from core.engine.live.sweep import Sweep


class Port:
    """Fails as often as told, then reports what is left as told."""

    def __init__(self, failures=0, left=(), error=None):
        self.failures, self.left, self.calls = failures, list(left), []
        self.error = error or VenueUncertain("no answer")

    async def _cancel(self, name):
        self.calls.append(name)
        if self.failures:
            self.failures -= 1
            raise self.error
        return self.left.pop(0) if self.left else []

    async def cancel_everything(self):
        return await self._cancel("cancel")

    async def engage_kill_switch(self):
        return await self._cancel("engage")

    async def release_kill_switch(self):
        await self._cancel("release")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.002)


async def clean(swept):
    for _ in range(1000):
        if swept.clean:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("never clean")


@pytest.mark.parametrize("error", [VenueUncertain("no answer"), KeyError("KXT-1")])
async def test_it_goes_on_until_the_venue_says_that_nothing_works(error):
    """Past an error of ours too: nobody else takes the orders off the book."""
    said = []
    port = Port(failures=3, left=[["a"], ["a"], []], error=error)
    swept = Sweep(port, lambda: False, lambda event, **values: said.append(event))
    swept.start("ledger", kill_switch=True)
    await clean(swept)
    assert port.calls == ["engage"] * 6
    assert said == ["halt.cancel_failed"] * 3 + ["halt.nothing_works"]


async def test_an_order_on_its_way_is_waited_for():
    flying = [True, True, True]
    port = Port()
    swept = Sweep(port, lambda: bool(flying and flying.pop()), lambda event, **values: None)
    swept.start("operator", kill_switch=False)
    await clean(swept)
    assert len(port.calls) >= 2


async def test_liquidation_releases_the_kill_switch_first_and_so_does_a_resume():
    port = Port()
    swept = Sweep(port, lambda: False, lambda event, **values: None)
    swept.start("halt", kill_switch=True)
    await clean(swept)
    swept.start("liquidate", kill_switch=False)
    await clean(swept)
    assert port.calls == ["engage", "release", "cancel"]
    swept.start("halt", kill_switch=True)
    await clean(swept)
    swept.lift()
    await asyncio.sleep(0.01)
    assert port.calls[-1] == "release"


async def test_a_kill_switch_is_released_past_an_error_of_ours():
    port = Port(error=KeyError("group"))
    swept = Sweep(port, lambda: False, lambda event, **values: None)
    swept.start("halt", kill_switch=True)
    await clean(swept)
    port.failures = 2
    swept.lift()
    for _ in range(1000):
        if port.calls == ["engage", "release", "release", "release"]:
            break
        await asyncio.sleep(0.001)
    assert port.calls == ["engage", "release", "release", "release"]
