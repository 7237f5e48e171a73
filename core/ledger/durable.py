"""Ledger of a paper or live node: one writer thread, group commit, full sync, acknowledgements.

Producers check and encode a row, give it its number under a lock and put it in a bounded queue. The
thread, woken by a row that somebody waits for (`core.ledger.lingering`), takes up to `GROUP_ROWS` at a
time, chains them, commits once with a full sync and wakes whoever waits. When the disk refuses, rows
are kept in order and tried again; waiters are told at once that they are not acknowledged, and
`on_halt` is called. Nothing acknowledged is ever lost, no number is ever skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from math import inf
from pathlib import Path
from queue import Empty

import apsw

from core.domain.errors import LedgerError, LedgerWriteError
from core.domain.faultpoints import point
from core.ledger.acknowledgement import Ack, seen, settle
from core.ledger.anchors import write_anchor
from core.ledger.appended import Appended, fate
from core.ledger.digest import settle_file
from core.ledger.kinds import Genesis, LedgerFault, RunStarted
from core.ledger.lingering import Item, LingeringQueue
from core.ledger.recovery import genesis_row
from core.ledger.registry import Payload, spec_of
from core.ledger.rows import Head, Waiting, link
from core.ledger.schema import SCHEMA_VERSION
from core.ledger.segment import Segment, StoreOptions, month_end_ns, month_of, segment_path
from core.ledger.sequencing import SequencingLedger

#: Rows per commit. More would raise throughput and the wait of the row at the end.
GROUP_ROWS = 256
QUEUE_ROWS = 65_536
STALL_S = 2.0
RETRY_S = 0.25
IDLE_S = 0.5
ANCHOR_ROWS = 10_000
ANCHOR_S = 60.0
_MEND = "free disk space or mend the disk; beta ledger verify"
_LOG = logging.getLogger("beta.ledger")


class WriterState(StrEnum):
    """State of the writer; see `TRANSITIONS`."""

    RUNNING = "running"
    FAILING = "failing"
    DEAD = "dead"
    CLOSED = "closed"


#: FAILING retries until the disk takes rows again; DEAD (the thread itself raised) is final.
TRANSITIONS: dict[WriterState, frozenset[WriterState]] = {
    WriterState.RUNNING: frozenset({WriterState.FAILING, WriterState.DEAD, WriterState.CLOSED}),
    WriterState.FAILING: frozenset({WriterState.RUNNING, WriterState.DEAD, WriterState.CLOSED}),
    WriterState.DEAD: frozenset({WriterState.CLOSED}),
    WriterState.CLOSED: frozenset(),
}


_GENESIS = spec_of(Genesis(schema=SCHEMA_VERSION)).tag


class DurableLedger(SequencingLedger):
    """Write rows through one thread with group commit; every method is safe from any thread.

    Parameters
    ----------
    directory, options, wall_clock
        As in `SequencingLedger`.
    on_halt : callable, optional
        Called once per incident with a reason when the disk refuses, the writer stalls or dies. It
        runs in the writer's or the caller's thread and must only set a flag.
    stall_s : float
        Longest wait for an acknowledgement, seconds; also how long one commit may take.
    queue_rows : int
        Rows that may wait; beyond, `append` blocks up to `stall_s` and then refuses.
    """

    def __init__(
        self,
        directory: Path,
        options: StoreOptions | None = None,
        *,
        on_halt: Callable[[str], None] | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
        stall_s: float = STALL_S,
        queue_rows: int = QUEUE_ROWS,
    ) -> None:
        super().__init__(directory, options or StoreOptions(), wall_clock)
        self.state = WriterState.RUNNING
        self._on_halt = on_halt
        self._stall_s = stall_s
        self._queue_rows = queue_rows
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._queue = self._new_queue()
        self._rotate_ns = month_end_ns(self._segment.month)
        self._stopping = threading.Event()
        self._busy_since = 0.0
        self._anchor_due = 0.0
        self._halted_for = ""
        self._anchored = self._head.seq
        self._digests: list[threading.Thread] = []
        self._appended = Appended(directory)
        self.fate = fate(self._appended.read(), self._head.seq)
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()
        self._seal_crashed(wall_clock())
        for name in self._opened.undigested:
            self._digest_later(name.path)

    def _new_queue(self) -> LingeringQueue:
        """Return the way to the writer."""
        return LingeringQueue(GROUP_ROWS)

    # -- producers -------------------------------------------------------------------------------

    def append(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = (), durable: bool = False
    ) -> int:
        """Add a row and return its number; with `durable`, only once it is on disk."""
        if not durable:
            return self._enqueue(payload, ts_event, parents, None)
        ack = Ack()
        seq = self._enqueue(payload, ts_event, parents, ack)
        self._await(ack)
        return seq

    def append_durable(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add a row and return its number once it is on disk."""
        return self.append(payload, ts_event=ts_event, parents=parents, durable=True)

    async def append_durable_async(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> int:
        """Add a row and return its number once it is on disk; the event loop goes on meanwhile."""
        seq, written = self.begin_durable(payload, ts_event=ts_event, parents=parents)
        await self.acknowledged(written)
        return seq

    def begin_durable(
        self, payload: Payload, *, ts_event: int, parents: Sequence[int] = ()
    ) -> tuple[int, asyncio.Future[None]]:
        """Add a row and wake the writer; return its number and what `acknowledged` waits for."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        written.add_done_callback(seen)  # what was begun need not be waited for
        return self._enqueue(payload, ts_event, parents, Ack(loop, written)), written

    async def acknowledged(self, written: asyncio.Future[None]) -> None:
        """Return once a row of `begin_durable` is on disk; the event loop goes on meanwhile.

        Raises
        ------
        LedgerWriteError
            If the row is not on disk, or not within `stall_s`.
        """
        if written.done():
            return written.result()
        try:
            async with asyncio.timeout(self._stall_s):
                await written
        except TimeoutError:
            # a loop that was busy elsewhere sees its answer and its alarm at once: the answer counts
            if not written.done() or written.cancelled() or written.exception() is not None:
                raise self._stalled() from None

    def flush(self) -> None:
        """Return when everything appended so far is on disk; a long queue may take its time while it moves."""
        ack, before = Ack(), self._head.seq
        self._queue.put((None, ack))
        while not ack.wait(self._stall_s):
            if self._head.seq == before:
                raise self._stalled()
            before = self._head.seq
        if ack.error is not None:
            raise ack.error

    def _enqueue(
        self, payload: Payload, ts_event: int, parents: Sequence[int], ack: Ack | None
    ) -> int:
        """Check, encode, number and queue a row."""
        tag, data = self._prepare(payload, ts_event)
        with self._lock:
            refused = self._no_room()
            seq = 0 if refused else self._number(payload, ts_event, parents, ack, tag, data)
        if refused is not None:
            self._halt(str(refused))
            raise refused
        busy = self._busy_since
        if busy and time.monotonic() - busy > self._stall_s:
            self._stalled()
        return seq

    def _number(
        self,
        payload: Payload,
        ts_event: int,
        parents: Sequence[int],
        ack: Ack | None,
        tag: str,
        data: bytes,
    ) -> int:
        """Give a row its number and queue it (the lock is held); a new month begins a new file first."""
        ts_init = self._wall_clock()
        if ts_init >= self._rotate_ns:
            self._rotate_ns = month_end_ns(month_of(ts_init))
            self._seq += 1
            # a run begins with its run.started, not with the file that happens to come before it
            run_id = "" if isinstance(payload, RunStarted) else self._run_id
            marker = Waiting(self._seq, run_id, ts_init, ts_init, _GENESIS, "[]", b"")
            self._queue.put((marker, None))
        seq = self._seq + 1
        links = self._links(parents, seq) if parents else "[]"
        self._seq = seq
        if ack is not None and self.state is WriterState.FAILING:
            settle([ack], self._refusal())  # kept and written later, but nobody may rely on it
            ack = None
        self._queue.put((Waiting(seq, self._run_id, ts_event, ts_init, tag, links, data), ack))
        return seq

    def _no_room(self) -> LedgerWriteError | None:
        """Wait for room (the lock is held); return the refusal when the writer makes none in time."""
        if threading.current_thread() is self._thread:
            return None
        if self._closed or self.state is WriterState.DEAD:
            state = "closed" if self._closed else f"dead: {self._halted_for}"
            return LedgerWriteError("the ledger takes no rows", f"writer is {state}", _MEND)
        deadline = 0.0
        while self._seq - self._head.seq >= self._queue_rows:
            now = time.monotonic()
            deadline = deadline or now + self._stall_s
            if self.state is not WriterState.RUNNING or now >= deadline:
                return LedgerWriteError(
                    "the ledger queue is full", f"{self._queue_rows} rows wait", _MEND
                )
            self._room.wait(deadline - now)
        return None

    def _await(self, ack: Ack) -> None:
        """Block until a row is on disk."""
        if not ack.wait(self._stall_s):
            raise self._stalled()
        if ack.error is not None:
            raise ack.error

    def _stalled(self) -> LedgerWriteError:
        """Halt and return the error for a row that got no answer in time."""
        error = LedgerWriteError(
            "the ledger did not acknowledge a row in time", f"{self._stall_s} s", _MEND
        )
        self._halt(str(error))
        return error

    def _refusal(self) -> LedgerWriteError:
        """Return the error for a row that is kept but not on disk."""
        return LedgerWriteError(
            "the ledger cannot be written", self._halted_for or self.state, _MEND
        )

    def _halt(self, reason: str) -> None:
        """Call `on_halt` once per incident."""
        if self._halted_for:
            return
        self._halted_for = reason
        _LOG.error("ledger halt: %s", reason)
        if self._on_halt is not None:
            try:
                self._on_halt(reason)
            except Exception:  # whoever listens must not take the writer down with it
                _LOG.exception("on_halt raised")

    # -- the writer thread -----------------------------------------------------------------------

    def _run(self) -> None:
        """Write until told to stop; anything unforeseen is final and halts."""
        held: list[Item] = []
        try:
            while self._collect(held):
                self._write(held)
                if held:
                    break  # the disk refuses and we were told to stop
                self._rest(idle=False)
        except BaseException as exc:
            self._move(WriterState.DEAD)
            self._halt(f"ledger writer died: {type(exc).__name__}: {exc}")
            acks = [ack for _, ack in held if ack is not None]
            while not self._queue.empty():
                item = self._queue.get_nowait()
                if item is not None and item[1] is not None:
                    acks.append(item[1])
            settle(acks, self._refusal())
            if not isinstance(exc, Exception):
                raise

    def _collect(self, held: list[Item]) -> bool:
        """Take the next group from the queue into `held`; False when told to stop."""
        while not held:
            try:
                first = self._queue.get(timeout=IDLE_S)
            except Empty:
                self._rest(idle=True)
                continue
            if first is None:
                return False
            held.append(first)
        self._drain(held, GROUP_ROWS)
        return True

    def _drain(self, held: list[Item], most: float = inf) -> None:
        """Take what waits into `held`, up to `most` rows and the word to stop, which stays in the queue."""
        while len(held) < most:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if item is None:
                self._queue.put(None)
                return
            held.append(item)

    def _write(self, held: list[Item]) -> None:
        """Commit `held` and acknowledge it; keep trying while the disk refuses."""
        attempts, since_ns = 0, 0
        while held:
            try:
                self._busy_since = time.monotonic()
                self._appended.note(self._seq)
                self._commit(held)
            except LedgerError as exc:
                attempts += 1
                since_ns = since_ns or self._wall_clock()
                self._busy_since = 0.0
                self._fail(exc, held)
                if self._stopping.is_set():
                    return
                self._stopping.wait(RETRY_S)
            else:
                self._busy_since = 0.0
        if attempts:
            self._recovered(attempts, since_ns)

    def _commit(self, held: list[Item]) -> None:
        """Write the rows before the next file boundary in one transaction, then acknowledge them."""
        rows = [row for row, _ in held if row is not None]
        at = next((i for i, row in enumerate(rows) if row.kind == _GENESIS), len(rows))
        if rows and at == 0:
            self._rotate(rows[0])
            done = held.index((rows[0], None)) + 1
        else:
            if rows:
                chained, head = link(rows[:at], self._head)
                self._segment.insert(chained)
                self._head = head
            done = len(held) if at == len(rows) else held.index((rows[at], None))
        acks = [ack for _, ack in held[:done] if ack is not None]
        point("ledger.write.before_ack")
        settle(acks, None)
        point("ledger.write.after_ack")
        del held[:done]
        with self._lock:
            self._room.notify_all()

    def _fail(self, exc: LedgerError, held: list[Item]) -> None:
        """Tell every waiter that its row is not on disk, keep the rows, halt."""
        self._move(WriterState.FAILING)
        self._halt(str(exc))
        self._drain(held)
        settle([ack for _, ack in held if ack is not None], self._refusal())
        held[:] = [(row, None) for row, _ in held if row is not None]

    def _recovered(self, attempts: int, since_ns: int) -> None:
        """Take rows again, and say in the chain that they were refused for a while."""
        error, self._halted_for = self._halted_for, ""
        self._move(WriterState.RUNNING)
        fault = LedgerFault(
            error=error,
            since_ns=since_ns,
            rows_waiting=self._seq - self._head.seq,
            attempts=attempts,
        )
        self._enqueue(fault, self._wall_clock(), (), None)

    def _rotate(self, marker: Waiting) -> None:
        """Begin the file of a new month; its first row links the head of the old one."""
        old = self._segment
        genesis = Genesis(
            schema=SCHEMA_VERSION,
            previous_file=old.path.name,
            previous_seq=self._head.seq,
            previous_hash=self._head.hash.hex(),
        )
        row = genesis_row(self._head, genesis, marker.ts_init, marker.run_id)
        path = segment_path(self.directory, row.seq, marker.ts_init)
        self._segment = Segment.create(path, row, self.options)
        self._head = Head(row.seq, row.hash)
        point("ledger.rotate.created")
        old.close()
        self._digest_later(old.path)

    def _rest(self, *, idle: bool) -> None:
        """Between groups: checkpoint when due, anchor the head now and then."""
        self._segment.checkpoint_when_due(idle=idle)
        grown = self._head.seq - self._anchored
        if grown >= ANCHOR_ROWS or (idle and grown and time.monotonic() >= self._anchor_due):
            self._anchored = self._head.seq
            self._anchor_due = time.monotonic() + ANCHOR_S
            write_anchor(
                self.directory, self._head, self._segment.path.name, "interval", self._wall_clock()
            )

    def _digest_later(self, path: Path) -> None:
        """Hash a closed file in the background and write the digest as a row."""

        def work() -> None:
            # a damaged or busy old file keeps nothing from being written; the verifier names it
            with contextlib.suppress(LedgerError, apsw.Error, OSError):
                digest = settle_file(path)
                if digest is None:
                    return  # a reader keeps it open; the next start does it
                self._enqueue(digest, self._wall_clock(), (), None)
                head = Head(digest.head_seq, bytes.fromhex(digest.head_hash))
                now = self._wall_clock()
                write_anchor(self.directory, head, path.name, "rotate", now, digest.sha256)

        thread = threading.Thread(target=work, name="ledger-digest", daemon=True)
        self._digests.append(thread)
        thread.start()

    def _move(self, state: WriterState) -> None:
        """Change state along `TRANSITIONS`."""
        if state is not self.state:
            assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
            self.state = state

    def close(self) -> Head:
        """Commit everything, close the file, anchor its head and sha256, release the lock.

        Raises
        ------
        LedgerWriteError
            If the disk still refuses: so many rows, none of them acknowledged, were not written.
        """
        for thread in self._digests:
            thread.join(timeout=self._stall_s)
        return super().close()

    def _stop(self) -> None:
        """Write what waits, stop the thread, and say what could not be written."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join()
        dead = self.state is WriterState.DEAD
        self._move(WriterState.CLOSED)
        missing = self._seq - self._head.seq
        if missing or dead:
            raise LedgerWriteError(
                "the ledger closed without its last rows",
                f"{missing} rows: {self._halted_for}",
                _MEND,
            )
        self._appended.close()
