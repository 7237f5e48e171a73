"""From a specification to a model with seeded weights."""

from __future__ import annotations

import torch

from signals.models.base import Forecaster
from signals.models.dense import Linear, MultiLayer, NBeats
from signals.models.recurrent import DeepAR, Lstm
from signals.models.spec import Family, ModelSpec
from signals.models.tcn import Tcn
from signals.models.tft import Tft
from signals.plan import Plan, PlanBuilder

FAMILIES: dict[Family, type[Forecaster]] = {
    "linear": Linear,
    "mlp": MultiLayer,
    "lstm": Lstm,
    "tcn": Tcn,
    "nbeats": NBeats,
    "tft": Tft,
    "deepar": DeepAR,
}


def build(spec: ModelSpec) -> Forecaster:
    """Return an untrained model; equal specifications give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return FAMILIES[spec.family](spec)


def export(model: Forecaster) -> Plan:
    """Return the inference plan of a trained model."""
    builder = PlanBuilder()
    was_training = model.training
    model.eval()
    model.plan(builder)
    model.train(was_training)
    return builder.build()
