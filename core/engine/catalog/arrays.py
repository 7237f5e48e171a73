"""numpy and text to Arrow arrays by their buffers.

``pyarrow.array`` imports pandas when it is installed, half a second that a command line should not pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: Offsets of an Arrow string array have 32 bits.
MAX_TEXT_BYTES = 2**31 - 1
TIMESTAMP = pa.timestamp("ns", tz="UTC")


def from_numpy(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return `values` as an Arrow array of the fixed-width type `kind`, without a copy where possible."""
    plain = np.ascontiguousarray(values, dtype=_numpy_type(kind))
    return pa.Array.from_buffers(kind, len(plain), [None, pa.py_buffer(plain)])


def from_text(values: Sequence[str | None]) -> pa.Array:
    """Return texts (None = null) as an Arrow string array."""
    blobs = [b"" if v is None else v.encode() for v in values]
    # in steps between which another thread can have the interpreter: the recorder makes these beside orders
    ends = np.zeros(len(blobs) + 1, dtype=np.int64)
    np.cumsum(np.fromiter([len(b) for b in blobs], np.int64, len(blobs)), out=ends[1:])
    if ends[-1] > MAX_TEXT_BYTES:
        raise OverflowError(f"{ends[-1]} bytes of text in one array, the most is {MAX_TEXT_BYTES}")
    valid = None
    if None in values:
        present = np.array([v is not None for v in values], dtype=bool)
        valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    data = pa.py_buffer(b"".join(blobs))
    return pa.Array.from_buffers(
        pa.string(), len(blobs), [valid, pa.py_buffer(ends.astype(np.int32)), data]
    )


def from_codes(codes: npt.NDArray[np.uint8], words: Sequence[str]) -> pa.Array:
    """Return small codes as a dictionary array of `words`."""
    return pa.DictionaryArray.from_arrays(from_numpy(codes, pa.int8()), from_text(words))


def _numpy_type(kind: pa.DataType) -> npt.DTypeLike:
    return np.int64 if pa.types.is_timestamp(kind) else kind.to_pandas_dtype()
