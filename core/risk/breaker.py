"""Circuit breaker of the arbitrage strategies: its errors count, and its cool-down ends.

::

    CLOSED --errors in a row, daily loss--> OPEN --cool-down over--> PROBING --success--> CLOSED
                                              ^-------- error -----------'

While OPEN nothing is bought. PROBING lets one order through at a time; its result decides. A daily loss
keeps the breaker open until the next day (UTC). A market whose legs were filled unequally too often is
barred for a while.
"""

from __future__ import annotations

from enum import StrEnum

from core.domain.clock import NS_PER_DAY, NS_PER_SECOND
from core.risk.limits import Limits
from core.risk.states import RiskEvent
from core.risk.units import NANO, dollars, nanos_of


class BreakerState(StrEnum):
    """Where the breaker stands."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    PROBING = "PROBING"


TRANSITIONS: dict[BreakerState, frozenset[BreakerState]] = {
    BreakerState.CLOSED: frozenset({BreakerState.OPEN}),
    BreakerState.OPEN: frozenset({BreakerState.PROBING}),
    BreakerState.PROBING: frozenset({BreakerState.OPEN, BreakerState.CLOSED}),
}


class CircuitBreaker:
    """Breaker over one family of strategies; see the module's first lines.

    Parameters
    ----------
    limits : Limits
        Section ``breaker``.
    events : list of RiskEvent
        Where each move is recorded.
    """

    def __init__(self, limits: Limits, events: list[RiskEvent], family: str = "arbitrage") -> None:
        self._events = events
        self.family = family
        self.state = BreakerState.CLOSED
        self.errors = 0
        self.failed_attempts = 0
        self.open_until_ns = 0
        self._probes: set[str] = set()
        self.day = -1
        self.day_profit = 0
        self.mismatches: dict[str, int] = {}
        self.barred_until: dict[str, int] = {}
        self.set_limits(limits)

    def set_limits(self, limits: Limits) -> None:
        """Take over changed limits from here on."""
        self._limits = limits.breaker
        self.market_share = nanos_of(limits.breaker.market) or 0
        self.total_share = nanos_of(limits.breaker.total) or 0
        self.loss_share = nanos_of(limits.breaker.daily_loss) or 0

    def refuses(self, market_id: str, now_ns: int) -> str:
        """Return why nothing may be bought in this market at `now_ns`, or an empty text."""
        self.tick(now_ns)
        if self.state is BreakerState.OPEN:
            return f"open until {self.open_until_ns}"
        if self.state is BreakerState.PROBING and self._probes:
            return "probing: one order at a time"
        until = self.barred_until.get(market_id, 0)
        if until and now_ns < until:
            return f"market barred until {until}"
        if until:
            del self.barred_until[market_id]
        return ""

    def tick(self, now_ns: int) -> None:
        """Let a new day and the end of the cool-down take effect."""
        day = now_ns // NS_PER_DAY
        if day > self.day:
            self.day, self.day_profit = day, 0
        if self.state is BreakerState.OPEN and now_ns >= self.open_until_ns:
            self._probes.clear()
            self._move(BreakerState.PROBING, "cool-down over", now_ns)

    def approved(self, client_order_id: str) -> None:
        """Note an approved order; while probing it is the probe."""
        if self.state is BreakerState.PROBING:
            self._probes.add(client_order_id)

    def error(self, client_order_id: str, reason: str, now_ns: int) -> None:
        """Count a failed order (rejected, timed out, unknown)."""
        self.tick(now_ns)
        self._probes.discard(client_order_id)
        self.errors += 1
        if self.state is BreakerState.PROBING or (
            self.state is BreakerState.CLOSED and self.errors >= self._limits.errors
        ):
            until = now_ns + self._limits.cooldown_s * NS_PER_SECOND
            self._open(until, f"{self.errors} errors in a row, last: {reason}", now_ns)

    def success(self, client_order_id: str, now_ns: int) -> None:
        """Count an order that the venue took; a probe that succeeds closes the breaker."""
        self._probes.discard(client_order_id)
        self.errors = 0
        if self.state is BreakerState.PROBING:
            self._move(BreakerState.CLOSED, "the probe succeeded", now_ns)

    def neither(self, client_order_id: str) -> None:
        """Note an order that ended without telling anything (never sent, cancelled by us)."""
        self._probes.discard(client_order_id)

    def result(self, profit: int, equity: int, now_ns: int) -> None:
        """Add realised profit or loss of the day, unwinding losses included."""
        self.tick(now_ns)
        self.day_profit += profit
        lost = -self.day_profit
        if lost > 0 and lost * NANO >= self.loss_share * max(0, equity):
            tomorrow = (self.day + 1) * NS_PER_DAY
            self._open(tomorrow, f"lost {dollars(lost)} since 00:00 UTC", now_ns)

    def attempt(self, failed: bool, reason: str, now_ns: int) -> None:
        """Count an attempt of several legs: each order may be taken by the venue and the whole still fail.

        A success of one order does not end a row of failed attempts; a whole attempt does.
        """
        self.tick(now_ns)
        if not failed:
            self.failed_attempts = 0
            return
        self.failed_attempts += 1
        if self.state is BreakerState.PROBING or (
            self.state is BreakerState.CLOSED and self.failed_attempts >= self._limits.errors
        ):
            until = now_ns + self._limits.cooldown_s * NS_PER_SECOND
            count = self.failed_attempts
            self._open(until, f"{count} attempts failed in a row, last: {reason}", now_ns)

    def mismatch(self, market_id: str, now_ns: int) -> None:
        """Count legs of one market that were filled unequally; too many bar the market."""
        count = self.mismatches.get(market_id, 0) + 1
        if count < self._limits.mismatches:
            self.mismatches[market_id] = count
            return
        self.mismatches.pop(market_id, None)
        self.barred_until[market_id] = now_ns + self._limits.blacklist_s * NS_PER_SECOND
        reason = f"{count} unequal pairs"
        self._events.append(RiskEvent(now_ns, "breaker", market_id, "CLOSED", "OPEN", reason))

    def matched(self, market_id: str) -> None:
        """Note legs that were filled equally: the market's count starts again."""
        self.mismatches.pop(market_id, None)

    def reset(self, now_ns: int) -> None:
        """Close the breaker by the operator's word."""
        self.errors, self.failed_attempts, self.day_profit = 0, 0, 0
        self.open_until_ns = 0  # else the next cool-down would last as long as what was lifted
        self.mismatches.clear()
        self._probes.clear()
        self.barred_until.clear()
        if self.state is BreakerState.OPEN:
            self._move(BreakerState.PROBING, "operator", now_ns)
        if self.state is BreakerState.PROBING:
            self._move(BreakerState.CLOSED, "operator", now_ns)

    def _open(self, until_ns: int, reason: str, now_ns: int) -> None:
        self.open_until_ns = max(until_ns, self.open_until_ns)
        self.errors = self.failed_attempts = 0
        if self.state is not BreakerState.OPEN:
            self._move(BreakerState.OPEN, reason, now_ns)

    def _move(self, after: BreakerState, reason: str, now_ns: int) -> None:
        assert after in TRANSITIONS[self.state], (self.state, after)
        self._events.append(RiskEvent(now_ns, "breaker", self.family, self.state, after, reason))
        self.state = after
