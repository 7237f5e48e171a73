"""Mutation test: each bug is planted into the gate, and the state machines must find it.

Run it with ``pytest tests/unit/core/risk/test_planted_bugs.py -v``. A machine that would pass with one of
these bugs proves nothing; the same settings without a bug must pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from core.risk import approval, checks
from core.risk.approval import Signer
from core.risk.breaker import CircuitBreaker
from core.risk.gate import Gate
from core.risk.governor import Governor
from core.risk.instruments import Purse
from core.risk.intake import Intake
from core.risk.portfolio import Portfolio
from core.risk.states import TradingState
from core.risk.working import OrderState
from tests.unit.core.risk.machines import GateMachine
from tests.unit.core.risk.machines_over_time import BreakerMachine, GovernorMachine

HUNT = settings(
    max_examples=500,
    stateful_step_count=50,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Plant = Callable[[pytest.MonkeyPatch], None]
BUGS: dict[str, tuple[Plant, type[RuleBasedStateMachine]]] = {}


def bug(machine: type[RuleBasedStateMachine]) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        BUGS[plant.__name__] = (plant, machine)
        return plant

    return register


@bug(GateMachine)
def no_reservation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Portfolio, "_reserve_cash", lambda self, order, delta: None)


@bug(GateMachine)
def resting_sells_ignored(patch: pytest.MonkeyPatch) -> None:
    def sellable(self: Portfolio, strategy_id: str, rules: Any) -> int:
        holding = self.holdings.get((strategy_id, rules.instrument_id))
        return holding.quantity - holding.provisional if holding else 0

    patch.setattr(Portfolio, "sellable", sellable)


@bug(GateMachine)
def fee_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intake, "fee_bound", lambda *args: 0)


@bug(GateMachine)
def duplicate_accepted(patch: pytest.MonkeyPatch) -> None:
    reserve = Portfolio.reserve

    def forgetful(self: Portfolio, order: Any) -> None:
        reserve(self, order)
        self.known.discard(order.client_order_id)

    patch.setattr(Portfolio, "reserve", forgetful)


@bug(GateMachine)
def halt_ignored(patch: pytest.MonkeyPatch) -> None:
    standing = checks.standing

    def blind(g: Intake, d: checks.Draft) -> str:
        state, g.holds.state = g.holds.state, TradingState.RUNNING
        try:
            return standing(g, d)
        finally:
            g.holds.state = state

    patch.setattr(checks, "standing", blind)


@bug(GateMachine)
def collar_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intake, "collar", lambda self, rules, touch: (-(10**30), 10**30, 10**30))


@bug(GateMachine)
def signature_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(approval, "compare_digest", lambda a, b: True)


@bug(GateMachine)
def nonce_reused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "_awaits", staticmethod(lambda order, nonce: True))


@bug(BreakerMachine)
def breaker_cool_down_endless(patch: pytest.MonkeyPatch) -> None:
    tick = CircuitBreaker.tick

    def endless(self: CircuitBreaker, now_ns: int) -> None:
        until, self.open_until_ns = self.open_until_ns, 10**30
        tick(self, now_ns)
        self.open_until_ns = until

    patch.setattr(CircuitBreaker, "tick", endless)


@bug(GovernorMachine)
def daily_loss_never_resets(patch: pytest.MonkeyPatch) -> None:
    def new_day(self: Governor, day: int, profit: int, now_ns: int) -> None:
        if self.day < 0:
            self.day, self._day_profit = day, profit

    patch.setattr(Governor, "_new_day", new_day)


# -- more than the ten ----------------------------------------------------------------------------


@bug(BreakerMachine)
def errors_of_the_breaker_do_not_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CircuitBreaker, "error", lambda self, cid, reason, now_ns: None)


@bug(GovernorMachine)
def drawdown_looks_at_the_whole_past(patch: pytest.MonkeyPatch) -> None:
    def set_limits(self: Governor, limits: Any) -> None:
        original(self, limits)
        self._window_ns = 10**20

    original = Governor.set_limits
    patch.setattr(Governor, "set_limits", set_limits)


@bug(GovernorMachine)
def a_deposit_counts_as_profit(patch: pytest.MonkeyPatch) -> None:
    observe = Governor.observe
    patch.setattr(
        Governor, "observe", lambda self, now, equity, moved: observe(self, now, equity, 0)
    )


@bug(GateMachine)
def a_time_out_releases_an_unknown_order(patch: pytest.MonkeyPatch) -> None:
    on_done = Intake.on_done
    patch.setattr(
        Intake,
        "on_done",
        lambda self, cid, ts_ns=0, *, proven=True, rejected=False: on_done(
            self, cid, ts_ns, rejected=rejected
        ),
    )


@bug(GateMachine)
def a_fill_is_booked_twice(patch: pytest.MonkeyPatch) -> None:
    take = Portfolio.take

    def forgetful(self: Portfolio, trade_id: str, trade: Any, price: int) -> int:
        profit = take(self, trade_id, trade, price)
        self.trades.pop(trade_id)
        return profit

    patch.setattr(Portfolio, "take", forgetful)


@bug(GateMachine)
def an_expired_approval_is_good(patch: pytest.MonkeyPatch) -> None:
    verify = Signer.verify
    patch.setattr(
        Signer,
        "verify",
        lambda self, approved, now_ns, signed=None: verify(self, approved, 0, signed),
    )
    patch.setattr(Gate, "_expire", lambda self, now_ns: None)


@bug(GateMachine)
def unconfirmed_proceeds_are_spent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Purse, "free", property(lambda self: self.cash - self.reserved))


@bug(GateMachine)
def a_change_reserves_nothing(patch: pytest.MonkeyPatch) -> None:
    def begin(self: Portfolio, order: Any, change: Any) -> None:
        order.change = change

    patch.setattr(Portfolio, "begin_change", begin)


@bug(GateMachine)
def a_cancelled_order_keeps_its_reservation(patch: pytest.MonkeyPatch) -> None:
    def close(self: Portfolio, order: Any) -> None:
        order.state, order.approval = OrderState.DONE, None
        del self.orders[order.client_order_id]

    patch.setattr(Portfolio, "close", close)


@bug(GateMachine)
def the_opposite_of_a_held_outcome_is_bought(patch: pytest.MonkeyPatch) -> None:
    coverage = checks.coverage
    patch.setattr(checks, "coverage", lambda g, d: "" if d.order.buy else coverage(g, d))


@bug(GateMachine)
def two_strategies_bid_for_both_sides_where_the_venue_nets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Portfolio, "others_buy", lambda self, strategy_id, instrument_id: 0)


@bug(GateMachine)
def a_settlement_pays_twice(patch: pytest.MonkeyPatch) -> None:
    settle = Portfolio.settle

    def twice(self: Portfolio, rules: Any, payout: int) -> dict[str, int]:
        held = self.held.get(rules.instrument_id, 0)
        out = settle(self, rules, payout)
        self.add_cash(rules.venue.code, payout * held)
        return out

    patch.setattr(Portfolio, "settle", twice)


@bug(GateMachine)
def a_market_limit_forgets_what_is_held(patch: pytest.MonkeyPatch) -> None:
    commit = Portfolio._commit

    def forgetful(self: Portfolio, rules: Any, strategy_id: str, delta: int) -> None:
        commit(self, rules, strategy_id, delta)
        rules.in_market.used = 0

    patch.setattr(Portfolio, "_commit", forgetful)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch):
    plant, machine = BUGS[name]
    plant(monkeypatch)
    with pytest.raises(Exception) as found:
        run_state_machine_as_test(machine, settings=HUNT)
    assert found.type.__name__ not in {"TypeError", "AttributeError", "NameError", "KeyError"}, (
        f"the plant itself is broken: {found.value!r}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("machine", [GateMachine, GovernorMachine, BreakerMachine])
def test_without_a_bug_the_same_hunt_finds_nothing(machine: type[RuleBasedStateMachine]):
    run_state_machine_as_test(machine, settings=HUNT)
