"""A plan that was tampered with is refused, or computes something within its sandbox; it never traps."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.errors import FuelExhausted, KernelTrap, NonFiniteOutput, PlanError
from signals.plan import Plan, PlanBuilder
from signals.plan.ops import ACTIVATIONS
from signals.runtime import Runtime
from tests.unit.signals.kernel.cases import CASES, Numbers, plan_of

VALUES = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**62, -1, 0.5, None, "", "tanh", "dense", "add", [], {}, True]),
)


def places(data: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON document that can be changed."""
    if isinstance(data, dict):
        return [p for k, v in data.items() for p in [(*path, k), *places(v, (*path, k))]]
    if isinstance(data, list):
        return [p for i, v in enumerate(data) for p in [(*path, i), *places(v, (*path, i))]]
    return []


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(sorted(CASES)), data=st.data())
def test_any_changed_plan_is_refused_or_runs_without_a_trap(name, data) -> None:
    plan = plan_of(name, 5, 6, 7)
    document = json.loads(json.dumps(plan.to_dict()))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(document)))
        at = document
        try:
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = data.draw(VALUES)
        except (KeyError, TypeError, IndexError):
            continue  # an earlier change removed this place
    try:
        changed = Plan.from_dict(document, plan.weights)
        runtime = Runtime(changed)
    except PlanError:
        return
    inputs = {n: Numbers(3)(*shape) for n, shape in changed.input_shapes().items()}
    try:
        answer = runtime.predict(inputs)
    except NonFiniteOutput:
        return
    except KernelTrap as error:  # pragma: no cover
        pytest.fail(f"trapped: {error}")
    assert {n: a.shape for n, a in answer.items()} == changed.output_shapes()


def test_a_plan_that_costs_seconds_is_refused_when_it_is_loaded() -> None:
    b = PlanBuilder()
    x = b.input("x", 1000, 1000)
    h = x
    for _ in range(60):
        h = b.matmul(h, x)
    b.output("y", h)
    with pytest.raises(FuelExhausted):
        Runtime(b.build())


def test_a_plan_that_needs_too_much_memory_is_refused() -> None:
    b = PlanBuilder()
    x = b.input("x", 4000, 4000)  # 64 MB, and outputs are never overwritten
    for kind in ACTIVATIONS:
        b.output(kind, b.activation(b.activation(x, kind), "abs"))
        b.output(f"{kind} twice", b.activation(x, kind))
    with pytest.raises(PlanError, match="more memory"):
        Runtime(b.build())


def test_weights_reach_the_kernel_as_they_are() -> None:
    b = PlanBuilder()
    x = b.input("x", 1, 3)
    w = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    b.output("y", b.dense(x, w, [0.5, -0.5]))
    answer = Runtime(b.build()).predict({"x": [1.0, 10.0, 100.0]})["y"]
    assert answer.tolist() == [[531.5, 641.5]]
