"""What every forecaster shares: normalisation, heads, the market residual, the loss, the plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, Tensor

EPSILON = 1e-5


def weight(layer: nn.Linear) -> np.ndarray:
    """Weight of a linear layer as the plan wants it: [in, out], float32."""
    return array(layer.weight).T


def array(value: Any) -> np.ndarray:
    """Numbers of a torch tensor."""
    return np.asarray(value.detach().cpu().numpy(), dtype=np.float32)


class Forecaster(nn.Module):
    """
    Base of all families; a family implements `core` and `core_plan`.

    `forward` takes raw windows ``x [B, T, F]`` (oldest row first, float32) and returns
    ``[B, H, Q]`` in the units of the target, or log-odds ``[B, 1, 1]`` for a probability head.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        # Constants of the training split; only `fixed` reads them.
        self.register_buffer("center", torch.zeros(spec.channels))
        self.register_buffer("spread", torch.ones(spec.channels))
        self.register_buffer("levels", torch.tensor(spec.quantiles))

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Map normalised windows [B, T, F] to [B, H, outputs]."""
        raise NotImplementedError

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write `core` for one window [T, F] as plan nodes, result [H, outputs]."""
        raise NotImplementedError

    def fit_constants(self, center: np.ndarray, spread: np.ndarray) -> None:
        """Set the `fixed` normalisation from the training split: mean and deviation, shape [F]."""
        self.center.copy_(torch.as_tensor(center))
        self.spread.copy_(torch.as_tensor(np.where(spread > 1e-8, spread, 1.0)))

    def normalise(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return normalised windows and the shift and scale, each [B, F], that undo it."""
        kind = self.spec.normalization
        ones, zeros = torch.ones_like(x[:, 0]), torch.zeros_like(x[:, 0])
        if kind == "last":
            shift, scale = x[:, -1], ones
        elif kind == "relative":
            shift, scale = x[:, -1], x.abs().mean(dim=1) + EPSILON
        elif kind == "standard":
            shift = x.mean(dim=1)
            scale = (x.var(dim=1, unbiased=False) + EPSILON).sqrt()
        elif kind == "fixed":
            shift, scale = zeros + self.center, ones * self.spread
        else:
            shift, scale = zeros, ones
        return (x - shift[:, None]) / scale[:, None], shift, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the forecast; see the class."""
        z, shift, scale = self.normalise(x)
        return self.finish(self.core(z), x, shift, scale)

    def finish(
        self, out: torch.Tensor, x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Turn core outputs into log-odds, or into sorted quantiles in the target's units."""
        spec = self.spec
        if spec.head == "probability":
            return out if spec.market < 0 else out + x[:, -1:, spec.market, None]
        t = spec.target
        out = out * scale[:, t, None, None] + shift[:, t, None, None]
        return torch.sort(out, dim=-1).values if spec.outputs > 1 else out

    def loss(
        self, x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor | None = None
    ) -> torch.Tensor:
        """
        Mean loss of a batch.

        Parameters
        ----------
        x, y
            Windows [B, T, F] and targets [B, H] (or outcomes [B, 1] as 0 and 1).
        scale
            Optional [B]: divide errors by it, so that series of different size count alike.
        """
        forecast = self(x)
        if self.spec.head == "probability":
            return nn.functional.binary_cross_entropy_with_logits(forecast[:, :, 0], y)
        error = y[:, :, None] - forecast
        if scale is not None:
            error = error / scale[:, None, None]
        if self.spec.head == "point":
            return (error**2).mean()
        return torch.maximum(self.levels * error, (self.levels - 1.0) * error).mean()

    def plan(self, b: PlanBuilder) -> None:
        """Write the model: input ``x`` [T, F], output ``y`` [H, outputs] (see `forward`)."""
        spec = self.spec
        x = b.input("x", spec.lookback, spec.channels)
        z, shift, scale = self._normalise_plan(b, x)
        out = self.core_plan(b, z)
        if spec.head == "probability":
            if spec.market >= 0:
                out = b.add(out, b.columns(b.last(x), spec.market, 1))
            b.output("y", out)
            return
        if scale is not None:
            out = b.mul(out, b.columns(scale, spec.target, 1))
        if shift is not None:
            out = b.add(out, b.columns(shift, spec.target, 1))
        b.output("y", b.sort(out) if spec.outputs > 1 else out)

    def _normalise_plan(
        self, b: PlanBuilder, x: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        kind = self.spec.normalization
        if kind == "last":
            shift = b.last(x)
            return b.sub(x, shift), shift, None
        if kind == "relative":
            shift = b.last(x)
            size = b.scale(b.reduce(b.activation(x, "abs"), "mean", 0), 1.0, EPSILON)
            return b.div(b.sub(x, shift), size), shift, size
        if kind == "standard":
            return b.normalise(x, EPSILON)
        if kind == "fixed":
            shift, scale = b.constant(array(self.center)), b.constant(array(self.spread))
            return b.div(b.sub(x, shift), scale), shift, scale
        return x, None, None


class Output(nn.Module):
    """Last linear map from a state [B, D] to [B, H, outputs], near zero before training."""

    def __init__(self, inputs: int, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.linear = nn.Linear(inputs, spec.horizon * spec.outputs)
        # Near zero: an untrained model answers with the last value, or with the market price.
        with torch.no_grad():
            self.linear.weight.mul_(0.01)
            self.linear.bias.zero_()

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Return [B, H, outputs]."""
        return self.linear(state).view(-1, self.spec.horizon, self.spec.outputs)

    def plan(self, b: PlanBuilder, state: Tensor) -> Tensor:
        """Write the map for one state [1, D]."""
        y = b.dense(state, weight(self.linear), array(self.linear.bias))
        return b.reshape(y, self.spec.horizon, self.spec.outputs)
