"""Read a bundle, trusting nothing: signature, expiry, hashes, kernel, plan, golden vectors."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from signals.bundle.golden import check_golden
from signals.bundle.keys import TrustStore
from signals.bundle.manifest import (
    CALIBRATION,
    FILES,
    GOLDEN,
    MANIFEST,
    PAYLOAD,
    SIGNATURE,
    WEIGHTS,
    Calibration,
    Manifest,
)
from signals.bundle.predictor import Predictor
from signals.errors import (
    BundleAltered,
    BundleError,
    BundleExpired,
    BundleIncompatible,
    BundleUnsigned,
    KernelMismatch,
    PlanError,
)
from signals.features.spec import FeatureSet
from signals.kernel import load_kernel
from signals.plan.graph import Array, Plan
from signals.runtime import Runtime

MAX_FILE_BYTES: Final = 256 << 20
_AGAIN: Final = "get the bundle again from its source, or build it again: beta bundle build"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose signature, hashes, expiry and compatibility hold."""

    folder: Path
    sha256: str
    signed_by: str
    manifest: Manifest
    plan: Plan
    calibration: Calibration
    golden: dict[str, Array]


def read_bundle(
    folder: Path, trust: TrustStore, now_ns: int, features: FeatureSet | None = None
) -> Bundle:
    """Read and check a bundle; each file is read once and used from memory.

    Parameters
    ----------
    folder : Path
    trust : TrustStore
    now_ns : int
        Time against which expiry is checked.
    features : FeatureSet, optional
        What the caller will feed; refused unless it is what the model was trained on.

    Raises
    ------
    BundleUnsigned, BundleAltered, BundleExpired, BundleIncompatible, FeatureMismatch
    """
    files = _read_files(folder)
    signed_by = _check_signature(files, trust)
    manifest = _parse_manifest(files[MANIFEST])
    for name in PAYLOAD:
        if hashlib.sha256(files[name]).hexdigest() != manifest.files[name]:
            raise BundleAltered(f"{name} is not the signed one", folder / name, _AGAIN)
    if now_ns >= manifest.expires_ns:
        mend = "install a newer one: beta bundle install FOLDER"
        raise BundleExpired("bundle has expired", f"{manifest.name}@{manifest.version}", mend)
    try:
        load_kernel(manifest.kernel_sha256)
    except KernelMismatch as error:
        raise BundleIncompatible(error.what, error.seen, error.mend) from error
    own = manifest.features
    if own is not None:
        own.require(manifest.feature_names)
    if features is not None:
        features.require(manifest.feature_names, own.sha256 if own else "")
    plan = _parse_plan(manifest, files[WEIGHTS])
    try:
        calibration = Calibration.model_validate_json(files[CALIBRATION])
    except ValidationError as error:
        raise BundleIncompatible("calibration cannot be read", error.errors()[0]["msg"]) from error
    sha256 = hashlib.sha256(files[MANIFEST]).hexdigest()
    golden = _tensors(files[GOLDEN], GOLDEN)
    return Bundle(folder, sha256, signed_by, manifest, plan, calibration, golden)


def load_predictor(
    folder: Path, trust: TrustStore, now_ns: int, features: FeatureSet | None = None
) -> Predictor:
    """Read a bundle, run its golden vectors, and return what serves it.

    Raises
    ------
    BundleGolden
        The golden vectors do not come out bit for bit.
    Others as `read_bundle`.
    """
    bundle = read_bundle(folder, trust, now_ns, features)
    runtime = Runtime(bundle.plan)
    check_golden(bundle.plan, runtime, bundle.golden)
    return Predictor(bundle.manifest, bundle.sha256, bundle.calibration, runtime)


def _read_files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of exactly the files that a bundle has; no links, nothing else."""
    if not folder.is_dir():
        raise BundleError("no bundle here", folder, "beta bundle list")
    present = {p.name for p in folder.iterdir()}
    if SIGNATURE not in present and MANIFEST in present:
        mend = f"beta bundle sign {folder} --key KEY"
        raise BundleUnsigned("bundle carries no signature", folder, mend)
    if present != set(FILES):
        raise BundleAltered(
            "bundle has missing or extra files", sorted(present ^ set(FILES)), _AGAIN
        )
    files = {}
    for name in FILES:
        path = folder / name
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_FILE_BYTES:
            raise BundleAltered(f"{name} is not a plain file of at most 256 MiB", path, _AGAIN)
        files[name] = path.read_bytes()
    return files


def _check_signature(files: dict[str, bytes], trust: TrustStore) -> str:
    try:
        document = json.loads(files[SIGNATURE])
        algorithm, key = document["algorithm"], document["key"]
        signature = bytes.fromhex(document["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleUnsigned("signature cannot be read", SIGNATURE, _AGAIN) from error
    if algorithm != "ed25519" or not isinstance(key, str):
        raise BundleUnsigned("signature is of an unknown kind", algorithm, _AGAIN)
    trust.verify(key, signature, files[MANIFEST])
    return key


def _parse_manifest(data: bytes) -> Manifest:
    try:
        document = json.loads(data)
        if document.get("format") != 1:
            mend = "install the version of Beta-Trader that built it"
            raise BundleIncompatible("bundle format is not 1", document.get("format"), mend)
        return Manifest.model_validate_json(data)
    except (ValueError, AttributeError) as error:
        seen: object = error
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            seen = ".".join(str(p) for p in ("manifest", *first["loc"])) + f": {first['msg']}"
        raise BundleIncompatible("manifest cannot be read by this version", seen) from error


def _parse_plan(manifest: Manifest, weights: bytes) -> Plan:
    try:
        plan = Plan.from_dict(manifest.plan, _tensors(weights, WEIGHTS))
    except PlanError as error:
        raise BundleIncompatible(f"plan: {error.what}", error.seen, error.mend) from error
    model = manifest.model
    wanted = {"x": (model.lookback, model.channels)}, {"y": (model.horizon, model.outputs)}
    if (plan.input_shapes(), plan.output_shapes()) != wanted:
        seen = (plan.input_shapes(), plan.output_shapes())
        raise BundleIncompatible(f"plan and model disagree: wanted {wanted}", seen)
    return plan


def _tensors(data: bytes, name: str) -> dict[str, Array]:
    try:
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        raise BundleAltered(f"{name} cannot be read", str(error), _AGAIN) from error
    for key, value in tensors.items():
        if value.dtype != np.float32:
            raise BundleIncompatible(f"{name}: {key} is not float32", value.dtype)
    return tensors
