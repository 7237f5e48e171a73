"""Money, clock, forecasts and errors refuse what cannot be right."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.clock import iso_from_ns, ns_from_iso
from core.domain.decision import Forecast
from core.domain.errors import BetaError, ExitCode, MarketError, SignalError, UsageError
from core.domain.money import ceil_to, decimal_of, floor_to

D = Decimal


@given(st.decimals(min_value="-1000", max_value="1000", places=7))
def test_ceiling_and_floor_bracket_the_value(value):
    step = D("0.0001")
    assert floor_to(value, step) <= value <= ceil_to(value, step)
    assert ceil_to(value, step) - floor_to(value, step) in (0, step)


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "abc", float("nan")])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(MarketError):
        decimal_of(bad)


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_times_round_trip_through_iso(ts_ns):
    assert ns_from_iso(iso_from_ns(ts_ns)) == ts_ns


def test_a_date_that_is_none_is_refused():
    with pytest.raises(UsageError):
        ns_from_iso("yesterday")


@pytest.mark.parametrize(
    ("low", "p", "high"), [("0.5", "0.4", "0.6"), ("-0.1", "0.4", "0.6"), ("0.1", "NaN", "0.6")]
)
def test_a_forecast_needs_ordered_finite_probabilities(low, p, high):
    with pytest.raises(SignalError):
        Forecast("X", D(p), D(low), D(high), 1, 2, "m")


def test_a_forecast_expires():
    forecast = Forecast("X", D("0.5"), D("0.4"), D("0.6"), 10, 20, "m")
    assert forecast.fresh(10)
    assert not forecast.fresh(20)


def test_errors_say_what_was_seen_and_what_mends_it():
    error = BetaError("catalog not found", "cat/x", "beta data sample")
    assert error.lines() == ["catalog not found", "seen: cat/x", "mend: beta data sample"]
    assert error.exit_code is ExitCode.ERROR
