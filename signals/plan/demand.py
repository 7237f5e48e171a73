"""Which rows of each tensor the outputs need, so that the others are never computed.

A network that ends in the newest row of a stack of dilated convolutions needs, layer by layer,
only every second, fourth, eighth row. The rows asked of a tensor are kept as one arithmetic
progression; where two users ask for different rows, the progression covers both. Rows are
independent of each other in every operation treated here, so leaving some out changes no bit of
the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from signals.plan.graph import Node, Plan


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows ``first, first + step, ...``, ``count`` of them; ``count`` 0 is none."""

    first: int
    step: int
    count: int

    @classmethod
    def span(cls, first: int, count: int) -> Rows:
        """Return ``count`` rows without gaps."""
        return cls(first, 1, count)

    @property
    def last(self) -> int:
        """The newest row."""
        return self.first + self.step * (self.count - 1)

    def union(self, other: Rows) -> Rows:
        """Return one progression that covers both."""
        if not self.count or not other.count:
            return self if self.count else other
        step = gcd(self.first - other.first, *(r.step for r in (self, other) if r.count > 1))
        first = min(self.first, other.first)
        if step == 0:  # the same single row
            return Rows(first, 1, 1)
        return Rows(first, step, (max(self.last, other.last) - first) // step + 1)

    def clip(self, low: int, high: int) -> Rows:
        """Return the rows in ``[low, high)``."""
        first = self.first + max(0, -(-(low - self.first) // self.step)) * self.step
        stop = min(high, self.last + 1)
        return Rows(first, self.step, max(0, -(-(stop - first) // self.step)))


NONE = Rows(0, 1, 0)
ROW_BY_ROW = {"dense", "unary", "binary", "layer_norm", "sort", "lstm_cell"}


def demand(plan: Plan) -> list[Rows]:
    """Return the rows of every tensor that its node has to write; none for what no output needs."""
    wanted = [NONE] * len(plan.shapes)
    for index in plan.outputs.values():
        wanted[index] = Rows.span(0, plan.shapes[index][0])
    for node in reversed(plan.nodes):
        asked = NONE
        for index in node.outputs:
            asked = asked.union(wanted[index])
        if not asked.count:
            continue
        if not _row_local(node):
            asked = Rows.span(0, max(plan.shapes[i][0] for i in node.outputs))
        for index in node.outputs:
            wanted[index] = asked
        for position, index in enumerate(node.inputs):
            wanted[index] = wanted[index].union(_of_input(plan, node, position, asked))
    return wanted


def _row_local(node: Node) -> bool:
    """Whether a row of the output depends on few rows of the inputs, and can be left out."""
    if node.op in {"concat", "reduce"}:
        return node.attrs["axis"] == 1
    if node.op == "softmax":
        return not node.attrs["causal"]
    return node.op in ROW_BY_ROW | {"conv1d", "slice", "matmul"}


def _of_input(plan: Plan, node: Node, position: int, asked: Rows) -> Rows:
    """Return the rows of one input that the asked rows of the output depend on."""
    total = plan.shapes[node.inputs[position]][0]
    if not _row_local(node) or (node.op == "matmul" and position == 1):
        return Rows.span(0, total)
    if node.op == "conv1d":
        return _behind(plan, node, asked)
    if node.op == "slice":
        return Rows(asked.first + int(node.attrs["row"]), asked.step, asked.count)
    return asked if total > 1 else Rows.span(0, 1)  # one row is broadcast


def _behind(plan: Plan, node: Node, asked: Rows) -> Rows:
    """Return the rows that the taps of a convolution reach back to."""
    taps, dilation = plan.weights[node.weights["w"]].shape[0], int(node.attrs["dilation"])
    if taps == 1:
        return asked
    step = gcd(dilation, asked.step) if asked.count > 1 else dilation
    count = (asked.last - asked.first + (taps - 1) * dilation) // step + 1
    reach = Rows(asked.last - (count - 1) * step, step, count)
    return reach.clip(0, asked.last + 1)
