"""The registry of feature kinds: inputs, defaults, warm-up and the one definition of the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

Settings = Mapping[str, float]


class Stream(Protocol):
    """State of one feature over time: takes the input columns of a row, returns its value."""

    def update(self, *values: float) -> float:
        """Return the value at this row, NaN while warming up."""
        ...


@dataclass(frozen=True)
class Kind:
    """
    How a feature is computed.

    Attributes
    ----------
    inputs
        Columns read, given the settings.
    defaults
        Settings and their defaults.
    warmup
        Rows before the value no longer depends on where history began (to about 1e-6 of its
        size, for recursive indicators).
    stream
        Makes the state for one instrument. The batch path runs the same state over the columns
        unless `expr` gives an equal polars expression.
    expr
        Polars expression over the input columns.
    """

    inputs: Callable[[Settings], tuple[str, ...]]
    defaults: Mapping[str, float]
    warmup: Callable[[Settings], int]
    stream: Callable[[Settings], Stream]
    expr: Callable[[Settings], pl.Expr] | None = None


KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Add a kind under a new name."""
    if name in KINDS:
        raise ValueError(f"feature kind {name} is already registered")
    KINDS[name] = kind


def columns(*names: str) -> Callable[[Settings], tuple[str, ...]]:
    """Inputs that do not depend on settings."""
    return lambda _: names


def memory(rows: Callable[[Settings], float]) -> Callable[[Settings], int]:
    """Warm-up as a whole number of rows."""
    return lambda s: int(rows(s))


def run_stream(kind: Kind, settings: Settings) -> pl.Expr:
    """Polars expression that runs the streaming state over the input columns."""
    names = kind.inputs(settings)

    def over(series: Any) -> pl.Series:
        state = kind.stream(settings)
        update = state.update
        vectors = [s.cast(pl.Float64).to_list() for s in series]
        return pl.Series([update(*row) for row in zip(*vectors, strict=True)], dtype=pl.Float64)

    return pl.map_batches([pl.col(n) for n in names], over, return_dtype=pl.Float64)
