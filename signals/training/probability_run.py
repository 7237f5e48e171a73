"""Train and score probability models on resolved markets: walk-forward, calibrated, against the price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signals.ensemble import choose_ensemble
from signals.models.spec import ModelSpec
from signals.probability.calibration import apply, choose_calibrator
from signals.probability.scores import brier_score, log_loss
from signals.training.config import ModelTable, TrainConfig
from signals.training.fit import predict
from signals.training.fit_spec import FitSpec
from signals.training.guards import GuardReport, shuffled_labels
from signals.training.input_guards import separate_parts
from signals.training.job import Progress, Trained, train_job
from signals.training.probability_table import Forecasts, ScoreRow, score_table
from signals.training.samples import MarketSamples, Rows
from signals.training.splits import Fold, purge, walk_forward

Floats = NDArray[np.float64]
ENSEMBLE = "ensemble"
GUARD_FIT = FitSpec(epochs=8, rate=3e-3)


@dataclass
class FoldResult:
    """What one fold gave: forecasts by forecaster, chosen calibrators, and training reports."""

    fold: Fold
    forecasts: dict[str, Floats] = field(default_factory=dict)
    calibrators: dict[str, Any] = field(default_factory=dict)
    ensemble: dict[str, Any] = field(default_factory=dict)
    trained: list[Trained] = field(default_factory=list)


@dataclass
class ProbabilityResult:
    """All folds together: the score table, per-fold scores, guards and training reports."""

    rows: list[ScoreRow]
    folds: list[FoldResult]
    guards: list[GuardReport]
    forecasts: Forecasts


def run_probability(
    config: TrainConfig, samples: MarketSamples, folder: Path, progress: Progress | None = None
) -> ProbabilityResult:
    """
    Run all folds of a configuration.

    In each fold every model is trained on the training rows, stopped on the validation rows,
    calibrated on the first half of the calibration rows, its calibrator chosen on the second
    half, and scored on the test rows. Ensemble members are the raw forecasts; its weights come
    from the first half too, and stay only if they beat the plain mean on the second.
    """
    folds = walk_forward(samples.decided_ns, samples.label_end_ns, config.split, samples.event)

    def spec_of(table: ModelTable, seed: int) -> ModelSpec:
        _, lookback, channels = samples.x.shape
        keep = min(table.lookback or lookback, lookback)
        return config.spec(
            table, seed, lookback=keep, channels=channels, market=samples.market_column
        )

    apart = [_separate(samples, fold, config.split.embargo_ns) for fold in folds]
    guards = [
        GuardReport("separate_parts", True, "; ".join(g.detail for g in apart)),
        shuffled_labels(samples, folds[0], guard_spec(config, samples), GUARD_FIT),
    ]
    results = [_run_fold(config, samples, fold, folder, spec_of, progress) for fold in folds]
    forecasts = _pool(samples, results)
    return ProbabilityResult(
        score_table(forecasts, config.report_horizons), results, guards, forecasts
    )


def guard_spec(config: TrainConfig, samples: MarketSamples) -> ModelSpec:
    """Return the small model that is trained on shuffled labels."""
    table = ModelTable(name="guard", family="linear", head="probability", normalization="fixed")
    _, lookback, channels = samples.x.shape
    return config.spec(table, 0, lookback=lookback, channels=channels, market=samples.market_column)


def _separate(samples: MarketSamples, fold: Fold, embargo_ns: int) -> GuardReport:
    first, second = _halves(samples, fold.calibration, embargo_ns)
    parts = [fold.train, fold.validation, first, second, fold.test]
    return separate_parts(samples, parts, embargo_ns=embargo_ns)


def _run_fold(
    config: TrainConfig,
    samples: MarketSamples,
    fold: Fold,
    folder: Path,
    spec_of: Callable[[ModelTable, int], ModelSpec],
    progress: Progress | None,
) -> FoldResult:
    result = FoldResult(fold)
    first, second = _halves(samples, fold.calibration, config.split.embargo_ns)
    parts = {"first": first, "second": second, "test": fold.test}
    raw: dict[str, dict[str, Floats]] = {}
    for table in config.models:
        by_seed = [
            _forecast(
                config, table, samples, fold, folder, spec_of(table, seed), parts, progress, result
            )
            for seed in table.seeds
        ]
        raw[table.name] = {k: np.mean([s[k] for s in by_seed], axis=0) for k in parts}
    stacked = {k: np.column_stack([raw[m][k] for m in raw]) for k in parts}
    choice = choose_ensemble(
        (stacked["first"], samples.outcome[first]),
        (stacked["second"], samples.outcome[second]),
        samples.event[second],
    )
    result.ensemble = {
        "method": choice.method,
        "weights": dict(zip(raw, choice.weights or (), strict=False)),
        "gain_over_mean": {k: [v.value, v.low, v.high] for k, v in choice.gain.items()},
    }
    raw[ENSEMBLE] = {k: choice.predict(stacked[k]) for k in parts}
    for name, p in raw.items():
        calibrator, losses = choose_calibrator(
            (p["first"], samples.outcome[first]),
            (p["second"], samples.outcome[second]),
            samples.event[second],
        )
        result.forecasts[name] = p["test"]
        result.forecasts[f"{name} calibrated"] = apply(calibrator, p["test"])
        result.calibrators[name] = {**calibrator.model_dump(), "selection_log_loss": losses}
    return result


def _forecast(
    config: TrainConfig,
    table: ModelTable,
    samples: MarketSamples,
    fold: Fold,
    folder: Path,
    spec: ModelSpec,
    parts: dict[str, Rows],
    progress: Progress | None,
    result: FoldResult,
) -> dict[str, Floats]:
    """Forecast all parts with one seed of a model; specialists answer for their own group only."""
    samples = samples.shorter(spec.lookback)
    groups = sorted(set(samples.group.tolist())) if table.specialist else [""]
    out = {k: np.full(rows.size, np.nan) for k, rows in parts.items()}
    for group in groups:
        inside = samples.group == group if group else np.ones(len(samples), dtype=bool)
        trained = train_job(
            f"fold{fold.index}-{table.name}-{spec.seed}" + (f"-{group}" if group else ""),
            folder,
            spec,
            samples,
            fold.train[inside[fold.train]],
            fold.validation[inside[fold.validation]],
            table.fit or config.fit,
            progress,
        )
        result.trained.append(trained)
        for key, rows in parts.items():
            mine = inside[rows]
            if mine.any():
                out[key][mine] = logistic(predict(trained.model, samples, rows[mine]))
    return out


def logistic(log_odds: NDArray[np.float32]) -> Floats:
    """Return probabilities [N] of a probability head's log-odds [N, 1, 1]."""
    z = log_odds[:, 0, 0].astype(np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))))


