"""Kalshi's collateral: closing needs none, opening needs p or 1 - p, each contract covers once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kalshi import schemas
from adapters.kalshi.cash import free_by_shard, locked_by
from core.engine.paper.account import NettedAccount

D = Decimal


def order(number, side, price, left, ticker="K"):
    return schemas.OrderMsg(
        order_id=f"o-{number}",
        ticker=ticker,
        status="resting",
        book_side=side,
        yes_price_dollars=str(price),
        fill_count_fp="0.00",
        remaining_count_fp=str(left),
        initial_count_fp=str(left),
        created_time=f"2026-11-20T00:00:{number:02d}Z",
    )


def test_a_covered_sale_locks_nothing_and_an_opening_ask_locks_the_other_side():
    sale = order(1, "ask", "0.60", "10.00")
    assert locked_by([sale], {"K": D(10)}) == {"K": D(0)}
    assert locked_by([sale], {}) == {"K": D("4.0")}
    assert locked_by([sale], {"K": D(4)}) == {"K": D("2.40")}


def test_two_sales_are_covered_by_the_position_once():
    sales = [order(1, "ask", "0.60", "10.00"), order(2, "ask", "0.70", "10.00")]
    assert locked_by(sales, {"K": D(10)}) == {"K": D("3.0")}


def test_a_bid_that_closes_a_no_position_locks_nothing():
    assert locked_by([order(1, "bid", "0.40", "5.00")], {"K": D(-5)}) == {"K": D(0)}


@given(
    held=st.integers(-20, 20),
    rows=st.lists(
        st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 99), st.integers(1, 30)),
        max_size=5,
    ),
)
def test_it_agrees_with_the_account_of_the_fake_venue(held, rows):
    account, promised, truth = NettedAccount(0, {"K": held * 100} if held else {}), {}, 0
    orders = []
    for n, (side, cents, count) in enumerate(rows):
        orders.append(order(n, side, D(cents) / 100, f"{count}.00"))
        truth += account.need("K", side, cents * 100, count * 100, "YES", promised.get(side, 0))
        promised[side] = promised.get(side, 0) + count * 100
    assert sum(locked_by(orders, {"K": D(held)}).values()) * 1_000_000 == truth


@pytest.mark.parametrize(
    ("payload", "free"),
    [
        ({"balance": 1234}, {0: D("12.34")}),
        ({"balance": 1, "balance_dollars": "12.3456"}, {0: D("12.3456")}),
        (
            {
                "balance": 100000,
                "balance_dollars": "1000.0000",
                "balance_breakdown": [
                    {"exchange_index": 0, "balance": "900.0000"},
                    {"exchange_index": 3, "balance": "100.0000"},
                ],
            },
            {0: D(900), 3: D(100)},
        ),
        (
            {"balance": 5, "balance_breakdown": [{"exchange_index": 2, "balance": 500}]},
            {2: D(5)},
        ),
    ],
)
def test_free_cash_is_told_by_shard(payload, free):
    import msgspec

    assert free_by_shard(msgspec.convert(payload, schemas.BalanceMsg)) == free
