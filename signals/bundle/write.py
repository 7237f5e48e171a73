"""Make a bundle and sign it."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from safetensors.numpy import save

from core.domain.errors import ConfigError
from signals.bundle.golden import make_golden
from signals.bundle.keys import SigningKey
from signals.bundle.manifest import (
    CALIBRATION,
    GOLDEN,
    MANIFEST,
    SIGNATURE,
    WEIGHTS,
    Calibration,
    Manifest,
)
from signals.errors import BundleError
from signals.features.spec import FeatureSet
from signals.kernel import load_kernel
from signals.models.spec import ModelSpec
from signals.plan.graph import Array, Plan


@dataclass(frozen=True, slots=True)
class Draft:
    """All that goes into a bundle.

    Attributes
    ----------
    golden_inputs, reference : Mapping[str, array]
        ``[N, rows, cols]`` by input or output name; the reference is the trained model's own
        output on the golden inputs.
    Others are as in `Manifest`.
    """

    name: str
    version: str
    plan: Plan
    model: ModelSpec
    feature_names: tuple[str, ...]
    golden_inputs: Mapping[str, Array]
    reference: Mapping[str, Array]
    created_ns: int
    expires_ns: int
    calibration: Calibration = field(default_factory=Calibration)
    features: FeatureSet | None = None
    trained_until_ns: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


def write_bundle(draft: Draft, out: Path) -> Manifest:
    """Write an unsigned bundle into a new folder.

    Raises
    ------
    ConfigError
        The folder exists.
    BundleGolden
        The kernel does not say what the trained model says.
    BundleError
        A field of the draft is not valid.
    """
    if out.exists():
        raise ConfigError(
            "bundle folder exists", out, "choose another: beta bundle build --out FOLDER"
        )
    golden = make_golden(draft.plan, draft.golden_inputs, draft.reference)
    payload = {
        WEIGHTS: save({n: w.copy() for n, w in draft.plan.weights.items()}),
        CALIBRATION: _json(draft.calibration.model_dump(mode="json")),
        GOLDEN: save(golden),
    }
    if draft.features is not None:
        draft.features.require(draft.feature_names)
    try:
        manifest = Manifest(
            name=draft.name,
            version=draft.version,
            created_ns=draft.created_ns,
            expires_ns=draft.expires_ns,
            kernel_sha256=load_kernel().sha256,
            plan=draft.plan.to_dict(),
            model=draft.model,
            feature_names=draft.feature_names,
            features=draft.features,
            trained_until_ns=draft.trained_until_ns,
            metrics=dict(draft.metrics),
            provenance=dict(draft.provenance),
            files={name: hashlib.sha256(data).hexdigest() for name, data in payload.items()},
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise BundleError(
            f"manifest: {first['msg']}", first["loc"], "beta bundle build --help"
        ) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for name, data in payload.items():
            (partial / name).write_bytes(data)
        (partial / MANIFEST).write_bytes(_json(manifest.model_dump(mode="json")))
        partial.chmod(0o755)
        partial.rename(out)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def sign_bundle(folder: Path, key: SigningKey) -> None:
    """Sign the manifest of a bundle, replacing an earlier signature.

    The manifest holds the hash of every other file, so that one signature covers all of them.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BundleError("no bundle here", folder, "beta bundle build FOLDER --out BUNDLE")
    signature = key.sign(manifest.read_bytes()).hex()
    document = _json({"algorithm": "ed25519", "key": key.id, "signature": signature})
    partial = folder / f".{SIGNATURE}.partial"
    partial.write_bytes(document)
    partial.replace(folder / SIGNATURE)


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
