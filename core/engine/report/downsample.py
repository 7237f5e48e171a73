"""Fewer points, same picture: keep each bucket's lowest and highest value and every point that is named."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def keep(
    values: NDArray[np.float64], limit: int, always: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return sorted indices of at most about `limit` points of `values`, plus those in `always`.

    The first, the last, and the lowest and highest point of each of ``limit / 2`` equal buckets are
    kept, so peaks, troughs and gaps survive at any zoom of the whole picture.

    Parameters
    ----------
    values : float64[n]
        NaN counts as missing; a bucket of NaN keeps its first point, so that the gap is drawn.
    """
    n = values.size
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    buckets = max(limit // 2, 1)
    width = -(-n // buckets)
    rows = -(-n // width)
    padded = np.full(rows * width, np.nan)
    padded[:n] = values
    grid = padded.reshape(rows, width)
    missing = np.isnan(grid)
    lowest = np.argmin(np.where(missing, np.inf, grid), axis=1)
    highest = np.argmax(np.where(missing, -np.inf, grid), axis=1)
    start = np.arange(rows, dtype=np.int64) * width
    kept = np.zeros(n, dtype=bool)
    for rows_kept in (start + lowest, start + highest, np.array([0, n - 1])):
        kept[rows_kept] = True
    if always is not None:
        kept[always[(always >= 0) & (always < n)]] = True
    return np.flatnonzero(kept)


def either(first: NDArray[np.int64], second: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the sorted union of two sets of row numbers below `size`."""
    kept = np.zeros(size, dtype=bool)
    kept[first] = True
    kept[second] = True
    return np.flatnonzero(kept)