def _halves(samples: MarketSamples, rows: Rows, embargo_ns: int) -> tuple[Rows, Rows]:
    """Cut calibration rows into an earlier and a later half, purged like any two parts."""
    ordered = rows[np.argsort(samples.decided_ns[rows], kind="stable")]
    cut = samples.decided_ns[ordered[ordered.size // 2]]
    early, late = rows[samples.decided_ns[rows] < cut], rows[samples.decided_ns[rows] >= cut]
    first, second = purge(
        [early, late], samples.decided_ns, samples.label_end_ns, embargo_ns, samples.event
    )
    return first, second


def _pool(samples: MarketSamples, results: list[FoldResult]) -> Forecasts:
    rows = np.concatenate([r.fold.test for r in results])
    names = list(results[0].forecasts)
    return Forecasts(
        outcome=samples.outcome[rows],
        price=samples.price[rows],
        event=samples.event[rows],
        horizon=samples.horizon[rows],
        decided_ns=samples.decided_ns[rows],
        fold=np.concatenate([np.full(r.fold.test.size, r.fold.index) for r in results]),
        by_name={n: np.concatenate([r.forecasts[n] for r in results]) for n in names},
    )


def fold_scores(result: ProbabilityResult) -> list[dict[str, Any]]:
    """Return Brier score and log loss of every forecaster and of the price, fold by fold."""
    f = result.forecasts
    out = []
    for r in result.folds:
        mine = f.fold == r.fold.index
        everyone = {"market": f.price, **f.by_name}
        out.append(
            {
                "fold": r.fold.index,
                "test_start_ns": r.fold.test_start_ns,
                "test_end_ns": r.fold.test_end_ns,
                "rows": {
                    "train": int(r.fold.train.size),
                    "validation": int(r.fold.validation.size),
                    "calibration": int(r.fold.calibration.size),
                    "test": int(r.fold.test.size),
                },
                "brier": {n: brier_score(p[mine], f.outcome[mine]) for n, p in everyone.items()},
                "log_loss": {n: log_loss(p[mine], f.outcome[mine]) for n, p in everyone.items()},
                "calibrators": r.calibrators,
                "ensemble": r.ensemble,
            }
        )
    return out
