"""What a bundle says about itself: one frozen document, signed byte for byte."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from signals.features.spec import FeatureSet
from signals.models.spec import ModelSpec
from signals.probability.calibration import Calibrator, Identity

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
WEIGHTS: Final = "weights.safetensors"
CALIBRATION: Final = "calibration.json"
GOLDEN: Final = "golden.safetensors"
PAYLOAD: Final = (WEIGHTS, CALIBRATION, GOLDEN)
FILES: Final = (MANIFEST, SIGNATURE, *PAYLOAD)
"""A bundle holds exactly these files."""

SLUG_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Document):
    """What turns raw outputs into forecasts.

    Attributes
    ----------
    calibrator
        Raw to calibrated probability (probability heads).
    log_odds_band
        Half width of the interval around a calibrated probability, in log-odds.
    widen, alpha
        Conformal widening of the outer quantiles, one number a step, and 1 - its coverage.
    """

    calibrator: Calibrator = Identity()
    log_odds_band: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    widen: tuple[float, ...] = ()
    alpha: float = Field(default=0.1, gt=0.0, lt=1.0)


class Manifest(_Document):
    """Signed description of a bundle.

    Attributes
    ----------
    name, version
        Lower-case slugs; also the folder names in a `BundleStore`.
    created_ns, expires_ns
        UNIX nanoseconds; from `expires_ns` on the bundle is refused.
    kernel_sha256
        The kernel whose bits the golden vectors hold.
    feature_names
        Columns of the input, in order.
    features
        The definition that live and batch features are made from, where there is one.
    model
        Family, head, quantile levels, lookback.
    trained_until_ns
        End of the data that training or calibration has seen.
    metrics, provenance
        Free figures and texts for people: scores by fold, hashes of configuration and code.
    files
        sha256 of every other file of the bundle.
    """

    format: Literal[1] = 1
    name: Slug
    version: Slug
    created_ns: int = Field(gt=0)
    expires_ns: int = Field(gt=0)
    kernel_sha256: Sha256
    plan: dict[str, Any]
    model: ModelSpec
    feature_names: tuple[str, ...] = Field(min_length=1)
    features: FeatureSet | None = None
    trained_until_ns: int = Field(default=0, ge=0)
    metrics: dict[str, float] = Field(default_factory=dict)
    provenance: dict[str, str] = Field(default_factory=dict)
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expires_ns <= self.created_ns:
            raise ValueError("a bundle expires after it is made")
        if set(self.files) != set(PAYLOAD):
            raise ValueError(f"files are not {sorted(PAYLOAD)}")
        if len(self.feature_names) != self.model.channels:
            raise ValueError("feature_names and the model's channels differ in number")
        return self
