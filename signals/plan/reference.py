"""A plan evaluated with numpy: the readable definition that the kernel is tested against.

`evaluate` follows the formulas of the operation table in any float type. In float64 it is the
yardstick of accuracy; in float32 it is the fair "numpy" row of the benchmark. The deployed path
is the WASM kernel, never this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from signals.errors import InputShape
from signals.plan.graph import Node, Plan

type Matrix = NDArray[Any]

_ERF = np.vectorize(erf, otypes=[np.float64])


def sigmoid(x: Matrix) -> Matrix:
    """Return the logistic function without overflow."""
    e = np.exp(-np.abs(x))
    out: Matrix = np.where(x >= 0, 1.0 / (1.0 + e), e / (1.0 + e)).astype(x.dtype)
    return out


def _gelu(x: Matrix) -> Matrix:
    out: Matrix = (0.5 * x * (1.0 + _ERF(x / np.sqrt(2.0)))).astype(x.dtype)
    return out


ACTIVATE: Mapping[str, Callable[[Matrix], Matrix]] = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "gelu": _gelu,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "silu": lambda x: x * sigmoid(x),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "neg": np.negative,
    "square": np.square,
}
COMBINE: Mapping[str, Callable[[Matrix, Matrix], Matrix]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "gate": lambda a, b: a * sigmoid(b),
}
REDUCE: Mapping[str, Callable[..., Matrix]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
}


def evaluate(
    plan: Plan, inputs: Mapping[str, Matrix], dtype: DTypeLike = np.float64
) -> dict[str, Matrix]:
    """Run a plan in numpy.

    Parameters
    ----------
    plan : Plan
    inputs : Mapping[str, array]
        Every input of the plan with its declared shape ``[rows, cols]``.
    dtype : dtype
        ``float64`` (default) or ``float32``.

    Returns
    -------
    dict[str, array]
        Every output by name.

    Raises
    ------
    InputShape
        A missing or unknown input, or a wrong shape.
    """
    if set(inputs) != set(plan.inputs):
        raise InputShape("inputs are not those of the plan", sorted(inputs))
    values: dict[int, Matrix] = {}
    for name, index in plan.inputs.items():
        value = np.asarray(inputs[name], dtype=dtype)
        if value.shape != plan.shapes[index]:
            raise InputShape(f"input {name} is not {plan.shapes[index]}", value.shape)
        values[index] = value
    for node in plan.nodes:
        weights = {r: plan.weights[n].astype(dtype, copy=False) for r, n in node.weights.items()}
        results = EVALUATE[node.op](node, [values[i] for i in node.inputs], weights)
        for index, result in zip(node.outputs, results, strict=True):
            values[index] = result
    return {name: values[i] for name, i in plan.outputs.items()}


type Weights = Mapping[str, Matrix]
type Values = list[Matrix]


def _act(node: Node, x: Matrix) -> Values:
    return [ACTIVATE[str(node.attrs["activation"])](x)]


def _dense(node: Node, x: Values, w: Weights) -> Values:
    out = x[0] @ w["w"]
    return _act(node, out + w["b"] if "b" in w else out)


def _conv1d(node: Node, x: Values, w: Weights) -> Values:
    weight, dilation, rows = w["w"], int(node.attrs["dilation"]), x[0].shape[0]
    out = np.zeros((rows, weight.shape[2]), dtype=x[0].dtype)
    if "b" in w:
        out += w["b"]
    for tap in range(weight.shape[0]):
        back = (weight.shape[0] - 1 - tap) * dilation
        if back < rows:
            out[back:] += x[0][: rows - back] @ weight[tap]
    return _act(node, out)


def _step(z: Matrix, c: Matrix) -> tuple[Matrix, Matrix]:
    n = c.shape[1]
    i, f = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n])
    g, o = np.tanh(z[:, 2 * n : 3 * n]), sigmoid(z[:, 3 * n :])
    new_c = f * c + i * g
    return o * np.tanh(new_c), new_c


def _lstm(node: Node, x: Values, w: Weights) -> Values:
    projected = x[0] @ w["wx"]
    if "b" in w:
        projected = projected + w["b"]
    zero = np.zeros((1, w["wh"].shape[0]), dtype=x[0].dtype)
    h, c = (x[1], x[2]) if len(x) == 3 else (zero, zero)
    seq = np.empty((x[0].shape[0], zero.shape[1]), dtype=x[0].dtype)
    for t in range(len(seq)):
        h, c = _step(projected[t : t + 1] + h @ w["wh"], c)
        seq[t] = h[0]
    return [seq, c]


def _lstm_cell(node: Node, x: Values, w: Weights) -> Values:
    z = x[0] @ w["wx"] + x[1] @ w["wh"]
    return list(_step(z + w["b"] if "b" in w else z, x[2]))


def _softmax(node: Node, x: Values, w: Weights) -> Values:
    z = x[0] * x[0].dtype.type(node.attrs["scale"])
    if node.attrs["causal"]:
        rows, cols = z.shape
        hidden = np.arange(cols)[None, :] > np.arange(rows)[:, None] + cols - rows
        z = np.where(hidden, -np.inf, z)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return [e / e.sum(axis=1, keepdims=True)]


def _layer_norm(node: Node, x: Values, w: Weights) -> Values:
    centred = x[0] - x[0].mean(axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    eps = x[0].dtype.type(node.attrs["eps"])
    return [centred / np.sqrt(variance + eps) * w["gamma"] + w["beta"]]


def _slice(node: Node, x: Values, w: Weights) -> Values:
    row, col = int(node.attrs["row"]), int(node.attrs["col"])
    rows, cols = int(node.attrs["rows"]), int(node.attrs["cols"])
    return [x[0][row : row + rows, col : col + cols]]


def _reshape(node: Node, x: Values, w: Weights) -> Values:
    return [x[0].reshape(int(node.attrs["rows"]), int(node.attrs["cols"]))]


def _reduce(node: Node, x: Values, w: Weights) -> Values:
    return [REDUCE[str(node.attrs["kind"])](x[0], axis=int(node.attrs["axis"]), keepdims=True)]


EVALUATE: Mapping[str, Callable[[Node, Values, Weights], Values]] = {
    "constant": lambda node, x, w: [w["value"]],
    "dense": _dense,
    "conv1d": _conv1d,
    "lstm": _lstm,
    "lstm_cell": _lstm_cell,
    "matmul": lambda node, x, w: _act(node, x[0] @ x[1]),
    "transpose": lambda node, x, w: [x[0].T],
    "reshape": _reshape,
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "binary": lambda node, x, w: _act(node, COMBINE[str(node.attrs["kind"])](x[0], x[1])),
    "unary": lambda node, x, w: _act(node, x[0]),
    "reduce": _reduce,
    "slice": _slice,
    "concat": lambda node, x, w: [np.concatenate(x, axis=int(node.attrs["axis"]))],
    "sort": lambda node, x, w: [np.sort(x[0], axis=1)],
}
