"""I9 on the clock: what is done to a run is a row of its ledger or a line of its log within five seconds.

The rows are written by the node's own watch over the connections, once a second as in a node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from adapters.fake.faults import FaultKind
from core.engine.live.feed_watch import FeedWatch, connections_of

if TYPE_CHECKING:
    from adapters.fake.matrix.compare import LedgerFacts
    from adapters.fake.matrix.stand import Stand

LOOK_S = 1.0
SEEN_NS = 5_000_000_000
LIMITED = "limited"
#: Kinds that leave a sign of their own, and the kind of row that is it.
SIGNS = {FaultKind.WS_GARBAGE.value: "fault", FaultKind.HTTP_429.value: LIMITED}


class Visible:
    """The watch of a node over the connections of a stand, and the judgement of what it saw.

    Attributes
    ----------
    dropped_ns : list of int
        When sockets that were up were closed.
    until_ns : int
        Last look.
    """

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.dropped_ns: list[int] = []
        self.until_ns = 0
        self._watch: FeedWatch | None = None
        self._life = 0

    async def run(self) -> None:
        """Look once a second, in every life."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Write what is new as rows of the ledger."""
        stand, now = self.stand, self.stand.loop.time_ns()
        if stand.dead or not stand.alive:  # between two lives nobody looks
            return
        if self._watch is None or self._life != stand.lives:
            self._watch, self._life = FeedWatch(stand.ledger), stand.lives
        feed = stand.feed.client if stand.feed is not None else None
        self._watch.look({**connections_of(feed), **connections_of(stand.port)}, now)
        self.until_ns = now

    def missing(self, facts: LedgerFacts) -> Iterator[str]:
        """Yield what no row told in time; a life that ended within the time is excused."""
        if self.stand.lives > 1:
            return
        done = [
            (at, kind, what) for at, kind, what in self._done() if at + SEEN_NS <= self.until_ns
        ]
        for at, row, what in done:
            seen = [ts for ts, _ in facts.signs.get(row, ())]
            if row == LIMITED and self._in_force(facts, at):
                continue  # one row says so until it is over
            if not any(at <= ts <= at + SEEN_NS for ts in seen):
                yield f"{what} at {at}: no {row} row within 5 s"

    @staticmethod
    def _in_force(facts: LedgerFacts, at: int) -> bool:
        """Return whether the limit had been told before and not yet its end."""
        told = [*facts.signs.get(LIMITED, ()), *facts.signs.get("feed.state", ())]
        before = [state for ts, state in sorted(told) if ts <= at]
        return bool(before) and before[-1] == LIMITED

    def _done(self) -> Iterator[tuple[int, str, str]]:
        schedule = self.stand.faults
        for at, (kind, subject) in zip(schedule.fired_ns, schedule.fired, strict=True):
            if kind in SIGNS:
                yield at, SIGNS[kind], f"{kind} on {subject[:40]}"
        for at in self.dropped_ns:
            yield at, "feed.state", "closed sockets"
