"""Every operation of the kernel says what numpy says, for every shape, on both call paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.errors import NonFiniteOutput
from signals.plan import evaluate
from signals.runtime import Runtime
from tests.unit.signals.kernel.cases import CASES, Numbers, plan_of

SIZES = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 40])


def nudged(values: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Move every number by one float32 rounding step, up or down."""
    toward = np.where(draw.random(values.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
    return np.nextafter(values.astype(np.float32), toward)


def assert_close(ours: np.ndarray, plan, inputs) -> None:
    """Within 1.5e-6 of the size of the numbers, or of what float32 does to this very problem.

    A norm over two nearly equal columns magnifies any rounding. How much is seen from numpy's own
    float32 answer, and from the exact answers to the same question with inputs and weights one
    rounding step away. The error of a sum in one fixed order grows with the root of its length:
    64 terms are the unit here.
    """
    exact = evaluate(plan, inputs)["y"]
    moved = float(np.abs(evaluate(plan, inputs, np.float32)["y"] - exact).max())
    draw = np.random.default_rng(1)
    for _ in range(4):
        near = replace(plan, weights={n: nudged(w, draw) for n, w in plan.weights.items()})
        other = evaluate(near, {n: nudged(x, draw) for n, x in inputs.items()})["y"]
        moved = max(moved, float(np.abs(other - exact).max()))
    terms = max([int(np.prod(w.shape[:-1])) for w in plan.weights.values()], default=1)
    length = max(1.0, terms / 64) ** 0.5
    size = max(1.0, float(np.abs(exact).max()))
    assert ours.shape == exact.shape
    assert float(np.abs(ours - exact).max()) <= length * max(1.5e-6 * size, 4 * moved)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12, deadline=None)
@given(rows=SIZES, cols=SIZES, units=SIZES, seed=st.integers(1, 1 << 31))
def test_an_operation_agrees_with_numpy_for_every_shape(name, rows, cols, units, seed) -> None:
    plan = plan_of(name, rows, cols, units, seed)
    inputs = {"x": Numbers(seed + 1)(rows, cols)}
    answer = Runtime(plan).predict(inputs)["y"]
    assert_close(answer, plan, inputs)


@pytest.mark.parametrize("name", CASES)
def test_both_call_paths_give_the_same_bits(name) -> None:
    plan, inputs = plan_of(name, 9, 11, 10), {"x": Numbers(5)(9, 11)}
    fast, slow = Runtime(plan), Runtime(plan, fast=False)
    assert fast.fast
    assert not slow.fast
    assert fast.predict(inputs)["y"].tobytes() == slow.predict(inputs)["y"].tobytes()
    assert fast.cost == slow.cost


@pytest.mark.parametrize(
    "kind", ["tanh", "sigmoid", "gelu", "elu", "softplus", "silu", "exp", "log"]
)
def test_an_activation_is_accurate_over_its_whole_range(kind) -> None:
    plan = plan_of(f"activation_{kind}", 64, 64, 1)
    grid = np.concatenate([np.linspace(-90, 88, 2048), np.linspace(-6, 6, 2048)])
    grid[grid == 0] = 0.5  # the logarithm of zero has its own test
    x = {"x": grid.astype(np.float32).reshape(64, 64)}
    ours, exact = Runtime(plan).predict(x)["y"].astype(np.float64), evaluate(plan, x)["y"]
    error = np.abs(ours - exact) / np.maximum(1.0, np.abs(exact))
    # gelu: one rounding step of 1 + erf, times half of x up to 5.5, is 3e-7 before any own error
    assert float(error.max()) < (7e-7 if kind == "gelu" else 4e-7)
    if kind in {"sigmoid", "exp", "softplus"}:  # small probabilities and scales keep their size
        normal = exact > 1e-37
        assert float((np.abs(ours - exact) / exact)[normal].max()) < 1e-6


@pytest.mark.parametrize(
    ("kind", "value"),
    [("exp", 89.0), ("log", 0.0), ("log", -1.0), ("sqrt", -1.0), ("square", 1e30)],
)
def test_what_has_no_finite_answer_is_an_error_and_not_a_number(kind, value) -> None:
    from signals.plan import PlanBuilder

    b = PlanBuilder()
    b.output("y", b.activation(b.input("x", 3, 5), kind))
    x = np.ones((3, 5), np.float32)
    x[2, 4] = value
    with pytest.raises(NonFiniteOutput, match="output y"):
        Runtime(b.build()).predict({"x": x})
