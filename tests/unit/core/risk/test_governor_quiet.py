"""Between two bounds of profit nothing can happen within a minute: the governor's short way must change nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.risk import load_profile
from core.risk.governor import Governor
from core.risk.limits import Limits
from core.risk.phases import FundPhase
from core.risk.states import Holds, RiskEvent
from core.risk.units import NANO

SECOND = 1_000_000_000
CENT = 10**16
START = 20_000 * 86_400 * SECOND
LIMITS = [
    load_profile(),
    load_profile("research"),
    load_profile().changed({"governors.daily_loss": "0.5"}),
    load_profile().changed({"governors.soft_drawdown": "0.01", "governors.daily_loss": "0.5"}),
]

#: Step of time, step of equity in cents, transfer in dollars, and what the operator does.
moves = st.tuples(
    st.sampled_from([0, SECOND, 7 * SECOND, 61 * SECOND, 3_600 * SECOND, 86_400 * SECOND]),
    st.integers(-160, 160),
    st.sampled_from([0, 0, 0, 0, 0, 0, 0, 5, -5]),
    st.sampled_from(["", "", "", "", "", "", "resume", "limits", "restore"]),
)


class Thorough(Governor):
    """Judges everything at every look."""

    def observe(self, now_ns: int, equity: int, transferred: int) -> None:
        self._stir()
        super().observe(now_ns, equity, transferred)


def state_of(governor: Governor, holds: Holds, events: list[RiskEvent]) -> tuple[object, ...]:
    return (
        list(events),
        governor.posture,
        governor.left,
        governor.day,
        dict(holds.sources),
        list(governor._peaks),
        governor.losses(100 * 10**18),
    )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LIMITS), st.lists(moves, min_size=1, max_size=60))
def test_a_governor_that_rests_between_bounds_moves_as_one_that_always_looks(limits: Limits, steps):
    desks = []
    for kind in (Governor, Thorough):
        events: list[RiskEvent] = []
        holds = Holds(events)
        desks.append((kind(limits, holds, events), holds, events))
    now, equity, transferred = START, 100 * 10**18, 100 * 10**18
    for wait, cents, moved, action in steps:
        now, equity = now + wait, equity + cents * CENT + moved * 10**18
        transferred += moved * 10**18
        for governor, _, _ in desks:
            governor.observe(now, equity, transferred)
            if action == "resume":
                governor.resume(now)
            elif action == "limits":
                governor.set_limits(limits)
            elif action == "restore":
                governor.restore_day(now)
        assert state_of(*desks[0]) == state_of(*desks[1])


def test_the_short_way_is_taken_at_all(monkeypatch: pytest.MonkeyPatch):
    events: list[RiskEvent] = []
    governor = Governor(load_profile(), Holds(events), events)
    looks = []
    drawdown = Governor._drawdown
    monkeypatch.setattr(
        Governor, "_drawdown", lambda self, *a: (looks.append(a), drawdown(self, *a))[1]
    )
    for cents in (0, -1, -2, -1, -3):
        governor.observe(START + SECOND, 100 * 10**18 + cents * CENT, 100 * 10**18)
    assert len(looks) == 1


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=40))
def test_a_phase_is_in_force_exactly_where_walking_all_phases_says(dollars: list[int]):
    phases = load_profile().phases
    short = FundPhase(phases)
    starts = [int(p.from_usd) for p in phases]
    index = 0
    for equity in dollars:
        while index + 1 < len(starts) and equity >= starts[index + 1]:
            index += 1
        while index and equity * 10 < starts[index] * 8:
            index -= 1
        short.observe(equity * 10**18)
        assert short.index == index
    assert short.factor == int(phases[index].factor * NANO)
