"""A plan is checked when it is built and again when it is read."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from signals.errors import InputShape, PlanError
from signals.plan import Plan, PlanBuilder, evaluate

RNG = np.random.default_rng(7)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def small_plan() -> Plan:
    b = PlanBuilder()
    x = b.input("x", 6, 3)
    seq, _ = b.lstm(x, weights(3, 16), weights(4, 16), weights(16))
    b.output("y", b.dense(b.last(seq), weights(4, 2), weights(2), act="sigmoid"))
    return b.build()


def test_a_plan_survives_json_and_gives_the_same_numbers() -> None:
    plan = small_plan()
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())), plan.weights)
    x = {"x": weights(6, 3)}
    assert np.array_equal(evaluate(plan, x)["y"], evaluate(again, x)["y"])
    assert again.input_shapes() == {"x": (6, 3)}
    assert again.output_shapes() == {"y": (1, 2)}


def test_a_shared_layer_is_stored_once() -> None:
    b = PlanBuilder()
    x, w = b.input("x", 1, 4), weights(4, 4)
    b.output("y", b.dense(b.dense(x, w), w))
    assert b.build().parameter_count() == 16


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda b, x: b.dense(x, weights(5, 2)), "dense weight"),
        (lambda b, x: b.dense(x, weights(3, 2), weights(3)), "bias"),
        (lambda b, x: b.dense(x, weights(3, 2), act="swish"), "unknown activation"),
        (lambda b, x: b.conv1d(x, weights(2, 4, 1)), "conv1d weight"),
        (lambda b, x: b.conv1d(x, weights(2, 3, 1), dilation=0), "dilation"),
        (lambda b, x: b.lstm(x, weights(3, 10), weights(2, 10)), "wx is not"),
        (lambda b, x: b.matmul(x, x), "matmul shapes"),
        (lambda b, x: b.add(x, b.constant([1.0, 2.0])), "broadcast"),
        (lambda b, x: b.rows(x, 4, 3), "slice leaves"),
        (lambda b, x: b.reshape(x, 5, 3), "cannot reshape"),
        (lambda b, x: b.softmax(x, causal=True), "rows <= cols"),
        (lambda b, x: b.glu(x), "even number"),
        (lambda b, x: b.dense(x, np.full((3, 2), np.nan)), "NaN or infinity"),
    ],
)
def test_a_wrong_shape_is_refused_while_building(build, message) -> None:
    b = PlanBuilder()
    with pytest.raises(PlanError, match=message):
        build(b, b.input("x", 6, 3))


def mutate(data: dict, path: list, value: object) -> dict:
    data = json.loads(json.dumps(data))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["version"], 2),
        (["shapes", 0], [6, 4]),
        (["shapes", 1], [6, -4]),
        (["shapes", 1], [6.0, 4]),
        (["inputs"], {}),
        (["inputs", "x"], 99),
        (["outputs", "y"], 99),
        (["nodes", 0, "op"], "exec"),
        (["nodes", 0, "in"], [3]),
        (["nodes", 0, "in"], [True]),
        (["nodes", 0, "out"], [0, 2]),
        (["nodes", 0, "out"], [1]),
        (["nodes", 0, "weights", "wx"], "nothing"),
        (["nodes", 0, "weights"], {}),
        (["nodes", 1, "attrs", "row"], 6),
        (["nodes", 1, "attrs", "row"], -1),
        (["nodes", 1, "attrs"], {}),
        (["nodes", 2, "attrs", "activation"], 3),
        (["nodes"], None),
        (["nodes"], []),
        (["extra"], 1),
    ],
)
def test_an_altered_plan_is_refused_when_read(path, value) -> None:
    plan = small_plan()
    with pytest.raises(PlanError):
        Plan.from_dict(mutate(plan.to_dict(), path, value), plan.weights)


def test_weights_are_checked_when_read() -> None:
    plan = small_plan()
    name = next(iter(plan.weights))
    for bad in (plan.weights[name].astype(np.float64), np.full_like(plan.weights[name], np.inf)):
        with pytest.raises(PlanError, match="weight"):
            replace(plan, weights={**plan.weights, name: bad})
    with pytest.raises(PlanError, match="weights and plan differ"):
        replace(plan, weights={**plan.weights, "stray": weights(2, 2)})


def test_the_reference_names_a_wrong_input() -> None:
    with pytest.raises(InputShape, match="not those of the plan"):
        evaluate(small_plan(), {"z": weights(6, 3)})
    with pytest.raises(InputShape, match="input x"):
        evaluate(small_plan(), {"x": weights(5, 3)})
