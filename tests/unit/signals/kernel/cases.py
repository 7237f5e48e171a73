"""One small plan for each operation, with numbers that do not come from a library's generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from signals.plan import Plan, PlanBuilder, Tensor
from signals.plan.ops import ACTIVATIONS, BINARY, REDUCTIONS


class Numbers:
    """A linear congruential stream of multiples of 2^-13 in [-4, 4): the same everywhere."""

    def __init__(self, seed: int = 1) -> None:
        self.state = seed & 0xFFFFFFFF

    def __call__(self, *shape: int) -> np.ndarray:
        out = np.empty(int(np.prod(shape)), dtype=np.float32)
        for i in range(out.size):
            self.state = (1_664_525 * self.state + 1_013_904_223) & 0xFFFFFFFF
            out[i] = ((self.state >> 16) - 32_768) / 8_192
        return out.reshape(shape)

    def small(self, *shape: int) -> np.ndarray:
        """Weights [.., in, out] of a size that keeps sums near one, whatever the number of inputs."""
        inputs = int(np.prod(shape[:-1]))
        return self(*shape) / np.float32(2.0 ** (1 + np.ceil(np.log2(inputs) / 2)))


type Build = Callable[[PlanBuilder, Tensor, Numbers, int], Tensor]


def conv(taps: int, dilation: int) -> Build:
    return lambda b, x, w, n: b.conv1d(x, w.small(taps, x.cols, n), w(n), dilation, "tanh")


def lstm(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    seq, c = b.lstm(x, w.small(x.cols, 4 * n), w.small(n, 4 * n), w(4 * n))
    return b.concat([seq, c], axis=0)


def cell(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    h, c = b.constant(w(x.rows, n)), b.constant(w(x.rows, n))
    wx, wh = w.small(x.cols, 4 * n), w.small(n, 4 * n)
    for _ in range(2):
        h, c = b.lstm_cell(x, h, c, wx, wh, w(4 * n))
    return b.concat([h, c], axis=1)


def lstm_with_state(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    h, c = b.constant(w(1, n)), b.constant(w(1, n))
    return b.lstm(x, w.small(x.cols, 4 * n), w.small(n, 4 * n), None, h, c)[0]


def norm(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    return b.layer_norm(x, w(x.cols), w(x.cols))


def attention(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    q, k, v = (b.dense(x, w.small(x.cols, n)) for _ in range(3))
    return b.attention(q, k, v, causal=True)


def broadcasts(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    row, column = b.reduce(x, "mean", 0), b.reduce(x, "mean", 1)
    return b.mul(b.sub(b.add(x, row), column), b.constant(w(1, 1)))


def parts(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    left = b.columns(x, 0, 1 + x.cols // 2)
    return b.concat([b.columns(x, x.cols // 2, x.cols - x.cols // 2), left, x], axis=1)


def grn(b: PlanBuilder, x: Tensor, w: Numbers, n: int) -> Tensor:
    h = b.dense(b.dense(x, w.small(x.cols, n), w(n), "elu"), w.small(n, 2 * x.cols), w(2 * x.cols))
    return b.layer_norm(b.add(x, b.glu(h)), w(x.cols), w(x.cols))


CASES: dict[str, Build] = {
    "dense": lambda b, x, w, n: b.dense(x, w.small(x.cols, n), w(n)),
    "dense_relu": lambda b, x, w, n: b.dense(x, w.small(x.cols, n), None, "relu"),
    "conv_1": conv(1, 1),
    "conv_2": conv(2, 1),
    "conv_3_dilated": conv(3, 2),
    "conv_wide": conv(2, 9),
    "conv_last_row": lambda b, x, w, n: b.last(conv(3, 2)(b, conv(3, 1)(b, x, w, 5), w, n)),
    "lstm": lstm,
    "lstm_cell": cell,
    "lstm_with_state": lstm_with_state,
    "matmul": lambda b, x, w, n: b.matmul(b.dense(x, w.small(x.cols, n)), b.constant(w(n, n))),
    "gram": lambda b, x, w, n: b.matmul(x, b.transpose(x), "softplus"),
    "softmax": lambda b, x, w, n: b.softmax(x, 0.5),
    "attention": attention,
    "layer_norm": norm,
    "broadcasts": broadcasts,
    "glu": lambda b, x, w, n: b.glu(b.concat([x, b.dense(x, w.small(x.cols, x.cols))], 1)),
    "grn": grn,
    "parts": parts,
    "rows": lambda b, x, w, n: b.concat([b.rows(x, 0, 1), b.last(x), x], axis=0),
    "reshape": lambda b, x, w, n: b.reshape(x, x.cols, x.rows),
    "flatten": lambda b, x, w, n: b.dense(
        b.reshape(x, 1, x.rows * x.cols), w.small(x.rows * x.cols, n)
    ),
    "sort": lambda b, x, w, n: b.sort(x),
    "normalise": lambda b, x, w, n: b.normalise(x)[0],
    "scale": lambda b, x, w, n: b.scale(x, w(x.cols), 0.5),
    **{
        f"activation_{kind}": lambda b, x, w, n, kind=kind: b.activation(
            b.activation(x, "abs") if kind in {"log", "sqrt"} else x, kind
        )
        for kind in ACTIVATIONS
    },
    **{
        f"binary_{kind}": lambda b, x, w, n, kind=kind: b._binary(
            kind, x, b.activation(x, "exp"), "none"
        )
        for kind in BINARY
    },
    **{
        f"reduce_{kind}_{axis}": lambda b, x, w, n, kind=kind, axis=axis: b.reduce(x, kind, axis)
        for kind in REDUCTIONS
        for axis in (0, 1)
    },
}


def plan_of(name: str, rows: int, cols: int, units: int, seed: int = 1) -> Plan:
    """Build one case."""
    b = PlanBuilder()
    b.output("y", CASES[name](b, b.input("x", rows, cols), Numbers(seed), units))
    return b.build()
