"""`PlanBuilder`: write a model as a plan, with numpy arrays for weights and no torch.

Every tensor is a float32 matrix ``[rows, cols]``; a sequence is ``[time, features]`` with the
oldest row first, a vector is ``[1, n]``. Weights of linear maps are ``[in, out]``, the transpose
of torch's ``weight``. Methods return `Tensor` handles; shapes are checked at once.

=================================  ===========================================================
call                               result
=================================  ===========================================================
``input(name, rows, cols)``        a named input, filled by the caller at each prediction
``constant(array)``                ``[1, n]`` or ``[r, c]`` numbers kept with the weights
``dense(x, w, b, act)``            ``act(x @ w + b)``; w ``[in, out]``, b ``[out]`` or None
``conv1d(x, w, b, dilation, act)`` causal, zero padded on the left; w ``[taps, in, out]`` with
                                   the last tap on the present (torch ``weight.permute(2,1,0)``)
``lstm(x, wx, wh, b, h0, c0)``     ``(seq [T, H], c [1, H])``; wx ``[in, 4H]``, wh ``[H, 4H]``,
                                   b ``[4H]`` = ``bias_ih + bias_hh``; gates i, f, g, o; the last
                                   hidden state is ``rows(seq, T - 1, 1)``
``lstm_cell(x, h, c, wx, wh, b)``  one step for a batch of rows: ``(h [B, H], c [B, H])``
``matmul(a, b, act)``              ``act(a @ b)`` of two computed tensors
``transpose(x)``                   ``x.T``
``reshape(x, rows, cols)``         same numbers in C order
``softmax(x, scale, causal)``      over cols of ``scale * x``; causal: row i of the last ``rows``
                                   positions sees cols ``<= cols - rows + i``
``attention(q, k, v, causal)``     ``softmax(q @ k.T / sqrt(d)) @ v`` for one head
``layer_norm(x, gamma, beta)``     over cols, population variance, ``eps`` 1e-5
``add sub mul div maximum minimum``  with broadcasting of 1-row, 1-col and 1x1; ``act`` after it
``gate(a, b)``                     ``a * sigmoid(b)``
``glu(x)``                         ``gate`` of the left and the right half of the cols
``activation(x, kind)``            relu tanh sigmoid gelu (erf) elu (alpha 1) softplus silu exp
                                   log sqrt abs neg square
``scale(x, factor, offset)``       ``x * factor + offset``; numbers or arrays ``[cols]``
``reduce(x, kind, axis)``          sum mean max min over rows (0) or cols (1)
``rows / columns / slice``         a part of x (a view: no copy, no time)
``last(x)``                        the newest row
``concat([..], axis)``             one after another along rows (0) or cols (1)
``sort(x)``                        each row ascending: monotone quantiles
``normalise(x, eps)``              ``((x - mean) / std, mean [1, n], std [1, n])`` over time
``output(name, x)``                a named output
``build()``                        the checked `Plan`
=================================  ===========================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from signals.errors import PlanError
from signals.plan.graph import Array, Node, Plan
from signals.plan.ops import OPS, Attr, Shape, need


@dataclass(frozen=True, slots=True)
class Tensor:
    """A handle of one matrix in a plan under construction."""

    index: int
    rows: int
    cols: int

    @property
    def shape(self) -> Shape:
        """Rows and cols."""
        return self.rows, self.cols


class PlanBuilder:
    """Collect nodes and weights of one model; see the table of the module."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._nodes: list[Node] = []
        self._inputs: dict[str, int] = {}
        self._outputs: dict[str, int] = {}
        self._weights: dict[str, Array] = {}

    # --- edges -------------------------------------------------------------------------------

    def input(self, name: str, rows: int, cols: int) -> Tensor:
        """Declare a named input of ``[rows, cols]``."""
        need(name not in self._inputs, "input is declared twice", name)
        tensor = self._tensor((rows, cols))
        self._inputs[name] = tensor.index
        return tensor

    def output(self, name: str, x: Tensor) -> None:
        """Name a tensor as a result."""
        need(name not in self._outputs, "output is declared twice", name)
        self._outputs[name] = x.index

    def build(self) -> Plan:
        """Return the checked plan.

        Raises
        ------
        PlanError
            No input, no output, or a shape that does not fit.
        """
        return Plan(
            tuple(self._shapes),
            tuple(self._nodes),
            dict(self._inputs),
            dict(self._outputs),
            dict(self._weights),
        )

    # --- layers with weights -----------------------------------------------------------------

    def constant(self, value: Any) -> Tensor:
        """Keep numbers with the weights; a scalar is ``[1, 1]``, a vector ``[1, n]``."""
        array = np.atleast_2d(np.asarray(value, dtype=np.float32))
        return self._node("constant", (), {"value": array})[0]

    def dense(self, x: Tensor, w: Any, b: Any = None, act: str = "none") -> Tensor:
        """Return ``act(x @ w + b)`` with w ``[in, out]``."""
        return self._node("dense", (x,), {"w": w, "b": b}, activation=act)[0]

    def conv1d(
        self, x: Tensor, w: Any, b: Any = None, dilation: int = 1, act: str = "none"
    ) -> Tensor:
        """Return the causal dilated convolution over rows with w ``[taps, in, out]``."""
        return self._node("conv1d", (x,), {"w": w, "b": b}, dilation=dilation, activation=act)[0]

    def lstm(
        self,
        x: Tensor,
        wx: Any,
        wh: Any,
        b: Any = None,
        h0: Tensor | None = None,
        c0: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the hidden states of all steps ``[T, H]`` and the last cell state ``[1, H]``."""
        need((h0 is None) == (c0 is None), "lstm takes both h0 and c0 or neither", "one of them")
        state = () if h0 is None or c0 is None else (h0, c0)
        seq, c = self._node("lstm", (x, *state), {"wx": wx, "wh": wh, "b": b})
        return seq, c

    def lstm_cell(
        self, x: Tensor, h: Tensor, c: Tensor, wx: Any, wh: Any, b: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Return h and c after one step for every row of x (a batch, e.g. sampled paths)."""
        new_h, new_c = self._node("lstm_cell", (x, h, c), {"wx": wx, "wh": wh, "b": b})
        return new_h, new_c

    def layer_norm(self, x: Tensor, gamma: Any, beta: Any, eps: float = 1e-5) -> Tensor:
        """Normalise each row to mean 0 and population variance 1, then scale and shift."""
        return self._node("layer_norm", (x,), {"gamma": gamma, "beta": beta}, eps=eps)[0]

    def scale(self, x: Tensor, factor: Any = 1.0, offset: Any = 0.0) -> Tensor:
        """Return ``x * factor + offset`` with constant numbers or ``[cols]`` arrays."""
        out = x
        if not np.all(np.asarray(factor) == 1.0):
            out = self.mul(out, self.constant(factor))
        if not np.all(np.asarray(offset) == 0.0):
            out = self.add(out, self.constant(offset))
        return out

    # --- computed matrices -------------------------------------------------------------------

    def matmul(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(a @ b)``."""
        return self._node("matmul", (a, b), activation=act)[0]

    def transpose(self, x: Tensor) -> Tensor:
        """Return ``x.T``."""
        return self._node("transpose", (x,))[0]

    def reshape(self, x: Tensor, rows: int, cols: int) -> Tensor:
        """Return the same numbers in C order as ``[rows, cols]``."""
        return self._node("reshape", (x,), rows=rows, cols=cols)[0]

    def softmax(self, x: Tensor, scale: float = 1.0, causal: bool = False) -> Tensor:
        """Return the softmax of ``scale * x`` over cols; hidden positions of a causal one are 0."""
        return self._node("softmax", (x,), scale=float(scale), causal=int(causal))[0]

    def attention(self, q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
        """Return scaled dot-product attention of one head."""
        scores = self.matmul(q, self.transpose(k))
        return self.matmul(self.softmax(scores, 1.0 / sqrt(q.cols), causal), v)

    # --- element by element ------------------------------------------------------------------

    def add(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(a + b)``."""
        return self._binary("add", a, b, act)

    def sub(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(a - b)``."""
        return self._binary("sub", a, b, act)

    def mul(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(a * b)``."""
        return self._binary("mul", a, b, act)

    def div(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(a / b)``."""
        return self._binary("div", a, b, act)

    def maximum(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(max(a, b))``."""
        return self._binary("max", a, b, act)

    def minimum(self, a: Tensor, b: Tensor, act: str = "none") -> Tensor:
        """Return ``act(min(a, b))``."""
        return self._binary("min", a, b, act)

    def gate(self, a: Tensor, b: Tensor) -> Tensor:
        """Return ``a * sigmoid(b)``."""
        return self._binary("gate", a, b, "none")

    def glu(self, x: Tensor) -> Tensor:
        """Return the gated linear unit: left half of the cols times sigmoid of the right half."""
        need(x.cols % 2 == 0, "glu needs an even number of cols", x.shape)
        half = x.cols // 2
        return self.gate(self.columns(x, 0, half), self.columns(x, half, half))

    def activation(self, x: Tensor, kind: str) -> Tensor:
        """Apply one activation of `signals.plan.ops.ACTIVATIONS`."""
        return self._node("unary", (x,), activation=kind)[0]

    # --- reductions and order ----------------------------------------------------------------

    def reduce(self, x: Tensor, kind: str, axis: int) -> Tensor:
        """Return sum, mean, max or min over rows (axis 0) or cols (axis 1)."""
        return self._node("reduce", (x,), kind=kind, axis=axis)[0]

    def normalise(self, x: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``(x - mean) / std``, mean and ``std = sqrt(var + eps)`` over rows (time)."""
        mean = self.reduce(x, "mean", 0)
        centred = self.sub(x, mean)
        variance = self.reduce(self.activation(centred, "square"), "mean", 0)
        std = self.add(variance, self.constant(eps), act="sqrt")
        return self.div(centred, std), mean, std

    def sort(self, x: Tensor) -> Tensor:
        """Return each row in ascending order."""
        return self._node("sort", (x,))[0]

    # --- parts -------------------------------------------------------------------------------

    def slice(self, x: Tensor, row: int, col: int, rows: int, cols: int) -> Tensor:
        """Return ``x[row:row + rows, col:col + cols]``."""
        return self._node("slice", (x,), row=row, col=col, rows=rows, cols=cols)[0]

    def rows(self, x: Tensor, start: int, count: int) -> Tensor:
        """Return ``count`` rows from ``start``."""
        return self.slice(x, start, 0, count, x.cols)

    def columns(self, x: Tensor, start: int, count: int) -> Tensor:
        """Return ``count`` cols from ``start``."""
        return self.slice(x, 0, start, x.rows, count)

    def last(self, x: Tensor) -> Tensor:
        """Return the newest row as ``[1, cols]``."""
        return self.rows(x, x.rows - 1, 1)

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Return the parts one after another along rows (0) or cols (1)."""
        return self._node("concat", tuple(parts), axis=axis)[0]

    # --- inside ------------------------------------------------------------------------------

    def _tensor(self, shape: Shape) -> Tensor:
        self._shapes.append(shape)
        return Tensor(len(self._shapes) - 1, *shape)

    def _binary(self, kind: str, a: Tensor, b: Tensor, act: str) -> Tensor:
        return self._node("binary", (a, b), kind=kind, activation=act)[0]

    def _weight(self, op: str, role: str, value: Any) -> str:
        array = np.ascontiguousarray(value, dtype=np.float32)
        if not np.isfinite(array).all():
            raise PlanError(f"{op}: {role} holds NaN or infinity", array.shape, "train again")
        for name, known in self._weights.items():  # a shared layer is stored once
            if known.shape == array.shape and np.array_equal(known, array):
                return name
        name = f"{len(self._nodes):04d}.{op}.{role}"
        self._weights[name] = array
        return name

    def _node(
        self,
        op: str,
        inputs: tuple[Tensor, ...],
        weights: Mapping[str, Any] | None = None,
        **attrs: Attr,
    ) -> list[Tensor]:
        names = {
            role: self._weight(op, role, value)
            for role, value in (weights or {}).items()
            if value is not None
        }
        shapes = {role: self._weights[name].shape for role, name in names.items()}
        try:
            result = OPS[op].infer([t.shape for t in inputs], shapes, attrs)
        except PlanError as error:
            raise PlanError(f"{op}: {error.what}", error.seen, error.mend) from error
        outputs = [self._tensor(shape) for shape in result]
        self._nodes.append(
            Node(
                op,
                tuple(t.index for t in inputs),
                tuple(t.index for t in outputs),
                names,
                attrs,
            )
        )
        return outputs
