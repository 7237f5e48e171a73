"""Streaming equals batch on real rows; bad input gives a typed error and never a number."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from signals import errors
from signals.features import KINDS, FeatureSet, FeatureSpec, FeatureStream, compute, segments

HOUR = 3_600_000_000_000
ROW_KINDS = {
    "book_imbalance",
    "microprice_gap",
    "spread",
    "depth_slope",
    "market_log_odds",
    "log_time_to_close",
    "sigmas_to_strike",
    "implied_volatility_ratio",
    "cross_venue_gap",
}
BAR_KINDS = sorted(set(KINDS) - ROW_KINDS)


@pytest.fixture(scope="module")
def bars(shared_data):
    frame = pl.read_parquet(shared_data / "crypto_ohlcv/btcusdt_1h_binance.parquet").head(2500)
    return frame.select(
        (pl.col("ts").dt.epoch("ns") + HOUR).alias("ts_ns"),
        "open",
        "high",
        "low",
        "close",
        "volume",
    )


def stream_all(frame, features, lookback=1):
    stream, out = FeatureStream(features, lookback), []
    for row in frame.iter_rows(named=True):
        stream.push(row["ts_ns"], row)
        try:
            out.append(stream.window(row["ts_ns"], 0)[-1])
        except errors.ShortHistory:
            out.append(np.full(len(features.names), np.nan))
    return np.array(out)


@pytest.mark.parametrize("kind", BAR_KINDS)
def test_streaming_equals_batch_on_real_bars(bars, kind):
    features = FeatureSet(features=(FeatureSpec(name="x", kind=kind),), interval_ns=HOUR)
    batch = compute(bars, features)
    streamed = stream_all(bars, features)[features.warmup - 1 :, 0]
    np.testing.assert_allclose(streamed, batch["x"].to_numpy(), rtol=1e-7, atol=1e-12)


def test_streaming_equals_batch_over_several_timeframes_at_once(bars):
    features = FeatureSet(
        features=tuple(
            FeatureSpec(name=f"{kind}_{every}", kind=kind, every=every)
            for kind in ("rsi", "log_return", "atr_ratio", "obv_slope")
            for every in (0, 4, 24)
        ),
        interval_ns=HOUR,
    )
    part = bars.slice(5)  # starts inside a higher bar
    batch = compute(part, features)
    streamed = stream_all(part, features)[features.warmup - 1 :]
    np.testing.assert_allclose(
        streamed, batch.select(features.names).to_numpy(), rtol=1e-7, atol=1e-12
    )


def test_a_higher_bar_is_seen_only_after_it_closed(bars):
    features = FeatureSet(
        features=(FeatureSpec(name="x", kind="log_return", every=24),), interval_ns=HOUR
    )
    full = compute(bars.head(200), features)
    for cut in (120, 130, 143, 144):
        known = compute(bars.head(cut), features)
        assert known.equals(full.head(known.height))


@pytest.mark.parametrize("kind", BAR_KINDS)
def test_after_the_warm_up_it_does_not_matter_where_history_began(bars, kind):
    features = FeatureSet(features=(FeatureSpec(name="x", kind=kind),), interval_ns=HOUR)
    long = compute(bars, features)
    late = compute(bars.slice(bars.height - features.warmup - 50), features)
    joined = late.join(long, on="ts_ns", suffix="_long")
    scale = float(np.abs(joined["x_long"].to_numpy()).max()) + 1e-12
    assert np.abs(joined["x"].to_numpy() - joined["x_long"].to_numpy()).max() < 2e-4 * scale


@pytest.fixture(scope="module")
def market_rows(shared_data):
    """Quotes of Kalshi's 15-minute windows with the spot price and strike of the same moment."""
    folder = shared_data / "kalshi_btc15m_l2"
    spot = (
        pl.read_parquet(folder / "btc_spot_coinbase.parquet")
        .sort("exchange_ts")
        .with_columns(
            pl.col("price").log().diff().rolling_std(600).alias("sigma"),
            pl.col("price").alias("spot"),
        )
        .select("exchange_ts", "spot", "sigma")
        .drop_nulls()
    )
    markets = pl.read_csv(folder / "markets.csv").select(
        "ticker", "strike", pl.col("close_time").str.to_datetime(time_zone="UTC", time_unit="us")
    )
    ticks = (
        pl.read_parquet(folder / "ticker.parquet")
        .filter((pl.col("yes_bid") > 0) & (pl.col("yes_ask") < 1))
        .join(markets.drop_nulls(), on="ticker")
        .sort("exchange_ts")
        .join_asof(spot, on="exchange_ts", strategy="backward", tolerance="5s")
        .drop_nulls(["spot", "sigma", "strike"])
        .filter((pl.col("exchange_ts") < pl.col("close_time")) & (pl.col("sigma") > 0))
        .unique("exchange_ts", keep="first", maintain_order=True)
    )
    assert ticks.height > 3000
    return ticks.head(3000).select(
        pl.col("exchange_ts").dt.epoch("ns").alias("ts_ns"),
        pl.col("yes_bid").alias("bid_px_0"),
        pl.col("yes_ask").alias("ask_px_0"),
        pl.col("yes_bid_size").alias("bid_sz_0"),
        pl.col("yes_ask_size").alias("ask_sz_0"),
        ((pl.col("yes_bid") + pl.col("yes_ask")) / 2).alias("mid"),
        pl.col("price").clip(0.01, 0.99).alias("other_mid"),  # the last trade stands for a venue
        ((pl.col("close_time") - pl.col("exchange_ts")).dt.total_microseconds() / 1e6).alias(
            "seconds_to_close"
        ),
        "spot",
        "strike",
        "sigma",
    )


