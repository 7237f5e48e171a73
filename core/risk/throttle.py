"""Order rate and repeated intents, counted in sliding windows of the decision's own time."""

from __future__ import annotations

from collections import deque

from core.risk.limits import Rate

NS_PER_MS = 1_000_000
#: Strategy, instrument, whether it buys, price and quantity (billionths): what makes two orders the same.
Same = tuple[str, str, bool, int, int]


class Throttle:
    """Counts orders per strategy and side, and identical orders, within the windows of `Rate`.

    Attributes
    ----------
    orders, repeats : int
        Most orders that each window may hold.
    """

    __slots__ = (
        "_buys",
        "_counted",
        "_same",
        "_same_ns",
        "_sells",
        "_window_ns",
        "orders",
        "repeats",
    )

    def __init__(self, limits: Rate) -> None:
        self._buys: dict[str, deque[int]] = {}
        self._sells: dict[str, deque[int]] = {}
        self._same: dict[Same, int] = {}
        self._counted: deque[tuple[int, Same]] = deque()
        self.set_limits(limits)

    def set_limits(self, limits: Rate) -> None:
        """Take over changed limits; what was counted stays counted."""
        self.orders, self.repeats = limits.orders, limits.repeats
        self._window_ns = limits.window_ms * NS_PER_MS
        self._same_ns = limits.repeat_window_ms * NS_PER_MS

    def recent(self, strategy_id: str, buy: bool, now_ns: int) -> deque[int]:
        """Return the times of this strategy's orders of one side that the window still holds."""
        sides = self._buys if buy else self._sells
        times = sides.get(strategy_id)
        if times is None:
            times = sides[strategy_id] = deque()
        start = now_ns - self._window_ns
        while times and times[0] <= start:
            times.popleft()
        return times

    def repeated(self, order: Same, now_ns: int) -> int:
        """Return how many identical orders the window still holds; what has left it is forgotten."""
        counted, start = self._counted, now_ns - self._same_ns
        while counted and counted[0][0] <= start:
            _, old = counted.popleft()
            left = self._same[old] - 1
            if left:
                self._same[old] = left
            else:
                del self._same[old]
        return self._same.get(order, 0)

    def count(self, order: Same, recent: deque[int], repeated: int, now_ns: int) -> None:
        """Count an approved order in the windows that `recent` and `repeated` have told of."""
        recent.append(now_ns)
        self._counted.append((now_ns, order))
        self._same[order] = repeated + 1
