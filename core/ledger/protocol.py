"""What the rest of the house sees of a ledger, and the ledger that keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

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


class NullLedger:
    """Counts rows and keeps none (``--ledger off``)."""

    def __init__(self) -> None:
        self._seq = 0
        self._run_id = ""

    @property
    def run_id(self) -> str:
        """Run that rows would belong to."""
        return self._run_id

    @property
    def head(self) -> Head:
        """Number of the last row, with no hash behind it."""
        return Head(self._seq)

    def begin_run(self, started: RunStarted, *, ts_event: int) -> int:
        """Remember the run id."""
        self._run_id = started.run_id
        return self.append(started, ts_event=ts_event)

    def end_run(self, ended: RunEnded, *, ts_event: int) -> int:
        """Forget the run id."""
        seq = self.append(ended, ts_event=ts_event)
        self._run_id = ""
        return seq

    def append(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Count a row."""
        self._seq += 1
        return self._seq

    def append_made(
        self, make: Callable[..., Payload], *parts: Any, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Count a row, and make none."""
        self._seq += 1
        return self._seq

    async def append_durable_async(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Count a row."""
        return self.append(payload, ts_event=ts_event, parents=parents)

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> Head:
        """Do nothing."""
        return self.head

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Do nothing."""
