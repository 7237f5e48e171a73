"""Calibrators from raw to calibrated probability; fitted offline, applied with two floats or a table."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from signals.probability.bootstrap import mean_interval
from signals.probability.scores import checked, log_losses

EPSILON = 1e-6
Floats = NDArray[np.float64]


def logit(p: float) -> float:
    """Log-odds of `p`, with `p` kept 1e-6 away from 0 and 1."""
    q = min(max(p, EPSILON), 1.0 - EPSILON)
    return math.log(q / (1.0 - q))


def sigmoid(z: float) -> float:
    """Probability of log-odds `z`, without overflow."""
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Identity(_Frozen):
    """Leave the probability as it is."""

    kind: Literal["identity"] = "identity"

    def __call__(self, p: float) -> float:
        """Return `p`."""
        return p


class Platt(_Frozen):
    """sigmoid(slope * logit(p) + intercept): Platt scaling on log-odds (Platt 1999)."""

    kind: Literal["platt"] = "platt"
    slope: float
    intercept: float

    def __call__(self, p: float) -> float:
        """Return the calibrated probability of one raw probability."""
        return sigmoid(self.slope * logit(p) + self.intercept)


class Isotonic(_Frozen):
    """Monotone piecewise linear table (Zadrozny and Elkan 2002); constant outside its ends."""

    kind: Literal["isotonic"] = "isotonic"
    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _monotone(self) -> Isotonic:
        if len(self.x) != len(self.y):
            raise ValueError("x and y differ in length")
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("x does not rise strictly")
        if any(b < a for a, b in zip(self.y, self.y[1:], strict=False)):
            raise ValueError("y falls")
        return self

    def __call__(self, p: float) -> float:
        """Return the calibrated probability of one raw probability."""
        i = bisect_right(self.x, p)
        if i == 0:
            return self.y[0]
        if i == len(self.x):
            return self.y[-1]
        x0, x1, y0, y1 = self.x[i - 1], self.x[i], self.y[i - 1], self.y[i]
        return y0 + (y1 - y0) * (p - x0) / (x1 - x0)


Calibrator = Annotated[Identity | Platt | Isotonic, Field(discriminator="kind")]


def apply(calibrator: Identity | Platt | Isotonic, probabilities: ArrayLike) -> Floats:
    """Calibrate a vector of probabilities."""
    return np.array([calibrator(float(p)) for p in np.asarray(probabilities).ravel()])


def fit_platt(probabilities: ArrayLike, outcomes: ArrayLike, ridge: float = 1e-3) -> Platt:
    """
    Fit slope and intercept by penalised Newton steps on the log likelihood.

    The penalty pulls to slope 1 and intercept 0 (no change), so that a handful of outcomes or a
    perfectly separated sample cannot produce a certain forecast.
    """
    p, y = checked(probabilities, outcomes)
    z = np.array([logit(float(v)) for v in p])
    design = np.column_stack([z, np.ones_like(z)])
    prior, theta = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    penalty = ridge * p.size + 1.0
    for _ in range(100):
        q = 1.0 / (1.0 + np.exp(-np.clip(design @ theta, -40, 40)))
        gradient = design.T @ (q - y) + penalty * (theta - prior)
        hessian = design.T @ (design * (q * (1 - q))[:, None]) + penalty * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # A Newton step on a logistic loss can overshoot far from the optimum: cap its length.
        theta = theta - step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-10:
            break
    return Platt(slope=float(theta[0]), intercept=float(theta[1]))


def fit_isotonic(probabilities: ArrayLike, outcomes: ArrayLike) -> Isotonic:
    """Fit by pool-adjacent-violators; the table holds one point per block, kept off 0 and 1."""
    p, y = checked(probabilities, outcomes)
    order = np.argsort(p, kind="stable")
    blocks: list[list[float]] = []
    for x_value, outcome in zip(p[order], y[order], strict=True):
        if blocks and blocks[-1][3] == x_value:
            blocks[-1][0] += outcome
            blocks[-1][1] += 1.0
            blocks[-1][2] += x_value
        else:
            blocks.append([outcome, 1.0, x_value, x_value])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            total, count, x_sum, x_max = blocks.pop()
            blocks[-1] = [
                blocks[-1][0] + total,
                blocks[-1][1] + count,
                blocks[-1][2] + x_sum,
                x_max,
            ]
    # Krichevsky-Trofimov shrinkage: a block of n equal outcomes is not certainty.
    ys = np.maximum.accumulate([(b[0] + 0.5) / (b[1] + 1.0) for b in blocks])
    return Isotonic(x=tuple(b[2] / b[1] for b in blocks), y=tuple(float(v) for v in ys))


def choose_calibrator(
    fit: tuple[ArrayLike, ArrayLike],
    select: tuple[ArrayLike, ArrayLike],
    events: ArrayLike | None = None,
) -> tuple[Identity | Platt | Isotonic, dict[str, float]]:
    """
    Fit every calibrator on `fit` and keep one only if it beats no calibration on `select`.

    `fit` must be later than training, and `select` later than `fit`; both earlier than test.

    Parameters
    ----------
    fit, select
        Probabilities and outcomes.
    events
        Event id of each row of `select` (every row its own event when not given). A calibrator
        stays only if the event-bootstrap interval of its log-loss gain excludes zero: a handful
        of events must not bend a forecast that was fine.

    Returns
    -------
    calibrator, losses
        The one with the lowest loss among those that stay (identity if none does), and the log
        loss of each candidate on `select`.
    """
    candidates: tuple[Identity | Platt | Isotonic, ...] = (
        Identity(),
        fit_platt(*fit),
        fit_isotonic(*fit),
    )
    p, y = checked(*select)
    groups = np.arange(p.size) if events is None else np.asarray(events)
    per_row = {c.kind: log_losses(apply(c, p), y) for c in candidates}
    losses: dict[str, float] = {str(kind): float(v.mean()) for kind, v in per_row.items()}
    gain = {k: mean_interval(v - per_row["identity"], groups) for k, v in per_row.items()}
    kept = [c for c in candidates if c.kind == "identity" or gain[c.kind].high < 0.0]
    return min(kept, key=lambda c: losses[c.kind]), losses
