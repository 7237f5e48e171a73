"""Every shipped strategy trades, exits, and loses no more than its bound."""

from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from adapters.sample.build import build_sample
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.catalog import BarColumns, CatalogWriter, Pair
from core.risk.limits import Limits, load_profile

D = Decimal


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalogs") / "sample"
    build_sample(path)
    return path


DONE = {}


def run(strategy, catalog, **params):
    """Run once per distinct question: a run is deterministic."""
    key = (strategy, catalog, *sorted(params.items()))
    if key not in DONE:
        DONE[key] = run_backtest(
            BacktestSpec(strategy=strategy, catalog=catalog, capital=D(1000), params=params)
        )
    return DONE[key]


def cost_of(result):
    """Return the largest dollars any one position cost, fees included."""
    cost, held, worst = {}, {}, D(0)
    for f in result.fills:
        key = (f.strategy_id, f.instrument_id)
        if f.side == "BUY":
            cost[key] = cost.get(key, D(0)) + f.price * f.quantity + f.fee
            held[key] = held.get(key, D(0)) + f.quantity
            worst = max(worst, cost[key])
        elif key in held:
            held[key] -= f.quantity
            if held[key] <= 0:
                cost[key] = held[key] = D(0)
    return worst


@pytest.mark.parametrize(
    ("strategy", "exits"),
    [
        ("strategies.base_predictor:BasePredictor", {"edge gone", "stop"}),
        ("strategies.kalshi_event:KalshiEvent", {"settlement"}),
        ("strategies.polymarket_arb:PolymarketArb", {"settlement"}),
    ],
)
def test_it_trades_and_exits_on_the_sample(sample, strategy, exits):
    result = run(strategy, sample)
    assert any(f.side == "BUY" for f in result.fills)
    reasons = Counter(f.reason for f in result.fills if f.side == "SELL")
    assert exits <= set(reasons)
    assert not result.unresolved, "every position ends: sold, merged or paid out"
    assert result.final_equity > 0


def test_a_predictor_never_pays_more_for_a_position_than_its_risk_fraction(sample):
    result = run("strategies.base_predictor:BasePredictor", sample, risk_fraction="0.01")
    assert result.fills
    assert cost_of(result) <= D("0.0101") * D(1000) * D(
        "1.2"
    )  # equity may have grown since the start


def test_a_window_position_loses_at_most_its_cost(sample):
    result = run("strategies.kalshi_event:KalshiEvent", sample)
    for market in result.markets:
        paid = sum(
            f.price * f.quantity + f.fee
            for f in result.fills
            if f.market_id == market.market_id and f.side == "BUY"
        )
        assert market.pnl >= -paid


def test_held_baskets_pay_what_they_promised(sample):
    result = run("strategies.polymarket_arb:PolymarketArb", sample, pairs="false")
    bought = Counter(f.reason for f in result.fills if f.side == "BUY")
    assert bought["NO basket"] >= 2
    assert bought["YES basket"] >= 2
    assert result.final_equity > D(1000), "staged dislocations clear exact fees"


def test_without_dislocations_nothing_is_locked_in(sample):
    result = run("strategies.polymarket_arb:PolymarketArb", sample, pairs="false", min_edge="0.5")
    assert not result.fills


def test_pairs_rest_as_maker_merge_and_never_run_away(sample):
    result = run("strategies.polymarket_arb:PolymarketArb", sample, baskets="false")
    reasons = Counter((f.reason, f.role) for f in result.fills)
    assert reasons["pair", "maker"] > 0
    assert result.merged > 0
    assert result.final_equity > D(900)


@pytest.fixture(scope="module")
def trend(tmp_path_factory):
    """Daily bars that rise for 150 days and fall for 100: seeded, one pair."""
    rng = np.random.default_rng(11)
    drift = np.r_[np.full(150, 0.01), np.full(100, -0.012)]
    close = 1000 * np.exp(np.cumsum(drift + rng.normal(0, 0.01, 250)))
    open_ = np.r_[close[0], close[:-1]]
    high, low = np.maximum(open_, close) * 1.005, np.minimum(open_, close) * 0.995
    ticks = lambda x: np.round(x * 100).astype(np.int64)  # noqa: E731
    day = 86_400 * 10**9
    path = tmp_path_factory.mktemp("catalogs") / "trend"
    with CatalogWriter(path, name="trend", synthetic=True, source="seeded trend") as writer:
        writer.pairs([Pair("BTCUSDT.BINANCE", "BTC", "USDT", 2, 6)])
        writer.bars(
            "BTCUSDT.BINANCE-1-DAY-LAST-EXTERNAL",
            BarColumns(
                ts_event=np.arange(1, 251, dtype=np.int64) * day + 1_700_000_000 * 10**9,
                price_precision=2,
                size_precision=6,
                open=ticks(open_),
                high=np.maximum(ticks(high), np.maximum(ticks(open_), ticks(close))),
                low=np.minimum(ticks(low), np.minimum(ticks(open_), ticks(close))),
                close=ticks(close),
                volume=np.full(250, 10**9, dtype=np.int64),
            ),
        )
    return path


def test_momentum_buys_the_rise_and_leaves_the_fall(trend):
    result = run("strategies.crypto_momentum:CryptoMomentum", trend)
    sides = [f.side for f in result.fills]
    assert sides[0] == "BUY"
    assert sides[-1] == "SELL"
    assert {f.reason for f in result.fills if f.side == "SELL"} <= {"stop", "cross"}
    assert result.final_equity > D(990)


def test_momentum_sends_nothing_that_the_limits_refuse(trend):
    result = run("strategies.crypto_momentum:CryptoMomentum", trend)
    assert not [o for o in result.orders if o.status == "REFUSED" and o.code == "ORDER_LIMIT"]


def test_momentum_is_cut_by_the_profiles_loss_per_trade_and_by_its_ranges(trend):
    """The profile's `sizing` stands over the strategy's parameters: a wilder measure of the market, a smaller position."""

    def first_buy(**changes):
        limits = Limits.of(load_profile("research").flat() | changes)
        momentum = "strategies.crypto_momentum:CryptoMomentum"
        made = run_backtest(
            BacktestSpec(strategy=momentum, catalog=trend, capital=D(1000), limits=limits)
        )
        return next(o for o in made.orders if o.side == "BUY")

    free = first_buy()
    wild, careful = (
        first_buy(**{"sizing.atr_multiple": "10"}),
        first_buy(**{"sizing.risk_per_trade": "0.005"}),
    )
    assert free.ts_ns == wild.ts_ns == careful.ts_ns, "when to buy is not sizing's to say"
    assert D(0) < wild.quantity < free.quantity * D("0.4"), "ten ranges instead of three"
    assert D(0) < careful.quantity < free.quantity * D("0.3")
