"""M4 Hourly by its own protocol: train on the past, forecast 48 hours once, score OWA and MSIS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from signals.models.recurrent import DeepAR
from signals.models.spec import ModelSpec
from signals.probability.distribution import coverage, mase, msis, owa, smape
from signals.training.config import ModelTable, TrainConfig
from signals.training.fit_spec import FitSpec
from signals.training.forecast_run import sampled_quantiles
from signals.training.guards import GuardReport, shuffled_targets
from signals.training.job import Progress, Trained, train_job
from signals.training.sources.base import Raw
from signals.training.sources.forecasting import M4_HORIZON, M4_SEASON, M4Hourly

NAIVE2_SMAPE, NAIVE2_MASE = 18.383, 2.395
"""Published scores of Naive2 on M4 Hourly; OWA is relative to them."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class M4Row:
    """Scores of one forecaster over the 414 series."""

    forecaster: str
    parameters: int
    smape: float
    mase: float
    owa: float
    msis: float | None
    coverage: float | None
    train_s: float
    samples_per_s: float


@dataclass
class M4Result:
    """The score table, guards and training reports."""

    rows: list[M4Row]
    guards: list[GuardReport]
    trained: list[Trained]


def run_m4(
    config: TrainConfig, source: M4Hourly, raw: Raw, folder: Path, progress: Progress | None = None
) -> M4Result:
    """
    Train the models of a configuration and score each and their median.

    Training takes every window of the past for a fixed number of epochs, so a run never stops or
    selects by the test. The ensemble is the median of all members, in the shipped configuration
    a full grid of lookbacks and losses as in the N-BEATS paper. The quantile levels must begin
    at 0.025 and end at 0.975 for MSIS.
    """
    series = source.series(raw)
    actual = np.array([v[:M4_HORIZON] for v in raw["test"]["value"].to_list()])
    scales = source.scales(raw)
    rows = [
        _repeated("last value", 1, series, actual, scales),
        _repeated("seasonal naive", M4_SEASON, series, actual, scales),
    ]
    answers: list[Floats] = []
    trained: list[Trained] = []
    for table in config.models:
        jobs = [
            train_m4_model(config, source, raw, folder, table, seed, progress)
            for seed in table.seeds
        ]
        trained += jobs
        mine = [_forecast(j, series, j.model.spec.lookback) for j in jobs]
        if table.member:
            answers += mine
        rows.append(_score(table.name, np.median(mine, axis=0), actual, scales, jobs))
    rows.append(_score("ensemble (median)", np.median(answers, axis=0), actual, scales, []))
    return M4Result(rows, [_guard(source, raw, series)], trained)


def train_m4_model(
    config: TrainConfig,
    source: M4Hourly,
    raw: Raw,
    folder: Path,
    table: ModelTable,
    seed: int,
    progress: Progress | None = None,
) -> Trained:
    """Train one model of a configuration with one seed, on every window of the past."""
    options = config.data.options
    lookback = table.lookback or int(options["lookback"])
    samples = source.build(raw, {**options, "lookback": lookback, "weigh": table.weigh})
    spec = config.spec(table, seed, lookback=lookback, horizon=M4_HORIZON)
    everything, none = np.arange(len(samples)), np.empty(0, dtype=np.intp)
    how, name = table.fit or config.fit, f"{table.name}-{seed}"
    return train_job(name, folder, spec, samples, everything, none, how, progress)


def _guard(source: M4Hourly, raw: Raw, series: list[NDArray[np.float64]]) -> GuardReport:
    """Shuffled targets of the past must not forecast the last 48 training hours."""
    samples = source.build(raw, {"lookback": 96, "horizon": M4_HORIZON, "weigh": "seasonal"})
    left = np.cumsum([len(s) for s in series])[samples.event] - samples.start - 96 - M4_HORIZON
    spec = ModelSpec(
        family="linear", lookback=96, horizon=M4_HORIZON, head="point", normalization="relative"
    )
    how = FitSpec(epochs=2, steps=40, batch=512)
    train, test = np.flatnonzero(left >= M4_HORIZON), np.flatnonzero(left == 0)
    return shuffled_targets(samples, train, np.empty(0, dtype=np.intp), test, spec, how)


def _forecast(job: Trained, series: list[NDArray[np.float64]], lookback: int) -> Floats:
    x = np.stack([s[-lookback:] for s in series])
    windows = torch.from_numpy(x.astype(np.float32)[:, :, None])
    if isinstance(job.model, DeepAR):
        return sampled_quantiles(job.model, windows, seed=job.model.spec.seed)
    with torch.no_grad():
        return np.asarray(job.model(windows).numpy(), dtype=np.float64)


def _score(name: str, answer: Floats, actual: Floats, scales: Floats, jobs: list[Trained]) -> M4Row:
    middle = answer[:, :, answer.shape[2] // 2]
    low, high = answer[:, :, 0], answer[:, :, -1]
    s, m = smape(actual, middle), mase(actual, middle, scales)
    reports = [j.report for j in jobs]
    seconds = sum(r.seconds for r in reports)
    return M4Row(
        name,
        sum(r.parameters for r in reports),
        s,
        m,
        owa(s, m, NAIVE2_SMAPE, NAIVE2_MASE),
        msis(actual, low, high, scales) if answer.shape[2] > 1 else None,
        coverage(actual, low, high) if answer.shape[2] > 1 else None,
        seconds,
        sum(r.samples for r in reports) / seconds if seconds else 0.0,
    )


def _repeated(
    name: str, hours: int, series: list[NDArray[np.float64]], actual: Floats, scales: Floats
) -> M4Row:
    """Score the baseline that repeats the last hours of each series."""
    forecast = np.stack([np.tile(s[-hours:], M4_HORIZON // hours) for s in series])
    return _score(name, forecast[:, :, None], actual, scales, [])
