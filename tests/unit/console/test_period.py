"""Periods as users write them."""

from __future__ import annotations

import pytest

from console.period import parse_period
from core.domain.clock import NS_PER_DAY, ns_from_iso
from core.domain.errors import MissingData, UsageError

FIRST, LAST = ns_from_iso("2026-06-01"), ns_from_iso("2026-06-30T12:00:00Z")


def test_a_length_counts_back_from_the_end_of_the_data_and_takes_its_last_record():
    assert parse_period("7d", FIRST, LAST) == (LAST + 1 - 7 * NS_PER_DAY, LAST + 1)
    assert parse_period("36h", FIRST, LAST)[0] == LAST + 1 - 36 * NS_PER_DAY // 24


def test_a_length_longer_than_the_data_is_all_of_it():
    assert parse_period("90d", FIRST, LAST) == (FIRST, LAST + 1)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-06-03:2026-06-10", "2026-06-03", "2026-06-10"),
        (
            "2026-06-03T14:00:00Z:2026-06-03T15:30:00Z",
            "2026-06-03T14:00:00Z",
            "2026-06-03T15:30:00Z",
        ),
        ("2026-06-03T14:00:2026-06-10", "2026-06-03T14:00", "2026-06-10"),
    ],
)
def test_a_range_takes_dates_and_times(text, start, end):
    assert parse_period(text, FIRST, LAST) == (ns_from_iso(start), ns_from_iso(end))


def test_an_open_side_is_the_end_of_the_data():
    assert parse_period("2026-06-03:", FIRST, LAST) == (ns_from_iso("2026-06-03"), LAST + 1)
    assert parse_period(":2026-06-03", FIRST, LAST) == (FIRST, ns_from_iso("2026-06-03"))


@pytest.mark.parametrize(
    "text", ["", ":", "soon", "0d", "-3d", "90", "2026-06-03", "2026-13-01:2026-06-02", "3d:5d"]
)
def test_what_is_no_period_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        parse_period(text, FIRST, LAST)
    assert "90d" in caught.value.mend


def test_a_period_that_ends_before_it_starts_is_refused():
    with pytest.raises(UsageError, match="ends before"):
        parse_period("2026-06-10:2026-06-03", FIRST, LAST)


def test_a_period_outside_the_data_says_what_the_data_covers():
    with pytest.raises(MissingData) as caught:
        parse_period("2025-01-01:2025-02-01", FIRST, LAST)
    assert "2026-06-01" in caught.value.mend
