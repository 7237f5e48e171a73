"""A plan: the nodes of one model, its named inputs and outputs, and its weights.

A plan is data. It travels in a bundle as JSON (`Plan.to_dict`) beside a safetensors file with the
weights, and is checked in full when it is read: no node can name a tensor, a weight or a shape
that does not exist, so that the kernel never sees an address it was not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from signals.errors import PlanError
from signals.plan.ops import OPS, Attr, Shape, need

PLAN_VERSION: Final = 1
MAX_NODES: Final = 4096
MAX_ELEMENTS: Final = 16_000_000
"""Largest single tensor or weight, in float32 numbers (64 MB)."""

type Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: tensors in, tensors out, weight names by role, attributes."""

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: Mapping[str, str]
    attrs: Mapping[str, Attr]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked computation graph.

    Attributes
    ----------
    shapes : tuple[Shape, ...]
        ``(rows, cols)`` of every tensor, by tensor number.
    nodes : tuple[Node, ...]
        In execution order.
    inputs, outputs : Mapping[str, int]
        Name to tensor number.
    weights : Mapping[str, Array]
        Name to float32 array, C order, finite.
    """

    shapes: tuple[Shape, ...]
    nodes: tuple[Node, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    weights: Mapping[str, Array]

    def __post_init__(self) -> None:
        _check(self)

    def input_shapes(self) -> dict[str, Shape]:
        """Return ``{input name: (rows, cols)}``."""
        return {name: self.shapes[i] for name, i in self.inputs.items()}

    def output_shapes(self) -> dict[str, Shape]:
        """Return ``{output name: (rows, cols)}``."""
        return {name: self.shapes[i] for name, i in self.outputs.items()}

    def parameter_count(self) -> int:
        """Return how many weights the plan holds."""
        return sum(int(w.size) for w in self.weights.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the plan without its weights, ready for JSON."""
        return {
            "version": PLAN_VERSION,
            "shapes": [list(s) for s in self.shapes],
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
            "nodes": [
                {
                    "op": n.op,
                    "in": list(n.inputs),
                    "out": list(n.outputs),
                    "weights": dict(n.weights),
                    "attrs": dict(n.attrs),
                }
                for n in self.nodes
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], weights: Mapping[str, Array]) -> Plan:
        """Read what `to_dict` wrote and check all of it.

        Raises
        ------
        PlanError
            Unknown version, unknown keys, or anything that does not fit together.
        """
        need(isinstance(data, Mapping), "a plan is a JSON object", type(data).__name__)
        known = {"version", "shapes", "inputs", "outputs", "nodes"}
        need(set(data) == known, "a plan has other keys", sorted(set(data) ^ known))
        need(
            data["version"] == PLAN_VERSION, f"plan version is not {PLAN_VERSION}", data["version"]
        )
        try:
            shapes = tuple((_whole(r), _whole(c)) for r, c in data["shapes"])
            nodes = tuple(
                Node(
                    op=str(n["op"]),
                    inputs=tuple(_whole(i) for i in n["in"]),
                    outputs=tuple(_whole(i) for i in n["out"]),
                    weights={str(k): str(v) for k, v in n["weights"].items()},
                    attrs=dict(n["attrs"]),
                )
                for n in data["nodes"]
            )
            inputs = {str(k): _whole(v) for k, v in data["inputs"].items()}
            outputs = {str(k): _whole(v) for k, v in data["outputs"].items()}
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise PlanError("a plan is not well formed", repr(error)) from error
        return cls(shapes, nodes, inputs, outputs, dict(weights))


def _whole(value: object) -> int:
    need(type(value) is int, "a plan holds a number that is not whole", value)
    assert isinstance(value, int)
    return value


def _check(plan: Plan) -> None:
    """Check names, order, shapes, weights and sizes; raise `PlanError` at the first fault."""
    need(0 < len(plan.nodes) <= MAX_NODES, f"a plan has 1 to {MAX_NODES} nodes", len(plan.nodes))
    need(bool(plan.inputs) and bool(plan.outputs), "a plan has inputs and outputs", "none")
    for shape in plan.shapes:
        ok = shape[0] > 0 and shape[1] > 0 and shape[0] * shape[1] <= MAX_ELEMENTS
        need(ok, "tensor size out of range", shape)
    for name, weight in plan.weights.items():
        _check_weight(name, weight)
    defined = set(plan.inputs.values())
    need(len(defined) == len(plan.inputs), "two inputs share a tensor", dict(plan.inputs))
    for index in defined:
        need(0 <= index < len(plan.shapes), "input names no tensor", index)
    for position, node in enumerate(plan.nodes):
        _check_node(plan, position, node, defined)
    for name, index in plan.outputs.items():
        need(index in defined, f"output {name} is never computed", index)
    used = {w for n in plan.nodes for w in n.weights.values()}
    need(used == set(plan.weights), "weights and plan differ", sorted(used ^ set(plan.weights)))


def _check_weight(name: str, weight: Array) -> None:
    is_array = isinstance(weight, np.ndarray) and weight.dtype == np.float32
    need(is_array, f"weight {name} is not a float32 array", getattr(weight, "dtype", type(weight)))
    need(0 < weight.size <= MAX_ELEMENTS, f"weight {name} size out of range", weight.shape)
    need(bool(np.isfinite(weight).all()), f"weight {name} holds NaN or infinity", weight.shape)


def _check_node(plan: Plan, position: int, node: Node, defined: set[int]) -> None:
    label = f"node {position} ({node.op})"
    spec = OPS.get(node.op)
    if spec is None:
        raise PlanError(f"{label}: unknown operation", node.op, f"known: {', '.join(OPS)}")
    low, high = spec.inputs
    need(low <= len(node.inputs) <= high, f"{label}: number of inputs", len(node.inputs))
    for index in node.inputs:
        need(index in defined, f"{label}: input is not computed before", index)
    roles = set(node.weights)
    required, allowed = set(spec.weights), set(spec.weights) | set(spec.optional)
    need(required <= roles <= allowed, f"{label}: weight roles", sorted(roles))
    for name in node.weights.values():
        need(name in plan.weights, f"{label}: no such weight", name)
    need(set(node.attrs) == set(spec.attrs), f"{label}: attributes", dict(node.attrs))
    for name, kind in spec.attrs.items():
        value = node.attrs[name]
        fits = type(value) is kind or (kind is float and type(value) is int)
        need(fits, f"{label}: attribute {name} is not {kind.__name__}", value)
        need(kind is str or bool(np.isfinite(float(value))), f"{label}: {name} not finite", value)
    given = [plan.shapes[i] for i in node.inputs]
    weight_shapes = {role: plan.weights[name].shape for role, name in node.weights.items()}
    try:
        expected = spec.infer(given, weight_shapes, node.attrs)
    except PlanError as error:
        raise PlanError(f"{label}: {error.what}", error.seen, error.mend) from error
    for index in node.outputs:
        need(0 <= index < len(plan.shapes), f"{label}: output names no tensor", index)
        need(index not in defined, f"{label}: tensor is written twice", index)
        defined.add(index)
    shapes = [plan.shapes[i] for i in node.outputs]
    need(shapes == expected, f"{label}: output shapes are not {expected}", shapes)
