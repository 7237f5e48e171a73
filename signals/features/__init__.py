"""Features: one definition for history (polars) and for live rows (ring buffer)."""

from signals.features import market, rolling, technical
from signals.features.batch import compute, segments
from signals.features.registry import KINDS
from signals.features.spec import FeatureSet, FeatureSpec
from signals.features.stream import FeatureStream

__all__ = [
    "KINDS",
    "FeatureSet",
    "FeatureSpec",
    "FeatureStream",
    "compute",
    "market",
    "rolling",
    "segments",
    "technical",
]
