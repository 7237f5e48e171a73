"""Read what `beta train` left in a folder, and write it as a bundle.

The folder holds ``model.json`` (name, specification, feature names, calibrator, time until which
data was seen) and ``weights.safetensors``. Golden inputs are real windows when the folder holds
``windows.safetensors`` (``x [N, lookback, channels]``), else seeded random walks of the size that
the model's normalisation expects.
"""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from core.domain.errors import MissingData
from signals.bundle.manifest import Calibration, Manifest
from signals.bundle.write import Draft, write_bundle
from signals.errors import BundleError
from signals.features.spec import FeatureSet
from signals.models.spec import ModelSpec
from signals.plan.graph import Array

GOLDEN_VECTORS: Final = 32
DAY_NS: Final = 86_400_000_000_000


def bundle_from_training(
    folder: Path, out: Path, *, name: str = "", version: str = "", days: int = 90, now_ns: int
) -> Manifest:
    """Build an unsigned bundle from a training folder.

    Parameters
    ----------
    folder : Path
        Holds ``model.json`` and ``weights.safetensors``.
    out : Path
        New folder for the bundle.
    name, version : str
        Slugs; by default the name of the configuration, whichever family won, and the date.
    days : int
        Days from `now_ns` until the bundle expires.

    Raises
    ------
    MissingData
        No trained model in the folder.
    BundleError
        ``model.json`` or the weights do not fit together, or the kernel disagrees with torch.
    """
    return write_bundle(draft_from_training(folder, name, version, days, now_ns), out)


def draft_from_training(folder: Path, name: str, version: str, days: int, now_ns: int) -> Draft:
    """Return all that goes into the bundle; see `bundle_from_training`."""
    about = _about(folder)
    try:
        spec = ModelSpec.model_validate(about["spec"])
        features = FeatureSet.model_validate(about["features"]) if about.get("features") else None
        calibration = Calibration.model_validate(_calibration(about))
    except (ValidationError, KeyError) as error:
        raise BundleError("model.json cannot be read", error, "beta train CONFIG") from error
    inputs = _windows(folder, spec)
    plan, reference = _export(folder, spec, inputs)
    full = str(about.get("name") or folder.name)
    day = np.datetime64(now_ns, "ns").astype("datetime64[s]").astype(str)
    return Draft(
        name=name or _slug(full.split("/")[0]),
        version=version or _slug(day),
        plan=plan,
        model=spec,
        feature_names=tuple(about.get("feature_names") or _numbered(spec)),
        features=features,
        golden_inputs={"x": inputs},
        reference={"y": reference},
        created_ns=now_ns,
        expires_ns=now_ns + days * DAY_NS,
        calibration=calibration,
        trained_until_ns=int(about.get("trained_until_ns") or 0),
        metrics={k: float(v) for k, v in (about.get("selection_log_loss") or {}).items()},
        provenance={
            "model": full,
            "config_sha256": str(about.get("config_sha256", "")),
            "spec_sha256": spec.sha256,
            "beta_trader": installed("beta-trader"),
            "torch": installed("torch"),
            "numpy": installed("numpy"),
            "wasmtime": installed("wasmtime"),
        },
    )


def _about(folder: Path) -> dict[str, Any]:
    """Return ``model.json``, or what ``fit.json`` of a single training job says."""
    for file in ("model.json", "fit.json"):
        path = folder / file
        if path.is_file() and (folder / "weights.safetensors").is_file():
            try:
                return dict(json.loads(path.read_text()))
            except ValueError as error:
                raise BundleError(f"{file} cannot be read", error, "beta train CONFIG") from error
    raise MissingData("no trained model here", folder, _where_else(folder))


def _where_else(folder: Path) -> str:
    """Name the command for a model further down, the champion first, or the one that trains."""
    for pattern in ("champion/model.json", "challenger/model.json", "**/fit.json"):
        for path in sorted(folder.glob(pattern)):
            if (path.parent / "weights.safetensors").is_file():
                return f"beta bundle build {shlex.quote(str(path.parent))} --out FOLDER"
    return "beta train CONFIG"


def _calibration(about: dict[str, Any]) -> dict[str, Any]:
    known = ("calibrator", "log_odds_band", "widen", "alpha")
    return {k: about[k] for k in known if about.get(k) is not None}


def _export(folder: Path, spec: ModelSpec, inputs: Array) -> tuple[Any, Array]:
    """Return the plan, and torch's own float32 output on the golden inputs."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from signals.models.build import build, export

    model = build(spec)
    try:
        model.load_state_dict(load_file(folder / "weights.safetensors"))
    except (RuntimeError, SafetensorError) as error:
        mend = "train again: beta train CONFIG"
        raise BundleError(
            "weights do not fit the model", str(error).splitlines()[0], mend
        ) from error
    with torch.inference_mode():
        reference = model.eval()(torch.from_numpy(inputs)).numpy()
    return export(model), np.ascontiguousarray(reference, dtype=np.float32)


def _windows(folder: Path, spec: ModelSpec) -> Array:
    """Return golden inputs ``[N, lookback, channels]``."""
    shape = (GOLDEN_VECTORS, spec.lookback, spec.channels)
    path = folder / "windows.safetensors"
    if path.is_file():
        from safetensors.numpy import load_file

        x: Array = load_file(path)["x"][:GOLDEN_VECTORS].astype(np.float32)
        if x.ndim != 3 or x.shape[1:] != shape[1:]:
            raise BundleError(f"windows are not [N, {shape[1]}, {shape[2]}]", x.shape, "beta train")
        return x
    steps = np.random.default_rng(spec.seed).standard_normal(shape)
    walks: Array = (np.cumsum(steps, axis=1) / np.sqrt(spec.lookback)).astype(np.float32)
    return walks


def _numbered(spec: ModelSpec) -> list[str]:
    return [f"x{i}" for i in range(spec.channels)]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:64] or "model"
