"""Canonical bytes of a row: what is hashed, stored and compared.

``hash = sha256(prev_hash || header || payload)``. The header starts with seven fixed-width integers,
four of them the lengths of what follows, so two different rows can never give the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from hashlib import sha256

import msgspec

from core.domain.errors import LedgerError

#: Predecessor hash of the very first row.
GENESIS_HASH = bytes(32)
#: Rows are records of decisions, not bulk data; bulk goes to Parquet and is named by its sha256.
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024

#: seq, ts_event, ts_init, then the lengths of run id, kind, parents and payload.
pack_header: Callable[..., bytes] = struct.Struct(">QqqHHII").pack
_ENCODER = msgspec.json.Encoder(decimal_format="string", order="deterministic")


def encode_payload(payload: msgspec.Struct) -> bytes:
    """Return the canonical JSON of `payload`: declared field order, sorted map keys, no floats.

    Raises
    ------
    LedgerError
        If a value cannot be encoded or the row is larger than `MAX_PAYLOAD_BYTES`.
    """
    try:
        data = _ENCODER.encode(payload)
    except (TypeError, ValueError, UnicodeError) as exc:
        raise LedgerError(
            "a row payload cannot be encoded",
            f"{type(payload).__name__}: {exc}",
            "give Decimal, int, str, bool or tuples of them",
        ) from exc
    if len(data) > MAX_PAYLOAD_BYTES:
        raise LedgerError(
            f"a row payload is larger than {MAX_PAYLOAD_BYTES} bytes",
            f"{type(payload).__name__}: {len(data)} bytes",
            "store the bulk in a file and name it by its sha256",
        )
    return data


def encode_parents(parents: Sequence[int]) -> str:
    """Return parents as a JSON array without spaces, in the order given."""
    return _ENCODER.encode(parents).decode()


def row_hash(
    prev_hash: bytes,
    seq: int,
    ts_event: int,
    ts_init: int,
    run_id: str,
    kind: str,
    parents: str,
    payload: bytes,
) -> bytes:
    """Return the sha256 that chains a row to the one before it (32 bytes)."""
    run, tag, links = run_id.encode(), kind.encode(), parents.encode()
    header = pack_header(seq, ts_event, ts_init, len(run), len(tag), len(links), len(payload))
    return sha256(b"".join((prev_hash, header, run, tag, links, payload))).digest()
