"""Totals, tables, benchmarks and cautions of whole results."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from core.engine.report import summarise
from core.engine.report.cautions import Severity
from core.engine.results import PriceSeries
from tests.unit.core.engine.report.samples import (
    curve,
    fill,
    forecast,
    header,
    large,
    market,
    order,
    result,
)


def codes(summary):
    return {c.code for c in summary.cautions}


def test_totals_of_a_small_run_match_the_paper():
    fills = [
        fill(0, "BUY", "0.40", "10", "0.0168", role="maker"),
        fill(2, "SELL", "0.55", "10", "0.0174", reason="target"),
        fill(3, "BUY", "0.60", "5", "0.0084", market="M2"),
        fill(4, "SELL", "0", "5", role="settlement", market="M2"),
    ]
    final = D("100") + D("1.5") - D("3.0") - D("0.0426")
    s = summarise(
        result(
            fills=fills,
            orders=[order(0), order(2), order(3), order(4, code="CASH")],
            markets=[market("M1", "1.4658"), market("M2", "-3.0084"), market("M3", "0", fills=0)],
            equity=curve([(0, 96), (2, 101.4658), (4, float(final))], exposure=[4, 0, 0]),
            final_equity=final,
        )
    )
    t = s.totals
    assert t.pnl == D("-1.5426")
    assert t.gross_pnl == D("-1.5000")
    assert t.fees == D("0.0426")
    assert t.settlement_pnl == D("-3.0084")
    assert t.win_rate_markets == 0.5
    assert t.win_rate_trades == 0.5
    assert t.profit_factor == pytest.approx(1.4658 / 3.0084)
    assert (t.orders, t.orders_filled, t.orders_refused, t.fills) == (4, 3, 1, 3)
    assert t.maker_share == pytest.approx(1 / 3)
    assert t.volume == D("12.50")
    assert t.turnover == pytest.approx(0.125)
    assert t.exposure_time == pytest.approx(0.2)
    assert [m.market_id for m in s.markets] == ["M2", "M1"]
    assert {(e.reason, e.trades, e.pnl) for e in s.exits} == {
        ("target", 1, D("1.4658")),
        ("settlement", 1, D("-3.0084")),
    }
    assert [(f.rule, f.fills, f.fees) for f in s.fees] == [("kalshi-2026", 3, D("0.0426"))]
    assert [(r.code, r.orders) for r in s.refusals] == [("CASH", 1)]


def test_profit_factor_is_none_without_a_loss():
    s = summarise(result(fills=[fill(0, "BUY", "0.4", "1"), fill(1, "SELL", "0.5", "1")]))
    assert s.totals.profit_factor is None
    assert s.totals.win_rate_trades == 1.0


def test_a_run_without_trades_has_none_for_rates_and_says_so():
    s = summarise(result())
    t = s.totals
    assert (t.win_rate_markets, t.win_rate_trades, t.profit_factor, t.maker_share) == (None,) * 4
    assert (t.sharpe, t.sortino, t.max_drawdown) == (None, None, None)
    assert "NO_TRADES" in codes(s)


def test_the_same_buys_held_to_resolution_are_priced_exactly():
    fills = [
        fill(0, "BUY", "0.40", "10", "0.02"),
        fill(1, "SELL", "0.50", "10", "0.02"),
        fill(2, "BUY", "0.30", "10", "0.02", outcome="NO"),
        fill(5, "SELL", "0", "10", role="settlement", outcome="NO"),
    ]
    s = summarise(result(fills=fills, markets=[market("M1")], final_equity=D("97.94")))
    held = next(b for b in s.benchmarks if b.name.startswith("same buys"))
    assert held.pnl == (D("6.0") - D("0.02")) + (D("-3.0") - D("0.02"))
    assert held.excess == D("-2.06") - held.pnl
    assert s.benchmarks[0].name == "hold cash"


def test_nothing_is_said_of_holding_to_resolution_while_one_bought_market_is_unresolved():
    fills = [fill(0, "BUY", "0.40", "10"), fill(1, "BUY", "0.40", "10", market="M2")]
    rows = [market("M1"), market("M2", resolved=False, payout=None, open_quantity=D(10))]
    s = summarise(result(fills=fills, markets=rows))
    assert [b.name for b in s.benchmarks] == ["hold cash"]


def test_a_crypto_run_is_held_against_buy_and_hold():
    import numpy as np

    pair = "BTCUSDT.BINANCE"
    over = {"instrument_id": pair, "market_id": pair, "venue": "BINANCE"}
    fills = [fill(0, "BUY", "100", "1", **over), fill(1, "SELL", "104", "1", **over)]
    prices = PriceSeries(pair, np.array([1, 2]), np.array([99.0, 110.0]), np.array([100.0, 111.0]))
    s = summarise(result(fills=fills, prices=[prices], final_equity=D("104")))
    hold = next(b for b in s.benchmarks if b.name == "buy and hold")
    assert hold.pnl == D("10.0")
    assert hold.excess == D("-6.0")


def test_a_drawdown_beyond_twenty_percent_asks_for_human_review_first():
    s = summarise(result(equity=curve([(0, 100), (1, 79), (2, 90)]), final_equity=D(90)))
    assert s.cautions[0].severity is Severity.REVIEW
    assert s.cautions[0].code == "DRAWDOWN"
    assert "human review" in s.cautions[0].text
    quiet = summarise(result(equity=curve([(0, 100), (1, 80), (2, 90)]), final_equity=D(90)))
    assert "DRAWDOWN" not in codes(quiet)


def test_unresolved_positions_are_flagged_with_their_value():
    left = market("M9", resolved=False, payout=None, open_quantity=D(5), open_value=D("2.10"))
    s = summarise(result(markets=[left], unresolved=[left]))
    text = next(c.text for c in s.cautions if c.code == "UNRESOLVED")
    assert "M9" in text
    assert "$2.10" in text
    assert s.totals.markets_decided == 0


def test_results_that_look_too_good_must_be_explained():
    wins = [
        f
        for i in range(21)
        for f in (
            fill(i / 3, "BUY", "0.4", "1", market=f"M{i}"),
            fill(i / 3 + 0.1, "SELL", "0.5", "1", market=f"M{i}"),
        )
    ]
    steady = [(d, 100 * 1.01**d + (0.1 if d % 2 else 0)) for d in range(11)]
    s = summarise(result(fills=wins, equity=curve(steady)))
    texts = [c.text for c in s.cautions if c.code == "TOO_GOOD"]
    assert len(texts) == 2
    assert all("explain before believing" in t for t in texts)
    assert "TOO_GOOD" not in codes(summarise(result(fills=wins[:40])))


def test_synthetic_data_missing_latency_and_unnamed_fee_rules_are_said():
    s = summarise(
        result(
            header=header(synthetic=True, latency_ms=0.0, queue_position=False, limits="research"),
            fills=[fill(0, "BUY", "0.4", "1", fee_rule="")],
            orders=[order(0), order(1, code="CASH"), order(2, code="CASH")],
        )
    )
    assert {
        "SYNTHETIC",
        "NO_LIMITS",
        "NO_LATENCY",
        "NO_QUEUE",
        "FEE_RULE",
        "MOSTLY_REFUSED",
    } <= codes(s)


def test_forecasts_worse_than_the_market_are_called_that():
    rows = [forecast(0.1, 0.9, 1.0, event=f"E{i}") for i in range(30)]
    assert "WORSE_THAN_MARKET" in codes(summarise(result(forecasts=rows)))


def test_engine_warnings_are_kept_and_not_repeated():
    s = summarise(result(warnings=["book of M1 was crossed", "book of M1 was crossed"]))
    assert [c.text for c in s.cautions].count("book of M1 was crossed") == 1


def test_a_large_run_adds_up():
    s = summarise(large(points=3_000))
    assert sum((m.pnl for m in s.markets), D(0)) == s.totals.pnl
    assert sum((t.pnl for t in s.trades), D(0)) == s.totals.pnl
    assert sum((f.fees for f in s.fees), D(0)) == s.totals.fees
    assert sum(e.trades for e in s.exits) == s.totals.trades_closed
