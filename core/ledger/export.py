"""Rows as JSON lines that anyone can check without our code's database: the hashes travel with them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from core.domain.errors import LedgerCorrupt
from core.ledger.canonical import pack_header
from core.ledger.rows import Head, Row

_MEND = "export it anew: beta ledger export"


class ExportedRow(msgspec.Struct, frozen=True):
    """One line: the payload is the stored text, byte for byte."""

    seq: int
    run_id: str
    ts_event: int
    ts_init: int
    kind: str
    parents: msgspec.Raw
    payload: msgspec.Raw
    prev_hash: str
    hash: str


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ExportedRow)


def encode_row(row: Row) -> bytes:
    """Return a row as one JSON line without its newline."""
    return _ENCODER.encode(
        ExportedRow(
            row.seq,
            row.run_id,
            row.ts_event,
            row.ts_init,
            row.kind,
            msgspec.Raw(row.parents.encode()),
            msgspec.Raw(row.payload),
            row.prev_hash.hex(),
            row.hash.hex(),
        )
    )


def export(rows: Iterable[Row], out: IO[bytes]) -> tuple[int, Head]:
    """Write rows as JSON lines and return how many, and the last one's number and hash."""
    count, head = 0, Head()
    for row in rows:
        out.write(encode_row(row) + b"\n")
        count, head = count + 1, Head(row.seq, row.hash)
    return count, head


class ExportCheck(NamedTuple):
    """What a verified export holds.

    Attributes
    ----------
    left_out : int
        Rows between the first and the last that are not in the file: by its selection, or taken out since.
    first_left_out : int
        Number of the first of them; 0 when there is none.
    """

    rows: int
    head: Head
    left_out: int = 0
    first_left_out: int = 0


def verify_export(path: Path, *, expect_head: str = "") -> ExportCheck:
    """Recompute every hash of an export, and every link between neighbours.

    Parameters
    ----------
    expect_head : str
        Hash (hex) kept elsewhere that one of the rows must have: the head told at the export.

    Raises
    ------
    LedgerCorrupt
        Naming the first row that does not verify or is out of order, or the hash that no row has.
    """
    count, head = 0, Head()
    left_out = first_left_out = 0
    met = not expect_head
    for line in _lines(path):
        try:
            row = _DECODER.decode(line)
        except msgspec.MsgspecError as exc:
            raise LedgerCorrupt(
                "an exported row cannot be read", f"line {count + 1}: {exc}", _MEND
            ) from exc
        try:
            prev, digest = bytes.fromhex(row.prev_hash), _digest(row)
        except (ValueError, struct.error) as exc:
            raise LedgerCorrupt(
                "an exported row does not verify", f"row {row.seq}: {exc}", _MEND
            ) from exc
        linked = row.seq > head.seq + 1 or not head.seq or prev == head.hash
        if digest.hex() != row.hash or not linked or row.seq <= head.seq:
            raise LedgerCorrupt("an exported row does not verify", f"row {row.seq}", _MEND)
        if head.seq and row.seq > head.seq + 1:
            left_out += row.seq - head.seq - 1
            first_left_out = first_left_out or head.seq + 1
        met = met or row.hash == expect_head.lower()
        count, head = count + 1, Head(row.seq, digest)
    if not met:
        raise LedgerCorrupt("no exported row has the expected hash", expect_head, _MEND)
    return ExportCheck(count, head, left_out, first_left_out)


def _digest(row: ExportedRow) -> bytes:
    """Return the hash that a row must have (`core.ledger.chain`)."""
    run, kind, prev = row.run_id.encode(), row.kind.encode(), bytes.fromhex(row.prev_hash)
    parents, payload = bytes(row.parents), bytes(row.payload)
    header = pack_header(
        row.seq, row.ts_event, row.ts_init, len(run), len(kind), len(parents), len(payload)
    )
    return sha256(b"".join((prev, header, run, kind, parents, payload))).digest()


def as_plain(row: Row) -> dict[str, object]:
    """Return a row as plain values for ``--json``."""
    return {
        "seq": row.seq,
        "run_id": row.run_id,
        "ts_event": row.ts_event,
        "ts_init": row.ts_init,
        "kind": row.kind,
        "parents": list(row.parent_seqs),
        "payload": json.loads(row.payload),
        "prev_hash": row.prev_hash.hex(),
        "hash": row.hash.hex(),
    }


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file without blank ones."""
    with path.open("rb") as handle:
        for line in handle:
            if line.strip():
                yield line
