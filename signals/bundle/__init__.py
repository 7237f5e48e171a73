"""Model bundles: signed folders that hold a model, its calibration and proof that it still works."""

from signals.bundle.keys import SigningKey, TrustStore
from signals.bundle.manifest import Calibration, Manifest
from signals.bundle.predictor import Answer, Predictor
from signals.bundle.read import Bundle, load_predictor, read_bundle
from signals.bundle.store import TRUSTED, BundleStore, served
from signals.bundle.write import Draft, sign_bundle, write_bundle

__all__ = [
    "TRUSTED",
    "Answer",
    "Bundle",
    "BundleStore",
    "Calibration",
    "Draft",
    "Manifest",
    "Predictor",
    "SigningKey",
    "TrustStore",
    "load_predictor",
    "read_bundle",
    "served",
    "sign_bundle",
    "write_bundle",
]
