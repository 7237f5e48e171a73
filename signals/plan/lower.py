"""Compile a plan to the kernel's instructions: one function an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from signals.errors import PlanError
from signals.plan import assembly as code
from signals.plan.assembly import Assembler, Product, Program, float_bits, vectors
from signals.plan.demand import Rows
from signals.plan.graph import Node, Plan
from signals.plan.memory import ALIGNMENT, Place, stride_of
from signals.plan.ops import ACTIVATIONS, BINARY, REDUCTIONS, Shape
from signals.plan.packing import (
    LANES,
    UNITS,
    gate_columns,
    pack_panels,
    pack_recurrent,
    pad_vector,
    round_up,
)

MAX_MEMORY: Final = 1 << 30
SLACK: Final = 256
"""Bytes after the last tensor: vector reads may run past the last number of a row."""


def lower(plan: Plan, base: int) -> Program:
    """Compile a plan for memory that is free from address `base` on.

    Raises
    ------
    PlanError
        The program would need more than 1 GiB.
    """
    start = round_up(base, ALIGNMENT)
    trial = Assembler(plan, 0, 0)  # lengths do not depend on where things lie
    _assemble(trial)
    constants_at = round_up(start + 4 * len(trial.words), ALIGNMENT)
    arena_at = constants_at + trial.constants_end
    asm = Assembler(plan, constants_at, arena_at)
    inputs, outputs = _assemble(asm)
    size = asm.arena.end + SLACK
    if size > MAX_MEMORY:
        raise PlanError(
            "a plan needs more memory than the kernel may have", size, "make it smaller"
        )
    image = np.zeros(arena_at - start, dtype=np.uint8)
    words = np.array(asm.words, dtype=np.uint32).view(np.uint8)
    image[: words.size] = words
    for address, data in asm.constants:
        image[address - start : address - start + data.nbytes] = data.view(np.uint8)
    return Program(start, image, size, inputs, outputs)


def _assemble(asm: Assembler) -> tuple[tuple[code.Field, ...], tuple[code.Field, ...]]:
    plan = asm.plan
    inputs = tuple(asm.field(n, i, 1 + k) for k, (n, i) in enumerate(plan.inputs.items()))
    for field in inputs:
        asm.check(field)
    for position, node in enumerate(plan.nodes):
        asm.now = position
        if asm.rows(node).count:
            EMIT[node.op](asm, node)
    asm.now = len(plan.nodes)
    first = 1 + len(inputs)
    outputs = tuple(asm.field(n, i, first + k) for k, (n, i) in enumerate(plan.outputs.items()))
    for field in outputs:
        asm.check(field)
    asm.emit(code.END)
    return inputs, outputs


def _bias(asm: Assembler, node: Node, cols: int) -> int:
    if "b" not in node.weights:
        return asm.zeros(cols)
    name, bias = asm.weight(node, "b")
    return asm.constant(name, "vector", pad_vector(bias))


def _floor(kind: str) -> float:
    return 0.0 if kind == "relu" else code.NO_FLOOR


def _constant(asm: Assembler, node: Node) -> None:
    name, value = asm.weight(node, "value")
    stride = stride_of(value.shape[1])
    rows = np.zeros((value.shape[0], stride // 4), dtype=np.float32)
    rows[:, : value.shape[1]] = value
    asm.put(node.outputs[0], Place(asm.constant(name, "matrix", rows), stride))


def _dense(asm: Assembler, node: Node) -> None:
    name, weight = asm.weight(node, "w")
    kind, rows, cols = str(node.attrs["activation"]), asm.rows(node), weight.shape[1]
    packed = asm.constant(name, "dense", pack_panels(weight[None]))
    right = Product(packed, _bias(asm, node, cols), weight.shape[0], cols, _floor(kind))
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    asm.product(out, x, rows, right)
    asm.activate(kind, out, rows, cols)


def _conv1d(asm: Assembler, node: Node) -> None:
    name, weight = asm.weight(node, "w")
    taps, inputs, cols = weight.shape
    kind, rows, dilation = (
        str(node.attrs["activation"]),
        asm.rows(node),
        int(node.attrs["dilation"]),
    )
    packed, bias = asm.constant(name, "conv", pack_panels(weight)), _bias(asm, node, cols)
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    total = asm.plan.shapes[node.outputs[0]][0]
    for active in range(1, taps + 1):  # the oldest rows see fewer taps: the rest is padding
        high = total if active == taps else min(total, active * dilation)
        part = rows.clip((active - 1) * dilation, high)
        if part.count:
            back = dilation * x.stride
            right = Product(packed, bias, inputs, cols, _floor(kind), active, taps, back)
            asm.product(out, x, part, right)
    asm.activate(kind, out, rows, cols)


def _lstm(asm: Assembler, node: Node) -> None:
    rows = asm.plan.shapes[node.outputs[0]][0]
    if len(node.inputs) == 3:
        h0, c0 = (asm.place(i).address for i in node.inputs[1:])
    else:
        h0 = c0 = asm.zeros(round_up(asm.weight(node, "wh")[1].shape[0], UNITS))
    seq, c = (asm.place(i) for i in node.outputs)
    before = (h0, seq.address, seq.stride, c0, c.address, 0)
    _recurrent(asm, node, rows, before, (seq.address, seq.stride, c.address, 0))


def _lstm_cell(asm: Assembler, node: Node) -> None:
    rows = asm.plan.shapes[node.outputs[0]][0]
    h, c = (asm.place(i) for i in node.inputs[1:])
    new_h, new_c = (asm.place(i) for i in node.outputs)
    before = (h.address, h.row(1), h.stride, c.address, c.row(1), c.stride)
    _recurrent(asm, node, rows, before, (new_h.address, new_h.stride, new_c.address, new_c.stride))


def _recurrent(
    asm: Assembler, node: Node, rows: int, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    """Emit the input half of all steps as one product, then the steps."""
    (x_name, wx), (h_name, wh) = asm.weight(node, "wx"), asm.weight(node, "wh")
    hidden, width = wh.shape[0], 4 * round_up(wh.shape[0], UNITS)
    packed = asm.constant(x_name, "gates", pack_panels(gate_columns(wx)[None]))
    bias = asm.zeros(width)
    if "b" in node.weights:
        b_name, b = asm.weight(node, "b")
        bias = asm.constant(b_name, "gates", gate_columns(b[None]))
    projection = Place(asm.scratch(rows * 4 * width), 4 * width)
    right = Product(packed, bias, wx.shape[0], width)
    asm.product(projection, asm.place(node.inputs[0]), Rows.span(0, rows), right)
    recurrent = asm.constant(h_name, "recurrent", pack_recurrent(wh))
    panels = width // (4 * UNITS)
    start = (projection.address, projection.stride, recurrent, rows, panels, 16 * hidden)
    asm.emit(code.LSTM, *start, *before, *after)


def _matmul(asm: Assembler, node: Node) -> None:
    left, right = node.inputs
    kind, rows = str(node.attrs["activation"]), asm.rows(node)
    inner, cols = asm.plan.shapes[right]
    a, b, out = asm.place(left), asm.place(right), asm.place(node.outputs[0])
    packed = asm.scratch(inner * 4 * round_up(cols, LANES))
    asm.emit(code.PACK, b.address, packed, inner, vectors(cols), b.stride)
    asm.product(out, a, rows, Product(packed, asm.zeros(cols), inner, cols, _floor(kind)))
    asm.activate(kind, out, rows, cols)


def _unary(asm: Assembler, node: Node) -> None:
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    asm.unary(str(node.attrs["activation"]), x, out, asm.rows(node), asm.cols(node))


def _operand(asm: Assembler, index: int, shape: Shape, rows: Rows) -> tuple[int, int, int]:
    """Return address, stride and column flag of one side of a broadcast operation."""
    place, (height, width) = asm.place(index), asm.plan.shapes[index]
    column = int(width == 1 and shape[1] > 1)
    if height == 1:
        return place.address, 0, column
    return place.row(rows.first), place.stride * rows.step, column


def _binary(asm: Assembler, node: Node) -> None:
    shape, rows = asm.plan.shapes[node.outputs[0]], asm.rows(node)
    kind = BINARY.index(str(node.attrs["kind"]))
    after = ACTIVATIONS.index(str(node.attrs["activation"]))
    a, b = (_operand(asm, i, shape, rows) for i in node.inputs)
    out = asm.place(node.outputs[0])
    at, stride = out.row(rows.first), out.stride * rows.step
    count, width = rows.count, vectors(shape[1])
    if not a[2] and not b[2] and a[1] == b[1] == stride == 16 * width:
        count, width = 1, count * width  # rows without gaps go as one long row
    asm.emit(code.BINARY_OP, kind, after, *a, *b, at, stride, count, width)


def _reduce(asm: Assembler, node: Node) -> None:
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    rows, cols = asm.plan.shapes[node.inputs[0]]
    kind = REDUCTIONS.index(str(node.attrs["kind"]))
    if node.attrs["axis"] == 0:
        asm.emit(code.REDUCE_ROWS, kind, x.address, out.address, rows, vectors(cols), x.stride)
    else:
        asm.emit(code.REDUCE_COLS, kind, *asm.move(x, out, asm.rows(node), cols))


def _softmax(asm: Assembler, node: Node) -> None:
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    move = asm.move(x, out, asm.rows(node), asm.cols(node))
    scale, causal = float_bits(float(node.attrs["scale"])), int(node.attrs["causal"])
    asm.emit(code.SOFTMAX, *move, scale, causal)


def _layer_norm(asm: Assembler, node: Node) -> None:
    gamma, beta = (asm.weight(node, role) for role in ("gamma", "beta"))
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    move = asm.move(x, out, asm.rows(node), asm.cols(node))
    vector = [asm.constant(name, "vector", pad_vector(v)) for name, v in (gamma, beta)]
    asm.emit(code.LAYER_NORM, *move, *vector, float_bits(float(node.attrs["eps"])))


def _sort(asm: Assembler, node: Node) -> None:
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    asm.emit(code.SORT, *asm.move(x, out, asm.rows(node), asm.cols(node)))


def _concat(asm: Assembler, node: Node) -> None:
    out, done = asm.place(node.outputs[0]), 0
    for index in node.inputs:
        x, (height, width) = asm.place(index), asm.plan.shapes[index]
        if node.attrs["axis"] == 1:
            part, rows = Place(out.address + 4 * done, out.stride), asm.rows(node)
        else:
            part, rows = Place(out.row(done), out.stride), Rows.span(0, height)
        asm.emit(code.COPY, *asm.move(x, part, rows, width))
        done += width if node.attrs["axis"] == 1 else height


def _slice(asm: Assembler, node: Node) -> None:
    """Emit nothing: the result shows a part of the input."""
    x = asm.place(node.inputs[0])
    address = x.row(int(node.attrs["row"])) + 4 * int(node.attrs["col"])
    asm.put(node.outputs[0], Place(address, x.stride))


def _transpose(asm: Assembler, node: Node) -> None:
    x, out = asm.place(node.inputs[0]), asm.place(node.outputs[0])
    rows, cols = asm.plan.shapes[node.inputs[0]]
    asm.emit(code.TRANSPOSE, *asm.move(x, out, Rows.span(0, rows), cols))


def _reshape(asm: Assembler, node: Node) -> None:
    """Show rows without gaps with another stride, or copy."""
    x = asm.place(node.inputs[0])
    if asm.root[node.outputs[0]] != node.outputs[0]:
        asm.put(node.outputs[0], Place(x.address, 4 * asm.cols(node)))
        return
    out = asm.place(node.outputs[0])
    rows, cols = asm.plan.shapes[node.inputs[0]]
    where = (x.address, out.address, rows, cols, x.stride)
    asm.emit(code.RESHAPE, *where, asm.cols(node), out.stride)


EMIT: Mapping[str, Callable[[Assembler, Node], None]] = {
    "constant": _constant,
    "dense": _dense,
    "conv1d": _conv1d,
    "lstm": _lstm,
    "lstm_cell": _lstm_cell,
    "matmul": _matmul,
    "unary": _unary,
    "binary": _binary,
    "reduce": _reduce,
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "sort": _sort,
    "concat": _concat,
    "slice": _slice,
    "transpose": _transpose,
    "reshape": _reshape,
}
