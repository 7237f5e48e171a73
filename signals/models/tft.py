"""Temporal fusion transformer (Lim et al. 2021) without static and known-future covariates."""

from __future__ import annotations

import math

import torch
from torch import nn

from signals.models.base import Forecaster, array, weight
from signals.models.recurrent import lstm_arrays
from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, Tensor


class GatedSkip(nn.Module):
    """LayerNorm(skip + GLU(x)): a part of the network that can be switched off by its gate."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Linear(size, 2 * size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return the shape of `skip`."""
        return self.norm(skip + nn.functional.glu(self.gate(self.dropout(x)), dim=-1))

    def plan(self, b: PlanBuilder, x: Tensor, skip: Tensor) -> Tensor:
        """Write the gate."""
        gated = b.glu(b.dense(x, weight(self.gate), array(self.gate.bias)))
        return b.layer_norm(
            b.add(skip, gated), array(self.norm.weight), array(self.norm.bias), self.norm.eps
        )


class GatedResidual(nn.Module):
    """Gated residual network: dense, ELU, dense, gate, skip, normalise."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, outputs)
        self.second = nn.Linear(outputs, outputs)
        self.skip = nn.Linear(inputs, outputs) if inputs != outputs else None
        self.out = GatedSkip(outputs, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [..., inputs] to [..., outputs]."""
        h = self.second(nn.functional.elu(self.first(x)))
        return self.out(h, x if self.skip is None else self.skip(x))

    def plan(self, b: PlanBuilder, x: Tensor) -> Tensor:
        """Write the network."""
        h = b.dense(x, weight(self.first), array(self.first.bias), act="elu")
        h = b.dense(h, weight(self.second), array(self.second.bias))
        skip = x if self.skip is None else b.dense(x, weight(self.skip), array(self.skip.bias))
        return self.out.plan(b, h, skip)


class VariableSelection(nn.Module):
    """Embed every column, and weigh the embeddings by a softmax that sees all of them."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        f, d = spec.channels, spec.hidden
        self.embed = nn.ModuleList(nn.Linear(1, d) for _ in range(f))
        self.each = nn.ModuleList(GatedResidual(d, d, spec.dropout) for _ in range(f))
        self.weigh = GatedResidual(f * d, f, spec.dropout) if f > 1 else None

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Map [B, T, F] to [B, T, D]."""
        raw = [embed(z[:, :, i : i + 1]) for i, embed in enumerate(self.embed)]
        values = [grn(e) for grn, e in zip(self.each, raw, strict=True)]
        if self.weigh is None:
            return values[0]
        shares = torch.softmax(self.weigh(torch.cat(raw, dim=-1)), dim=-1)
        return (torch.stack(values, dim=-1) * shares[:, :, None]).sum(dim=-1)

    def plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the selection for [T, F]."""
        raw = [
            b.dense(b.columns(z, i, 1), weight(e), array(e.bias)) for i, e in enumerate(self.embed)
        ]
        values = [grn.plan(b, e) for grn, e in zip(self.each, raw, strict=True)]
        total: Tensor = values[0]
        if self.weigh is None:
            return total
        shares = b.softmax(self.weigh.plan(b, b.concat(raw, 1)))
        total = b.mul(total, b.columns(shares, 0, 1))
        for i, value in enumerate(values[1:], start=1):
            total = b.add(total, b.mul(value, b.columns(shares, i, 1)))
        return total


class SharedValueAttention(nn.Module):
    """Interpretable multi-head attention: heads share the values, their mean is projected."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size = size // heads
        self.query = nn.ModuleList(nn.Linear(size, self.size) for _ in range(heads))
        self.key = nn.ModuleList(nn.Linear(size, self.size) for _ in range(heads))
        self.value = nn.Linear(size, self.size)
        self.project = nn.Linear(self.size, size)

    def forward(self, future: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Attend from the horizon [B, H, D] over window and horizon [B, T + H, D], causally."""
        steps, total = future.shape[1], whole.shape[1]
        hidden = torch.ones(steps, total, dtype=torch.bool, device=whole.device)
        hidden = torch.triu(hidden, diagonal=total - steps + 1)
        value = self.value(whole)
        mean = torch.zeros((), device=whole.device)
        for query, key in zip(self.query, self.key, strict=True):
            scores = query(future) @ key(whole).transpose(1, 2) / math.sqrt(self.size)
            mean = mean + torch.softmax(scores.masked_fill(hidden, -1e9), dim=-1) @ value
        return self.project(mean / len(self.query))

    def plan(self, b: PlanBuilder, future: Tensor, whole: Tensor) -> Tensor:
        """Write the heads one after another."""
        value = b.dense(whole, weight(self.value), array(self.value.bias))
        mean: Tensor | None = None
        for query, key in zip(self.query, self.key, strict=True):
            q = b.dense(future, weight(query), array(query.bias))
            k = b.dense(whole, weight(key), array(key.bias))
            head = b.attention(q, k, value, causal=True)
            mean = head if mean is None else b.add(mean, head)
        assert mean is not None
        mean = b.scale(mean, 1.0 / len(self.query))
        return b.dense(mean, weight(self.project), array(self.project.bias))


class Tft(Forecaster):
    """Variable selection, LSTM encoder and decoder, causal attention, gated throughout."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        d = spec.hidden
        self.select = VariableSelection(spec)
        # Nothing is known of the future but its position: one learned row per step.
        self.positions = nn.Parameter(torch.randn(spec.horizon, d) * 0.02)
        self.encoder = nn.LSTM(d, d, 1, batch_first=True)
        self.decoder = nn.LSTM(d, d, 1, batch_first=True)
        self.local = GatedSkip(d, spec.dropout)
        self.enrich = GatedResidual(d, d, spec.dropout)
        self.attention = SharedValueAttention(d, spec.heads)
        self.attended = GatedSkip(d, spec.dropout)
        self.feed = GatedResidual(d, d, spec.dropout)
        self.final = GatedSkip(d, spec.dropout)
        self.answer = nn.Linear(d, spec.outputs)
        with torch.no_grad():
            self.answer.weight.mul_(0.01)
            self.answer.bias.zero_()

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return [B, H, outputs]."""
        past = self.select(z)
        future = self.positions.expand(z.shape[0], -1, -1)
        encoded, state = self.encoder(past)
        decoded, _ = self.decoder(future, state)
        whole = self.local(torch.cat([encoded, decoded], dim=1), torch.cat([past, future], dim=1))
        local = whole[:, -self.spec.horizon :]
        enriched = self.enrich(whole)
        steps = enriched[:, -self.spec.horizon :]
        h = self.attended(self.attention(steps, enriched), steps)
        return self.answer(self.final(self.feed(h), local))

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the network for one window."""
        n = self.spec.horizon
        past = self.select.plan(b, z)
        future = b.constant(array(self.positions))
        encoded, c = b.lstm(past, *lstm_arrays(self.encoder, 0))
        decoded, _ = b.lstm(future, *lstm_arrays(self.decoder, 0), b.last(encoded), c)
        whole = self.local.plan(b, b.concat([encoded, decoded], 0), b.concat([past, future], 0))
        local = b.rows(whole, self.spec.lookback, n)
        enriched = self.enrich.plan(b, whole)
        steps = b.rows(enriched, self.spec.lookback, n)
        h = self.attended.plan(b, self.attention.plan(b, steps, enriched), steps)
        h = self.final.plan(b, self.feed.plan(b, h), local)
        return b.dense(h, weight(self.answer), array(self.answer.bias))
