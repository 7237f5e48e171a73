"""Play a tape into a fake venue: recorded times become wall times, at any speed."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from adapters.fake.replay import ReplayStep, Step, Tape
from core.domain.clock import NS_PER_SECOND
from core.domain.market import Market
from core.engine.paper.book import PRICE_UNIT, BookSide, Levels, no_levels
from core.engine.paper.exchange import Exchange, FakeMarket

AHEAD_NS = 2_000_000
HOUSEKEEPING_NS = 50_000_000
#: Frames that may wait for a client before the tape is held for it, and for how long one hold is at most.
MOST_WAITING = 500
HOLD_S, LOOK_AGAIN_S = 5.0, 0.002
#: Levels of one batch that are told one by one; more are told as a whole book.
MOST_SINGLY = 5


SEND_BYTES = 64 << 10


def no_deep_buffer(transport: asyncio.BaseTransport | None) -> None:
    """Keep what a client has not read in the venue's own queue, where it is counted."""
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)


class MarketStreams(Protocol):
    """What a fake venue's sockets can be told about its markets."""

    @property
    def waiting(self) -> int:
        """Frames that wait for the slowest client."""
        ...

    def level_changed(
        self, ticker: str, side: BookSide, price: int, change: int, ts_ns: int
    ) -> None:
        """Announce a changed level."""

    def snapshot_all(self, ticker: str) -> None:
        """Announce a whole book."""

    def traded(
        self, ticker: str, price: int, quantity: int, aggressor: BookSide, ts_ns: int, trade_id: str
    ) -> None:
        """Announce a public trade."""

    def ticked(self, ticker: str, ts_ns: int) -> None:
        """Announce the top of book."""


class TimeShift:
    """Recorded time to wall time: ``wall = start + (recorded - first) / speed``."""

    def __init__(self, first_ns: int, start_ns: int, speed: float) -> None:
        self.first_ns, self.start_ns, self.speed = first_ns, start_ns, speed

    def wall(self, recorded_ns: int) -> int:
        """Return the wall time at which `recorded_ns` is played."""
        return self.start_ns + int((recorded_ns - self.first_ns) / self.speed)


def fake_market(market: Market, shift: TimeShift) -> FakeMarket:
    """Return the venue's market with its close moved to wall time and its tick in units."""
    close = shift.wall(market.close_ns) if market.close_ns else (1 << 62)
    return FakeMarket(
        market.market_id,
        market.fees,
        close,
        tick=int(market.grid.finest * PRICE_UNIT),
        min_quantity=max(int(market.min_size * 100), 1),
    )


def bulky_steps(tape: Tape) -> set[int]:
    """Return the steps that begin a batch of more than `MOST_SINGLY` levels.

    A real feed changes a few levels at a time. A recording by the ten seconds changes all of them at one moment;
    told one by one, the book in between would show prices that nobody ever quoted together.
    """
    found: set[int] = set()
    for market in range(len(tape.markets)):
        rows = np.flatnonzero((tape.market == market) & (tape.step == Step.LEVEL))
        if not len(rows):
            continue
        ends = tape.last[rows] != 0
        batch = np.concatenate([[0], np.cumsum(ends)[:-1]])
        sizes = np.bincount(batch)
        first = np.flatnonzero(np.concatenate([[True], ends[:-1]]))
        found.update(rows[first[sizes[batch[first]] > MOST_SINGLY]].tolist())
    return found


