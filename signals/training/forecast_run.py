"""Train and score series forecasters on a benchmark with fixed borders, against the last value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from signals.models.base import Forecaster
from signals.models.recurrent import DeepAR
from signals.models.spec import ModelSpec
from signals.probability.compare import diebold_mariano
from signals.probability.conformal import conformalize
from signals.probability.distribution import coverage, crps_quantiles, pinball_loss
from signals.training.config import ModelTable, TrainConfig
from signals.training.fit import predict
from signals.training.fit_spec import FitSpec
from signals.training.guards import GuardReport, shuffled_targets
from signals.training.job import Progress, Trained, train_job
from signals.training.samples import Rows, WindowSamples

Floats = NDArray[np.float64]
ENSEMBLE = "ensemble"
PATHS = 100


@dataclass(frozen=True)
class ForecastRow:
    """Test scores of one forecaster, in units of the z-scored target."""

    forecaster: str
    parameters: int
    mse: float
    mae: float
    crps: float | None
    pinball: float | None
    coverage: float | None
    coverage_conformal: float | None
    dm_p_value: float | None
    train_s: float
    samples_per_s: float


@dataclass
class ForecastResult:
    """The score table, guards and training reports."""

    rows: list[ForecastRow]
    guards: list[GuardReport]
    trained: list[Trained] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)


def run_forecast(
    config: TrainConfig,
    samples: WindowSamples,
    parts: tuple[Rows, Rows, Rows],
    folder: Path,
    progress: Progress | None = None,
    season: int = 24,
) -> ForecastResult:
    """
    Train every model, score the test windows, and combine the medians by their plain mean.

    `season` is the number of rows that the seasonal naive baseline repeats.
    """
    train, validation, test = parts
    y = samples.take(test)[1].astype(np.float64)
    naive = samples.take(test)[0][:, -1:, samples.target].astype(np.float64) + np.zeros_like(y)
    rows = [_score("naive last value", naive[:, :, None], y, naive, samples.horizon, (0.5,))]
    if season <= samples.lookback:
        past = samples.take(test)[0][:, -season:, samples.target].astype(np.float64)
        repeated = past[:, np.arange(samples.horizon) % season, None]
        rows.append(_score("seasonal naive", repeated, y, naive, samples.horizon, (0.5,)))
    trained: list[Trained] = []
    medians: list[Floats] = []
    for table in config.models:
        seen = _seen(samples, table)
        jobs = [
            train_series_model(config, samples, parts, folder, table, seed, progress)
            for seed in table.seeds
        ]
        trained += jobs
        outputs = [answer(j.model, seen, test) for j in jobs]
        mean = np.mean(outputs, axis=0)
        wide, held = mean.shape[2] > 1, None
        if wide:  # the validation months widen or narrow the outer quantiles
            on_held = np.mean([answer(j.model, seen, validation) for j in jobs], axis=0)
            held = (on_held, samples.take(validation)[1].astype(np.float64))
        levels = config.quantiles if wide else (0.5,)
        rows.append(_score(table.name, mean, y, naive, samples.horizon, levels, jobs, held))
        medians.append(mean[:, :, mean.shape[2] // 2])
    if len(medians) > 1:
        middle = np.mean(medians, axis=0)[:, :, None]
        rows.append(_score(ENSEMBLE, middle, y, naive, samples.horizon, (0.5,)))
    guard_spec = ModelSpec(
        family="linear",
        lookback=samples.lookback,
        horizon=samples.horizon,
        head="point",
        normalization="last",
    )
    guard = shuffled_targets(
        samples, train, validation, test, guard_spec, FitSpec(epochs=3, rate=3e-3)
    )
    return ForecastResult(rows, [guard], trained)


def train_series_model(
    config: TrainConfig,
    samples: WindowSamples,
    parts: tuple[Rows, Rows, Rows],
    folder: Path,
    table: ModelTable,
    seed: int,
    progress: Progress | None = None,
) -> Trained:
    """Train one model of a configuration with one seed; `parts` are its rows, as in the run."""
    seen = _seen(samples, table)
    spec = config.spec(
        table,
        seed,
        lookback=seen.lookback,
        horizon=seen.horizon,
        channels=seen.flat.shape[1],
        target=seen.target,
    )
    train, validation, _ = parts
    how, name = table.fit or config.fit, f"{table.name}-{seed}"
    return train_job(name, folder, spec, seen, train, validation, how, progress)


def _seen(samples: WindowSamples, table: ModelTable) -> WindowSamples:
    """Return the windows at the model's own, shorter lookback."""
    return samples.shorter(min(table.lookback or samples.lookback, samples.lookback))


def answer(model: Forecaster, samples: WindowSamples, rows: Rows) -> Floats:
    """Return quantiles [N, H, Q] of the rows; DeepAR answers from sampled paths, as in its paper."""
    if not isinstance(model, DeepAR) or model.spec.head != "quantile":
        return predict(model, samples, rows).astype(np.float64)
    out = []
    for i in range(0, rows.size, 256):
        x = torch.from_numpy(samples.take(rows[i : i + 256])[0])
        out.append(sampled_quantiles(model, x, seed=model.spec.seed + i))
    return np.concatenate(out)


def sampled_quantiles(model: DeepAR, x: torch.Tensor, seed: int) -> Floats:
    """Return quantiles [N, H, Q] of sampled paths of windows [N, T, F]."""
    paths = model.sample(x, PATHS, seed=seed).numpy()
    levels = np.quantile(paths, model.spec.quantiles, axis=1)
    return np.asarray(levels.transpose(1, 2, 0))


def _score(
    name: str,
    answer: Floats,
    y: Floats,
    naive: Floats,
    horizon: int,
    levels: tuple[float, ...],
    jobs: list[Trained] | None = None,
    held: tuple[Floats, Floats] | None = None,
) -> ForecastRow:
    middle = answer[:, :, answer.shape[2] // 2]
    error = middle - y
    wide = len(levels) > 1
    low, high = answer[:, :, 0], answer[:, :, -1]
    conformal = None
    if wide and held is not None:
        band = conformalize(
            held[1], held[0][:, :, 0], held[0][:, :, -1], 1.0 - (levels[-1] - levels[0])
        )
        conformal = coverage(y, *band.apply(low, high))
    reference = name == "naive last value"
    test = None
    if not reference:
        # Windows start every hour: their errors overlap over the whole horizon.
        test = diebold_mariano(
            (error**2).mean(axis=1), ((naive - y) ** 2).mean(axis=1), lags=2 * horizon
        ).p_value
    reports = [j.report for j in jobs or []]
    return ForecastRow(
        forecaster=name,
        parameters=reports[0].parameters if reports else 0,
        mse=float((error**2).mean()),
        mae=float(np.abs(error).mean()),
        crps=crps_quantiles(y, answer, levels) if wide else None,
        pinball=pinball_loss(y, answer, levels) if wide else None,
        coverage=coverage(y, low, high) if wide else None,
        coverage_conformal=conformal,
        dm_p_value=test,
        train_s=sum(r.seconds for r in reports),
        samples_per_s=sum(r.samples for r in reports) / max(sum(r.seconds for r in reports), 1e-9)
        if reports
        else 0.0,
    )
