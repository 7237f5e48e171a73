"""Money: six decimals, no invented currencies, nothing rounded away."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import Currency, Price, Quantity

from core.domain.errors import MarketError
from core.engine.currency import currency, money
from core.engine.units import exact, plain, price_of, quantity_of


def test_dollars_have_six_decimals_though_the_engine_has_two() -> None:
    assert currency("USD").precision == 6
    assert Currency.from_str("USD").precision == 6
    assert money(Decimal("0.003401"), "USD").as_decimal() == Decimal("0.003401")


def test_an_unknown_code_is_refused_though_the_engine_invents_it() -> None:
    assert Currency.from_str("QQQX").precision == 8
    with pytest.raises(MarketError, match="unknown currency"):
        currency("QQQY")


def test_an_amount_finer_than_the_currency_is_refused() -> None:
    with pytest.raises(MarketError, match="finer"):
        money(Decimal("0.0000001"), "USD")


@given(st.integers(0, 10_000), st.integers(1, 10**9))
def test_price_times_size_is_exact_in_dollars(ticks: int, lots: int) -> None:
    amount = Decimal(ticks).scaleb(-4) * Decimal(lots).scaleb(-2)
    assert money(amount, "USD").as_decimal() == amount


@given(st.integers(0, 10**6), st.integers(0, 6))
def test_prices_and_sizes_go_to_the_engine_and_back(ticks: int, digits: int) -> None:
    value = Decimal(ticks).scaleb(-digits)
    assert exact(price_of(value, digits)) == exact(quantity_of(value, digits)) == value
    finer = value + Decimal(1).scaleb(-digits - 1)
    for convert in (price_of, quantity_of):
        with pytest.raises(MarketError):
            convert(finer, digits)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5", "5"),
        ("5.00", "5"),
        ("0.10", "0.1"),
        ("1E+3", "1000"),
        ("-0.50", "-0.5"),
        ("0.000", "0"),
    ],
)
def test_equal_numbers_have_equal_text(text: str, shown: str) -> None:
    assert plain(Decimal(text)) == shown


def test_the_engine_compares_prices_by_value() -> None:
    assert exact(Price.from_str("0.50")) == exact(Price.from_str("0.5000"))
    assert exact(Quantity.from_str("1.0")) == 1
