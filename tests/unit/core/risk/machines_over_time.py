"""State machines of what changes with time: the day's loss, the drawdown, and the arbitrage breaker."""

from __future__ import annotations

import copy

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.risk import TradingState, load_profile
from core.risk.breaker import BreakerState, CircuitBreaker
from core.risk.governor import Governor
from core.risk.states import Holds

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
DOLLAR = 10**18
START = 20_000 * DAY + 9 * HOUR
waits = st.sampled_from([0, SECOND, MINUTE, 20 * MINUTE, 3 * HOUR, 15 * HOUR, 2 * DAY])


class GovernorMachine(RuleBasedStateMachine):
    """Equity moves and time passes; the holds must be what looking at the whole history says."""

    def __init__(self) -> None:
        super().__init__()
        events: list = []
        self.holds = Holds(events)
        self.governor = Governor(load_profile(), self.holds, events)
        self.now = START
        self.profit, self.transferred = 0, 100 * DOLLAR
        self.seen: list[tuple[int, int]] = []
        self.resumed = 0  # first observation that counts after a resume
        self.base = 0
        self.day_lost = False
        self.fallen = False
        self._observe()

    def _observe(self) -> None:
        day = self.now // DAY
        if self.seen and self.seen[-1][0] // DAY < day:
            self.base = self.seen[-1][1]
            self.day_lost = False
        elif not self.seen:
            self.base = self.profit
        self.seen.append((self.now, self.profit))
        lost = self.base - self.profit
        if lost > 0 and lost * 20 >= self.transferred + self.base:
            self.day_lost = True
        oldest = (self.now - 24 * HOUR) // MINUTE
        window = [p for t, p in self.seen[self.resumed :] if t // MINUTE >= oldest]
        peak = max(window)
        if (peak - self.profit) * 20 >= peak + self.transferred and peak > self.profit:
            self.fallen = True
        self.governor.observe(self.now, self.profit + self.transferred, self.transferred)

    @rule(dollars=st.integers(-7, 7), wait=waits)
    def equity_moves(self, dollars, wait) -> None:
        self.now += wait
        self.profit = max(-60 * DOLLAR, self.profit + dollars * DOLLAR)
        self._observe()

    @rule(dollars=st.sampled_from([-20, 30]))
    def money_moves(self, dollars) -> None:
        if self.transferred + self.profit + dollars * DOLLAR > 20 * DOLLAR:
            self.transferred = max(80 * DOLLAR, self.transferred + dollars * DOLLAR)
        self._observe()

    @rule()
    def operator_resumes(self) -> None:
        self.governor.resume(self.now)
        self.day_lost = self.fallen = False
        self.base = self.profit
        self.resumed = len(self.seen)
        self._observe()

    @invariant()
    def holds_are_what_history_says(self) -> None:
        assert ("daily_loss" in self.holds.sources) is self.day_lost
        assert ("drawdown" in self.holds.sources) is self.fallen
        if self.fallen:
            assert self.holds.state is TradingState.LIQUIDATING
        elif self.day_lost:
            assert self.holds.state is TradingState.REDUCE_ONLY

    @invariant()
    def tomorrow_the_daily_loss_is_over(self) -> None:
        if not self.day_lost:
            return
        events: list = []
        holds = Holds(events)
        holds.sources = dict(self.holds.sources)
        later = copy.copy(self.governor)
        later._holds, later._peaks, later._events = holds, self.governor._peaks.copy(), events
        midnight = (self.now // DAY + 1) * DAY
        later.observe(midnight, self.profit + self.transferred, self.transferred)
        assert "daily_loss" not in holds.sources


class BreakerMachine(RuleBasedStateMachine):
    """Errors, successes, losses and time; the breaker opens when it must and always opens up again."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(load_profile(), [])
        self.now = START
        self.errors = 0
        self.open_until = 0
        self.probing = False
        self.probe = ""
        self.count = 0
        self.day, self.lost = START // DAY, 0

    def _tick(self) -> None:
        if self.now // DAY > self.day:
            self.day, self.lost = self.now // DAY, 0
        if self.open_until and self.now >= self.open_until and not self.probing:
            self.probing, self.probe = True, ""

    def _expects_refusal(self) -> bool:
        self._tick()
        if self.probing:
            return bool(self.probe)
        return bool(self.open_until)

    @rule(wait=st.sampled_from([0, SECOND, 299 * SECOND, 300 * SECOND, HOUR, 20 * HOUR]))
    def time_passes(self, wait) -> None:
        self.now += wait

    @rule()
    def ask(self) -> None:
        expected = self._expects_refusal()
        assert bool(self.breaker.refuses("M", self.now)) is expected
        if not expected:
            self.count += 1
            cid = f"O{self.count}"
            self.breaker.approved(cid)
            if self.probing:
                self.probe = cid

    @rule()
    def error(self) -> None:
        self._tick()
        self.breaker.error(self.probe or "O", "rejected", self.now)
        self.errors += 1
        if self.probing or (not self.open_until and self.errors >= 3):
            self.open_until = max(self.open_until, self.now + 300 * SECOND)
            self.probing, self.probe, self.errors = False, "", 0

    @rule()
    def success(self) -> None:
        # A success is told at the time of the last look, as an acknowledgement is
        self._tick()
        self.breaker.tick(self.now)
        self.breaker.success(self.probe or "O", self.now)
        self.errors, self.probe = 0, ""
        if self.probing:
            self.probing, self.open_until = False, 0

    @rule(dollars=st.integers(-2, 2))
    def result(self, dollars) -> None:
        self._tick()
        self.lost -= dollars * DOLLAR
        self.breaker.result(dollars * DOLLAR, 100 * DOLLAR, self.now)
        if self.lost > 0 and self.lost * 100 >= 3 * 100 * DOLLAR:
            self.open_until = max(self.open_until, (self.day + 1) * DAY)
            self.probing, self.probe, self.errors = False, "", 0

    @invariant()
    def state_is_the_models(self) -> None:
        if self.open_until and not self.probing and self.now < self.open_until:
            assert self.breaker.state is BreakerState.OPEN

    @invariant()
    def it_always_opens_up_again(self) -> None:
        later = copy.deepcopy(self.breaker)
        then = self.now + DAY + 300 * SECOND
        if later.refuses("M", then):
            for cid in list(later._probes):
                later.neither(cid)
            assert later.refuses("M", then) == ""
