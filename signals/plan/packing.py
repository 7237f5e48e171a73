"""Weights in the order in which the kernel reads them.

A matrix ``[taps, in, out]`` goes into panels of 16, 8 or 4 output columns,
``[panel][tap][in][columns]`` with the newest tap first; columns are filled with zeros to a
multiple of four. Packing moves numbers and changes none, so it has no effect on any bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from signals.plan.graph import Array

LANES = 4
UNITS = 8
"""LSTM units per panel."""


def round_up(number: int, to: int) -> int:
    """Return the smallest multiple of `to` that is not below `number`."""
    return -(-number // to) * to


def panel_widths(vectors: int) -> Iterator[int]:
    """Yield the vectors (4 columns) of each panel, as the kernel walks them."""
    while vectors:
        width = 4 if vectors >= 4 else 2 if vectors >= 2 else 1
        yield width
        vectors -= width


def pack_panels(weight: Array) -> Array:
    """Return ``[taps, in, out]`` (last tap newest) as the flat panels of a matrix product."""
    taps, inputs, out = weight.shape
    padded = np.zeros((taps, inputs, round_up(out, LANES)), dtype=np.float32)
    padded[:, :, :out] = weight[::-1]
    parts, column = [], 0
    for width in panel_widths(padded.shape[2] // LANES):
        parts.append(padded[:, :, column : column + LANES * width].ravel())
        column += LANES * width
    return np.concatenate(parts)


def gate_columns(weight: Array) -> Array:
    """Return ``[in, 4 * hidden]`` (gates i, f, g, o) with the gates of eight units side by side.

    Units are filled to a multiple of eight with zeros: such a unit stays at zero.
    """
    inputs, hidden = weight.shape[0], weight.shape[1] // 4
    units = round_up(hidden, UNITS)
    gates = np.zeros((inputs, 4, units), dtype=np.float32)
    gates[:, :, :hidden] = weight.reshape(inputs, 4, hidden)
    panels = gates.reshape(inputs, 4, units // UNITS, UNITS)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3)).reshape(inputs, 4 * units)


def pack_recurrent(weight: Array) -> Array:
    """Return ``[hidden, 4 * hidden]`` as flat panels ``[panel][unit in][32]`` of the LSTM step."""
    columns = gate_columns(weight)
    hidden, width = columns.shape
    panels = columns.reshape(hidden, width // (4 * UNITS), 4 * UNITS)
    return np.ascontiguousarray(panels.transpose(1, 0, 2)).ravel()


def pad_vector(vector: Array) -> Array:
    """Return a vector filled with zeros to a multiple of four."""
    out = np.zeros(round_up(vector.size, LANES), dtype=np.float32)
    out[: vector.size] = vector
    return out
