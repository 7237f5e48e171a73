"""Ledger of a backtest: no thread, no sync until the end, rows written in batches.

The backtest engine holds the interpreter, so a writer thread would starve; and a backtest that dies
with the machine is run again. A kill of the process loses at most the rows of the last batch, and
what is in the file always verifies.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from core.domain.errors import LedgerWriteError
from core.ledger.registry import Payload
from core.ledger.rows import WaitingRow, link
from core.ledger.segment import StoreOptions
from core.ledger.sequencing import SequencingLedger

BATCH_ROWS = 1_000


class BatchLedger(SequencingLedger):
    """Write rows in the calling thread, `BATCH_ROWS` at a time.

    ``ts_init`` equals ``ts_event``: a backtest has no other clock, and two runs of the same decisions
    give the same chain, head hash included. Not thread-safe.
    """

    def __init__(
        self, directory: Path, options: StoreOptions | None = None, *, start_ns: int = 0
    ) -> None:
        self._waiting: list[WaitingRow] = []
        super().__init__(directory, options or StoreOptions(durable=False), lambda: start_ns)
        self._wall_clock = time.time_ns  # for anchors, which are no part of the chain
        self._seal_crashed(start_ns)

    def append(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Add a row and return its number; `durable` writes the batch now (still without a sync)."""
        if self._closed:
            raise LedgerWriteError("the ledger is closed", str(self.directory))
        tag, data = self._prepare(payload, ts_event)
        seq = self._seq + 1
        links = self._links(parents, seq) if parents else "[]"
        self._waiting.append((seq, self._run_id, ts_event, ts_event, tag, links, data))
        self._seq = seq
        if durable or len(self._waiting) >= BATCH_ROWS:
            self.flush()
        return seq

    async def append_durable_async(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add a row and write the batch."""
        return self.append(payload, ts_event=ts_event, parents=parents, durable=True)

    def flush(self) -> None:
        """Write the waiting rows; on failure they stay waiting."""
        if self._waiting:
            rows, head = link(self._waiting, self._head)
            self._segment.insert(rows)
            self._waiting.clear()
            self._head = head
            self._segment.checkpoint_when_due(idle=False)

    def _stop(self) -> None:
        self.flush()
