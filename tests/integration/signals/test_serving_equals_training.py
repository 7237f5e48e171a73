"""What the actor shows a model is what training showed it, window by window on real quotes."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from signals import errors
from signals.serving import Quote, QuoteForecaster
from signals.training.config import load_config
from signals.training.sources.markets import QUOTE_FEATURES, KalshiBtc15m


class Keeper:
    """Keeps the windows it is shown, by market and time; answers one half."""

    model_id, sha256 = "keeper@1", "0"

    def __init__(self):
        self.newest = None

    def require_features(self, features):
        features.require(QUOTE_FEATURES.names, QUOTE_FEATURES.sha256)

    def predict(self, window, now_ns):
        self.newest = np.array(window, dtype=np.float32)
        return SimpleNamespace(probability=0.5, low=0.5, high=0.5)


@pytest.fixture(scope="module")
def trained(shared_data):
    """Return the samples of the shipped configuration, its raw quotes, and each event's market."""
    config = load_config("kalshi_btc15m")
    source, options = KalshiBtc15m(), config.data.options
    raw = source.load(shared_data, options)
    known = raw["markets"].filter(
        pl.col("result").is_in(["yes", "no"]) & pl.col("close_time").is_not_null()
    )
    return source.build(raw, options), raw["quotes"], known["ticker"].sort().to_list(), options


def served(quotes, close_ns, lookback):
    """
    Feed one market's quotes to the forecaster.

    Return its windows by grid time, and for every other grid time that went by the reason why
    there is none: the type of the error, or "late" where the next quote came only after a later
    grid time, which was answered instead.
    """
    keeper, windows, reasons, before = Keeper(), {}, {}, 0
    forecaster = QuoteForecaster(keeper, QUOTE_FEATURES, lookback, "X-YES.KALSHI", close_ns)
    step = QUOTE_FEATURES.interval_ns
    columns = ("ts_ns", "bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0")
    for ts_ns, *book in quotes.select(columns).iter_rows():
        passed = range((before // step + 1) * step, ts_ns + 1, step) if before else ()
        why, before = "late", ts_ns
        try:
            made = forecaster.observe(ts_ns, Quote(*book))
        except errors.SignalError as error:
            made, why = None, type(error).__name__
        if made is not None:
            windows[made.ts_event] = keeper.newest
        reasons |= {at_ns: why for at_ns in passed if at_ns not in windows}
    return windows, reasons


def test_a_served_window_is_the_training_window_of_the_same_market_and_moment(trained):
    samples, quotes, tickers, options = trained
    by_market = quotes.sort("ts_ns").partition_by("ticker", as_dict=True)
    count = Counter()
    for event in np.unique(samples.event):
        rows = np.flatnonzero(samples.event == event)
        close_ns = int(samples.label_end_ns[rows[0]])
        market = by_market[(tickers[event],)]
        windows, reasons = served(market, close_ns, int(options["lookback"]))
        for row in rows:
            at_ns = int(samples.decided_ns[row])
            if at_ns in windows:
                same = np.abs(windows[at_ns] - samples.x[row]).max() < 1e-6
                count["equal" if same else f"differs: {tickers[event]} {at_ns}"] += 1
            else:
                count[reasons.get(at_ns, "no quote after it")] += 1
    # Serving is the stricter: where training steps over a crossed or one-sided quote or over a
    # pause, it begins a new history; and it answers when a quote comes, not between two.
    refused = {"late", "ShortHistory", "StaleHistory", "ForecastInputError", "no quote after it"}
    assert set(count) <= refused | {"equal"}, count
    assert count["equal"] > 0.85 * count.total(), count
