"""One resumable training job: done once, found again by the hash of all that went into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from signals.models.base import Forecaster
from signals.models.build import build
from signals.models.spec import ModelSpec
from signals.training.fit import FitReport, fit
from signals.training.fit_spec import FitSpec
from signals.training.samples import Rows, Samples

Progress = Callable[[str, int, int, float, float], None]
"""Called with (job name, epochs done, epochs at most, training loss, validation loss)."""


@dataclass(frozen=True)
class Trained:
    """A trained model with what its training said."""

    name: str
    model: Forecaster
    report: FitReport


def train_job(
    name: str,
    folder: Path,
    spec: ModelSpec,
    samples: Samples,
    train: Rows,
    validation: Rows,
    how: FitSpec,
    progress: Progress | None = None,
) -> Trained:
    """
    Train, or load what an earlier call with equal inputs trained.

    Parameters
    ----------
    folder
        Folder of the run; the job writes ``<name>/weights.safetensors`` and ``fit.json``.
    """
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    key = _key(spec, how, samples, train, validation)
    done = place / "fit.json"
    if done.exists():
        known = json.loads(done.read_text())
        if known["key"] == key:
            model = build(spec)
            model.load_state_dict(load_file(place / "weights.safetensors"))
            known["report"].pop("samples_per_s")
            return Trained(name, model.eval(), FitReport(**known["report"]))
    (place / "key").write_text(key) if _new_key(place, key) else None
    model, report = fit(
        spec,
        samples,
        train,
        validation,
        how,
        folder=place,
        progress=(lambda e, a, b: progress(name, e, how.epochs, a, b)) if progress else None,
    )
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, place / "weights.safetensors"
    )
    partial = done.with_suffix(".partial")
    partial.write_text(
        json.dumps({"key": key, "spec": spec.model_dump(), "report": report.as_dict()}, indent=1)
    )
    partial.replace(done)
    return Trained(name, model, report)


def _new_key(place: Path, key: str) -> bool:
    """Forget the checkpoint of a job with other inputs; return whether the key is new."""
    path = place / "key"
    if path.exists() and path.read_text() == key:
        return False
    (place / "checkpoint.pt").unlink(missing_ok=True)
    return True


def _key(spec: ModelSpec, how: FitSpec, samples: Samples, train: Rows, validation: Rows) -> str:
    """Hash of specification, fit and data; every 97th sample stands for the content."""
    digest = hashlib.sha256()
    digest.update(spec.model_dump_json().encode())
    digest.update(how.model_dump_json().encode())
    for rows in (train, validation):
        digest.update(np.ascontiguousarray(rows, dtype=np.int64).tobytes())
        if rows.size:
            x, y = samples.take(rows[::97])
            digest.update(_bytes(x))
            digest.update(_bytes(y))
    return digest.hexdigest()


def _bytes(values: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(values, dtype=np.float32).tobytes()
