"""Sliding windows agree with counting everything anew, and forget what has left them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.risk.limits import Rate
from core.risk.throttle import Throttle

MS = 1_000_000
steps = st.lists(
    st.tuples(st.integers(0, 900), st.sampled_from("AB"), st.booleans(), st.integers(1, 2)),
    max_size=60,
)


@given(steps)
def test_the_windows_are_what_counting_anew_says(steps):
    limits = Rate(orders=5, window_ms=1_000, repeats=2, repeat_window_ms=2_000)
    own, now, seen = Throttle(limits), 10**18, []
    for wait, strategy, buy, price in steps:
        now += wait * MS
        same = (strategy, "I", buy, price, 7)
        rate = sum(1 for t, o in seen if o[0] == strategy and o[2] is buy and t > now - 1_000 * MS)
        repeats = sum(1 for t, o in seen if o == same and t > now - 2_000 * MS)
        assert own.ask(same, 100, now) == (rate + 1, repeats + 1)
        own.count(now)
        seen.append((now, same))


def test_what_has_left_the_window_is_forgotten():
    own = Throttle(Rate(repeat_window_ms=1))
    for n in range(1_000):
        same = ("A", "I", True, n, 7)
        own.ask(same, 100, n * MS)
        own.count(n * MS)
    assert len(own._same) + len(own._older) <= 2
