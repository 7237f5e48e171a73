"""A client that reads slowly holds the tape of a fake venue, which says so; one that never reads does not stop it."""

import asyncio

import numpy as np
import pytest

from adapters.fake import player as module
from adapters.fake.kalshi.server import FakeKalshi
from adapters.fake.kalshi.stream import Connection
from adapters.fake.player import MOST_WAITING, Player
from adapters.fake.replay import Step, Tape
from adapters.kalshi.fees import KalshiFeeBook
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange
from tests.integration.kalshi_session import TICKERS, market

STEPS = 400


def playing() -> tuple[Player, Connection]:
    """A tape of one-level changes, and a client whose frames are as many as may wait."""
    one = np.ones(STEPS, dtype=np.int64)
    prices, sizes = one * 5000, np.arange(1, STEPS + 1)
    tape = Tape(
        (market(TICKERS[0], 1),), one * 0, one * 0, one * int(Step.LEVEL), one, prices, sizes, one
    )
    fake = FakeKalshi(Exchange(NettedAccount(1_000_000), KalshiFeeBook(), "fk"))
    client = Connection(None)  # type: ignore[arg-type]  # nothing is written to it here
    fake.streams.connections.append(client)
    for _ in range(MOST_WAITING + 1):
        client.queue.put_nowait("frame")
    return Player(tape, fake.exchange, fake.streams, speed=1.0), client


async def test_the_tape_waits_for_a_slow_client_and_says_for_how_long():
    player, client = playing()
    run = asyncio.create_task(player.run())
    await asyncio.sleep(0.1)
    assert player.played == 100
    while not client.queue.empty():
        client.queue.get_nowait()
    await asyncio.wait_for(run, 60)
    told = player.told()
    assert told["played"] == STEPS
    assert told["holds"] == 1
    assert told["held_s"] > 0.05


async def test_a_client_that_never_reads_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "HOLD_S", 0.01)
    player, _ = playing()
    await asyncio.wait_for(player.run(), 60)
    assert player.told()["finished"]
