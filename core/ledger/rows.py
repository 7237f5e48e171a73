"""Rows, heads and how a batch of waiting rows is linked into the chain."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from core.domain.errors import LedgerCorrupt
from core.ledger.canonical import GENESIS_HASH, pack_header, row_hash
from core.ledger.registry import Payload, decode

_PARENTS = msgspec.json.Decoder(tuple[int, ...])
COLUMNS = "seq, run_id, ts_event, ts_init, kind, parents, payload, prev_hash, hash"


#: A row that has its number but not yet its place in the chain: the first seven columns.
WaitingRow = tuple[int, str, int, int, str, str, bytes]
#: All nine columns.
StoredRow = tuple[int, str, int, int, str, str, bytes, bytes, bytes]


class Head(NamedTuple):
    """Last row of a chain."""

    seq: int = 0
    hash: bytes = GENESIS_HASH


class Waiting(NamedTuple):
    """A `WaitingRow` with names."""

    seq: int
    run_id: str
    ts_event: int
    ts_init: int
    kind: str
    parents: str
    payload: bytes


class Row(NamedTuple):
    """A stored row, in the order of the table's columns."""

    seq: int
    run_id: str
    ts_event: int
    ts_init: int
    kind: str
    parents: str
    payload: bytes
    prev_hash: bytes
    hash: bytes

    @property
    def name(self) -> str:
        """Kind without its version."""
        return self.kind.rpartition("@")[0]

    @property
    def parent_seqs(self) -> tuple[int, ...]:
        """Rows that this one came from."""
        try:
            return _PARENTS.decode(self.parents)
        except (ValueError, TypeError) as exc:
            raise LedgerCorrupt(
                "the parents of a ledger row are damaged", f"row {self.seq}"
            ) from exc

    def decoded(self) -> Payload:
        """Return the payload in its current version."""
        return decode(self.kind, self.payload)

    @property
    def verifies(self) -> bool:
        """Whether the stored values give the stored hash; values of damaged types do not."""
        try:
            return self.expected_hash() == self.hash
        except (TypeError, AttributeError, struct.error):
            return False

    def expected_hash(self) -> bytes:
        """Return the hash that the stored values must have."""
        return row_hash(
            self.prev_hash,
            self.seq,
            self.ts_event,
            self.ts_init,
            self.run_id,
            self.kind,
            self.parents,
            self.payload,
        )


def link(waiting: Iterable[WaitingRow], head: Head) -> tuple[list[StoredRow], Head]:
    """Return `waiting` as chained rows after `head`, and the new head.

    The same bytes as `row_hash`, written out, and plain tuples in and out, because every row of a run
    passes here.
    """
    last, prev = head
    rows: list[StoredRow] = []
    run, tag, run_before, kind_before = b"", b"", "", ""
    for seq, run_id, ts_event, ts_init, kind, parents, payload in waiting:
        assert seq == last + 1, "rows must be linked in order and without gaps"
        last = seq
        if run_id is not run_before:
            run, run_before = run_id.encode(), run_id
        if kind is not kind_before:
            tag, kind_before = kind.encode(), kind
        links = parents.encode()
        header = pack_header(seq, ts_event, ts_init, len(run), len(tag), len(links), len(payload))
        digest = sha256(b"".join((prev, header, run, tag, links, payload))).digest()
        rows.append((seq, run_id, ts_event, ts_init, kind, parents, payload, prev, digest))
        prev = digest
    return rows, Head(last, prev)
