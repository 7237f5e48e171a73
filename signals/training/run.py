"""`beta train`: load, guard, train, score, report; resumable, and the same from the same config."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from signals.errors import TrainingError
from signals.training.config import TrainConfig
from signals.training.fit import peak_memory_mb
from signals.training.forecast_run import run_forecast
from signals.training.guards import future_permutation
from signals.training.input_guards import labels_in_features, separate_parts
from signals.training.job import Progress, Trained
from signals.training.m4_run import run_m4
from signals.training.probability_run import fold_scores, run_probability
from signals.training.report import html_table, loss_plot, plain, write_html, write_metrics
from signals.training.samples import MarketSamples, WindowSamples
from signals.training.side_by_side import train_side_by_side
from signals.training.sources import source_named
from signals.training.sources.forecasting import Ett, M4Hourly


@dataclass(frozen=True)
class RunSummary:
    """Where a finished run lies and what it found."""

    folder: Path
    metrics: dict[str, Any]
    rows: list[Any]


def run(
    config: TrainConfig,
    data: Path,
    folder: Path,
    progress: Progress | None = None,
    jobs: int = 1,
) -> RunSummary:
    """
    Train everything a configuration asks for.

    Parameters
    ----------
    data
        Folder of the recordings.
    folder
        Folder of the run. Jobs already finished there with equal inputs are not repeated, and an
        interrupted one goes on from its last epoch.
    jobs
        Processes that train models side by side; more than one for benchmarks only.

    Raises
    ------
    LeakDetected
        A guard found the future in the inputs: nothing is written.
    """
    torch.set_num_threads(config.threads)
    source, options = source_named(config.data.source), config.data.options
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    raw = source.load(data, options)
    samples = source.build(raw, options)
    guards = [future_permutation(source, raw, options, samples)]
    if jobs > 1:
        train_side_by_side(config, data, folder, jobs, progress)
    extra: dict[str, Any] = {}
    result: Any
    if config.kind == "probability" and isinstance(samples, MarketSamples):
        guards.append(labels_in_features(source, raw, options, samples))
        result = run_probability(config, samples, folder, progress)
        extra["folds"] = fold_scores(result)
        trained = [t for f in result.folds for t in f.trained]
    elif config.kind == "m4" and isinstance(source, M4Hourly):
        result = run_m4(config, source, raw, folder, progress)
        trained = result.trained
    elif isinstance(samples, WindowSamples) and isinstance(source, Ett):
        parts = source.parts(samples)
        fitted = source.fitted_until_ns(raw)
        guards.append(separate_parts(samples, parts, events=False, fitted_until_ns=fitted))
        result = run_forecast(config, samples, parts, folder, progress, source.season)
        trained = result.trained
    else:
        raise TrainingError(
            f"source {config.data.source} does not fit kind {config.kind}",
            seen=config.kind,
            mend="compare with a shipped configuration: beta train --list",
        )
    metrics = {
        "name": config.name,
        "config_sha256": config.sha256,
        "kind": config.kind,
        "command": config.command,
        "samples": len(samples),
        "guards": guards + result.guards,
        "rows": result.rows,
        **extra,
        "training": {t.name: t.report.as_dict() for t in trained},
        "environment": _environment(config),
        "wall_s": time.monotonic() - started,
        "peak_mb": max(peak_memory_mb(), *(t.report.peak_mb for t in trained)),
    }
    write_metrics(folder / "metrics.json", metrics)
    _page(folder / "report.html", config, metrics, result.rows, trained)
    return RunSummary(folder, plain(metrics), result.rows)


def _environment(config: TrainConfig) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": config.threads,
        "machine": platform.machine(),
        "device": config.fit.device,
    }


def _page(
    path: Path,
    config: TrainConfig,
    metrics: dict[str, Any],
    rows: list[Any],
    trained: list[Trained],
) -> None:
    curves = {t.name: t.report.validation_loss for t in trained}
    first = dict(list(curves.items())[:8])
    sections = [
        ("Scores on test data", html_table(rows)),
        ("Leak guards", html_table(metrics["guards"])),
        ("Validation loss", loss_plot(first)),
    ]
    if "folds" in metrics:
        flat = [
            {
                "fold": f["fold"],
                "forecaster": n,
                "brier": b,
                "log_loss": f["log_loss"][n],
                **f["rows"],
            }
            for f in metrics["folds"]
            for n, b in f["brier"].items()
        ]
        sections.insert(1, ("Scores by fold", html_table(flat)))
    write_html(
        path,
        config.title or config.name,
        sections,
        {
            "command": metrics["command"],
            "samples": metrics["samples"],
            "wall seconds": round(metrics["wall_s"], 1),
            "peak memory MB": round(metrics["peak_mb"]),
            "configuration sha256": config.sha256[:16],
        },
    )
