"""What a model is: one frozen specification for every family, readable without torch."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Family = Literal["linear", "mlp", "lstm", "tcn", "nbeats", "tft", "deepar"]
Head = Literal["point", "quantile", "probability"]
Normalization = Literal["none", "last", "relative", "standard", "fixed"]
DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class ModelSpec(BaseModel):
    """
    One forecaster.

    Attributes
    ----------
    family
        ``linear`` is NLinear when normalised by the last value, logistic regression with a
        probability head.
    lookback, horizon, channels
        Rows in, steps out, columns of a row.
    target
        Column that is forecast (quantile and point heads).
    normalization
        Inside the model: subtract the last row; do that and divide by the window's mean size
        (``relative``, for series of different size); z-score over the window; or z-score with
        constants of the training split (``fixed``, for features of different scale).
    head
        ``point`` [H, 1] (MSE), ``quantile`` [H, Q] (pinball, always sorted) or ``probability``
        [1, 1] log-odds (binary cross-entropy).
    market
        Column that holds the market's log-odds, or -1. With it a probability model learns the
        residual: before training, its answer is the market price.
    student_degrees
        Degrees of freedom of DeepAR's Student-t.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    lookback: int = Field(ge=1)
    horizon: int = Field(default=1, ge=1)
    channels: int = Field(default=1, ge=1)
    target: int = Field(default=0, ge=0)
    head: Head = "quantile"
    quantiles: tuple[float, ...] = DECILES
    normalization: Normalization = "last"
    hidden: int = Field(default=64, ge=1)
    layers: int = Field(default=2, ge=1)
    kernel: int = Field(default=3, ge=2)
    heads: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    market: int = Field(default=-1, ge=-1)
    student_degrees: float = Field(default=5.0, gt=2.0)
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> ModelSpec:
        if self.target >= self.channels or self.market >= self.channels:
            raise ValueError("target and market must be columns of the input")
        if any(b <= a for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantile levels must rise")
        if not all(0.0 < q < 1.0 for q in self.quantiles):
            raise ValueError("quantile levels lie strictly between 0 and 1")
        if self.head == "probability" and self.horizon != 1:
            raise ValueError("a probability head has horizon 1")
        if self.hidden % self.heads:
            raise ValueError("hidden must be a multiple of heads")
        return self

    @property
    def outputs(self) -> int:
        """Numbers per step: the quantiles, or one."""
        return len(self.quantiles) if self.head == "quantile" else 1

    @property
    def sha256(self) -> str:
        """Hash of the specification."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
