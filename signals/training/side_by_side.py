"""Models of one run trained side by side: processes finish the jobs that the run then finds done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.domain.errors import ConfigError
from signals.errors import TrainingError
from signals.training.config import ModelTable, TrainConfig
from signals.training.forecast_run import train_series_model
from signals.training.job import Progress, Trained
from signals.training.m4_run import train_m4_model
from signals.training.samples import WindowSamples
from signals.training.sources import source_named
from signals.training.sources.forecasting import Ett, M4Hourly

TrainOne = Callable[[ModelTable, int, Progress], Trained]
_POLL_S = 0.2


@dataclass(frozen=True)
class _Process:
    """What one training process holds: the tables of models, how to train one, whom to tell."""

    tables: tuple[ModelTable, ...]
    train_one: TrainOne
    told: Any


_held: list[_Process] = []


def train_side_by_side(
    config: TrainConfig, data: Path, folder: Path, jobs: int, progress: Progress | None = None
) -> None:
    """
    Finish the jobs of a run in `jobs` processes, each with the threads of the configuration.

    A job depends on its own seed and data alone, so the weights are those of one process.

    Raises
    ------
    ConfigError
        The kind trains in an order of its own.
    TrainingError
        A process was killed.
    """
    if config.kind == "probability":
        raise ConfigError(
            "a probability run trains its folds one after the other",
            seen=f"--jobs {jobs}",
            mend="leave out --jobs: these runs take a few minutes",
        )
    context = multiprocessing.get_context("spawn")
    told = context.SimpleQueue()  # written before a job's result: no epoch is lost at the end
    with _pool(jobs, context, (config.model_dump_json(), data, folder, told)) as pool:
        waiting: set[Future[None]] = {
            pool.submit(_train, i, seed)
            for i, table in enumerate(config.models)
            for seed in table.seeds
        }
        while waiting:
            done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                _result(future, jobs)
            _relay(told, progress)


@contextmanager
def _pool(jobs: int, context: Any, about: tuple[Any, ...]) -> Iterator[ProcessPoolExecutor]:
    """Open the processes; what has not begun is dropped when one fails or the user interrupts."""
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_open, initargs=about)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _result(future: Future[None], jobs: int) -> None:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "a training process was killed, for want of memory as a rule",
            seen=f"--jobs {jobs}",
            mend="run again with fewer jobs: each holds about 1 GB; what was trained is kept",
        ) from error


def _relay(told: Any, progress: Progress | None) -> None:
    while not told.empty():
        epoch = told.get()
        if progress:
            progress(*epoch)


def _open(config_json: str, data: Path, folder: Path, told: Any) -> None:
    """Load the data once in each process."""
    config = TrainConfig.model_validate_json(config_json)
    torch.set_num_threads(config.threads)
    _held[:] = [_Process(config.models, _train_one(config, data, folder), told)]


def _train(index: int, seed: int) -> None:
    (held,) = _held
    held.train_one(held.tables[index], seed, lambda *epoch: held.told.put(epoch))


def _train_one(config: TrainConfig, data: Path, folder: Path) -> TrainOne:
    """Return what trains one model of the configuration, as the run itself would."""
    source, options = source_named(config.data.source), config.data.options
    raw = source.load(data, options)
    if isinstance(source, M4Hourly):
        return lambda table, seed, told: train_m4_model(
            config, source, raw, folder, table, seed, told
        )
    samples = source.build(raw, options)
    assert isinstance(source, Ett)
    assert isinstance(samples, WindowSamples)
    parts = source.parts(samples)
    return lambda table, seed, told: train_series_model(
        config, samples, parts, folder, table, seed, told
    )
