"""FIFO lots: worked examples to the cent, and conservation of money under any sequence."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.ledger.lots import FifoBook

D = Decimal


def test_the_oldest_purchase_is_sold_first() -> None:
    book = FifoBook()
    book.trade(1, 10, D(10), D("0.40"), fee=D("0.10"))
    book.trade(2, 20, D(10), D("0.50"), fee=D("0.20"))
    first, second = book.trade(3, 30, D(-15), D("0.60"), fee=D("0.30"))
    assert (first.open_seq, first.quantity, first.cost, first.proceeds) == (
        1,
        D(10),
        D("4.00"),
        D("6.00"),
    )
    assert (second.open_seq, second.quantity) == (2, D(5))
    assert (first.open_fee, second.open_fee) == (D("0.10"), D("0.10"))
    assert (first.close_fee, second.close_fee) == (D("0.20"), D("0.10"))
    assert first.pnl == D("1.70")
    assert second.pnl == D("0.50") - D("0.10") - D("0.10")
    assert book.quantity == D(5)
    assert book.cost == D("2.50")
    assert book.lots[0].fee == D("0.10")


def test_settlement_pays_each_lot_and_leaves_nothing() -> None:
    book = FifoBook()
    book.trade(1, 10, D(10), D("0.40"), fee=D("0.17"))
    (won,) = book.close_all(2, 20, D(1))
    assert won.pnl == D("6.00") - D("0.17")
    assert not book.lots
    assert book.close_all(3, 30, D(1)) == []


def test_a_short_earns_what_it_was_sold_for_less_what_buying_back_costs() -> None:
    book = FifoBook()
    book.trade(1, 10, D(-2), D(100), fee=D(1), multiplier=D(10))
    (closed,) = book.trade(2, 20, D(2), D(90), fee=D(1))
    assert (closed.cost, closed.proceeds, closed.pnl) == (D(1800), D(2000), D(198))


def test_a_sale_larger_than_the_holding_turns_the_position_over() -> None:
    book = FifoBook()
    book.trade(1, 10, D(5), D(2), fee=D("0.05"))
    (closed,) = book.trade(2, 20, D(-8), D(3), fee=D("0.08"))
    assert closed.close_fee == D("0.05")
    assert book.quantity == D(-3)
    assert book.lots[0].fee == D("0.03")


sizes = st.decimals(min_value=D("0.01"), max_value=D(1000), places=2)
prices = st.decimals(min_value=D("0.0001"), max_value=D("0.9999"), places=4)
fees = st.decimals(min_value=D(0), max_value=D(5), places=5)


@given(st.lists(st.tuples(st.sampled_from([1, -1]), sizes, prices, fees), max_size=30))
def test_money_and_fees_are_conserved_whatever_is_traded(
    trades: list[tuple[int, Decimal, Decimal, Decimal]],
) -> None:
    book, pnl, cash, paid, shares, closed_fees = FifoBook(), D(0), D(0), D(0), D(0), D(0)
    for seq, (sign, size, price, fee) in enumerate(trades, 1):
        closures = book.trade(seq, seq, sign * size, price, fee)
        cash -= sign * size * price
        paid += fee
        shares += sign * size
        for c in closures:
            assert c.open_seq < seq
            assert c.quantity > 0
            pnl += c.pnl
            closed_fees += c.open_fee + c.close_fee
        signs = {lot.quantity > 0 for lot in book.lots}
        assert len(signs) <= 1, "a position is never long and short at once"
        assert [lot.open_seq for lot in book.lots] == sorted(lot.open_seq for lot in book.lots)
    assert book.quantity == shares
    open_fees = sum((lot.fee for lot in book.lots), D(0))
    assert open_fees + closed_fees == paid
    assert pnl == cash + book.cost - closed_fees
