"""What the rest of the house sees of a ledger, and the ledger that keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from core.ledger.kinds import RunEnded, RunStarted
from core.ledger.registry import Payload
from core.ledger.rows import Head


class Ledger(Protocol):
    """An append-only record. Every method may be called from any thread unless it says otherwise."""

    @property
    def run_id(self) -> str:
        """Run that rows belong to; empty between runs."""
        ...

    @property
    def head(self) -> Head:
        """Last row that is committed."""
        ...

    def begin_run(self, started: RunStarted, *, ts_event: int) -> int:
        """Write ``run.started`` (durably) and give its id to the rows that follow."""
        ...

    def end_run(self, ended: RunEnded, *, ts_event: int) -> int:
        """Write ``run.ended`` durably: the run is sealed."""
        ...

    def append(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Add a row and return its number.

        Parameters
        ----------
        payload : Payload
            One of `core.ledger.kinds`.
        ts_event : int
            When it happened, nanoseconds UTC.
        parents : sequence of int
            Rows that caused this one; each must be an earlier row.
        durable : bool
            Return only when the row is on disk.

        Raises
        ------
        LedgerWriteError
            The row is not acknowledged. Do not act on it.
        LedgerError
            The payload is not a valid row; nothing was added.
        """
        ...

    def append_made(
        self, make: Callable[..., Payload], *parts: Any, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add the row ``make(*parts)`` and return its number.

        A backtest makes it later, with its batch: `make` must be pure and `parts` immutable.
        """
        ...

    def begin_durable(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> tuple[int, asyncio.Future[None]]:
        """Add a row on an event loop; return its number and what `acknowledged` waits for."""
        ...

    async def acknowledged(self, written: asyncio.Future[None]) -> None:
        """Return once a row of `begin_durable` is on disk, without blocking the event loop."""
        ...

    async def append_durable_async(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add a row and return its number once it is on disk, without blocking the event loop."""
        ...

    def flush(self) -> None:
        """Return when everything appended so far is committed."""
        ...

    def close(self) -> Head:
        """Commit everything, anchor the head and release the files."""
        ...
