"""Serving: the grid that training used, a forecast or a reason, never an old number."""

import math
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals import errors
from signals.actor import decode, encode
from signals.features import FeatureSet, FeatureSpec
from signals.serving import Quote, QuoteForecaster, complement

SECOND = 1_000_000_000
CLOSE = 1000 * SECOND
FEATURES = FeatureSet(
    features=(
        FeatureSpec(name="market_log_odds", kind="market_log_odds"),
        FeatureSpec(name="spread", kind="spread"),
    ),
    interval_ns=10 * SECOND,
)
QUOTE = Quote(0.40, 10.0, 0.42, 20.0)


@dataclass
class Echo:
    """Answers with the market price of the newest row, and keeps what it was shown."""

    sha256: str = "abc"
    model_id: str = "echo@1"

    def __post_init__(self):
        self.windows = []

    def require_features(self, features):
        features.require(FEATURES.names, FEATURES.sha256)

    def predict(self, window, now_ns):
        self.windows.append(np.array(window))
        p = 1 / (1 + math.exp(-window[-1, 0]))
        return SimpleNamespace(probability=p, low=p - 0.01, high=p + 0.01)


def forecaster(lookback=2, **more):
    return QuoteForecaster(Echo(), FEATURES, lookback, "T-YES.KALSHI", CLOSE, **more)


def feed(f, times, quote=QUOTE):
    out = []
    for t in times:
        try:
            out.append(f.observe(int(t * SECOND), quote))
        except errors.SignalError as error:
            out.append(type(error))
    return out


def test_a_forecast_comes_with_each_new_grid_time_once_the_window_is_full():
    f = forecaster()
    got = feed(f, [1, 5, 11, 12, 21, 25, 31])
    assert got[:2] == [None, None] and got[2] is errors.ShortHistory
    assert got[3] is None and got[5] is None
    made = got[4]
    assert (made.ts_event, made.instrument_id) == (20 * SECOND, "T-YES.KALSHI")
    assert made.probability == Decimal("0.410000")
    assert made.expires_ns == 51 * SECOND
    assert made.features_sha == FEATURES.sha256 and made.bundle_sha == "abc"
    assert got[6].ts_event == 30 * SECOND


def test_a_grid_time_sees_the_quote_known_then_and_not_the_one_that_reveals_it():
    f = forecaster(lookback=1)
    feed(f, [5])
    made = f.observe(12 * SECOND, Quote(0.80, 1.0, 0.82, 1.0))
    assert made.probability == Decimal("0.410000")


def test_missed_grid_times_are_filled_as_training_filled_them():
    f = forecaster(lookback=4)
    got = feed(f, [1, 41])
    assert got[1].ts_event == 40 * SECOND
    assert f._model.windows[-1].shape == (4, 2)


def test_a_stale_quote_breaks_the_history_and_a_whole_new_window_is_needed():
    f = forecaster(lookback=2, max_quote_age_ns=30 * SECOND)
    got = feed(f, [1, 11, 21, 60, 71, 81])
    assert got[3] is errors.StaleHistory
    assert got[4] is errors.ShortHistory
    assert got[5].ts_event == 80 * SECOND


@pytest.mark.parametrize(
    "bad",
    [
        Quote(0.0, 0.0, 0.4, 1.0),
        Quote(0.6, 1, 0.4, 1),
        Quote(0.4, 1, 1.0, 1),
        Quote(math.nan, 1, 0.5, 1),
    ],
)
def test_a_one_sided_crossed_or_nan_book_gives_no_forecast(bad):
    f = forecaster(lookback=1)
    feed(f, [1, 11])
    f.observe(15 * SECOND, bad)
    with pytest.raises(errors.ForecastInputError, match="one-sided"):
        f.observe(21 * SECOND, QUOTE)
    assert feed(f, [31])[0].ts_event == 30 * SECOND


def test_nothing_is_forecast_at_or_after_the_close():
    f = forecaster(lookback=1)
    assert feed(f, [985, 991, 1001])[1].ts_event == 990 * SECOND
    assert feed(f, [1011]) == [None]


def test_time_that_the_model_was_trained_on_gives_no_forecast():
    f = forecaster(lookback=1, trained_until_ns=20 * SECOND)
    assert feed(f, [1, 11, 21])[1] is errors.ForecastInputError
    assert feed(f, [31])[0].ts_event == 30 * SECOND


def test_other_features_than_in_training_are_refused_before_the_first_quote():
    other = FeatureSet(features=tuple(reversed(FEATURES.features)), interval_ns=10 * SECOND)
    with pytest.raises(errors.FeatureMismatch):
        QuoteForecaster(Echo(), other, 2, "x", CLOSE)
    with pytest.raises(errors.ForecastInputError, match="grid"):
        QuoteForecaster(Echo(), replace_interval(FEATURES, 0), 2, "x", CLOSE)


def replace_interval(features, interval):
    return features.model_copy(update={"interval_ns": interval})


def test_both_outcomes_get_probabilities_that_sum_to_one():
    yes = feed(forecaster(lookback=1), [1, 11])[1]
    no = complement(yes, "T-NO.KALSHI")
    assert yes.probability + no.probability == 1
    assert no.low == 1 - yes.high and no.low <= no.probability <= no.high
    assert decode(encode(no)) == no


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 40), st.floats(0.05, 0.9)), min_size=5, max_size=60))
def test_streamed_windows_equal_the_newest_quote_at_each_grid_time(steps):
    f, t, quotes = forecaster(lookback=2, max_quote_age_ns=10_000 * SECOND), 0.0, []
    for gap, price in steps:
        t += gap
        quote = Quote(price, 1.0, price + 0.02, 1.0)
        quotes.append((int(t * SECOND), quote))
    for ts, quote in quotes:
        try:
            made = f.observe(ts, quote)
        except errors.ShortHistory:
            continue
        if made is None:
            continue
        for row, at in zip(
            f._model.windows[-1], (made.ts_event - 10 * SECOND, made.ts_event), strict=True
        ):
            known = [q for when, q in quotes if when < at]
            assert row[1] == pytest.approx(known[-1].ask_px - known[-1].bid_px)
            mid = (known[-1].bid_px + known[-1].ask_px) / 2
            assert row[0] == pytest.approx(math.log(mid / (1 - mid)))
