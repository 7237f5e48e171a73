"""What a node does beside the engine, each a task on its loop: none of it may end unseen.

A node whose watch over halts, comparison with the venue, or report of itself has died would trade on without it. A task that
ends by an error therefore halts trading and stops the node in order, which withdraws what works.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from core.domain.errors import LedgerError, VenueError


class Beside:
    """Begins tasks and answers for those that fail.

    Parameters
    ----------
    halt : callable
        Stops trading for a reason.
    stop : callable
        Asks the node to stop. Not called for a ledger that failed: it has halted the node, and what works is withdrawn by
        the watch over halts, which goes on.
    say : callable
        Takes an event name and values for the node's log.
    """

    def __init__(
        self,
        halt: Callable[[str], None],
        stop: Callable[[], None],
        say: Callable[..., None],
    ) -> None:
        self._halt, self._stop, self._say = halt, stop, say

    def begin(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task that runs until it is cancelled."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        name = task.get_name()
        self._halt(f"the node's own {_why(name, error)}")
        self._say("part.failed", part=name, error=_said(error), where=_where(error))
        if not isinstance(error, LedgerError):
            self._stop()


async def guarded[T](
    work: Coroutine[Any, Any, T],
    name: str,
    halt: Callable[[str], None],
    spared: type[Exception] | tuple[()] = VenueError,
) -> T:
    """Do a task of a client, of which the engine would only print an error; what it had in hand nobody goes on with.

    A venue that refuses or cannot be asked is no error of ours, and everything that depends on it is asked again: it is
    `spared`, but not in what must go on for as long as the client runs.
    """
    try:
        return await work
    except spared:
        raise
    except Exception as exc:
        halt(_why(name, exc))
        raise


def _why(name: str, error: BaseException) -> str:
    return f"{name} failed: {_said(error)}; please report this, then restart the node"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _where(error: BaseException) -> list[str]:
    """Return the last calls before an error."""
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)][
        -6:
    ]