class Player:
    """Plays one tape into one exchange.

    Parameters
    ----------
    clock : callable
        Wall clock of the venue, nanoseconds.
    settle_delay_s : float
        Wall seconds between close and payout.

    Attributes
    ----------
    behind_ns, replayed_ns : int
        How late the last step was played (wall time), and how far into the recording it lies.
    held_ns, holds : int
        How long, and how often, the tape was held because a client read too slowly.
    """

    def __init__(
        self,
        tape: Tape,
        exchange: Exchange,
        streams: MarketStreams,
        *,
        speed: float = 1.0,
        clock: Callable[[], int] = time.time_ns,
        settle_delay_s: float = 0.0,
    ) -> None:
        self.tape, self.exchange, self.streams, self.clock = tape, exchange, streams, clock
        self.shift = TimeShift(int(tape.ts_ns[0]), clock(), speed)
        self.settle_delay_ns = int(settle_delay_s * NS_PER_SECOND)
        self.played = 0
        self.behind_ns = self.replayed_ns = self.held_ns = self.holds = 0
        self.finished = asyncio.Event()
        self._fresh: set[str] = set()
        self._told: dict[str, Levels] = {}  # whole books, until their last level is there
        self._bulky = bulky_steps(tape)
        for market in tape.markets:
            exchange.markets[market.market_id] = fake_market(market, self.shift)

    async def run(self) -> None:
        """Play everything, then set `finished`; housekeeping goes on beside it."""
        keeper = asyncio.create_task(self._housekeeping())
        try:
            for step in self.tape:
                due = self.shift.wall(step.ts_ns) + (
                    self.settle_delay_ns if step.step is Step.SETTLE else 0
                )
                while (ahead := due - self.clock()) > AHEAD_NS:
                    await asyncio.sleep(min(ahead / NS_PER_SECOND, 0.5))
                now = self.clock()
                self.behind_ns, self.replayed_ns = now - due, step.ts_ns - self.shift.first_ns
                self.apply(step, now)
                self.played += 1
                if self.played % 500 == 0:
                    await asyncio.sleep(0)  # readers and orders get their turn in a burst
                if not self.played % 100 and self.streams.waiting > MOST_WAITING:
                    await self._hold()
        finally:
            keeper.cancel()
        self.finished.set()

    async def _hold(self) -> None:
        """Wait for a client that reads too slowly; one that does not read at all is left to overflow."""
        begin = self.clock()
        while self.streams.waiting > MOST_WAITING // 2:
            if self.clock() - begin > HOLD_S * NS_PER_SECOND:
                break
            await asyncio.sleep(LOOK_AGAIN_S)
        self.holds, self.held_ns = self.holds + 1, self.held_ns + self.clock() - begin

    def told(self) -> dict[str, float | bool]:
        """Return how far and how punctual the tape is, and how much clients hold it up."""
        return {
            "played": self.played,
            "of": len(self.tape),
            "finished": self.finished.is_set(),
            "behind_s": self.behind_ns / NS_PER_SECOND,
            "replayed_s": self.replayed_ns / NS_PER_SECOND,
            "holds": self.holds,
            "held_s": self.held_ns / NS_PER_SECOND,
            "waiting": self.streams.waiting,
        }

    async def _housekeeping(self) -> None:
        while True:
            self.exchange.expire(self.clock())
            await asyncio.sleep(HOUSEKEEPING_NS / NS_PER_SECOND)

    def apply(self, step: ReplayStep, now_ns: int) -> None:
        """Apply one step to the truth and announce it."""
        ticker = step.market_id
        market = self.exchange.markets[ticker]
        if step.step is Step.CLEAR:
            self._told[ticker] = no_levels()
            self._fresh.add(ticker)
        elif step.step is Step.LEVEL and ticker in self._told:
            self._told[ticker][step.side][step.price] = step.quantity
        elif step.step is Step.LEVEL:
            if self.played in self._bulky:
                self._fresh.add(ticker)
            before = market.book.levels[step.side].get(step.price, 0)
            self.exchange.level(ticker, step.side, step.price, step.quantity, now_ns)
            if ticker not in self._fresh:
                self.streams.level_changed(
                    ticker, step.side, step.price, step.quantity - before, now_ns
                )
        elif step.step is Step.TRADE:
            self.exchange.trade(ticker, step.price, step.quantity, step.side, now_ns)
            self.streams.traded(
                ticker, step.price, step.quantity, step.side, now_ns, f"p-{self.played:09d}"
            )
        else:
            self.exchange.settle(ticker, step.price, now_ns)
        if step.last and step.step in (Step.CLEAR, Step.LEVEL):
            if (levels := self._told.pop(ticker, None)) is not None:
                self.exchange.snapshot(ticker, levels, now_ns)
            if ticker in self._fresh:
                self._fresh.discard(ticker)
                self.streams.snapshot_all(ticker)
            self.streams.ticked(ticker, now_ns)
