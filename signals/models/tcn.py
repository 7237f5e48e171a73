"""Temporal convolutional network: causal dilated convolutions with residuals (Bai et al. 2018)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from signals.models.base import Forecaster, Output, array, weight
from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, Tensor


def taps(conv: nn.Conv1d) -> np.ndarray:
    """Weight of a convolution as the plan wants it: [taps, in, out]."""
    return np.ascontiguousarray(array(conv.weight).transpose(2, 1, 0))


class CausalBlock(nn.Module):
    """relu(conv(relu(conv(x)))) + x with one dilation; padding on the left only."""

    def __init__(self, spec: ModelSpec, dilation: int) -> None:
        super().__init__()
        self.dilation, self.pad = dilation, (spec.kernel - 1) * dilation
        self.first = nn.Conv1d(spec.hidden, spec.hidden, spec.kernel, dilation=dilation)
        self.second = nn.Conv1d(spec.hidden, spec.hidden, spec.kernel, dilation=dilation)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, D, T] to [B, D, T]."""
        h = torch.relu(self.first(nn.functional.pad(x, (self.pad, 0))))
        h = self.dropout(h)
        h = torch.relu(self.second(nn.functional.pad(h, (self.pad, 0))))
        return x + self.dropout(h)

    def plan(self, b: PlanBuilder, x: Tensor) -> Tensor:
        """Write the block for [T, D]."""
        h = b.conv1d(x, taps(self.first), array(self.first.bias), self.dilation, "relu")
        h = b.conv1d(h, taps(self.second), array(self.second.bias), self.dilation, "relu")
        return b.add(x, h)


class Tcn(Forecaster):
    """Blocks with dilation 1, 2, 4, ...; the state of the newest row answers for all steps."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.embed = nn.Linear(spec.channels, spec.hidden)
        self.blocks = nn.ModuleList(CausalBlock(spec, 2**i) for i in range(spec.layers))
        self.output = Output(spec.hidden, spec)

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return [B, H, outputs]."""
        h = self.embed(z).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        return self.output(h[:, :, -1])

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the stack."""
        h = b.dense(z, weight(self.embed), array(self.embed.bias))
        for block in self.blocks:
            h = block.plan(b, h)
        return self.output.plan(b, b.last(h))
