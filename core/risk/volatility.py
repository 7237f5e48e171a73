"""Realised volatility of what is traded, present against usual, in whole numbers: what the volatility governor hears.

Prices are looked at on a fixed step of the run's own time. The squared change per step is averaged twice, over
`FAST` and over `SLOW` steps; the ratio of volatilities is the root of the ratio of the two. Prices of outcomes move
between zero and one dollar, so their change is taken in dollars; of anything dearer as a share of the price.
"""

from __future__ import annotations

from math import isqrt

from core.domain.clock import NS_PER_SECOND
from core.risk.governor import Governor
from core.risk.instruments import InstrumentRules
from core.risk.units import NANO

#: The step of paper and live runs, and the shortest of a backtest.
STEP_NS = 60 * NS_PER_SECOND
#: Steps that the present and the usual volatility are averaged over (a quarter of an hour, four hours).
FAST, SLOW = 15, 240
#: Looks before a ratio is told.
WARM = 60


class Volatility:
    """Two averages of the squared change of one price. All amounts are integers, so that a replay is exact."""

    __slots__ = ("fast", "last", "seen", "slow")

    def __init__(self) -> None:
        self.fast = self.slow = self.seen = 0
        self.last: int | None = None

    def look(self, price: int, unit: int, tick: int) -> int | None:
        """Take the price of this step; return present over usual volatility in billionths.

        Parameters
        ----------
        price, tick : int
            Billionths of a dollar. One tick now and then is no volatility: the usual one counts as at
            least a tick per `FAST` steps, so that the first trade of a quiet market halves nothing.
        unit : int
            What the change is a share of: `NANO` for dollars, the price itself for a return.

        Returns
        -------
        int or None
            None before `WARM` looks.
        """
        last, self.last = self.last, price
        if last is None:
            return None
        square = ((price - last) * NANO // unit) ** 2
        self.seen += 1
        self.fast += (square - self.fast) // min(self.seen, FAST)
        self.slow += (square - self.slow) // min(self.seen, SLOW)
        if self.seen < WARM:
            return None
        usual = max(self.slow, (tick * NANO // unit) ** 2 // FAST, 1)
        return isqrt(max(0, self.fast) * NANO * NANO // usual)


class VolatilityWatch:
    """Looks at prices and tells the governor; the two outcomes of a binary market are one scope.

    Parameters
    ----------
    governor : Governor
    """

    def __init__(self, governor: Governor) -> None:
        self._governor = governor
        self._watched: dict[str, tuple[str, Volatility]] = {}

    def look(self, rules: InstrumentRules, price: int, now_ns: int) -> None:
        """Take the price of an instrument at this step (billionths)."""
        if price <= 0:
            return
        scope = scope_of(rules)
        watched = self._watched.get(scope)
        if watched is None:
            watched = self._watched[scope] = (rules.instrument_id, Volatility())
        first, volatility = watched
        if first != rules.instrument_id:
            return  # the mirror of what is watched already
        unit = NANO if rules.pays_at_most <= NANO else price
        ratio = volatility.look(price, unit, rules.grid.step_at(price))
        if ratio is not None:
            self._governor.volatility(scope, ratio, now_ns)

    def forget(self, rules: InstrumentRules, now_ns: int) -> None:
        """Stop watching what has been settled."""
        scope = scope_of(rules)
        if self._watched.pop(scope, None) is not None:
            self._governor.volatility(scope, 0, now_ns)


def scope_of(rules: InstrumentRules) -> str:
    """Return what is volatile as one: a binary market, or an instrument of its own."""
    return rules.market_id if rules.opposite_id else rules.instrument_id
