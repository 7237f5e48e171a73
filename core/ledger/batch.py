"""Ledger of a backtest: no thread, no sync until the end, rows written in batches.

The backtest engine holds the interpreter, so a writer thread would starve; and a backtest that dies
with the machine is run again. A kill of the process loses at most the rows of the last batch, and
what is in the file always verifies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.domain.errors import LedgerError, LedgerWriteError
from core.ledger.registry import Payload
from core.ledger.rows import WaitingRow, link
from core.ledger.segment import StoreOptions
from core.ledger.sequencing import SequencingLedger

BATCH_ROWS = 1_000
#: seq, run, time, parents as text, then tag and bytes, or what makes the payload and from what.
_Unmade = tuple[int, str, int, str, str | Callable[..., Payload], bytes | tuple[Any, ...]]


class BatchLedger(SequencingLedger):
    """Write rows in the calling thread, `BATCH_ROWS` at a time.

    ``ts_init`` equals ``ts_event``: a backtest has no other clock, and two runs of the same decisions
    give the same chain, head hash included. Not thread-safe.
    """

    def __init__(
        self, directory: Path, options: StoreOptions | None = None, *, start_ns: int = 0
    ) -> None:
        self._waiting: list[_Unmade] = []
        super().__init__(directory, options or StoreOptions(durable=False), lambda: start_ns)
        self._wall_clock = time.time_ns  # for anchors, which are no part of the chain
        self._seal_crashed(start_ns)

    def append(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Add a row and return its number; `durable` writes the batch now (still without a sync)."""
        tag, data = self._prepare(payload, ts_event)
        return self._add(tag, data, ts_event, parents, durable)

    def append_made(
        self, make: Callable[..., Payload], *parts: Any, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add the row ``make(*parts)`` and return its number; it is made when its batch is written.

        Between two orders the engine has turned the processor's caches over: a thousand rows made in a row
        cost less than a thousand made one by one.
        """
        return self._add(make, parts, ts_event, parents, False)

    def _add(
        self,
        tag: str | Callable[..., Payload],
        data: bytes | tuple[Any, ...],
        ts_event: int,
        parents: Sequence[int],
        durable: bool,
    ) -> int:
        if self._closed:
            raise LedgerWriteError("the ledger is closed", str(self.directory))
        seq = self._seq + 1
        links = self._links(parents, seq) if parents else "[]"
        waiting = self._waiting
        waiting.append((seq, self._run_id, ts_event, links, tag, data))
        self._seq = seq
        if durable or len(waiting) >= BATCH_ROWS:
            self.flush()
        return seq

    def begin_durable(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> tuple[int, asyncio.Future[None]]:
        """Add a row and write the batch."""
        seq = self.append(payload, ts_event=ts_event, parents=parents, durable=True)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return seq, written

    async def acknowledged(self, written: asyncio.Future[None]) -> None:
        """Return: the batch is written."""
        await written

    async def append_durable_async(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add a row and write the batch."""
        return self.append(payload, ts_event=ts_event, parents=parents, durable=True)

    def flush(self) -> None:
        """Write the waiting rows; on failure they stay waiting.

        Raises
        ------
        LedgerError
            If a row that is made only now is no valid row: the run has failed, and the rows before it are written.
        """
        if not self._waiting:
            return
        rows: list[WaitingRow] = []
        wrong: LedgerError | None = None
        for seq, run_id, ts, links, tag, data in self._waiting:
            if not isinstance(tag, str):
                try:
                    tag, data = self._prepare(tag(*data), ts)
                except LedgerError as exc:
                    wrong = exc
                    break
            rows.append((seq, run_id, ts, ts, tag, links, data))  # type: ignore[arg-type]
        linked, head = link(rows, self._head)
        if linked:
            self._segment.insert(linked)
            del self._waiting[: len(linked)]
            self._head = head
            self._segment.checkpoint_when_due(idle=False)
        if wrong is not None:
            raise wrong

    def _stop(self) -> None:
        self.flush()
