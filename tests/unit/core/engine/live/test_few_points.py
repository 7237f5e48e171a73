"""A node makes no result: its curve and prices do not grow with fills and payouts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.engine.live.assembly import live_gate, live_session
from tests.integration.kalshi_session import market

MARKETS = [market(f"KXTEST-26NOV21-{n}", 0) for n in range(20)]


def test_a_node_that_trades_many_markets_keeps_a_few_points_of_each() -> None:
    ledger: Any = None
    gate = live_gate(["KALSHI"], MARKETS)
    session = live_session(MARKETS, [], gate, ledger, {"KALSHI": "USD"}, lambda cid, seq: None)
    for ref in session.references:
        session.traded(ref)
        session.last_price[ref.iid] = Decimal("0.4")
    session.top = lambda ref: (None, None)  # type: ignore[method-assign]
    for ts_ns in range(1, 5_001):
        session.sample(ts_ns)
    assert gate.now_ns == 5_000, "the governors look all the same"
    assert len(session.prices) == 40, "and the volatility governor sees each of them"
    assert max(len(s._points) for s in session.prices.values()) <= 2
    assert len(session.curve._points) <= 20
