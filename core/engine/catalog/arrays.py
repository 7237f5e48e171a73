"""numpy and text to Arrow arrays by their buffers.

``pyarrow.array`` imports pandas when it is installed, half a second that a command line should not pay.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TIMESTAMP = pa.timestamp("ns", tz="UTC")


def from_numpy(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return `values` as an Arrow array of the fixed-width type `kind`, without a copy where possible."""
    plain = np.ascontiguousarray(values, dtype=_numpy_type(kind))
    return pa.Array.from_buffers(kind, len(plain), [None, pa.py_buffer(plain)])


def from_text(values: Sequence[str | None]) -> pa.Array:
    """Return texts (None = null) as an Arrow string array."""
    blobs = [b"" if v is None else v.encode() for v in values]
    ends = array("i", accumulate(map(len, blobs), initial=0))
    valid = None
    if None in values:
        present = np.array([v is not None for v in values], dtype=bool)
        valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    data = pa.py_buffer(b"".join(blobs))
    return pa.Array.from_buffers(pa.string(), len(blobs), [valid, pa.py_buffer(ends), data])


def from_codes(codes: npt.NDArray[np.uint8], words: Sequence[str]) -> pa.Array:
    """Return small codes as a dictionary array of `words`."""
    return pa.DictionaryArray.from_arrays(from_numpy(codes, pa.int8()), from_text(words))


def _numpy_type(kind: pa.DataType) -> npt.DTypeLike:
    return np.int64 if pa.types.is_timestamp(kind) else kind.to_pandas_dtype()