@pytest.fixture(scope="module")
def depth_rows(shared_data):
    """Three levels a side of the recorded depth of many Kalshi markets, one market a row."""
    frame = pl.read_parquet(shared_data / "kalshi_tape_2026-07/orderbook_depth.parquet")
    books = frame.filter((pl.col("yes_bids").list.len() >= 3) & (pl.col("no_bids").list.len() >= 3))
    assert books.height > 1000

    def level(side: str, i: int, part: int) -> pl.Expr:
        return pl.col(side).list.get(i).list.get(part)

    return books.select(
        pl.int_range(1, pl.len() + 1).alias("ts_ns"),  # all were taken at five moments
        *(level("yes_bids", i, 0).alias(f"bid_px_{i}") for i in range(3)),
        *(level("yes_bids", i, 1).alias(f"bid_sz_{i}") for i in range(3)),
        *((1 - level("no_bids", i, 0)).alias(f"ask_px_{i}") for i in range(3)),
        *(level("no_bids", i, 1).alias(f"ask_sz_{i}") for i in range(3)),
    )


DEPTH = ("depth_slope", "book_imbalance")


@pytest.mark.parametrize("rows", ["market_rows", "depth_rows"])
def test_row_features_are_equal_on_both_paths_over_real_books(rows, request):
    rows, deep = request.getfixturevalue(rows), rows == "depth_rows"
    kinds = DEPTH if deep else sorted(ROW_KINDS - {"depth_slope"})
    params = {"levels": 3} if deep else {}
    features = FeatureSet(features=tuple(FeatureSpec(name=k, kind=k, params=params) for k in kinds))
    batch = compute(rows, features)
    streamed = stream_all(rows, features)
    np.testing.assert_allclose(
        streamed, batch.select(features.names).to_numpy(), rtol=1e-9, atol=1e-12
    )


def one(kind, row):
    stream = FeatureStream(FeatureSet(features=(FeatureSpec(name="x", kind=kind),)), 1)
    stream.push(1, row)
    return float(stream.window(1, 0)[0, 0])


def test_row_features_follow_their_definitions():
    book = {"bid_px_0": 0.40, "bid_sz_0": 30.0, "ask_px_0": 0.42, "ask_sz_0": 10.0}
    assert one("spread", book) == pytest.approx(0.02)
    assert one("book_imbalance", book) == pytest.approx(0.5)
    assert one("microprice_gap", book) == pytest.approx(0.005)
    assert one("market_log_odds", {"mid": 0.75}) == pytest.approx(math.log(3))
    digital = {"spot": 101.0, "strike": 100.0, "sigma": 0.001, "seconds_to_close": 25.0}
    d = math.log(1.01) / 0.005
    assert one("sigmas_to_strike", digital) == pytest.approx(d)
    from statistics import NormalDist

    mid = NormalDist().cdf(d)
    assert one("implied_volatility_ratio", {**digital, "mid": mid}) == pytest.approx(1.0)


def feature_set(kind="log_return", **params):
    return FeatureSet(features=(FeatureSpec(name="x", kind=kind, params=params),), interval_ns=10)


def test_too_short_and_stale_history_give_no_window():
    stream = FeatureStream(feature_set(), 3)
    for i in range(3):
        stream.push(10 * i, {"close": 100.0 + i})
    with pytest.raises(errors.ShortHistory):
        stream.window(20, 100)
    stream.push(30, {"close": 104.0})
    assert stream.window(35, 10).shape == (3, 1)
    for now in (41, 29):
        with pytest.raises(errors.StaleHistory):
            stream.window(now, 10)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_is_refused_and_leaves_no_trace(bad):
    stream = FeatureStream(feature_set(), 2)
    for i in range(4):
        stream.push(10 * i, {"close": 100.0 + i})
    before = stream.window(30, 0)
    with pytest.raises(errors.NotFinite):
        stream.push(40, {"close": bad})
    assert np.array_equal(stream.window(30, 0), before)


