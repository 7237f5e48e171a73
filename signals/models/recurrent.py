"""LSTM, and DeepAR: an LSTM that feeds its own forecast back, with a Student-t likelihood."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from signals.models.base import Forecaster, Output, array, weight
from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, Tensor


def lstm_arrays(lstm: nn.LSTM, layer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of one layer as the plan wants them: [in, 4H], [H, 4H], summed bias [4H]."""
    wx, wh = (array(getattr(lstm, f"weight_{k}_l{layer}")).T for k in ("ih", "hh"))
    bias = array(getattr(lstm, f"bias_ih_l{layer}")) + array(getattr(lstm, f"bias_hh_l{layer}"))
    return wx, wh, bias


class Lstm(Forecaster):
    """Stacked LSTM; the last hidden state answers for all steps at once."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.lstm = nn.LSTM(spec.channels, spec.hidden, spec.layers, batch_first=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.output = Output(spec.hidden, spec)

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return [B, H, outputs]."""
        states, _ = self.lstm(z)
        return self.output(self.dropout(states[:, -1]))

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the layers one after another."""
        for layer in range(self.spec.layers):
            z, _ = b.lstm(z, *lstm_arrays(self.lstm, layer))
        return self.output.plan(b, b.last(z))


class DeepAR(Forecaster):
    """
    DeepAR (Salinas et al. 2020) with one LSTM layer.

    Training reads the true values of the horizon (teacher forcing) and maximises a Student-t
    likelihood at every step of window and horizon. `forward` feeds the location back and gives
    the quantiles of each step around that path: it leaves out the uncertainty of the path
    itself, so its intervals are too narrow far out until they are conformalised; `sample` draws
    whole paths and has no such bias. With a probability head the likelihood is Bernoulli on the
    last state. Columns other than the target keep their last value over the horizon.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.lstm = nn.LSTM(spec.channels, spec.hidden, 1, batch_first=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.location = nn.Linear(spec.hidden, 1)
        self.scale = nn.Linear(spec.hidden, 1)
        with torch.no_grad():
            self.location.weight.mul_(0.01)
            self.location.bias.zero_()
        from scipy.stats import t  # training only

        steps = t.ppf(np.array(spec.quantiles), spec.student_degrees).astype(np.float32)
        self.register_buffer("steps", torch.as_tensor(steps))

    def core(self, z: torch.Tensor) -> torch.Tensor:
        """Return the roll-out on the location path [B, H, outputs]."""
        states, hidden = self.lstm(z)
        state, last = states[:, -1], z[:, -1]
        if self.spec.head == "probability":
            return self.location(self.dropout(state))[:, None]
        out = []
        for step in range(self.spec.horizon):
            location, scale = self._distribution(state, last)
            out.append(location + scale * self.steps if self.spec.head == "quantile" else location)
            if step + 1 < self.spec.horizon:
                last = self._advance(last, location)
                states, hidden = self.lstm(last[:, None], hidden)
                state = states[:, -1]
        return torch.stack(out, dim=1)

    def _distribution(
        self, state: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        t = self.spec.target
        location = last[:, t : t + 1] + self.location(state)
        return location, nn.functional.softplus(self.scale(state)) + 1e-3

    def _advance(self, last: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        t = self.spec.target
        return torch.cat([last[:, :t], value, last[:, t + 1 :]], dim=1)

    def loss(
        self, x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean negative log likelihood over window and horizon."""
        if self.spec.head == "probability":
            return super().loss(x, y, scale)
        z, shift, spread = self.normalise(x)
        t = self.spec.target
        future = (y - shift[:, t : t + 1]) / spread[:, t : t + 1]
        rows = z[:, -1:].expand(-1, y.shape[1], -1).clone()
        rows[:, :, t] = future
        path = torch.cat([z, rows], dim=1)
        states, _ = self.lstm(path[:, :-1])
        states = self.dropout(states)
        location = path[:, :-1, t] + self.location(states)[:, :, 0]
        width = nn.functional.softplus(self.scale(states)[:, :, 0]) + 1e-3
        likelihood = torch.distributions.StudentT(self.spec.student_degrees, location, width)
        return -likelihood.log_prob(path[:, 1:, t]).mean()

    def sample(self, x: torch.Tensor, paths: int, seed: int) -> torch.Tensor:
        """Draw `paths` futures of every window: [B, paths, H] in the target's units."""
        with torch.no_grad():
            return self._sample(x, paths, seed)

    def _sample(self, x: torch.Tensor, paths: int, seed: int) -> torch.Tensor:
        generator = torch.Generator(device=x.device).manual_seed(seed)
        z, shift, spread = self.normalise(x)
        states, hidden = self.lstm(z)
        b, t = x.shape[0], self.spec.target
        hidden = tuple(h.repeat_interleave(paths, dim=1) for h in hidden)
        state = states[:, -1].repeat_interleave(paths, dim=0)
        last = z[:, -1].repeat_interleave(paths, dim=0)
        out = []
        for _ in range(self.spec.horizon):
            location, scale = self._distribution(state, last)
            value = location + scale * self._student(location.shape, generator, x.device)
            out.append(value)
            last = self._advance(last, value)
            states, hidden = self.lstm(last[:, None], hidden)
            state = states[:, -1]
        drawn = torch.cat(out, dim=1).view(b, paths, self.spec.horizon)
        return drawn * spread[:, t, None, None] + shift[:, t, None, None]

    def _student(
        self, shape: torch.Size, generator: torch.Generator, device: torch.device
    ) -> torch.Tensor:
        """Student-t draws as normal over root of chi-square, from the given generator alone."""
        nu = self.spec.student_degrees
        normal = torch.randn(shape, generator=generator, device=device)
        concentration = torch.full(shape, nu / 2.0, device=device)
        gamma = torch._standard_gamma(concentration, generator=generator)
        return normal / torch.sqrt(2.0 * gamma / nu)

    def core_plan(self, b: PlanBuilder, z: Tensor) -> Tensor:
        """Write the encoder and the unrolled decoder."""
        wx, wh, bias = lstm_arrays(self.lstm, 0)
        states, c = b.lstm(z, wx, wh, bias)
        h, last = b.last(states), b.last(z)
        if self.spec.head == "probability":
            return b.dense(h, weight(self.location), array(self.location.bias))
        t, out = self.spec.target, []
        steps = b.constant(array(self.steps))
        for step in range(self.spec.horizon):
            move = b.dense(h, weight(self.location), array(self.location.bias))
            location = b.add(b.columns(last, t, 1), move)
            if self.spec.head == "quantile":
                width = b.dense(h, weight(self.scale), array(self.scale.bias), act="softplus")
                out.append(b.add(b.mul(steps, b.scale(width, 1.0, 1e-3)), location))
            else:
                out.append(location)
            if step + 1 < self.spec.horizon:
                last = self._advance_plan(b, last, location)
                h, c = b.lstm_cell(last, h, c, wx, wh, bias)
        return b.concat(out, 0) if len(out) > 1 else out[0]

    def _advance_plan(self, b: PlanBuilder, last: Tensor, value: Tensor) -> Tensor:
        t, f = self.spec.target, self.spec.channels
        parts = [b.columns(last, 0, t)] if t else []
        parts.append(value)
        if t + 1 < f:
            parts.append(b.columns(last, t + 1, f - t - 1))
        return b.concat(parts, 1) if len(parts) > 1 else value
