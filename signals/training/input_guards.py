"""Leak guards that need no training: outcomes among the inputs, and parts that overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signals.errors import LeakDetected
from signals.training.guards import GuardReport
from signals.training.samples import MarketSamples, Rows, Samples
from signals.training.sources.base import Raw, Source, flip_labels

SEPARATION = 0.995
"""Share of pairs of outcomes in the right order from which one feature knows too much."""


def labels_in_features(
    source: Source, raw: Raw, options: Mapping[str, Any], samples: MarketSamples
) -> GuardReport:
    """
    Look for outcomes among the inputs, in two ways.

    Every outcome of the raw data is turned into its opposite: no input, price or decision may
    change. And no single feature may order nearly all outcomes rightly where the price of the
    same moment does not: that catches an outcome which the recording itself carries.

    Raises
    ------
    LeakDetected
        When one does.
    """
    if source.labels is not None:
        frame, column = source.labels
        again = source.build({**raw, frame: flip_labels(raw[frame], column)}, options)
        if not isinstance(again, MarketSamples) or len(again) != len(samples):
            raise _leak("which samples exist depends on the outcome", f"{len(again)} samples")
        same = (again.x == samples.x).all() and (again.price == samples.price).all()
        if not same or (again.decided_ns != samples.decided_ns).any():
            changed = int((again.x != samples.x).any(axis=(1, 2)).sum())
            raise _leak("inputs follow the outcome", f"{changed} of {len(samples)} windows changed")
    limit = max(SEPARATION, separation(samples.price, samples.outcome) + 0.02)
    for i, name in enumerate(samples.names):
        found = separation(samples.x[:, -1, i], samples.outcome)
        if found > limit:
            raise _leak(f"the feature {name} knows the outcome", f"{found:.4f} of pairs in order")
    return GuardReport("labels_in_features", True, f"{len(samples.names)} features")


def _leak(what: str, seen: str) -> LeakDetected:
    return LeakDetected(what, seen=seen, mend="look for outcomes among the inputs")


def separation(values: NDArray[Any], outcome: NDArray[np.float64]) -> float:
    """Share of (1, 0) pairs of outcomes that the values order, ties half, in the better direction.

    That is the area under the ROC curve (Mann-Whitney), or one minus it.
    """
    ones, zeros = np.sort(values[outcome == 1.0]), np.sort(values[outcome == 0.0])
    if not ones.size or not zeros.size:
        return 0.5
    below = np.searchsorted(zeros, ones, side="left") + np.searchsorted(zeros, ones, side="right")
    area = float(below.sum()) / 2.0 / ones.size / zeros.size
    return float(max(area, 1.0 - area))


def separate_parts(
    samples: Samples,
    parts: Sequence[Rows],
    *,
    embargo_ns: int = 0,
    events: bool = True,
    fitted_until_ns: int = 0,
) -> GuardReport:
    """
    Check that the parts of a split, given in time order, share no label time and no event.

    Parameters
    ----------
    events
        Whether an event must lie in one part; not so where events are whole series.
    fitted_until_ns
        End of the data on which constants of the inputs were fitted: not in the last part.

    Raises
    ------
    LeakDetected
        When a label of an earlier part ends in a later one, or an event lies in both.
    """
    for i, early in enumerate(parts):
        for late in (p for p in parts[i + 1 :] if p.size and early.size):
            over = int(
                (samples.label_end_ns[early] + embargo_ns > samples.decided_ns[late].min()).sum()
            )
            both = (
                np.intersect1d(samples.event[early], samples.event[late]) if events else early[:0]
            )
            if over or both.size:
                raise LeakDetected(
                    "training and later data overlap",
                    seen=f"{over} labels end in the later part, {both.size} events are in both",
                    mend="split with signals.training.splits.walk_forward",
                )
    if parts[-1].size and fitted_until_ns > int(samples.decided_ns[parts[-1]].min()):
        raise LeakDetected(
            "constants are fitted on test data",
            seen=f"until {fitted_until_ns}, tests begin at {samples.decided_ns[parts[-1]].min()}",
            mend="fit them on the training rows only",
        )
    return GuardReport("separate_parts", True, " | ".join(str(p.size) for p in parts))
