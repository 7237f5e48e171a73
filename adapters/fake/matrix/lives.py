"""Power cuts: the client side dies at a named point, keeps only what was on disk, and comes back.

A cut is what SIGKILL is to a process: from the point on, nothing of the old life reaches the ledger, the venue or
a file. Rows that nobody waited for are lost with it, or not, as the seed says. Killed processes themselves are in
`tests/faults`; here thousands of points cost seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from core.domain import faultpoints
from core.domain.errors import LedgerWriteError

if TYPE_CHECKING:
    from adapters.fake.matrix.stand import Stand


class Killed(BaseException):
    """The process is dead; no code of it runs on."""


class PowerLine:
    """The way to the ledger's writer: rows that nobody waits for go with the next one that somebody does."""

    def __init__(self) -> None:
        self._inner: SimpleQueue[Any] = SimpleQueue()
        self._held: list[Any] = []
        self._cut = False
        self.get, self.get_nowait, self.empty = (
            self._inner.get,
            self._inner.get_nowait,
            self._inner.empty,
        )

    def put(self, item: Any) -> None:
        """Take a row on its way to the disk."""
        if self._cut and item is not None:
            return
        if item is not None and item[1] is None:
            self._held.append(item)
            return
        self._flush()
        self._inner.put(item)

    def _flush(self) -> None:
        for item in self._held:
            self._inner.put(item)
        self._held.clear()

    def cut(self, keep: bool) -> None:
        """Let what is held reach the disk or not; nothing comes after it."""
        if keep:
            self._flush()
        self._held.clear()
        self._cut = True


class PowerCut:
    """Kills the client side of a stand at chosen passes of named points.

    Parameters
    ----------
    passes : sequence of int
        After how many passes of any point each life ends.
    keep : sequence of bool
        Whether rows that nobody waited for reach the disk.
    """

    def __init__(self, stand: Stand, passes: Sequence[int], keep: Sequence[bool]) -> None:
        self.stand, self.dead = stand, False
        self._left = list(zip(passes, keep, strict=True))
        self._keep, self._armed = True, False
        self.cuts: list[str] = []

    def install(self) -> None:
        """Listen at the points of this process."""
        faultpoints.listen(self.reach)
        self._armed = True

    def reach(self, name: str) -> None:
        """Pass a point, or die there."""
        if name.startswith("ledger.") or not self._armed:
            return  # the writer's own points: tests/faults/test_ledger_kill
        if self.dead:
            raise Killed(name)
        if not self._left:
            return
        passes, self._keep = self._left[0]
        if passes > 0:
            self._left[0] = (passes - 1, self._keep)
            return
        self._left.pop(0)
        self.dead = True
        self.cuts.append(name)
        self.stand.ledger.power.cut(self._keep)
        raise Killed(name)

    def spare(self) -> None:
        """Kill no more."""
        self._left.clear()

    async def bury(self) -> None:
        """End what is left of the old life, without a word to venue or ledger."""
        stand = self.stand
        for task in list(stand.client.running):
            task.cancel()
        stand.client.unknowns.stop()
        if not self._keep and (ids := getattr(stand.port, "ids", None)) is not None:
            ids.unwritten.clear()  # lines that nobody waited for
        await _drop(stand.port)
        await stand.live.close()
        with contextlib.suppress(LedgerWriteError):
            stand.ledger.close()
        await asyncio.sleep(0)
        self.dead = False


async def _drop(port: Any) -> None:
    """End the private side of a venue without a goodbye: what `disconnect` asks of the venue a dead process does not."""
    beating = getattr(port, "heartbeat", None)
    if beating is not None:
        beating.stop()
    for task in [*getattr(port, "_tasks", ()), getattr(port, "_task", None)]:
        if task is not None:
            task.cancel()
    if port._socket is not None:
        await port._socket.close()


def watch_requests(session: Any, reach: Any) -> None:
    """Make every request of an HTTP session pass a point before it leaves and one after it is answered."""
    inner = session._request

    async def request(*args: Any, **options: Any) -> Any:
        reach("request-wanted")
        answer = await inner(*args, **options)
        reach("request-answered")
        return answer

    session._request = request
