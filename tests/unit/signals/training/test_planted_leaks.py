"""`beta train` with a leak planted in its data: the run stops and nothing is written."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from console.cli.train import app  # noqa: E402
from signals.errors import LeakDetected  # noqa: E402
from signals.training import probability_run  # noqa: E402
from signals.training.samples import windows  # noqa: E402
from signals.training.sources import SOURCES  # noqa: E402
from signals.training.sources.forecasting import Ett  # noqa: E402
from signals.training.sources.markets import KalshiBtc15m  # noqa: E402
from signals.training.splits import walk_forward  # noqa: E402

SERIES = """
name = "planted"
kind = "forecast"
head = "point"
threads = 1
data = { source = "planted", options = { columns = ["OT"], lookback = 24, horizon = 12 } }
fit = { epochs = 1, batch = 512, steps = 4 }
models = [{ name = "nlinear", family = "linear" }]
"""
MARKETS = """
name = "planted"
kind = "probability"
head = "probability"
threads = 1
data = { source = "planted" }
split = { folds = 1 }
fit = { epochs = 1 }
models = [{ name = "linear", family = "linear", normalization = "fixed" }]
"""


@pytest.fixture
def train(tmp_path, shared_data, monkeypatch):
    """Run `beta train` on a configuration whose source is the one given."""

    def run(text, source):
        monkeypatch.setitem(SOURCES, "planted", source)
        path = tmp_path / "planted.toml"
        path.write_text(text)
        command = [str(path), "--data", str(shared_data), "--out", str(tmp_path / "runs")]
        result = CliRunner().invoke(app, command)
        if result.exception is not None:
            assert not (tmp_path / "runs/planted/metrics.json").exists()
            raise result.exception
        return json.loads((tmp_path / "runs/planted/metrics.json").read_text())

    return run


class Series(Ett):
    """ETTh1 with one more column, scaled and cut as the methods say."""

    def scaled(self, values):
        past = values[: self.borders.train_end]
        return (values - past.mean()) / past.std()

    def columns(self, values):
        return [values]

    def build(self, raw, options):
        frame = raw["ett"].head(self.borders.test_end)
        values = self.scaled(frame["OT"].to_numpy())
        flat = np.stack(self.columns(values), axis=1).astype(np.float32)
        return windows([flat], [frame["ts_ns"].to_numpy()], options["lookback"], options["horizon"])


class Peeks(Series):
    """One column is the target, one hour early."""

    def columns(self, values):
        return [values, np.append(values[1:], values[-1])]


class ScaledByAll(Series):
    """Mean and deviation of the whole series, test months included."""

    def scaled(self, values):
        return (values - values.mean()) / values.std()


class AdmitsScalingByAll(ScaledByAll):
    """The same, and it says so."""

    def fitted_until_ns(self, raw):
        return int(raw["ett"]["ts_ns"].max())


class ScaledByValidation(Series):
    """Constants fitted until the middle of the test months, and it says so."""

    def scaled(self, values):
        past = values[: self.borders.validation_end + 1000]
        return (values - past.mean()) / past.std()

    def fitted_until_ns(self, raw):
        return int(raw["ett"]["ts_ns"][self.borders.validation_end + 999])


class TrainsIntoTest(Series):
    """The last training windows have targets in the validation months."""

    def parts(self, samples):
        _, validation, test = super().parts(samples)
        return np.arange(validation[0] + 1), validation, test


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Peeks(), "reads the future"),
        (ScaledByAll(), "reads the future"),
        (AdmitsScalingByAll(), "fitted on all data"),
        (ScaledByValidation(), "fitted on test data"),
        (TrainsIntoTest(), "overlap"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_leak_in_a_series_stops_the_training(train, source, words):
    with pytest.raises(LeakDetected, match=words):
        train(SERIES, source)


def test_the_same_series_without_a_leak_is_trained_and_every_guard_is_named(train):
    metrics = train(SERIES, Series())
    names = [g["name"] for g in metrics["guards"]]
    assert names == ["future_permutation", "separate_parts", "shuffled_labels"]
    assert all(g["passed"] for g in metrics["guards"])


class Windows(KalshiBtc15m):
    """The first 80 recorded windows, for speed."""

    def load(self, root, options):
        raw = super().load(root, options)
        known = raw["markets"].filter(pl.col("result").is_in(["yes", "no"]))
        both = known.join(raw["quotes"], on="ticker", how="semi")["ticker"]
        keep = both.unique().sort()[:80]
        return {k: f.filter(pl.col("ticker").is_in(keep.implode())) for k, f in raw.items()}


class OutcomeAmongFeatures(Windows):
    """Half of the rows carry a hint of the outcome."""

    def build(self, raw, options):
        samples = super().build(raw, options)
        hint = np.where(np.arange(len(samples)) % 2, samples.outcome, 0.5)
        x = samples.x.copy()
        x[:, :, 2] += 0.01 * hint[:, None]
        return replace(samples, x=x)


class OutcomeInRecording(Windows):
    """The recording itself carries the result, as sizes that look like data."""

    def load(self, root, options):
        raw = super().load(root, options)
        known = raw["markets"].select("ticker", (pl.col("result") == "yes").alias("won"))
        quotes = raw["quotes"].join(known, on="ticker", how="left", maintain_order="left")
        size = pl.when("won").then(pl.col("ask_sz_0") * 9.0).otherwise(pl.col("ask_sz_0") / 9.0)
        return {**raw, "quotes": quotes.with_columns(size.alias("bid_sz_0")).drop("won")}


@pytest.mark.parametrize(
    ("source", "words"),
    [(OutcomeAmongFeatures(), "follow the outcome"), (OutcomeInRecording(), "knows the outcome")],
    ids=lambda v: type(v).__name__,
)
def test_an_outcome_among_the_features_of_markets_stops_the_training(train, source, words):
    with pytest.raises(LeakDetected, match=words):
        train(MARKETS, source)


def test_events_on_both_sides_of_a_split_stop_the_training(train, monkeypatch):
    """A split by rows, as if decisions of one window were independent."""

    def by_rows(decided_ns, label_end_ns, spec, events=None):
        fold = walk_forward(decided_ns, label_end_ns, spec)[0]
        everything = np.arange(len(decided_ns))
        known = np.concatenate([fold.train, fold.validation, fold.calibration, fold.test])
        missing = everything[~np.isin(everything, known)]  # what the purge had taken out
        return [replace(fold, train=np.union1d(fold.train, missing))]

    monkeypatch.setattr(probability_run, "walk_forward", by_rows)
    with pytest.raises(LeakDetected, match="overlap"):
        train(MARKETS, Windows())


def test_the_same_markets_without_a_leak_are_trained_and_every_guard_is_named(train):
    metrics = train(MARKETS, Windows())
    names = [g["name"] for g in metrics["guards"]]
    assert names == [
        "future_permutation",
        "labels_in_features",
        "separate_parts",
        "shuffled_labels",
    ]
    assert all(g["passed"] for g in metrics["guards"])
