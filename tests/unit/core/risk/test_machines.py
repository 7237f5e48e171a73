"""No sequence of orders, fills, cancels, unknowns, voids, settlements, marks and merges breaks a limit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.unit.core.risk.machines import GateMachine
from tests.unit.core.risk.machines_over_time import BreakerMachine, GovernorMachine

QUICK = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=250, stateful_step_count=80)
MACHINES = [GateMachine, GovernorMachine, BreakerMachine]


@pytest.mark.parametrize("machine", MACHINES)
def test_no_sequence_of_events_breaks_a_limit(machine: type[RuleBasedStateMachine]):
    run_state_machine_as_test(machine, settings=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
def test_no_long_sequence_of_events_breaks_a_limit(machine: type[RuleBasedStateMachine]):
    run_state_machine_as_test(machine, settings=LONG)
