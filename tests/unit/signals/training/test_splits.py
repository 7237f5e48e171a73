"""Walk-forward folds: later is never earlier, labels never overlap, events never straddle."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from signals.errors import ForecastInputError
from signals.training.splits import SplitSpec, walk_forward

histories = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 60), st.integers(0, 30)),
    min_size=20,
    max_size=150,
)
specs = st.builds(
    SplitSpec,
    folds=st.integers(1, 4),
    embargo_ns=st.integers(0, 30),
    mode=st.sampled_from(["expanding", "rolling"]),
    validation_fraction=st.sampled_from([0.0, 0.1]),
    calibration_fraction=st.sampled_from([0.0, 0.2]),
)


@settings(max_examples=100, deadline=None)
@given(histories, specs, st.booleans())
def test_no_part_of_a_fold_knows_a_later_part(history, spec, grouped):
    start, length, event = (np.array(v, dtype=np.int64) for v in zip(*history, strict=True))
    end = start + length
    try:
        folds = walk_forward(start, end, spec, event if grouped else None)
    except ForecastInputError:
        assume(False)
    for fold in folds:
        parts = [fold.train, fold.validation, fold.calibration, fold.test]
        for i, early in enumerate(parts):
            for late in parts[i + 1 :]:
                assert not set(early) & set(late)
                if early.size and late.size:
                    assert end[early].max() + spec.embargo_ns <= start[late].min()
                if grouped:
                    assert not set(event[early]) & set(event[late])


@settings(max_examples=50, deadline=None)
@given(histories, st.integers(1, 5))
def test_test_windows_follow_each_other_and_cover_the_tail_once(history, count):
    start = np.array([h[0] for h in history], dtype=np.int64)
    try:
        folds = walk_forward(start, start, SplitSpec(folds=count))
    except ForecastInputError:
        assume(False)
    tested = np.concatenate([f.test for f in folds])
    assert len(set(tested)) == tested.size
    assert set(tested) == set(np.flatnonzero(start >= folds[0].test_start_ns))
    assert all(a.test_end_ns == b.test_start_ns for a, b in itertools.pairwise(folds))


def test_rolling_forgets_what_expanding_keeps():
    start = np.arange(1000, dtype=np.int64)
    keep = walk_forward(start, start, SplitSpec(folds=2))
    roll = walk_forward(start, start, SplitSpec(folds=2, mode="rolling", train_fraction=0.2))
    assert keep[1].train.min() == 0
    assert roll[1].train.min() == roll[1].test_start_ns - 199


def test_a_history_eaten_by_the_embargo_is_an_error_and_not_an_empty_fold():
    start = np.arange(50, dtype=np.int64)
    with pytest.raises(ForecastInputError, match="no rows left"):
        walk_forward(start, start, SplitSpec(folds=2, embargo_ns=10_000))


def test_a_label_before_its_forecast_is_refused():
    with pytest.raises(ForecastInputError, match="label ends before"):
        walk_forward([5, 6], [4, 7], SplitSpec())
