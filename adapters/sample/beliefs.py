"""Latent probabilities that are fair by construction: posteriors of an outcome drawn at the start.

The outcome is drawn from the prior. Then signals arrive that point at the true outcome a little more often
than at the others, and the posterior is updated by Bayes' rule. A posterior is a martingale: nobody who
only sees prices can expect to earn from them before the market pays the drawn outcome.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.sample.draws import Draws


def draw_outcome(draws: Draws, prior_per_mille: Sequence[int]) -> int:
    """Return the index of the outcome that will happen, drawn from the prior."""
    at = draws.one(0, sum(prior_per_mille))
    for index, weight in enumerate(prior_per_mille):
        if at < weight:
            return index
        at -= weight
    raise AssertionError("a draw below the total falls into a class")


def beliefs(
    draws: Draws,
    prior_per_mille: Sequence[int],
    winner: int,
    informative: Sequence[bool],
    strength_per_mille: int,
) -> list[tuple[float, ...]]:
    """Return the posterior of every outcome after each tick.

    Parameters
    ----------
    informative : sequence of bool
        Ticks at which a signal arrives.
    strength_per_mille : int
        A signal for the true outcome is this much more likely than for any other one.
    """
    total = sum(prior_per_mille)
    weights = [w / total for w in prior_per_mille]
    ratio = 1.0 + strength_per_mille / 1000.0
    n = len(weights)
    # P(signal = true outcome) = ratio / (n - 1 + ratio); any other one 1 / (n - 1 + ratio).
    odds = [1000] * n
    odds[winner] = 1000 + strength_per_mille
    out: list[tuple[float, ...]] = []
    for tells in informative:
        if tells:
            pointed = draw_outcome(draws, odds)
            weights[pointed] *= ratio
            norm = 0.0
            for w in weights:
                norm += w
            weights = [w / norm for w in weights]
        out.append(tuple(weights))
    return out
