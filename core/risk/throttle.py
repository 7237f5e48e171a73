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
        "_asked", "_buys", "_latest_ns", "_older", "_same", "_same_ns", "_same_start", "_sells", "_turned_ns",
        "_window_ns", "orders", "repeats",
    )  # fmt: skip

    _asked: tuple[deque[int], list[int]]

    def __init__(self, limits: Rate) -> None:
        self._buys: dict[str, deque[int]] = {}
        self._sells: dict[str, deque[int]] = {}
        #: When each order was counted: since the last turn, and before. At a turn what is older is dropped whole.
        self._same: dict[Same, list[int]] = {}
        self._older: dict[Same, list[int]] = {}
        self._same_start = self._latest_ns = self._turned_ns = -(2**63)
        self.set_limits(limits)

    def set_limits(self, limits: Rate) -> None:
        """Take over changed limits; what was counted stays counted."""
        self.orders, self.repeats = limits.orders, limits.repeats
        self._window_ns = limits.window_ms * NS_PER_MS
        self._same_ns = limits.repeat_window_ms * NS_PER_MS

    def ask(self, order: Same, most: int, now_ns: int) -> tuple[int, int]:
        """Return how many orders of one strategy and side, and how many identical ones, the windows hold with `order`.

        Of more than `most` orders the identical ones are not counted (0). What has left a window stays away, whatever
        the clock does next.
        """
        strategy_id, _, buy, _, _ = order
        sides = self._buys if buy else self._sells
        recent = sides.get(strategy_id)
        if recent is None:
            recent = sides[strategy_id] = deque()
        start = now_ns - self._window_ns
        while recent and recent[0] <= start:
            recent.popleft()
        sent = len(recent) + 1
        if sent > most:
            return sent, 0
        start = now_ns - self._same_ns
        if start > self._same_start:
            self._same_start = start
            if start >= self._turned_ns:
                self._older, self._same, self._turned_ns = self._same, {}, self._latest_ns
        same = self._same.setdefault(order, [])
        if not same and order in self._older:
            same += self._older.pop(order)
        self._asked = recent, same
        start = self._same_start
        while same and same[0] <= start:
            del same[0]
        return sent, len(same) + 1

    def count(self, now_ns: int) -> None:
        """Count the order that was asked about last: it was approved."""
        recent, same = self._asked
        recent.append(now_ns)
        if now_ns > self._latest_ns:
            self._latest_ns = now_ns
        else:  # a clock that stepped back lets nothing leave the window earlier
            now_ns = self._latest_ns
        same.append(now_ns)
