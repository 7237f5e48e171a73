"""Traps 3 and naked sales: two resting sells can each be covered by the same shares."""

from __future__ import annotations

from pathlib import Path

from core.domain.decision import TimeInForce
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import BID, D, Tape, level, market, run, snapshot, write

YES = "M-YES.PM"


class SellTwice(BetaStrategy):
    """Sells before it holds anything, then twice what it holds."""

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.n += 1
        if self.n == 1:
            self.sell(iid, D(10), D("0.39"), reason="naked")
            self.buy(iid, D(100), D("0.40"))
        if self.n == 2:
            self.sell(iid, D(100), D("0.50"), tif=TimeInForce.GTC, reason="first")
            self.sell(iid, D(100), D("0.51"), tif=TimeInForce.GTC, reason="second")
            self.sell(iid, D(150), D("0.51"), tif=TimeInForce.GTC, reason="more")


def test_the_engine_fills_both_and_leaves_a_naked_short() -> None:
    def sell_twice(s) -> None:
        s.limit(bare.SELL, 100, 0.50)
        s.limit(bare.SELL, 100, 0.51)

    quotes = [bare.quote(t, b, b + 0.01) for t, b in ((1, 0.39), (2, 0.39), (3, 0.60), (4, 0.60))]
    s, _ = bare.play(quotes, {1: lambda s: s.limit(bare.BUY, 100, 0.40, bare.IOC), 2: sell_twice})
    assert (
        sum((-1 if f.order_side == bare.SELL else 1) * f.last_qty.as_decimal() for f in s.fills)
        == -100
    )


def test_the_gate_counts_resting_sales(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "500")], [("0.40", "100")]) + level(2, BID, "0.38", "5")
    rows += level(3, BID, "0.60", "500")
    path = write(tmp_path / "c", [market()], {YES: Tape(books=rows, close=(9, "0"))})
    result = run(path, SellTwice)
    refused = {o.reason: o.code for o in result.orders if o.status == "REFUSED"}
    assert refused == dict.fromkeys(("naked", "second", "more"), "COVERED_SELL")
    sold = sum(f.quantity for f in result.fills if f.side == "SELL")
    assert sold == 100
    assert result.final_cash == 100 - 40 + 50


def test_resting_buys_lock_cash_together(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c",
        [market()],
        {YES: Tape(books=snapshot(1, [("0.10", "5")], [("0.90", "5")]), close=(9, "0"))},
    )
    result = run(path, ThreeBids)
    assert [o.status for o in result.orders] == ["CANCELED", "REFUSED", "REFUSED"]
    assert {o.code for o in result.orders if o.status == "REFUSED"} <= {"CASH", "MARKET_LIMIT"}


class ThreeBids(BetaStrategy):
    """Rests three bids of $60 with $100."""

    def on_start(self) -> None:
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        for price in ("0.20", "0.30", "0.40"):
            self.buy(iid, D(60) / D(price), D(price), tif=TimeInForce.GTC)
