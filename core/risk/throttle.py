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
        "_buys", "_latest_ns", "_older", "_same", "_same_ns", "_same_start", "_sells", "_turned_ns",
        "_window_ns", "orders", "repeats",
    )  # fmt: skip

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

    def recent(self, strategy_id: str, buy: bool, now_ns: int) -> deque[int]:
        """Return the times of this strategy's orders of one side that the window still holds."""
        sides = self._buys if buy else self._sells
        try:
            times = sides[strategy_id]
        except KeyError:
            times = sides[strategy_id] = deque()
        start = now_ns - self._window_ns
        while times and times[0] <= start:
            times.popleft()
        return times

    def repeated(self, order: Same, now_ns: int) -> list[int] | None:
        """Return the times of identical orders that the window still holds; None when there was none lately.

        What has left the window stays away, whatever the clock does next.
        """
        start = now_ns - self._same_ns
        if start > self._same_start:
            self._same_start = start
            if start >= self._turned_ns:
                self._older, self._same, self._turned_ns = self._same, {}, self._latest_ns
        times = self._same.get(order)
        if times is None:
            if order not in self._older:
                return None
            times = self._same[order] = self._older.pop(order)
        start = self._same_start
        while times and times[0] <= start:
            del times[0]
        return times

    def count(
        self, order: Same, recent: deque[int], repeated: list[int] | None, now_ns: int
    ) -> None:
        """Count an approved order in the windows that `recent` and `repeated` have told of."""
        recent.append(now_ns)
        if now_ns < self._latest_ns:
            now_ns = (
                self._latest_ns
            )  # a clock that stepped back lets nothing leave the window earlier
        self._latest_ns = now_ns
        if repeated is None:
            self._same[order] = [now_ns]
        else:
            repeated.append(now_ns)
