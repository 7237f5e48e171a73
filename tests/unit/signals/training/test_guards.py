"""The leak guards pass on honest sources and catch planted leaks."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from signals.errors import LeakDetected  # noqa: E402
from signals.models import ModelSpec  # noqa: E402
from signals.training.fit_spec import FitSpec  # noqa: E402
from signals.training.guards import future_permutation, shuffled_labels, shuffled_targets  # noqa: E402
from signals.training.samples import MarketSamples, windows  # noqa: E402
from signals.training.sources import SOURCES  # noqa: E402
from signals.training.sources.markets import KalshiBtc15m  # noqa: E402
from signals.training.splits import SplitSpec, walk_forward  # noqa: E402

OPTIONS = {
    "ett": {"columns": ["OT"], "lookback": 24, "horizon": 24},
    "m4_hourly": {"lookback": 96, "horizon": 48},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_shipped_source_reads_the_future(name, shared_data):
    source, options = SOURCES[name], OPTIONS.get(name, {})
    raw = source.load(shared_data, options)
    samples = source.build(raw, options)
    assert future_permutation(source, raw, options, samples).passed


class Leaky(KalshiBtc15m):
    """Adds a quote smoothed over the next 50 rows: a leak that looks harmless."""

    def build(self, raw, options):
        quotes = (
            raw["quotes"]
            .sort("ticker", "ts_ns")
            .with_columns(
                pl.col("bid_px_0").rolling_mean(50, min_samples=1, center=True).over("ticker")
            )
        )
        return super().build({**raw, "quotes": quotes}, options)


def test_a_centred_window_is_caught(shared_data):
    source = Leaky()
    raw = source.load(shared_data, {})
    with pytest.raises(LeakDetected):
        future_permutation(source, raw, {}, source.build(raw, {}))


def markets(leak, n=900):
    random = np.random.default_rng(0)
    price = random.uniform(0.1, 0.9, n)
    outcome = (random.uniform(0, 1, n) < price).astype(float)
    z = np.log(price / (1 - price))
    x = np.stack([z + (1.5 * (outcome - 0.5) if leak else 0.0), random.normal(size=n)], axis=1)
    t = np.arange(n, dtype=np.int64)
    return MarketSamples(
        t,
        t,
        t,
        x[:, None].astype(np.float32),
        outcome,
        price,
        np.full(n, "1h"),
        np.full(n, "g"),
        ("market_log_odds", "noise"),
    )


def test_shuffled_labels_show_no_skill_on_honest_rows_and_unmask_an_outcome_among_the_inputs():
    spec = ModelSpec(
        family="linear", lookback=1, channels=2, head="probability", market=0, normalization="fixed"
    )
    for leak in (False, True):
        samples = markets(leak)
        fold = walk_forward(samples.decided_ns, samples.label_end_ns, SplitSpec(folds=1))[0]
        if leak:
            with pytest.raises(LeakDetected):
                shuffled_labels(samples, fold, spec, FitSpec(epochs=3))
        else:
            assert shuffled_labels(samples, fold, spec, FitSpec(epochs=3)).passed


@pytest.mark.parametrize("reverting", [False, True])
def test_shuffled_targets_leave_no_more_than_a_blind_forecast_knows(reverting):
    """On a mean-reverting series the mean beats the last value without any leak."""
    noise = np.random.default_rng(1).normal(size=(1500, 1)).astype(np.float32)
    samples = windows([noise if reverting else noise.cumsum(axis=0)], [np.arange(1500)], 8, 4)
    rows = np.arange(900), np.arange(900, 1000), np.arange(1100, 1400)
    spec = ModelSpec(family="linear", lookback=8, horizon=4, head="point")
    assert shuffled_targets(samples, *rows, spec, FitSpec(epochs=3)).passed


def test_a_missing_recording_names_the_option_that_mends_it(tmp_path):
    from core.domain.errors import MissingData

    with pytest.raises(MissingData, match="--data"):
        SOURCES["kalshi_btc15m"].load(Path(tmp_path), {})
