"""A training configuration: data, split, models and how to fit them, from one TOML file."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.domain.errors import ConfigError
from signals.models.spec import DECILES, Family, Head, ModelSpec, Normalization
from signals.training.fit_spec import FitSpec
from signals.training.splits import SplitSpec

SHIPPED = Path(__file__).resolve().parent.parent / "configs"
HELD_OUT = "_held_out"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataTable(_Table):
    """`[data]`: a source of `signals.training.sources` and its options."""

    source: str
    options: dict[str, Any] = Field(default_factory=dict)


class ModelTable(_Table):
    """
    `[[models]]`: a model without the sizes that follow from the data.

    `specialist` trains one model per group (symbol, category) instead of one for all. `weigh`
    (M4 only) divides errors by the seasonal naive error (as MASE does), by the level of the series
    (as sMAPE does), or by their geometric mean. `member` = false keeps a model out of the ensemble.
    """

    name: str
    family: Family
    head: Head | None = None
    normalization: Normalization = "last"
    hidden: int = 64
    layers: int = 2
    kernel: int = 3
    heads: int = 2
    dropout: float = 0.0
    lookback: int = 0
    seeds: tuple[int, ...] = (0,)
    specialist: bool = False
    weigh: Literal["seasonal", "balanced", "level"] = "seasonal"
    member: bool = True
    fit: FitSpec | None = None


class TrainConfig(_Table):
    """
    One training run.

    Attributes
    ----------
    kind
        ``forecast`` (quantiles of a series), ``m4`` (its competition protocol) or
        ``probability`` (binary outcomes of markets).
    report_horizons
        Horizon labels that get a row of their own; the row ``all`` is always there.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = ""
    kind: str = Field(pattern=r"^(forecast|m4|probability)$")
    data: DataTable
    split: SplitSpec = SplitSpec()
    fit: FitSpec = FitSpec()
    models: tuple[ModelTable, ...] = Field(min_length=1)
    head: Head = "quantile"
    quantiles: tuple[float, ...] = DECILES
    report_horizons: tuple[str, ...] = ()
    threads: int = Field(default=2, ge=1)

    @property
    def sha256(self) -> str:
        """Hash of the configuration; another hash never resumes an old run."""
        return hashlib.sha256(self.model_dump_json(exclude={"threads"}).encode()).hexdigest()

    @property
    def held_out(self) -> bool:
        """Whether scores are of held-out training hours, never of the test part."""
        return bool(self.data.options.get("held_out"))

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        if not self.held_out:
            return f"beta train {self.name}"
        return f"beta train {self.name.removesuffix(HELD_OUT)} --held-out"

    def on_held_out(self) -> TrainConfig:
        """
        Return the configuration scored on the last training hours instead of the test hours.

        Raises
        ------
        ConfigError
            The kind has no held-out part of its own.
        """
        if self.kind != "m4":
            raise ConfigError(
                "only M4 configurations are scored on held-out training hours",
                seen=self.kind,
                mend="leave out --held-out: this kind chooses on its validation part",
            )
        options = {**self.data.options, "held_out": True}
        data = self.data.model_copy(update={"options": options})
        return self.model_copy(update={"name": self.name + HELD_OUT, "data": data})

    def on_device(self, device: str) -> TrainConfig:
        """Return the configuration with every fit moved to a device."""
        move = {"device": device}
        models = tuple(
            m.model_copy(update={"fit": m.fit.model_copy(update=move)}) if m.fit else m
            for m in self.models
        )
        return self.model_copy(update={"fit": self.fit.model_copy(update=move), "models": models})

    def spec(self, table: ModelTable, seed: int, **sizes: int) -> ModelSpec:
        """Return the full model specification for the sizes of the data."""
        return ModelSpec(
            family=table.family,
            head=table.head or self.head,
            quantiles=self.quantiles,
            normalization=table.normalization,
            hidden=table.hidden,
            layers=table.layers,
            kernel=table.kernel,
            heads=table.heads,
            dropout=table.dropout,
            seed=seed,
            **sizes,
        )


def load_config(name: str) -> TrainConfig:
    """
    Read a configuration by path, or a shipped one by name.

    Raises
    ------
    ConfigError
        When it is not there, is no TOML, or holds an unknown or impossible value.
    """
    path = Path(name)
    if not path.suffix:
        path = SHIPPED / f"{name}.toml"
    if not path.is_file():
        raise ConfigError(
            "no such training configuration",
            seen=name,
            mend="beta train --list shows the shipped ones",
        )
    try:
        return TrainConfig(**tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML", seen=str(error), mend="mend the line") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"])
        raise ConfigError(
            f"{path.name}: {place}: {first['msg']}",
            seen=first.get("input"),
            mend="beta train --list, and compare with a shipped one",
        ) from error


def shipped_configs() -> list[TrainConfig]:
    """Return all shipped configurations by name."""
    return [load_config(str(p)) for p in sorted(SHIPPED.glob("*.toml"))]
