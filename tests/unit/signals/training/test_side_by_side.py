"""Models trained in several processes are those of one process, and what fails there is told."""

import json
import multiprocessing

import pytest

torch = pytest.importorskip("torch")

from core.domain.errors import BetaError, ConfigError  # noqa: E402
from signals.errors import TrainingError  # noqa: E402
from signals.training.config import TrainConfig, load_config  # noqa: E402
from signals.training.run import run  # noqa: E402
from signals.training.side_by_side import train_side_by_side  # noqa: E402


def small(name, models, **changes):
    config = load_config(name).model_dump()
    fit = {"epochs": 2, "steps": 3, "batch": 64, "patience": 10}
    kept = [m | {"seeds": [0, 1], "fit": None} for m in config["models"] if m["name"] in models]
    return TrainConfig(**{**config, "threads": 1, "fit": fit, "models": kept, **changes})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("m4_hourly_small", ["linear 336", "nbeats 96 level"]),
        ("etth1_ot_24", ["nlinear", "mlp"]),
    ],
)
def test_two_processes_train_the_same_models_as_one(shared_data, tmp_path, name, models):
    config = small(name, models)
    alone = run(config, shared_data, tmp_path / "alone")
    heard = []
    both = run(config, shared_data, tmp_path / "both", lambda *epoch: heard.append(epoch), jobs=2)
    jobs = {f"{model}-{seed}" for model in models for seed in (0, 1)}
    assert {(job, epoch) for job, epoch, *_ in heard} == {(j, e) for j in jobs for e in (1, 2)}
    for job in jobs:
        weights = [tmp_path / which / job / "weights.safetensors" for which in ("alone", "both")]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    timed = ("train_s", "samples_per_s")
    assert [{k: v for k, v in r.items() if k not in timed} for r in both.metrics["rows"]] == [
        {k: v for k, v in r.items() if k not in timed} for r in alone.metrics["rows"]
    ]
    assert json.loads((tmp_path / "both/metrics.json").read_text())["training"].keys() == jobs


def test_folds_are_trained_in_their_order(tmp_path):
    with pytest.raises(ConfigError, match="--jobs 2"):
        train_side_by_side(load_config("kalshi_btc15m"), tmp_path, tmp_path, 2)


@pytest.mark.slow
def test_what_fails_in_a_process_stops_the_run_with_its_own_words(shared_data, tmp_path):
    config = small("m4_hourly_small", ["linear 336"])
    (tmp_path / "linear 336-0").write_text("a file where the folder of the job belongs")
    with pytest.raises((BetaError, OSError), match="linear 336-0"):
        train_side_by_side(config, shared_data, tmp_path, 1)


@pytest.mark.slow
def test_a_killed_process_stops_the_run_and_the_next_one_goes_on(shared_data, tmp_path):
    config = small("m4_hourly_small", ["linear 336"])

    def kill(job, epoch, *_):
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(TrainingError, match="fewer jobs"):
        train_side_by_side(config, shared_data, tmp_path, 1, kill)
    train_side_by_side(config, shared_data, tmp_path, 1)
    assert all((tmp_path / f"linear 336-{seed}/fit.json").exists() for seed in (0, 1))
