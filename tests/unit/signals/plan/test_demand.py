"""Rows that no output needs are left out, and nothing else changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.plan import Plan, PlanBuilder, Tensor
from signals.plan.demand import Rows, demand
from signals.plan.graph import Node
from signals.runtime import Runtime
from tests.unit.signals.kernel.cases import Numbers

ROWS = st.builds(Rows, st.integers(0, 30), st.integers(1, 9), st.integers(1, 8))


def listed(rows: Rows) -> set[int]:
    return {rows.first + i * rows.step for i in range(rows.count)}


@given(ROWS, ROWS)
def test_a_union_covers_both_and_nothing_outside_of_them(a, b) -> None:
    both = a.union(b)
    assert listed(both) >= listed(a) | listed(b)
    assert min(listed(both)) == min(listed(a) | listed(b))
    assert max(listed(both)) == max(listed(a) | listed(b))


@given(ROWS, st.integers(-5, 60), st.integers(-5, 60))
def test_clipping_keeps_exactly_the_rows_in_the_range(rows, low, high) -> None:
    assert listed(rows.clip(low, high)) == {r for r in listed(rows) if low <= r < high}


def stack(b: PlanBuilder, x: Tensor, layers: list[tuple[int, int, bool]], w: Numbers) -> Tensor:
    h = b.dense(x, w.small(x.cols, 6))
    for taps, dilation, residual in layers:
        new = b.conv1d(h, w.small(taps, 6, 6), w(6), dilation, "tanh")
        h = b.add(h, new) if residual else b.layer_norm(new, w(6), w(6))
    return h


LAYERS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.booleans()), min_size=1, max_size=5
)


@settings(max_examples=40, deadline=None)
@given(layers=LAYERS, rows=st.integers(1, 40), seed=st.integers(1, 1 << 30), take=st.data())
def test_asking_for_few_rows_gives_the_bits_of_asking_for_all(layers, rows, seed, take) -> None:
    first = take.draw(st.integers(0, rows - 1))
    count = take.draw(st.integers(1, rows - first))

    def answer(all_rows: bool) -> np.ndarray:
        b, w = PlanBuilder(), Numbers(seed)
        h = stack(b, b.input("x", rows, 3), layers, w)
        b.output("y", h if all_rows else b.rows(h, first, count))
        return Runtime(b.build()).predict({"x": Numbers(seed + 1)(rows, 3)})["y"]

    assert answer(False).tobytes() == answer(True)[first : first + count].tobytes()


def tcn(rows: int) -> Plan:
    b = PlanBuilder()
    layers = [(2, 2**i, True) for i in range(6)]
    b.output("y", b.last(stack(b, b.input("x", rows, 3), layers, Numbers())))
    return b.build()


def test_a_dilated_stack_that_ends_in_one_row_computes_half_at_each_layer() -> None:
    plan = tcn(64)
    wanted = demand(plan)
    counts = [wanted[n.outputs[0]].count for n in plan.nodes if n.op == "conv1d"]
    assert counts == [32, 16, 8, 4, 2, 1]
    b = PlanBuilder()
    layers = [(2, 2**i, True) for i in range(6)]
    b.output("y", stack(b, b.input("x", 64, 3), layers, Numbers()))
    assert Runtime(plan).cost < Runtime(b.build()).cost / 2


def test_what_no_output_needs_is_not_computed() -> None:
    b = PlanBuilder()
    x = b.input("x", 8, 4)
    b.lstm(x, np.ones((4, 400)), np.ones((100, 400)))
    b.output("y", b.add(x, x))
    plan = b.build()
    unused: Node = plan.nodes[0]
    assert demand(plan)[unused.outputs[0]].count == 0
    assert Runtime(plan).cost < 2_000
