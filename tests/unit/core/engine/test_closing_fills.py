"""Pairs with bars beside pairs with trades fill at closes that are known, never at anything later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.domain.errors import UsageError
from core.engine.backtest import BacktestSpec, assembly, run_backtest
from core.engine.backtest.closing import shortest
from core.engine.catalog import BarColumns, CatalogWriter, Pair, TradeColumns
from core.engine.strategy import BetaStrategy, TimeInForce
from tests.unit.core.engine.rig import D, ns

HOUR = 3_600
ETH, BTC = "ETHUSDT.BINANCE", "BTCUSDT.BINANCE"
#: Highs and lows far from the closes: a fill at one of them would be a look into the bar.
CLOSES = [1000_00, 1010_00, 1020_00, 1005_00, 990_00, 1030_00]


def bars(closes, step=HOUR, volume=10**8):
    price = np.array(closes, dtype=np.int64)
    return BarColumns(
        ts_event=np.array([ns((n + 1) * step) for n in range(len(price))], dtype=np.int64),
        open=price, high=price + 200_00, low=price - 200_00, close=price,
        volume=np.full(len(price), volume, dtype=np.int64), price_precision=2, size_precision=6,
    )  # fmt: skip


def catalog(path: Path, *, trades_end_h: float = 6.5, volume: int = 10**8, day: bool = False):
    """BTC has trades and bars, ETH bars only; BTC's trades stop early if asked to."""
    times = np.arange(0.5, trades_end_h, 0.5)
    with CatalogWriter(path, name="c", synthetic=True, source="test") as out:
        out.pairs([Pair(BTC, "BTC", "USDT", 2, 6), Pair(ETH, "ETH", "USDT", 2, 6)])
        out.trades(
            BTC,
            TradeColumns(
                ts_event=np.array([ns(t * HOUR) for t in times], dtype=np.int64),
                price=np.full(len(times), 900_00, dtype=np.int64),
                size=np.full(len(times), 10**8, dtype=np.int64),
                aggressor=np.zeros(len(times), dtype=np.uint8),
                price_precision=2, size_precision=6,
            ),
        )  # fmt: skip
        out.bars(f"{BTC}-1-HOUR-LAST-EXTERNAL", bars(CLOSES))
        out.bars(f"{ETH}-1-HOUR-LAST-EXTERNAL", bars(CLOSES, volume=volume))
        if day:
            out.bars(f"{ETH}-1-DAY-LAST-EXTERNAL", bars([1000_00], 24 * HOUR))
    return path


class Spot(BetaStrategy):
    trades_spot = True
    seen: tuple = ()

    def on_start(self) -> None:
        self.n = dict.fromkeys(self.universe, 0)
        type(self).seen = ()
        for iid in self.universe:
            self.watch_bars(f"{iid}-1-HOUR-LAST-EXTERNAL")
            self.watch_trades(iid)

    def on_trade(self, trade) -> None:
        type(self).seen += ((trade.instrument_id.value, str(trade.price), trade.ts_init),)


class BuysAtSecondBar(Spot):
    """At the second bar of each pair buy with room above its close."""

    def on_bar(self, bar) -> None:
        iid = str(bar.bar_type.instrument_id)
        self.n[iid] += 1
        if self.n[iid] == 2:
            self.buy(iid, D("0.01"), D("1100"), reason="in")


class RestsBelow(Spot):
    """At the second bar rest a bid that the third and fourth bar's lows pass and the fifth's close meets."""

    def on_bar(self, bar) -> None:
        iid = str(bar.bar_type.instrument_id)
        self.n[iid] += 1
        if self.n[iid] == 2 and iid == ETH:
            self.buy(iid, D("0.01"), D("995"), tif=TimeInForce.GTC, reason="rest")


def run(path, strategy, **spec):
    name = f"{strategy.__module__}:{strategy.__name__}"
    return run_backtest(BacktestSpec(strategy=name, catalog=path, limits="research", **spec))


def test_a_pair_with_bars_only_fills_at_the_close_it_saw(tmp_path):
    result = run(catalog(tmp_path / "c"), BuysAtSecondBar)
    (eth,) = [f for f in result.fills if f.instrument_id == ETH]
    assert eth.price == D("1010.00")
    assert eth.ts_ns >= ns(2 * HOUR)
    assert any("fill at the close of their bars" in w and ETH in w for w in result.warnings)


def test_a_pair_whose_trades_pause_does_not_fill_at_a_price_of_hours_ago(tmp_path):
    result = run(catalog(tmp_path / "c", trades_end_h=1.0), BuysAtSecondBar)
    prices = {f.instrument_id: f.price for f in result.fills}
    assert prices == {BTC: D("1010.00"), ETH: D("1010.00")}


def test_a_resting_order_is_met_by_a_later_close_and_not_by_a_low(tmp_path):
    result = run(catalog(tmp_path / "c"), RestsBelow)
    (fill,) = result.fills
    assert fill.ts_ns >= ns(5 * HOUR)
    assert fill.price <= D("995")


def test_nothing_that_comes_later_changes_an_earlier_fill(tmp_path, monkeypatch):
    whole = run(catalog(tmp_path / "whole"), BuysAtSecondBar)
    monkeypatch.setattr(f"{__name__}.CLOSES", [*CLOSES[:2], 300_00, 400_00, 5000_00, 300_00])
    other = run(catalog(tmp_path / "other"), BuysAtSecondBar)
    early = [f for f in whole.fills if f.ts_ns < ns(3 * HOUR)]
    assert early
    assert early == [f for f in other.fills if f.ts_ns < ns(3 * HOUR)]


def test_the_closing_trade_comes_before_its_bar_and_not_before_its_end(tmp_path):
    run(catalog(tmp_path / "c"), BuysAtSecondBar)
    own = [s for s in BuysAtSecondBar.seen if s[0] == ETH]
    assert own == [(ETH, f"{c / 100:.2f}", ns((n + 1) * HOUR)) for n, c in enumerate(CLOSES)]


def test_a_bar_without_volume_fills_nothing(tmp_path):
    result = run(catalog(tmp_path / "c", volume=0), BuysAtSecondBar)
    assert not [f for f in result.fills if f.instrument_id == ETH]


def test_the_shortest_bars_tell_the_price(tmp_path):
    assert shortest([f"{ETH}-1-DAY-LAST-EXTERNAL", f"{ETH}-1-HOUR-LAST-EXTERNAL"]).count("HOUR")
    result = run(catalog(tmp_path / "c", day=True), BuysAtSecondBar)
    assert [f.price for f in result.fills if f.instrument_id == ETH] == [D("1010.00")]


def test_bars_alone_are_matched_by_the_engine_as_before(tmp_path):
    result = run(catalog(tmp_path / "c"), BuysAtSecondBar, instruments=(ETH,))
    assert [f.instrument_id for f in result.fills] == [ETH]
    assert not any("fill at the close" in w for w in result.warnings)


def test_data_too_large_for_it_is_refused_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "DIRECT_ROWS", 5)
    with pytest.raises(UsageError, match="bars and trades of one venue") as caught:
        run(catalog(tmp_path / "c"), BuysAtSecondBar)
    assert "--market" in caught.value.mend
