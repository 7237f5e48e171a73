"""How one model is trained: a specification readable without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FitSpec(BaseModel):
    """
    How one model is trained.

    `steps` > 0 bounds the batches of an epoch, for sets too large to pass through whole.
    `judged` > 0 judges an epoch by that many validation rows, evenly spaced, instead of all.
    `average` > 0 keeps an exponential mean of the weights with that decay, and uses it to answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=20, ge=1)
    batch: int = Field(default=256, ge=1)
    rate: float = Field(default=1e-3, gt=0.0)
    decay: float = Field(default=0.0, ge=0.0)
    steps: int = Field(default=0, ge=0)
    judged: int = Field(default=0, ge=0)
    patience: int = Field(default=3, ge=1)
    clip: float = Field(default=1.0, gt=0.0)
    cosine: bool = True
    average: float = Field(default=0.0, ge=0.0, lt=1.0)
    device: str = "cpu"
