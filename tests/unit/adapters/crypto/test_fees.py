from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.crypto.fees import BINANCE_SPOT, KRAKEN_SPOT, NotionalFeeBook
from core.domain.errors import FeeError
from core.domain.fees import FeeFill, FeeSchedule, Role, Side

BASE = FeeSchedule("KRAKEN")


def fill(price, size, role=Role.TAKER, order="o"):
    return FeeFill(order, Side.BUY, role, D(str(price)), D(str(size)), 1)


def test_base_tiers():
    book = NotionalFeeBook(KRAKEN_SPOT)
    assert book.charge(BASE, fill(50_000, "0.01")).fee == D("2.0")
    assert book.charge(BASE, fill(50_000, "0.01", Role.MAKER)).fee == D("1.25")
    binance = NotionalFeeBook(BINANCE_SPOT).charge(FeeSchedule("BINANCE"), fill(50_000, "0.01"))
    assert (binance.fee, binance.rule) == (D("0.5"), "binance-spot-base")


def test_own_rates_win_and_are_named():
    own = FeeSchedule("KRAKEN", rate=D("0.001"), maker_rate=D("0"), kind="notional")
    got = NotionalFeeBook(KRAKEN_SPOT).charge(own, fill(100, 1))
    assert (got.fee, got.rule) == (D("0.1"), "kraken-own-rates")
    assert NotionalFeeBook(KRAKEN_SPOT).charge(own, fill(100, 1, Role.MAKER)).fee == 0


@given(
    st.lists(st.tuples(st.integers(1, 10**8), st.integers(1, 10**6)), min_size=1, max_size=50),
    st.integers(10**8, 2 * 10**8),
)
def test_an_order_is_rounded_up_once_and_stays_under_its_worst_case(parts, limit):
    book = NotionalFeeBook(KRAKEN_SPOT)
    raw = total = size = D(0)
    for price, lots in parts:
        one = fill(D(price).scaleb(-3), D(lots).scaleb(-8))
        total += book.charge(BASE, one).fee
        raw += D("0.004") * one.price * one.quantity
        size += one.quantity
    assert raw <= total < raw + D("0.000001")
    assert total <= book.worst_case(BASE, D(limit).scaleb(-3), size, 1)


@pytest.mark.parametrize(("price", "size"), [("0", 1), ("NaN", 1), (1, 0), (1, "-1")])
def test_prices_and_sizes_that_make_no_sense_are_refused(price, size):
    with pytest.raises(FeeError):
        NotionalFeeBook(KRAKEN_SPOT).charge(BASE, fill(price, size))


def test_foreign_terms_are_refused():
    with pytest.raises(FeeError):
        NotionalFeeBook(KRAKEN_SPOT).charge(FeeSchedule("KRAKEN", kind="curve"), fill(1, 1))
    with pytest.raises(FeeError):
        NotionalFeeBook(KRAKEN_SPOT).worst_case(FeeSchedule("KRAKEN", kind="curve"), D(1), D(1), 1)


@given(st.integers(1, 10**8), st.integers(0, 10**8), st.integers(1, 10**6))
@example(limit=24900002, more=99999, lots=1)
def test_what_a_sale_costs_beyond_its_proceeds_is_most_at_its_limit(limit, more, lots):
    book, size = NotionalFeeBook(KRAKEN_SPOT), D(lots).scaleb(-8)
    at, better = D(limit).scaleb(-3), D(limit + more).scaleb(-3)
    one = FeeFill("o", Side.SELL, Role.TAKER, better, size, 1)
    bound = book.worst_case(BASE, at, size, 1, Side.SELL)
    assert book.charge(BASE, one).fee - better * size <= bound - at * size
