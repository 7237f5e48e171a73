"""Random draws that are equal on every machine.

Only integers and the four basic operations are used: exponentials and logarithms differ in the last bit
between processors and libraries, and one bit can move a price to the next tick.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Standard normal distribution function at 0.0, 0.1, ... 3.9 in units of 1/100,000.
_PHI = (
    50000, 53983, 57926, 61791, 65542, 69146, 72575, 75804, 78814, 81594,
    84134, 86433, 88493, 90320, 91924, 93319, 94520, 95543, 96407, 97128,
    97725, 98214, 98610, 98928, 99180, 99379, 99534, 99653, 99744, 99813,
    99865, 99903, 99931, 99952, 99966, 99977, 99984, 99989, 99993, 99995,
)  # fmt: skip


#: Random words drawn at once.
_BLOCK = 256
_ROOT_2 = 1.4142135623730951


class Draws:
    """A seeded stream of exact random numbers; `child` gives independent streams by name."""

    def __init__(self, *seed: int) -> None:
        self._seed = seed
        self._rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(seed))))
        self._words: list[int] = []

    def child(self, *key: int) -> Draws:
        """Return an independent stream; adding one elsewhere changes none of the others."""
        return Draws(*self._seed, *key)

    def integers(self, low: int, high: int, n: int) -> Int64:
        """Return `n` integers, ``low <= x < high``."""
        return self._rng.integers(low, high, n, dtype=np.int64)

    def one(self, low: int, high: int) -> int:
        """Return one integer, ``low <= x < high`` (32 random bits scaled; the bias is below 1e-7)."""
        if not self._words:
            block = np.frombuffer(self._rng.bytes(4 * _BLOCK), dtype="<u4")
            self._words = block.tolist()
        return low + (self._words.pop() * (high - low) >> 32)

    def chance(self, per_mille: int) -> bool:
        """Return True with a probability of `per_mille` / 1000."""
        return self.one(0, 1000) < per_mille

    def normals(self, n: int) -> Floats:
        """Return `n` nearly normal numbers with mean 0 and variance 1 (sum of 6 uniform integers)."""
        uniform = np.frombuffer(self._rng.bytes(2 * 6 * n), dtype="<u2").reshape(6, n)
        total = np.zeros(n, dtype=np.int32)
        for row in uniform:
            total += row
        centred = (total - 3 * 65_535).astype(np.float64)
        return centred * (_ROOT_2 / 65_536.0)


def normal_probability(z: float) -> float:
    """Return P(standard normal < z), interpolated from a table of five digits."""
    place = min(abs(z) * 10.0, len(_PHI) - 1.001)
    low = int(place)
    share = place - low
    upper = (_PHI[low] + share * (_PHI[low + 1] - _PHI[low])) / 100_000.0
    return upper if z >= 0 else 1.0 - upper
