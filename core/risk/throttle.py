"""Order rate and repeated intents, counted in sliding windows of the decision's own time."""

from __future__ import annotations

from collections import deque

from core.risk.limits import Rate

NS_PER_MS = 1_000_000
#: Strategy, instrument, whether it buys, price and quantity (billionths): what makes two orders the same.
Same = tuple[str, str, bool, int, int]


class Throttle:
    """Counts orders per strategy and side, and identical orders, within the windows of `Rate`."""

    __slots__ = ("_limits", "_repeats", "_sent", "_times")

    def __init__(self, limits: Rate) -> None:
        self._times: dict[tuple[str, bool], deque[int]] = {}
        self._repeats: dict[Same, int] = {}
        self._sent: deque[tuple[int, Same]] = deque()
        self.set_limits(limits)

    def set_limits(self, limits: Rate) -> None:
        """Take over changed limits; what was counted stays counted."""
        self._limits = limits

    def rate(self, strategy_id: str, buy: bool, now_ns: int) -> tuple[int, int]:
        """Return how many orders the window would hold with one more, and the limit."""
        times = self._times.get((strategy_id, buy))
        if times is None:
            return 1, self._limits.orders
        start = now_ns - self._limits.window_ms * NS_PER_MS
        while times and times[0] <= start:
            times.popleft()
        return len(times) + 1, self._limits.orders

    def repeats(self, order: Same, now_ns: int) -> tuple[int, int]:
        """Return how many identical orders the window would hold with this one, and the limit."""
        start = now_ns - self._limits.repeat_window_ms * NS_PER_MS
        sent, repeats = self._sent, self._repeats
        while sent and sent[0][0] <= start:
            _, old = sent.popleft()
            if repeats[old] == 1:
                del repeats[old]
            else:
                repeats[old] -= 1
        return repeats.get(order, 0) + 1, self._limits.repeats

    def count(self, order: Same, now_ns: int) -> None:
        """Count an approved order."""
        key = (order[0], order[2])
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = deque()
        times.append(now_ns)
        self._repeats[order] = self._repeats.get(order, 0) + 1
        self._sent.append((now_ns, order))
