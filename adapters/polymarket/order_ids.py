"""Which venue order id belongs to which of our client order ids: on disk before the order leaves.

Polymarket knows no client order id. The order's hash is its id there, so it is written down before the first byte is
sent: after a kill or a lost answer the order can still be found. In a node it is part of the intent's row, and this file
follows within a second (`note`, `flush`); what a kill kept out of it is taken from the ledger at the next start (`restore`).

An order that is over is let go (`forget`): then only where its line is stays in memory, 32 bytes, and it is read from there.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import msgspec

from core.domain.clock import NS_PER_SECOND
from core.engine.live.port import SentOrder

#: Where the line of an order is that has none yet.
UNWRITTEN = -1
#: Longer than the engine reads back (an hour): nothing asks for an older order that is over, but late news.
KEEP_NS = 70 * 60 * NS_PER_SECOND


class _Index:
    """Where the line of an id is: two sorted columns of 8 bytes."""

    def __init__(self) -> None:
        self._keys, self._offsets = array("Q"), array("Q")

    @staticmethod
    def _key(text: str) -> int:
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())

    def fill(self, found: Iterable[tuple[str, int]]) -> None:
        """Take all lines of a file."""
        rows = sorted((self._key(text), offset) for text, offset in found)
        self._keys = array("Q", (key for key, _ in rows))
        self._offsets = array("Q", (offset for _, offset in rows))

    def add(self, text: str, offset: int) -> None:
        """Take one more."""
        key = self._key(text)
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self._offsets.insert(at, offset)

    def of(self, text: str) -> list[int]:
        """Return where lines of an id may be."""
        key, out = self._key(text), []
        at = bisect_left(self._keys, key)
        while at < len(self._keys) and self._keys[at] == key:
            out.append(self._offsets[at])
            at += 1
        return sorted(out)


class OrderIds:
    """Sent orders by both ids; `unwritten` are those whose lines are still to come.

    Parameters
    ----------
    path : Path, optional
        Append-only file; None keeps them in memory only (then an order of an earlier process is a stranger, and none is
        let go).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.unwritten: deque[SentOrder] = deque()
        self._kept: dict[str, tuple[SentOrder, int]] = {}
        self._by_client: dict[str, str] = {}
        self._index, self._indexed = _Index(), 0
        self._complete_ns = 0
        self._writing, self._flushing = threading.Lock(), threading.Lock()
        self._file: Any = None
        if path is not None:
            self._load(path)

    def _load(self, path: Path) -> None:
        """Read what is there; a torn last line (a kill while writing) was never sent."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "ab+", buffering=0)
        found: list[tuple[str, int]] = []
        for order, offset in self._lines():
            found += [(order.order_id, offset), (order.client_order_id, offset)]
            self._complete_ns = max(self._complete_ns, order.sent_ns - KEEP_NS)
            self._note(order, offset)
        self._indexed = os.fstat(self._file.fileno()).st_size
        self._index.fill(found)
        self.forget([i for i, (o, _) in self._kept.items() if o.sent_ns < self._complete_ns])
        if self._indexed and os.pread(self._file.fileno(), 1, self._indexed - 1) != b"\n":
            self._file.write(b"\n")

    def _lines(self) -> Iterator[tuple[SentOrder, int]]:
        """Return every order of the file with where its line begins."""
        assert self.path is not None
        offset = 0
        with self.path.open("rb") as file:
            for line in file:
                began, offset = offset, offset + len(line)
                try:
                    order = msgspec.json.decode(line, type=SentOrder)
                except (msgspec.DecodeError, msgspec.ValidationError):
                    continue
                yield order, began

    def _note(self, order: SentOrder, offset: int) -> None:
        self._kept[order.order_id] = order, offset
        self._by_client[order.client_order_id] = order.order_id

    def write(self, order: SentOrder) -> None:
        """Put `order` on disk; returns when it is there. Blocks: call it on a worker thread.

        Raises
        ------
        OSError
            If the disk does not take all of it; the order must not leave.
        """
        self._write([order])

    def note(self, order: SentOrder) -> None:
        """Know an order whose id is on disk elsewhere before it leaves; its line is written by the next `flush`."""
        self._note(order, UNWRITTEN)
        if self._file is not None:
            self.unwritten.append(order)

    def flush(self) -> None:
        """Write the lines that are still to come. Blocks: call it on a worker thread.

        Raises
        ------
        OSError
            If the disk refuses; they are still to come then.
        """
        with self._flushing:
            if waiting := list(self.unwritten):
                self._write(waiting)
            for order in waiting:
                self.unwritten.remove(order)

    def restore(self, orders: Iterable[SentOrder]) -> None:
        """Write the lines of orders that are not here: a kill came first. Blocks."""
        if missing := [order for order in orders if order.order_id not in self]:
            self._write(missing)

    def _write(self, orders: Sequence[SentOrder]) -> None:
        """Put lines on disk, and know their orders."""
        offset = 0
        lines = [msgspec.json.encode(order) + b"\n" for order in orders]
        if self._file is not None:
            with self._writing:
                offset = self._append(b"".join(lines))
            os.fsync(self._file.fileno())
        for order, line in zip(orders, lines, strict=True):
            self._note(order, offset)
            offset += len(line)

    def _append(self, lines: bytes) -> int:
        """Write whole lines and return where they begin; a part of one would take the next order with it."""
        file = self._file.fileno()
        began, left = os.fstat(file).st_size, memoryview(lines)
        try:
            while left:  # a disk that is nearly full takes a part and says so by the count only
                left = left[os.write(file, left) :]
        except OSError:
            os.ftruncate(file, began)
            raise
        return began

    # -- look-up ----------------------------------------------------------------------------
    def order(self, order_id: str) -> SentOrder | None:
        """Return an order of ours by its id at the venue; None for anybody else's."""
        kept = self._kept.get(order_id)
        return kept[0] if kept is not None else self._read(order_id)

    def of_client(self, client_order_id: str) -> SentOrder | None:
        """Return an order by our own id."""
        order_id = self._by_client.get(client_order_id)
        return self._kept[order_id][0] if order_id is not None else self._read(client_order_id)

    def __contains__(self, order_id: object) -> bool:
        """Return whether an id at the venue is one of ours."""
        return isinstance(order_id, str) and self.order(order_id) is not None

    def kept(self, order_id: str) -> bool:
        """Return whether an order is in memory."""
        return order_id in self._kept

    def since(self, since_ns: int) -> list[SentOrder]:
        """Return the orders sent since a time; those let go are read again when it is that long ago."""
        if since_ns < self._complete_ns:
            for order, offset in self._lines():
                if order.sent_ns >= since_ns:
                    self._kept.setdefault(order.order_id, (order, offset))
                    self._by_client[order.client_order_id] = order.order_id
            self._complete_ns = since_ns
        kept = list(self._kept.values())  # at once: `write` adds to it on another thread
        return [o for o, _ in kept if o.sent_ns >= since_ns]

    def _read(self, text: str) -> SentOrder | None:
        """Return the newest order on disk with this id, of either kind."""
        offsets, found = self._index.of(text), None
        if not offsets or self.path is None:
            return None
        with self.path.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                order = msgspec.json.decode(file.readline(), type=SentOrder)
                if text in (order.order_id, order.client_order_id):
                    found = order
        return found

    def forget(self, order_ids: Iterable[str]) -> None:
        """Let orders go that are on disk; they are found there."""
        for order_id in order_ids if self._file is not None else ():
            order, offset = self._kept.get(order_id, (None, UNWRITTEN))
            if order is None or offset == UNWRITTEN:
                continue
            del self._kept[order_id]
            if self._by_client.get(order.client_order_id) == order_id:
                del self._by_client[order.client_order_id]
            if offset >= self._indexed:
                self._index.add(order_id, offset)
                self._index.add(order.client_order_id, offset)
            self._complete_ns = max(self._complete_ns, order.sent_ns + 1)

    def close(self) -> None:
        """Write what is still to come, and close the file."""
        if self._file is not None:
            with suppress(OSError):  # the ledger has them
                self.flush()
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
