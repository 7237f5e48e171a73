"""Rows, heads and how a batch of waiting rows is linked into the chain."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from core.ledger.canonical import GENESIS_HASH, pack_header, row_hash
from core.ledger.registry import Payload, decode

COLUMNS = "seq, run_id, ts_event, ts_init, kind, parents, payload, prev_hash, hash"


class Head(NamedTuple):
    """Last row of a chain."""

    seq: int = 0
    hash: bytes = GENESIS_HASH


class Waiting(NamedTuple):
    """A row that has its number but not yet its place in the chain."""

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
        return tuple(json.loads(self.parents))

    def decoded(self) -> Payload:
        """Return the payload in its current version."""
        return decode(self.kind, self.payload)

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


def link(waiting: Iterable[Waiting], head: Head) -> tuple[list[Row], Head]:
    """Return `waiting` as chained rows after `head`, and the new head.

    The same bytes as `row_hash`, written out because every row of a run passes here.
    """
    seq_before, prev = head
    rows: list[Row] = []
    for seq, run_id, ts_event, ts_init, kind, parents, payload in waiting:
        assert seq == seq_before + 1, "rows must be linked in order and without gaps"
        seq_before = seq
        run, tag, links = run_id.encode(), kind.encode(), parents.encode()
        header = pack_header(seq, ts_event, ts_init, len(run), len(tag), len(links), len(payload))
        digest = sha256(b"".join((prev, header, run, tag, links, payload))).digest()
        rows.append(Row(seq, run_id, ts_event, ts_init, kind, parents, payload, prev, digest))
        prev = digest
    return rows, Head(seq_before, prev)
