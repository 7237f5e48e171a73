"""What a feature is: one frozen definition that the batch and the streaming path both read."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, model_validator

from signals.errors import FeatureMismatch
from signals.features.registry import KINDS, Kind


class FeatureSpec(BaseModel):
    """
    One number per row.

    Attributes
    ----------
    name
        Column name in batch frames and position in streaming windows.
    kind
        Key of the registry, for example ``rsi`` or ``book_imbalance``.
    params
        Overrides of the kind's defaults; unknown names are refused.
    every
        0 for the base rows, or k to compute on bars of k base intervals (multi-timeframe). Such
        a feature changes only when a whole higher bar has closed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    kind: str
    params: dict[str, float] = Field(default_factory=dict)
    every: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _known(self) -> FeatureSpec:
        if self.kind not in KINDS:
            raise ValueError(
                f"unknown feature kind {self.kind!r}; known: {', '.join(sorted(KINDS))}"
            )
        unknown = set(self.params) - set(KINDS[self.kind].defaults)
        if unknown:
            raise ValueError(f"{self.kind} has no parameter {', '.join(sorted(unknown))}")
        return self

    @property
    def definition(self) -> Kind:
        """Registry entry of this feature."""
        return KINDS[self.kind]

    @property
    def settings(self) -> dict[str, float]:
        """Defaults of the kind with the overrides applied."""
        return {**self.definition.defaults, **self.params}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns read from every row."""
        return self.definition.inputs(self.settings)

    @property
    def warmup(self) -> int:
        """Base rows needed before the value is one that a longer history would also give."""
        return self.definition.warmup(self.settings) * max(self.every, 1) + max(self.every - 1, 0)


class FeatureSet(BaseModel):
    """
    Ordered features of a model, with the interval of its rows.

    `interval_ns` is the distance of two rows; 0 means irregular rows (quotes, market
    snapshots), for which no gap can be seen and no higher timeframe exists.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[FeatureSpec, ...] = Field(min_length=1)
    interval_ns: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> FeatureSet:
        names = [f.name for f in self.features]
        if len(set(names)) != len(names):
            raise ValueError("two features share a name")
        if not self.interval_ns and any(f.every for f in self.features):
            raise ValueError("a higher timeframe needs interval_ns")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(f.name for f in self.features)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Input columns of all features, sorted."""
        return tuple(sorted({c for f in self.features for c in f.inputs}))

    @property
    def warmup(self) -> int:
        """Rows to take before the first usable row."""
        return max(f.warmup for f in self.features)

    @cached_property
    def sha256(self) -> str:
        """Hash of the definition: equal only if names, order, kinds and settings are equal."""
        body = [[f.name, f.kind, sorted(f.settings.items()), f.every] for f in self.features]
        text = json.dumps([self.interval_ns, body], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def require(self, names: tuple[str, ...] | list[str], sha256: str = "") -> None:
        """Refuse a model that was trained on other features, another order or other settings."""
        if tuple(names) != self.names:
            raise FeatureMismatch(
                "the model was trained on other features or another order",
                seen=f"model {list(names)}, here {list(self.names)}",
                mend="use the feature set of the bundle's manifest",
            )
        if sha256 and sha256 != self.sha256:
            raise FeatureMismatch(
                "the features have the same names but other settings than in training",
                seen=f"model {sha256[:12]}, here {self.sha256[:12]}",
                mend="use the feature set of the bundle's manifest",
            )
