"""Closed trades from fills."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from core.engine.report.trades import closed_trades
from core.engine.results import MergeRow
from tests.unit.core.engine.report.samples import fill


def test_a_buy_and_a_sell_make_one_trade_with_exact_profit():
    trades = closed_trades(
        [fill(0, "BUY", "0.40", "10", "0.0168"), fill(1, "SELL", "0.55", "10", "0.0174")]
    )
    (trade,) = trades
    assert trade.pnl == D("5.50") - D("4.00") - D("0.0342")
    assert trade.fees == D("0.0342")
    assert not trade.settled
    assert trade.held_ns == 86_400 * 10**9


def test_partial_exits_stay_one_trade_until_flat():
    trades = closed_trades(
        [
            fill(0, "BUY", "0.40", "10"),
            fill(1, "SELL", "0.50", "4", reason="take profit"),
            fill(2, "SELL", "0.30", "6", reason="stop"),
        ]
    )
    (trade,) = trades
    assert trade.pnl == D("2.0") + D("1.8") - D("4.0")
    assert trade.exit_reason == "stop"
    assert trade.fills == 3


def test_a_yes_no_pair_is_one_winning_trade_and_not_a_winner_beside_a_loser():
    trades = closed_trades(
        [
            fill(0, "BUY", "0.45", "10"),
            fill(0.1, "BUY", "0.50", "10", outcome="NO"),
            fill(5, "SELL", "1", "10", role="settlement"),
            fill(5, "SELL", "0", "10", role="settlement", outcome="NO"),
        ]
    )
    (trade,) = trades
    assert trade.pnl == D("0.50")
    assert trade.settled


def test_merged_pairs_close_their_trade_with_a_dollar_each():
    fills = [fill(0, "BUY", "0.45", "10"), fill(1, "BUY", "0.50", "10", outcome="NO")]
    merge = MergeRow(fills[1].ts_ns, "Demo-001", "M1", D(10))
    (trade,) = closed_trades(fills, [merge])
    assert trade.pnl == D("0.50")
    assert trade.exit_reason == "merge"
    assert not trade.settled


def test_what_a_merge_leaves_stays_open_until_it_is_settled():
    fills = [
        fill(0, "BUY", "0.45", "12"),
        fill(1, "BUY", "0.50", "10", outcome="NO"),
        fill(5, "SELL", "1", "2", role="settlement"),
    ]
    (trade,) = closed_trades(fills, [MergeRow(fills[1].ts_ns, "Demo-001", "M1", D(10))])
    assert trade.pnl == D(10) + D(2) - D("5.40") - D("5.00")
    assert trade.exit_reason == "settlement"


def test_an_open_position_is_no_closed_trade():
    assert closed_trades([fill(0, "BUY", "0.40", "10")]) == []


def test_two_strategies_in_one_market_have_their_own_trades():
    trades = closed_trades(
        [
            fill(0, "BUY", "0.40", "10", strategy_id="A"),
            fill(0, "BUY", "0.40", "10", strategy_id="B"),
            fill(1, "SELL", "0.50", "10", strategy_id="A"),
            fill(2, "SELL", "0.30", "10", strategy_id="B"),
        ]
    )
    assert [(t.strategy_id, t.pnl) for t in trades] == [("A", D("1.0")), ("B", D("-1.0"))]


@st.composite
def fills_of_long_only_books(draw):
    held, rows = {"M1": 0, "M2": 0}, []
    for i in range(draw(st.integers(0, 40))):
        name = draw(st.sampled_from(["M1", "M2"]))
        sell = held[name] > 0 and draw(st.booleans())
        size = draw(st.integers(1, held[name])) if sell else draw(st.integers(1, 9))
        held[name] += -size if sell else size
        price = D(draw(st.integers(1, 99))) / 100
        fee = D(draw(st.integers(-50, 500))) / 10_000
        rows.append(
            fill(i, "SELL" if sell else "BUY", str(price), str(size), str(fee), market=name)
        )
    return rows, held


@given(fills_of_long_only_books())
def test_when_all_is_flat_the_trades_add_up_to_the_cash_that_moved(case):
    rows, held = case
    for name, left in held.items():
        if left:
            rows.append(fill(99, "SELL", "1", str(left), market=name, role="settlement"))
    cash = sum(
        (
            (f.price * f.quantity if f.side == "SELL" else -f.price * f.quantity) - f.fee
            for f in rows
        ),
        D(0),
    )
    trades = closed_trades(rows)
    assert sum((t.pnl for t in trades), D(0)) == cash
    assert sum(t.fills for t in trades) == len(rows)
