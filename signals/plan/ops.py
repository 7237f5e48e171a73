"""The operations of a plan: names, arguments, and the shape each one gives.

This table is the one definition; the builder, the validator, the numpy reference and the lowering
to kernel instructions all read it. Every tensor is a matrix ``[rows, cols]`` of float32; a vector
is ``[1, n]``. ``docs/bundles.md`` and `signals.plan.builder.PlanBuilder` show the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from signals.errors import PlanError

type Shape = tuple[int, int]
type Attr = int | float | str
type Attrs = Mapping[str, Attr]
type WeightShapes = Mapping[str, tuple[int, ...]]

ACTIVATIONS: tuple[str, ...] = (
    "none",
    "relu",
    "tanh",
    "sigmoid",
    "gelu",
    "elu",
    "softplus",
    "silu",
    "exp",
    "log",
    "sqrt",
    "abs",
    "neg",
    "square",
)
BINARY: tuple[str, ...] = ("add", "sub", "mul", "div", "max", "min", "gate")
REDUCTIONS: tuple[str, ...] = ("sum", "mean", "max", "min")


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One operation of the table.

    Attributes
    ----------
    infer : callable
        ``(input shapes, weight shapes, attributes) -> output shapes``; raises `PlanError`.
    inputs : tuple[int, int]
        Fewest and most input tensors.
    weights, optional : tuple[str, ...]
        Names of required and of optional constant arrays.
    attrs : dict
        Attribute name to its Python type.
    """

    infer: Callable[[Sequence[Shape], WeightShapes, Attrs], list[Shape]]
    inputs: tuple[int, int]
    weights: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    attrs: Mapping[str, type] = field(default_factory=dict)


def need(condition: bool, what: str, seen: object) -> None:
    """Raise `PlanError` with the value seen unless the condition holds."""
    if not condition:
        raise PlanError(what, seen, "rebuild the plan with the PlanBuilder of this version")


def _integer(attrs: Attrs, name: str, low: int) -> int:
    value = attrs[name]
    need(isinstance(value, int) and value >= low, f"attribute {name} is out of range", value)
    return int(value)


def _activation(attrs: Attrs) -> None:
    need(attrs["activation"] in ACTIVATIONS, "unknown activation", attrs["activation"])


def _bias(weights: WeightShapes, cols: int) -> None:
    need(weights.get("b", (cols,)) == (cols,), f"bias is not [{cols}]", weights.get("b"))


def _constant(_: Sequence[Shape], weights: WeightShapes, __: Attrs) -> list[Shape]:
    shape = weights["value"]
    need(len(shape) == 2, "a constant is a matrix", shape)
    return [(shape[0], shape[1])]


def _dense(inputs: Sequence[Shape], weights: WeightShapes, attrs: Attrs) -> list[Shape]:
    (rows, cols), w = inputs[0], weights["w"]
    need(len(w) == 2 and w[0] == cols, f"dense weight is not [in={cols}, out]", w)
    _bias(weights, w[1])
    _activation(attrs)
    return [(rows, w[1])]


def _conv1d(inputs: Sequence[Shape], weights: WeightShapes, attrs: Attrs) -> list[Shape]:
    (rows, cols), w = inputs[0], weights["w"]
    need(len(w) == 3 and w[1] == cols, f"conv1d weight is not [taps, in={cols}, out]", w)
    _bias(weights, w[2])
    _activation(attrs)
    _integer(attrs, "dilation", 1)
    return [(rows, w[2])]


def _recurrent(x: Shape, state: Sequence[Shape], weights: WeightShapes, rows: int) -> int:
    wx, wh = weights["wx"], weights["wh"]
    need(
        len(wx) == 2 and wx[0] == x[1] and wx[1] % 4 == 0, f"wx is not [in={x[1]}, 4 * hidden]", wx
    )
    hidden = wx[1] // 4
    need(wh == (hidden, 4 * hidden), f"wh is not [{hidden}, {4 * hidden}]", wh)
    _bias(weights, 4 * hidden)
    for shape in state:
        need(shape == (rows, hidden), f"state is not [{rows}, {hidden}]", shape)
    return hidden


def _lstm(inputs: Sequence[Shape], weights: WeightShapes, _: Attrs) -> list[Shape]:
    need(len(inputs) in (1, 3), "lstm takes x, or x with h0 and c0", len(inputs))
    hidden = _recurrent(inputs[0], inputs[1:], weights, 1)
    return [(inputs[0][0], hidden), (1, hidden)]


def _lstm_cell(inputs: Sequence[Shape], weights: WeightShapes, _: Attrs) -> list[Shape]:
    rows = inputs[0][0]
    hidden = _recurrent(inputs[0], inputs[1:], weights, rows)
    return [(rows, hidden), (rows, hidden)]


