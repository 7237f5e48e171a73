"""Exact integers: what goes in comes out, what is finer or no number is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.risk.units import attos_down, attos_up, dollars, nanos_of, shares
from tests.unit.core.risk.world import D


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=9))
def test_nine_decimals_go_in_and_come_out(value: Decimal):
    nanos = nanos_of(value)
    assert nanos is not None
    assert shares(nanos) == value


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=18))
def test_eighteen_decimals_of_money_go_in_and_come_out(value: Decimal):
    assert dollars(attos_up(value)) == dollars(attos_down(value)) == value


@given(st.decimals(min_value=-1000, max_value=1000, places=24))
def test_finer_money_is_rounded_against_us(value: Decimal):
    up, down = attos_up(value), attos_down(value)
    assert Decimal(down) <= value.scaleb(18) <= Decimal(up)
    assert up - down <= 1


@pytest.mark.parametrize(
    "bad",
    ["NaN", "sNaN", "-NaN", "Infinity", "-Infinity", "1e-10", "0.1234567891", "1e13", "-1e400"],
)
def test_what_is_no_size_is_refused(bad: str):
    assert nanos_of(D(bad)) is None


def test_amounts_have_no_padding():
    assert str(dollars(10**18)) == "1"
    assert str(dollars(-(10**17))) == "-0.1"
    assert f"{shares(1):f}" == "0.000000001"
    assert str(shares(10**21)) == "1000000000000"
