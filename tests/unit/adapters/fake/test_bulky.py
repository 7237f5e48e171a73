"""A batch of many levels is told as a whole book, a small one level by level."""

import numpy as np

from adapters.fake.player import MOST_SINGLY, bulky_steps
from adapters.fake.replay import Step, Tape
from tests.integration.kalshi_session import TICKERS, market


def tape(*batches):
    """One market; each batch is a number of levels at one moment."""
    last = np.concatenate([[0] * (n - 1) + [1] for n in batches])
    n = len(last)
    when = np.repeat(np.arange(len(batches)), batches)
    one = np.ones(n, dtype=np.int64)
    return Tape(
        (market(TICKERS[0], 1),), when, one * 0, one * int(Step.LEVEL), one, one * 5000, one, last
    )


def test_only_batches_above_the_bound_are_told_as_a_book():
    assert bulky_steps(tape(1, 2, MOST_SINGLY, 1)) == set()
    assert bulky_steps(tape(1, MOST_SINGLY + 1, 1, 12)) == {1, 1 + MOST_SINGLY + 2}
