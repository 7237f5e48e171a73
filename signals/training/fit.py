"""Train one model on one split: seeded batches, early stopping, a checkpoint after every epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signals.errors import TrainingError
from signals.models.base import Forecaster
from signals.models.build import build
from signals.models.spec import ModelSpec
from signals.training.fit_spec import FitSpec
from signals.training.samples import Rows, Samples

CHECKPOINT = "checkpoint.pt"


@dataclass
class FitReport:
    """Losses per epoch, the epoch that was kept, and what the training cost."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = -1
    seconds: float = 0.0
    samples: int = 0
    parameters: int = 0
    peak_mb: float = 0.0
    resumed_from: int = 0

    @property
    def samples_per_s(self) -> float:
        """Training throughput, forward and backward, validation included."""
        return self.samples / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "samples_per_s": self.samples_per_s}


def fit(
    spec: ModelSpec,
    samples: Samples,
    train: Rows,
    validation: Rows,
    how: FitSpec,
    *,
    folder: Path | None = None,
    progress: Callable[[int, float, float], None] | None = None,
) -> tuple[Forecaster, FitReport]:
    """
    Train a model and return it with the weights of its best validation epoch.

    Parameters
    ----------
    samples, train, validation
        The data and the rows of each side. Without validation rows the last epoch is kept.
    folder
        Where the checkpoint lives; an interrupted run continues from it with equal results.
    progress
        Called after each epoch with (epoch, training loss, validation loss).

    Raises
    ------
    TrainingError
        When the loss is not finite, or a side is empty.
    """
    if not train.size:
        raise TrainingError("no training rows", seen="0", mend="check the split of the config")
    device = torch.device(how.device)
    model = build(spec).to(device)
    if spec.normalization == "fixed":
        model.fit_constants(*_constants(samples, train))
    loop = _Loop(model, samples, how, device)
    path = folder / CHECKPOINT if folder else None
    if path and path.exists():
        loop.restore(path)
    started, already = time.monotonic(), loop.report.seconds
    while loop.epoch < how.epochs and loop.waited < how.patience:
        loop.run_epoch(train, validation)
        loop.report.seconds = already + time.monotonic() - started
        if path:
            loop.save(path)
        if progress:
            report = loop.report
            progress(loop.epoch, report.train_loss[-1], report.validation_loss[-1])
    model.load_state_dict(loop.best_state)
    loop.report.parameters = sum(p.numel() for p in model.parameters())
    loop.report.peak_mb = peak_memory_mb()
    if path:
        path.unlink(missing_ok=True)
    return model.cpu().eval(), loop.report


class _Loop:
    """State of a training run that a checkpoint must hold."""

    def __init__(
        self, model: Forecaster, samples: Samples, how: FitSpec, device: torch.device
    ) -> None:
        self.model, self.samples, self.how, self.device = model, samples, how, device
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=how.rate, weight_decay=how.decay)
        self.report = FitReport()
        self.epoch, self.waited, self.best = 0, 0, math.inf
        self.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.mean = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def run_epoch(self, train: Rows, validation: Rows) -> None:
        """Pass once over the training rows, then score the validation rows."""
        how = self.how
        # The order depends on seed and epoch alone, so that a resumed run repeats it.
        random = np.random.default_rng([self.model.spec.seed, self.epoch])
        torch.manual_seed(self.model.spec.seed * 100_003 + self.epoch)
        order = random.permutation(train)
        if how.steps:
            order = order[: how.steps * how.batch]
        batches = [order[i : i + how.batch] for i in range(0, order.size, how.batch)]
        self.model.train()
        total = 0.0
        for i, rows in enumerate(batches):
            if how.cosine:
                done = (self.epoch + i / len(batches)) / how.epochs
                for group in self.optimiser.param_groups:
                    group["lr"] = how.rate * 0.5 * (1.0 + math.cos(math.pi * done)) + 1e-6
            loss = self._loss(rows)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the training loss of {self.model.spec.family} is not finite",
                    seen=f"epoch {self.epoch}, batch {i}",
                    mend="a smaller rate, or normalization = 'standard'",
                )
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), how.clip)
            self.optimiser.step()
            self._average()
            total += float(loss.detach()) * rows.size
        self.report.samples += int(order.size)
        self.report.train_loss.append(total / order.size)
        self._judge(validation)
        self.epoch += 1

    def _average(self) -> None:
        if self.how.average:
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.mean[key].lerp_(value, 1.0 - self.how.average)

    def _judge(self, validation: Rows) -> None:
        live = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        if self.how.average:
            self.model.load_state_dict(self.mean)
        if self.how.judged:
            validation = validation[:: max(1, validation.size // self.how.judged)]
        score = self.evaluate(validation) if validation.size else self.report.train_loss[-1]
        self.report.validation_loss.append(score)
        if score < self.best or not validation.size:
            self.best, self.waited, self.report.best_epoch = score, 0, self.epoch
            self.best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        else:
            self.waited += 1
        if self.how.average:
            self.model.load_state_dict(live)

    def evaluate(self, rows: Rows) -> float:
        """Return the mean loss over rows, without dropout and gradients."""
        self.model.eval()
        total = 0.0
        with torch.no_grad():
            for i in range(0, rows.size, 2048):
                part = rows[i : i + 2048]
                total += float(self._loss(part)) * part.size
        return total / rows.size

    def _loss(self, rows: Rows) -> torch.Tensor:
        x, y = self.samples.take(rows)
        scale = self.samples.scale(rows)
        return self.model.loss(
            torch.from_numpy(x).to(self.device),
            torch.from_numpy(y).to(self.device),
            None if scale is None else torch.from_numpy(scale).to(self.device),
        )

    def save(self, path: Path) -> None:
        """Write the checkpoint beside the old one and switch atomically."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "mean": self.mean,
                "best_state": self.best_state,
                "epoch": self.epoch,
                "waited": self.waited,
                "best": self.best,
                "report": asdict(self.report),
                "spec": self.model.spec.sha256,
            },
            partial,
        )
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint of the same specification; ignore any other."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["spec"] != self.model.spec.sha256:
            return
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.mean, self.best_state = state["mean"], state["best_state"]
        self.epoch, self.waited, self.best = state["epoch"], state["waited"], state["best"]
        self.report = FitReport(**state["report"])
        self.report.resumed_from = self.epoch


def predict(model: Forecaster, samples: Samples, rows: Rows, batch: int = 2048) -> np.ndarray:
    """Return forecasts [N, H, outputs] (log-odds for a probability head) of the rows."""
    model.eval()
    parts = []
    with torch.no_grad():
        for i in range(0, rows.size, batch):
            x, _ = samples.take(rows[i : i + batch])
            parts.append(model(torch.from_numpy(x)).numpy())
    return np.concatenate(parts)


def _constants(samples: Samples, train: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column over (at most 20,000 of) the training rows."""
    step = max(1, train.size // 20_000)
    x, _ = samples.take(train[::step])
    return x.mean(axis=(0, 1)), x.std(axis=(0, 1))


def peak_memory_mb() -> float:
    """Peak resident memory of this process, MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0**2 if sys.platform == "darwin" else 1024.0)  # macOS counts bytes
