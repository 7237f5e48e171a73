"""Which part of a period is still missing."""

from __future__ import annotations

from collections.abc import Iterable


def missing(wanted: tuple[int, int], covered: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts of half-open `wanted` that no half-open range of `covered` holds, ascending."""
    at, end = wanted
    out: list[tuple[int, int]] = []
    for low, high in sorted(covered):
        if high <= at:
            continue
        if low >= end:
            break
        if low > at:
            out.append((at, low))
        at = max(at, high)
    if at < end:
        out.append((at, end))
    return out
