"""Order rate and repeated intents, counted in sliding windows of the decision's own time."""

from __future__ import annotations

from collections import deque

from core.risk.limits import Rate

NS_PER_MS = 1_000_000
#: Strategy, instrument, whether it buys, price and quantity (billionths): what makes two orders the same.
Same = tuple[str, str, bool, int, int]
#: Orders after which what has left its window is swept out.
SWEEP_ORDERS = 4_096


class Throttle:
    """Counts orders per strategy and side, and identical orders, within the windows of `Rate`."""

    __slots__ = (
        "_buys",
        "_counted",
        "_orders",
        "_repeats",
        "_same",
        "_same_ns",
        "_sells",
        "_window_ns",
    )

    def __init__(self, limits: Rate) -> None:
        self._buys: dict[str, deque[int]] = {}
        self._sells: dict[str, deque[int]] = {}
        self._same: dict[Same, list[int]] = {}
        self._counted = 0
        self.set_limits(limits)

    def set_limits(self, limits: Rate) -> None:
        """Take over changed limits; what was counted stays counted."""
        self._orders, self._repeats = limits.orders, limits.repeats
        self._window_ns = limits.window_ms * NS_PER_MS
        self._same_ns = limits.repeat_window_ms * NS_PER_MS

    def rate(self, strategy_id: str, buy: bool, now_ns: int) -> tuple[int, int]:
        """Return how many orders the window would hold with one more, and the limit."""
        times = (self._buys if buy else self._sells).get(strategy_id)
        if times is None:
            return 1, self._orders
        start = now_ns - self._window_ns
        while times and times[0] <= start:
            times.popleft()
        return len(times) + 1, self._orders

    def repeats(self, order: Same, now_ns: int) -> tuple[int, int]:
        """Return how many identical orders the window would hold with this one, and the limit."""
        times = self._same.get(order)
        if times is None:
            return 1, self._repeats
        start = now_ns - self._same_ns
        return sum(time > start for time in times) + 1, self._repeats

    def count(self, order: Same, now_ns: int) -> None:
        """Count an approved order."""
        strategy_id, _, buy, _, _ = order
        sides = self._buys if buy else self._sells
        times = sides.get(strategy_id)
        if times is None:
            times = sides[strategy_id] = deque()
        times.append(now_ns)
        seen = self._same.get(order)
        if seen is None:
            self._same[order] = [now_ns]
        else:
            start = now_ns - self._same_ns
            seen[:] = [time for time in seen if time > start]
            seen.append(now_ns)
        self._counted += 1
        if self._counted >= SWEEP_ORDERS:
            self._sweep(now_ns)

    def _sweep(self, now_ns: int) -> None:
        """Forget orders whose window is over, so that the memory stays bounded."""
        start, self._counted = now_ns - self._same_ns, 0
        for order in [o for o, times in self._same.items() if times[-1] <= start]:
            del self._same[order]