def _matmul(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    a, b = inputs
    need(a[1] == b[0], "matmul shapes do not meet", (a, b))
    _activation(attrs)
    return [(a[0], b[1])]


def _transpose(inputs: Sequence[Shape], _: WeightShapes, __: Attrs) -> list[Shape]:
    return [(inputs[0][1], inputs[0][0])]


def _reshape(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    (rows, cols), new = inputs[0], (_integer(attrs, "rows", 1), _integer(attrs, "cols", 1))
    need(rows * cols == new[0] * new[1], f"cannot reshape {inputs[0]}", new)
    return [new]


def _softmax(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    rows, cols = inputs[0]
    causal = attrs["causal"]
    need(causal in (0, 1), "causal is 0 or 1", causal)
    need(not causal or rows <= cols, "causal softmax needs rows <= cols", inputs[0])
    return [inputs[0]]


def _layer_norm(inputs: Sequence[Shape], weights: WeightShapes, attrs: Attrs) -> list[Shape]:
    cols = inputs[0][1]
    for name in ("gamma", "beta"):
        need(weights[name] == (cols,), f"{name} is not [{cols}]", weights[name])
    eps = attrs["eps"]
    need(isinstance(eps, int | float) and eps > 0, "eps is positive", eps)
    return [inputs[0]]


def _binary(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    need(attrs["kind"] in BINARY, "unknown binary operation", attrs["kind"])
    _activation(attrs)
    a, b = inputs
    for left, right in zip(a, b, strict=True):
        need(left == right or 1 in (left, right), "shapes do not broadcast", (a, b))
    return [(max(a[0], b[0]), max(a[1], b[1]))]


def _unary(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    _activation(attrs)
    return [inputs[0]]


def _reduce(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    need(attrs["kind"] in REDUCTIONS, "unknown reduction", attrs["kind"])
    need(attrs["axis"] in (0, 1), "axis is 0 (over rows) or 1 (over cols)", attrs["axis"])
    rows, cols = inputs[0]
    return [(1, cols) if attrs["axis"] == 0 else (rows, 1)]


def _slice(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    row, col = _integer(attrs, "row", 0), _integer(attrs, "col", 0)
    rows, cols = _integer(attrs, "rows", 1), _integer(attrs, "cols", 1)
    fits = row + rows <= inputs[0][0] and col + cols <= inputs[0][1]
    need(fits, f"slice leaves {inputs[0]}", dict(attrs))
    return [(rows, cols)]


def _concat(inputs: Sequence[Shape], _: WeightShapes, attrs: Attrs) -> list[Shape]:
    axis = attrs["axis"]
    need(axis in (0, 1), "axis is 0 (rows) or 1 (cols)", axis)
    along = sum(s[int(axis)] for s in inputs)
    other = {s[1 - int(axis)] for s in inputs}
    need(len(other) == 1, "concat shapes do not meet", list(inputs))
    return [(along, other.pop()) if axis == 0 else (other.pop(), along)]


def _sort(inputs: Sequence[Shape], _: WeightShapes, __: Attrs) -> list[Shape]:
    return [inputs[0]]


_ACT = {"activation": str}
OPS: Mapping[str, OpSpec] = {
    "constant": OpSpec(_constant, (0, 0), ("value",)),
    "dense": OpSpec(_dense, (1, 1), ("w",), ("b",), _ACT),
    "conv1d": OpSpec(_conv1d, (1, 1), ("w",), ("b",), {"dilation": int, **_ACT}),
    "lstm": OpSpec(_lstm, (1, 3), ("wx", "wh"), ("b",)),
    "lstm_cell": OpSpec(_lstm_cell, (3, 3), ("wx", "wh"), ("b",)),
    "matmul": OpSpec(_matmul, (2, 2), attrs=_ACT),
    "transpose": OpSpec(_transpose, (1, 1)),
    "reshape": OpSpec(_reshape, (1, 1), attrs={"rows": int, "cols": int}),
    "softmax": OpSpec(_softmax, (1, 1), attrs={"scale": float, "causal": int}),
    "layer_norm": OpSpec(_layer_norm, (1, 1), ("gamma", "beta"), attrs={"eps": float}),
    "binary": OpSpec(_binary, (2, 2), attrs={"kind": str, **_ACT}),
    "unary": OpSpec(_unary, (1, 1), attrs=_ACT),
    "reduce": OpSpec(_reduce, (1, 1), attrs={"kind": str, "axis": int}),
    "slice": OpSpec(_slice, (1, 1), attrs={"row": int, "col": int, "rows": int, "cols": int}),
    "concat": OpSpec(_concat, (1, 64), attrs={"axis": int}),
    "sort": OpSpec(_sort, (1, 1)),
}
