"""Linear (NLinear, logistic regression), multi-layer perceptron and N-BEATS."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from signals.models.base import Forecaster, Output, array, weight
from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, Tensor


class Linear(Forecaster):
    """One linear map of the window: NLinear (Zeng et al. 2023) with last-value normalisation."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.output = Output(spec.lookback * spec.channels, spec)

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return [B, H, outputs]."""
        return self.output(z.flatten(1))

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the linear map."""
        return self.output.plan(b, b.reshape(z, 1, z.rows * z.cols))


class MultiLayer(Forecaster):
    """Dense layers with ReLU over the flat window."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        sizes = [spec.lookback * spec.channels, *([spec.hidden] * spec.layers)]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = nn.Dropout(spec.dropout)
        self.output = Output(spec.hidden, spec)

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return [B, H, outputs]."""
        h = z.flatten(1)
        for layer in self.hidden:
            h = self.dropout(torch.relu(layer(h)))
        return self.output(h)

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the dense layers."""
        h = b.reshape(z, 1, z.rows * z.cols)
        for layer in self.hidden:
            h = b.dense(h, weight(layer), array(layer.bias), act="relu")
        return self.output.plan(b, h)


class Block(nn.Module):
    """One N-BEATS block: four dense layers, then a backcast and a forecast."""

    def __init__(self, size: int, spec: ModelSpec) -> None:
        super().__init__()
        sizes = [size, *([spec.hidden] * 4)]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = nn.Dropout(spec.dropout)
        self.backcast = nn.Linear(spec.hidden, size)
        self.forecast = nn.Linear(spec.hidden, spec.horizon * spec.outputs)
        with torch.no_grad():
            self.forecast.weight.mul_(0.01)
            self.forecast.bias.zero_()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return backcast [B, T * F] and forecast [B, H * outputs]."""
        h = x
        for layer in self.hidden:
            h = torch.relu(layer(h))
        h = self.dropout(h)
        return self.backcast(h), self.forecast(h)


class NBeats(Forecaster):
    """N-BEATS with generic basis (Oreshkin et al. 2020): each block explains what is left."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        size = spec.lookback * spec.channels
        self.blocks = nn.ModuleList(Block(size, spec) for _ in range(spec.layers))

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return the sum of the blocks' forecasts [B, H, outputs]."""
        rest = z.flatten(1)
        total = torch.zeros(())
        for block in self.blocks:
            backcast, forecast = block(rest)
            rest = rest - backcast
            total = total + forecast
        return total.view(-1, self.spec.horizon, self.spec.outputs)

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the doubly residual stack; the last backcast is not needed."""
        rest = b.reshape(z, 1, z.rows * z.cols)
        total: Tensor | None = None
        for i, block in enumerate(self.blocks):
            h = rest
            for layer in block.hidden:
                h = b.dense(h, weight(layer), array(layer.bias), act="relu")
            part = b.dense(h, weight(block.forecast), array(block.forecast.bias))
            total = part if total is None else b.add(total, part)
            if i + 1 < len(self.blocks):
                rest = b.sub(rest, b.dense(h, weight(block.backcast), array(block.backcast.bias)))
        assert total is not None
        return b.reshape(total, self.spec.horizon, self.spec.outputs)
