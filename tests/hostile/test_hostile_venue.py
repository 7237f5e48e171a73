"""A venue that sends nonsense costs no order, no cent and no book: whole trading runs, real sockets, every way to spoil."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.frames import WAYS
from tests.hostile.runs import hostile_run, recorded_frames

VENUES = ("KALSHI", "POLYMARKET")
each_venue = pytest.mark.parametrize("venue", VENUES)
FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"


@cache
def recorded(venue: str) -> tuple[str, ...]:
    return tuple(recorded_frames(FIXTURES, venue)) if FIXTURES.is_dir() else ()


@each_venue
@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_spoil_a_frame_is_counted_and_costs_nothing(venue: str, way: str) -> None:
    found = hostile_run(venue, 7, (way,), often=0.4, answers=0.0)
    assert found.broken == []
    assert found.did[way] > 0
    assert found.seen > 0 or way == "repeated", "nobody would have noticed"
    assert found.orders > 0


@each_venue
@settings(max_examples=20, derandomize=True)
@given(st.integers(0, 2**32), st.floats(0.05, 0.5), st.floats(0.0, 0.2))
def test_orders_positions_cash_and_books_are_the_venues_whatever_it_sends(
    venue: str, seed: int, often: float, answers: float
) -> None:
    found = hostile_run(venue, seed, often=often, answers=answers, recorded=recorded(venue))
    assert found.broken == [], found.told


@pytest.mark.parametrize(
    ("venue", "seed"),
    [
        ("KALSHI", 566),
        ("KALSHI", 10332),  # a fill of an order that the venue denies was booked to nobody
        ("KALSHI", 11062),  # the same, the first order of the run
        ("POLYMARKET", 2046),  # a trade without our order's hash was booked once more
    ],
)
def test_runs_that_once_went_wrong_stay_right(venue: str, seed: int) -> None:
    found = hostile_run(venue, seed, often=0.3, answers=0.12, recorded=recorded(venue))
    assert found.broken == [], found.told


@pytest.mark.slow
@each_venue
@pytest.mark.parametrize("part", range(2))
def test_a_hundred_more_hostile_runs(venue: str, part: int) -> None:
    for seed in range(50 * part, 50 * part + 50):
        found = hostile_run(venue, seed, often=0.3, answers=0.12, recorded=recorded(venue))
        assert found.broken == [], (seed, found.broken, found.told)
