"""The retraining job: train a challenger on all that is known, and let the promotion gate decide."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors.numpy import save_file as save_windows
from safetensors.torch import load_file, save_file

from core.ledger import DurableLedger, kinds
from signals.errors import TrainingError
from signals.models.build import build
from signals.models.spec import ModelSpec
from signals.probability.calibration import Calibrator, apply, choose_calibrator
from signals.probability.scores import log_loss
from signals.promotion import PromotionRow, Windows, decide
from signals.training.config import TrainConfig
from signals.training.fit import predict
from signals.training.guards import future_permutation, shuffled_labels
from signals.training.input_guards import labels_in_features, separate_parts
from signals.training.job import Progress, train_job
from signals.training.probability_run import GUARD_FIT, guard_spec, logistic
from signals.training.samples import MarketSamples, Rows
from signals.training.sources import source_named
from signals.training.splits import SplitSpec, purge, walk_forward

MARKET = "market price"
GOLDEN_ROWS = 64
CALIBRATOR: TypeAdapter[Calibrator] = TypeAdapter(Calibrator)


def retrain(
    config: TrainConfig, data: Path, folder: Path, progress: Progress | None = None
) -> PromotionRow:
    """
    Train, compare with the champion on windows that neither has seen, and record why.

    The newest test window of the configuration's split is held out. Each model of the
    configuration is trained before it; the one with the lowest log loss on the later half of the
    calibration rows is the challenger. Without a champion the market price is the champion.

    Returns
    -------
    PromotionRow
        Also appended to ``promotion.jsonl`` and, as a `StateChanged` row, to the ledger in
        ``ledger/``; ``champion/`` is switched only if promoted.
    """
    torch.set_num_threads(config.threads)
    source = source_named(config.data.source)
    if config.kind != "probability":
        raise _no_market(config)
    raw = source.load(data, config.data.options)
    samples = source.build(raw, config.data.options)
    if not isinstance(samples, MarketSamples):
        raise _no_market(config)
    future_permutation(source, raw, config.data.options, samples)
    labels_in_features(source, raw, config.data.options, samples)
    place = folder / "challenger"
    until = _train_challenger(config, samples, place, progress)
    test = np.flatnonzero(samples.decided_ns >= until)
    champion = folder / "champion"
    name, old = MARKET, samples.price[test]
    if (champion / "model.json").exists():
        about = json.loads((champion / "model.json").read_text())
        fresh = samples.decided_ns[test] >= about["trained_until_ns"]
        test = test[fresh]
        if not test.size:
            raise TrainingError(
                "the champion has already seen every window of the data",
                seen=about["name"],
                mend="retrain when newer markets have resolved",
            )
        name, old = about["name"], forecast(champion, samples, test)
    about = json.loads((place / "model.json").read_text())
    windows = Windows(
        samples.price[test],
        samples.outcome[test],
        samples.event[test],
        samples.decided_ns[test],
        samples.label_end_ns[test],
    )
    row = decide(
        (name, old),
        (about["name"], forecast(place, samples, test)),
        windows,
        now_ns=int(samples.label_end_ns.max()),
    )
    _record(config.name, row, folder)
    if row.promoted:
        _switch(place, champion)
    return row


def _no_market(config: TrainConfig) -> TrainingError:
    return TrainingError(
        "only probability models are promoted",
        seen=f"{config.name}, kind {config.kind}, source {config.data.source}",
        mend="take a configuration of kind probability: beta train --list",
    )


def _record(subject: str, row: PromotionRow, folder: Path) -> None:
    """Write the decision and its reasons before anything is switched."""
    with (folder / "promotion.jsonl").open("a") as log:
        log.write(row.model_dump_json() + "\n")
    change = kinds.StateChanged(
        machine="champion",
        subject=subject,
        before=row.champion,
        after=row.challenger if row.promoted else row.champion,
        reason="promoted" if row.promoted else "kept",
        detail=row.sentence,
    )
    with DurableLedger(folder / "ledger") as ledger:
        ledger.append(change, ts_event=row.decided_ns)


def _train_challenger(
    config: TrainConfig, samples: MarketSamples, place: Path, progress: Progress | None
) -> int:
    """Train all models before the newest window, keep the best, return the window's start."""
    split = SplitSpec(**{**config.split.model_dump(), "folds": max(config.split.folds, 2)})
    fold = walk_forward(samples.decided_ns, samples.label_end_ns, split, samples.event)[-1]
    order = np.sort(samples.decided_ns[fold.calibration])
    middle = order[order.size // 2]
    early = fold.calibration[samples.decided_ns[fold.calibration] < middle]
    late = fold.calibration[samples.decided_ns[fold.calibration] >= middle]
    first, second = purge(
        [early, late], samples.decided_ns, samples.label_end_ns, split.embargo_ns, samples.event
    )
    parts = [fold.train, fold.validation, first, second, fold.test]
    separate_parts(samples, parts, embargo_ns=split.embargo_ns)
    shuffled_labels(samples, fold, guard_spec(config, samples), GUARD_FIT)
    answers: list[np.ndarray] = []
    best: tuple[float, str, ModelSpec, Path] | None = None
    for table in config.models:
        _, lookback, channels = samples.x.shape
        spec = config.spec(
            table,
            table.seeds[0],
            lookback=lookback,
            channels=channels,
            market=samples.market_column,
        )
        trained = train_job(
            table.name,
            place / "jobs",
            spec,
            samples,
            fold.train,
            fold.validation,
            table.fit or config.fit,
            progress,
        )
        logits = predict(trained.model, samples, second)
        answers.append(logits[:, 0, 0])
        p = logistic(logits)
        loss = log_loss(p, samples.outcome[second])
        if best is None or loss < best[0]:
            best = (loss, table.name, spec, place / "jobs" / table.name / "weights.safetensors")
            state, chosen = trained.model.state_dict(), trained.model
    assert best is not None
    calibrator, losses = choose_calibrator(
        (logistic(predict(chosen, samples, first)), samples.outcome[first]),
        (logistic(predict(chosen, samples, second)), samples.outcome[second]),
        samples.event[second],
    )
    save_file({k: v.contiguous() for k, v in state.items()}, place / "weights.safetensors")
    # A band in log-odds as wide as members of the zoo disagree: 90 % of the deviations.
    spread = np.abs(np.array(answers) - np.median(answers, axis=0))
    golden = np.ascontiguousarray(samples.take(second[:GOLDEN_ROWS])[0])
    save_windows({"x": golden}, place / "windows.safetensors")
    features = getattr(source_named(config.data.source), "features", None)
    about = {
        "features": features.model_dump() if features else None,
        "log_odds_band": float(np.quantile(spread, 0.9)),
        "name": f"{config.name}/{best[1]}@{fold.test_start_ns}",
        "spec": best[2].model_dump(),
        "calibrator": calibrator.model_dump(),
        "selection_log_loss": losses,
        "trained_until_ns": fold.test_start_ns,
        "feature_names": list(samples.names),
        "config_sha256": config.sha256,
    }
    (place / "model.json").write_text(json.dumps(about, indent=1))
    return fold.test_start_ns


def forecast(place: Path, samples: MarketSamples, rows: Rows) -> np.ndarray:
    """Return calibrated probabilities of a stored model for some rows."""
    about = json.loads((place / "model.json").read_text())
    if about["feature_names"] != list(samples.names):
        raise TrainingError(
            "the stored model was trained on other features",
            seen=about["feature_names"],
            mend="retrain it on this source",
        )
    model = build(ModelSpec(**about["spec"]))
    model.load_state_dict(load_file(place / "weights.safetensors"))
    raw = logistic(predict(model.eval(), samples, rows))
    return apply(CALIBRATOR.validate_python(about["calibrator"]), raw)


def _switch(challenger: Path, champion: Path) -> None:
    """Replace the champion; the old one stays beside it for a roll-back."""
    partial, old = champion.with_suffix(".partial"), champion.with_suffix(".previous")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in ("model.json", "weights.safetensors", "windows.safetensors"):
        shutil.copy2(challenger / name, partial / name)
    if champion.exists():
        shutil.rmtree(old, ignore_errors=True)
        champion.rename(old)
    partial.rename(champion)
