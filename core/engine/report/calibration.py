"""How good the forecasts were: Brier and log loss against the market's own price, and reliability.

Only pairs count: the market's price is read at the same moment as the forecast, and a forecast
without a two-sided book beside it says nothing about who knew more. Void and scalar resolutions
(payout neither 0 nor 1) are left out of binary scores and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.engine.results import ForecastRow

#: Probabilities are clipped to [clip, 1 - clip] in the log loss, as everywhere in this project.
LOG_LOSS_CLIP = 1e-4
BINS = 10
RESAMPLES = 1_000
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One tenth of the probability range.

    Attributes
    ----------
    low, high : float
        Range of forecasts in the bin.
    forecast, market, observed : float
        Mean forecast, mean market price and share that resolved YES.
    observed_low, observed_high : float
        95 % Wilson interval of `observed`, forecasts taken as independent.
    """

    low: float
    high: float
    count: int
    forecast: float
    market: float
    observed: float
    observed_low: float
    observed_high: float


@dataclass(frozen=True, slots=True)
class ForecastScores:
    """Scores of the run's forecasts.

    Attributes
    ----------
    recorded, paired, unresolved, unpriced, fractional : int
        Forecasts recorded, scored, without an outcome, without a market price, and with an outcome
        that is neither 0 nor 1.
    clusters : int
        Events (or markets without one) behind the scored pairs; the bootstrap resamples these.
    brier, brier_market : float
        Mean squared error of the forecast and of the market's mid; lower is better.
    brier_edge : float
        ``brier_market - brier``: positive when the forecast was better than the market.
    edge_low, edge_high : float, optional
        95 % interval of `brier_edge`, bootstrap over clusters; None with fewer than 2 clusters.
    log_loss, log_loss_market : float
        In nats.
    """

    recorded: int
    paired: int
    unresolved: int
    unpriced: int
    fractional: int
    clusters: int
    brier: float | None
    brier_market: float | None
    brier_edge: float | None
    edge_low: float | None
    edge_high: float | None
    log_loss: float | None
    log_loss_market: float | None
    bins: tuple[ReliabilityBin, ...]


def score_forecasts(rows: Sequence[ForecastRow], seed: int = 0) -> ForecastScores | None:
    """Score `rows`; None when no forecast was recorded.

    Parameters
    ----------
    seed : int
        Seed of the bootstrap.
    """
    if not rows:
        return None
    known = [r for r in rows if r.outcome is not None]
    binary = [r for r in known if r.outcome in (0.0, 1.0)]
    pairs = [r for r in binary if r.market_price is not None and math.isfinite(r.market_price)]
    p = np.array([r.probability for r in pairs], dtype=np.float64)
    m = np.array([r.market_price for r in pairs], dtype=np.float64)
    y = np.array([r.outcome for r in pairs], dtype=np.float64)
    names = {
        name: i for i, name in enumerate(dict.fromkeys(r.event_id or r.market_id for r in pairs))
    }
    cluster = np.array([names[r.event_id or r.market_id] for r in pairs], dtype=np.int64)
    ours, market = (p - y) ** 2, (m - y) ** 2
    low, high = edge_interval(market - ours, cluster, len(names), seed)
    scored = bool(pairs)
    return ForecastScores(
        recorded=len(rows),
        paired=len(pairs),
        unresolved=len(rows) - len(known),
        unpriced=len(binary) - len(pairs),
        fractional=len(known) - len(binary),
        clusters=len(names),
        brier=float(ours.mean()) if scored else None,
        brier_market=float(market.mean()) if scored else None,
        brier_edge=float((market - ours).mean()) if scored else None,
        edge_low=low,
        edge_high=high,
        log_loss=log_loss(p, y) if scored else None,
        log_loss_market=log_loss(m, y) if scored else None,
        bins=reliability(p, m, y),
    )


def log_loss(p: Floats, y: Floats) -> float:
    """Mean negative log likelihood in nats, clipped by `LOG_LOSS_CLIP`."""
    q = np.clip(p, LOG_LOSS_CLIP, 1.0 - LOG_LOSS_CLIP)
    return float(np.mean(-(y * np.log(q) + (1.0 - y) * np.log1p(-q))))


def edge_interval(
    edge: Floats, cluster: NDArray[np.int64], clusters: int, seed: int
) -> tuple[float | None, float | None]:
    """Return the 95 % percentile interval of the mean edge, resampling whole clusters.

    Forecasts about one event share its outcome, so they are drawn together (cluster bootstrap,
    Field and Welsh 2007). None, None with fewer than 2 clusters.
    """
    if clusters < 2:
        return None, None
    sums = np.bincount(cluster, weights=edge, minlength=clusters)
    counts = np.bincount(cluster, minlength=clusters).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // clusters)  # bounds the memory of one batch of draws
    for at in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - at)
        drawn = rng.integers(0, clusters, size=(size, clusters), dtype=np.int32)
        means[at : at + size] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def wilson(successes: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson (1927) score interval of a share."""
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def reliability(p: Floats, m: Floats, y: Floats, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return the filled bins of equal width, lowest probability first."""
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    out = []
    for i in range(bins):
        rows = which == i
        count = int(rows.sum())
        if not count:
            continue
        low, high = wilson(float(y[rows].sum()), count)
        out.append(
            ReliabilityBin(
                low=i / bins,
                high=(i + 1) / bins,
                count=count,
                forecast=float(p[rows].mean()),
                market=float(m[rows].mean()),
                observed=float(y[rows].mean()),
                observed_low=low,
                observed_high=high,
            )
        )
    return tuple(out)
