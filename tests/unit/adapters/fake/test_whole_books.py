"""A whole book on the tape is a book told again: what was taken stays taken, and nobody sees it half-built."""

import asyncio

import numpy as np

from adapters.fake.kalshi.server import FakeKalshi
from adapters.fake.player import Player
from adapters.fake.replay import Step, Tape
from adapters.kalshi.fees import KalshiFeeBook
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange, FakeOrder
from tests.integration.kalshi_session import TICKERS, market

CLEAR, LEVEL = int(Step.CLEAR), int(Step.LEVEL)


async def test_a_book_told_again_fills_nothing_again():
    book = [(CLEAR, 0, 0, 0), (LEVEL, 1, 3900, 0), (LEVEL, 0, 4000, 1)]
    rows = [*book, *book, *book]
    step, side, price, last = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    zero = np.zeros(n, dtype=np.int64)
    tape = Tape((market(TICKERS[0], 1),), zero, zero, step, side, price, zero + 300, last)
    fake = FakeKalshi(Exchange(NettedAccount(100_000_000), KalshiFeeBook(), "fk"))
    player = Player(tape, fake.exchange, fake.streams, speed=1.0)
    seen = []
    order = FakeOrder("", "c", TICKERS[0], "bid", "YES", 4000, 1000, "GTC", False, 0)
    done = fake.exchange.submit(order, 1)
    for number, one in enumerate(tape):
        player.played = number
        player.apply(one, 2)
        seen.append(dict(fake.exchange.markets[TICKERS[0]].book.levels["ask"]))
    await asyncio.sleep(0)
    assert done.filled == 300
    assert seen == [{}, {}, *[{4000: 300}] * 7]