def test_a_gap_restarts_history_and_says_so():
    stream = FeatureStream(feature_set(), 1)
    for i in range(4):
        stream.push(10 * i, {"close": 100.0})
    with pytest.raises(errors.HistoryGap):
        stream.push(60, {"close": 100.0})
    with pytest.raises(errors.ShortHistory):
        stream.window(60, 0)
    stream.push(70, {"close": 101.0})
    assert stream.window(70, 0)[0, 0] == pytest.approx(math.log(1.01))


def test_a_repeated_or_older_row_and_a_missing_column_are_refused():
    stream = FeatureStream(feature_set(), 1)
    stream.push(10, {"close": 1.0})
    for ts in (10, 0):
        with pytest.raises(errors.HistoryGap):
            stream.push(ts, {"close": 1.0})
    with pytest.raises(errors.FeatureMismatch):
        stream.push(20, {"open": 1.0})


def test_an_undefined_feature_breaks_the_window_for_as_long_as_it_is_inside():
    stream = FeatureStream(FeatureSet(features=(FeatureSpec(name="x", kind="book_imbalance"),)), 2)
    reasons = (errors.ShortHistory, errors.NotFinite, errors.ShortHistory)
    for i, (size, reason) in enumerate(zip([1.0, 0.0, 1.0], reasons, strict=True)):
        stream.push(i, {"bid_sz_0": size, "ask_sz_0": size})
        with pytest.raises(reason):
            stream.window(i, 0)
    stream.push(3, {"bid_sz_0": 1.0, "ask_sz_0": 1.0})
    assert stream.window(3, 0).tolist() == [[0.0], [0.0]]


def test_batch_refuses_gaps_nan_and_missing_columns(bars):
    features = FeatureSet(features=(FeatureSpec(name="x", kind="rsi"),), interval_ns=HOUR)
    with pytest.raises(errors.HistoryGap):
        compute(pl.concat([bars.head(100), bars.slice(101, 100)]), features)
    with pytest.raises(errors.NotFinite):
        compute(bars.head(50).with_columns(pl.lit(math.nan).alias("close")), features)
    with pytest.raises(errors.FeatureMismatch):
        compute(bars.drop("close"), features)
    assert [s.height for s in segments(pl.concat([bars.head(100), bars.slice(101, 50)]), HOUR)] == [
        100,
        50,
    ]


def test_the_hash_sees_order_and_settings_and_a_wrong_order_is_refused():
    a, b = FeatureSpec(name="a", kind="rsi"), FeatureSpec(name="b", kind="adx")
    ab, ba = FeatureSet(features=(a, b), interval_ns=1), FeatureSet(features=(b, a), interval_ns=1)
    slow = FeatureSet(
        features=(FeatureSpec(name="a", kind="rsi", params={"period": 21}), b), interval_ns=1
    )
    assert len({ab.sha256, ba.sha256, slow.sha256}) == 3
    ab.require(["a", "b"], ab.sha256)
    for names, sha in ((["b", "a"], ""), (["a", "b"], slow.sha256)):
        with pytest.raises(errors.FeatureMismatch):
            ab.require(names, sha)


@pytest.mark.parametrize(
    "bad", [{"kind": "rsy"}, {"kind": "rsi", "params": {"perod": 3}}, {"kind": "rsi", "unit": 1}]
)
def test_unknown_kinds_and_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        FeatureSpec(name="x", **bad)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(1, 1e5), min_size=30, max_size=80), st.integers(1, 20), st.integers(0, 1000)
)
def test_features_never_read_the_future(prices, cut, seed):
    """Permute everything after a row: the features up to that row stay the same, bit for bit."""
    random = np.random.default_rng(seed)
    cut = len(prices) - min(cut, len(prices) - 1)
    mixed = prices[:cut] + list(random.permutation(prices[cut:]))
    features = FeatureSet(
        features=(
            FeatureSpec(name="a", kind="log_return", params={"period": 3}),
            FeatureSpec(name="b", kind="realized_volatility", params={"period": 5}),
            FeatureSpec(name="c", kind="trend_regime", params={"period": 6}),
        ),
        interval_ns=1,
    )
    frames = [pl.DataFrame({"ts_ns": range(len(p)), "close": p}) for p in (prices, mixed)]
    one, two = (compute(f, features) for f in frames)
    keep = one.filter(pl.col("ts_ns") < cut)
    np.testing.assert_allclose(
        keep.to_numpy(), two.filter(pl.col("ts_ns") < cut).to_numpy(), rtol=0, atol=0
    )
