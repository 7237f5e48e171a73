"""Order rate and repeated intents, counted in sliding windows of the decision's own time."""

from __future__ import annotations

from collections import deque

from core.domain.decision import OrderIntent
from core.risk.limits import Rate

NS_PER_MS = 1_000_000


class Throttle:
    """Counts orders per strategy and side, and identical orders, within the windows of `Rate`."""

    __slots__ = ("_limits", "_repeats", "_sent", "_times")

    def __init__(self, limits: Rate) -> None:
        self._limits = limits
        self._times: dict[tuple[str, str], deque[int]] = {}
        self._repeats: dict[tuple[object, ...], deque[int]] = {}
        self._sent: deque[tuple[int, tuple[object, ...]]] = deque()

    def set_limits(self, limits: Rate) -> None:
        """Take over changed limits; what was counted stays counted."""
        self._limits = limits

    def rate(self, intent: OrderIntent, now_ns: int) -> tuple[int, int]:
        """Return how many orders the window would hold with this one, and the limit."""
        times = self._times.get((intent.strategy_id, intent.side))
        if times is None:
            return 1, self._limits.orders
        start = now_ns - self._limits.window_ms * NS_PER_MS
        while times and times[0] <= start:
            times.popleft()
        return len(times) + 1, self._limits.orders

    def repeats(self, intent: OrderIntent, now_ns: int) -> tuple[int, int]:
        """Return how many identical orders the window would hold with this one, and the limit."""
        start = now_ns - self._limits.repeat_window_ms * NS_PER_MS
        while self._sent and self._sent[0][0] <= start:
            _, old = self._sent.popleft()
            times = self._repeats[old]
            times.popleft()
            if not times:
                del self._repeats[old]
        return len(self._repeats.get(_same(intent), ())) + 1, self._limits.repeats

    def count(self, intent: OrderIntent, now_ns: int) -> None:
        """Count an approved order."""
        self._times.setdefault((intent.strategy_id, intent.side), deque()).append(now_ns)
        key = _same(intent)
        self._repeats.setdefault(key, deque()).append(now_ns)
        self._sent.append((now_ns, key))


def _same(intent: OrderIntent) -> tuple[object, ...]:
    return (
        intent.strategy_id,
        intent.instrument_id,
        intent.side,
        intent.price,
        intent.quantity,
    )
