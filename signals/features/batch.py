"""Features of a whole history at once, as a polars frame."""

from __future__ import annotations

import polars as pl

from signals.errors import FeatureMismatch, HistoryGap, NotFinite
from signals.features.registry import run_stream
from signals.features.spec import FeatureSet, FeatureSpec
from signals.features.timeframe import aggregate


def _expression(spec: FeatureSpec) -> pl.Expr:
    kind, settings = spec.definition, spec.settings
    expr = kind.expr(settings) if kind.expr else run_stream(kind, settings)
    return pl.when(expr.is_finite()).then(expr).otherwise(None).alias(spec.name)


def check(frame: pl.DataFrame, features: FeatureSet) -> None:
    """
    Refuse a history from which no honest feature can be made.

    Raises
    ------
    FeatureMismatch, NotFinite, HistoryGap
        On a missing column, a null or non-finite input, or rows that are out of order, repeated
        or (for a fixed interval) missing.
    """
    missing = set(features.inputs) - set(frame.columns)
    if missing or "ts_ns" not in frame.columns:
        raise FeatureMismatch(
            "the history lacks input columns",
            seen=sorted(missing | ({"ts_ns"} - set(frame.columns))),
            mend="load the columns the feature set names in `inputs`",
        )
    for name in features.inputs:
        column = frame[name].cast(pl.Float64)
        bad = frame.height - int(column.is_finite().fill_null(False).sum())
        if bad:
            raise NotFinite(
                f"column {name} holds NaN, infinity or null",
                seen=f"{bad} of {frame.height} rows",
                mend="cut the history at the break; features never bridge one",
            )
    steps = frame["ts_ns"].cast(pl.Int64).diff().drop_nulls().to_numpy()
    if not steps.size:
        return
    shortest, longest = int(steps.min()), int(steps.max())
    if shortest <= 0 or (features.interval_ns and {shortest, longest} != {features.interval_ns}):
        raise HistoryGap(
            "rows are out of order, repeated or missing",
            seen=f"steps from {shortest} to {longest} ns, expected {features.interval_ns or '> 0'}",
            mend="split the history with signals.features.segments and compute each part",
        )


def compute(frame: pl.DataFrame, features: FeatureSet) -> pl.DataFrame:
    """
    Return `ts_ns` and one column per feature; rows before the warm-up are dropped.

    Parameters
    ----------
    frame
        One instrument, rising `ts_ns` (time at which the row is known: bar close), and the
        columns of `features.inputs`.
    features
        What to compute.

    Notes
    -----
    A feature that cannot be computed at a row (for example no depth to divide by) is null there.
    """
    check(frame, features)
    base = frame.select("ts_ns", *(_expression(f) for f in features.features if not f.every))
    for every in sorted({f.every for f in features.features if f.every}):
        higher = aggregate(frame, features.interval_ns, every)
        values = higher.select(
            "ts_ns", *(_expression(f) for f in features.features if f.every == every)
        )
        base = base.join_asof(values, on="ts_ns", strategy="backward")
    return base.select("ts_ns", *features.names).slice(max(features.warmup - 1, 0))


def segments(frame: pl.DataFrame, interval_ns: int) -> list[pl.DataFrame]:
    """Cut a history into parts without a missing row, for `compute` on each."""
    part = (pl.col("ts_ns").diff().fill_null(interval_ns) != interval_ns).cum_sum()
    return frame.with_columns(part.alias("_part")).partition_by("_part", include_key=False)
