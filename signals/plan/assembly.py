"""The kernel's instructions, and the memory that a program is laid out in.

The instruction table is the one of ``signals/wasm/src/lib.rs``. All addresses come from here, and
all of them from shapes that `Plan` has checked: a program cannot reach beyond `Program.size`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from signals.plan.demand import Rows, demand
from signals.plan.graph import Array, Node, Plan
from signals.plan.memory import ALIGNMENT, Arena, Place, last_uses, stride_of, view_roots
from signals.plan.ops import ACTIVATIONS
from signals.plan.packing import LANES, round_up

INSTRUCTION_SET: Final = 1
END, CHECK, GEMM, LSTM, UNARY, BINARY_OP, REDUCE_COLS, REDUCE_ROWS = range(8)
SOFTMAX, LAYER_NORM, SORT, COPY, TRANSPOSE, RESHAPE, PACK = range(8, 15)
NO_FLOOR: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a named input or output lies, and the code that its check returns."""

    name: str
    address: int
    rows: int
    cols: int
    stride: int
    code: int


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled plan.

    Attributes
    ----------
    base : int
        Address of the image and of its first instruction.
    image : array of uint8
        Instructions, then packed weights.
    size : int
        Bytes of memory that the program needs, counted from address 0.
    inputs, outputs : tuple[Field, ...]
    """

    base: int
    image: NDArray[np.uint8]
    size: int
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """The right side of a matrix product: packed weights, bias, shape, and taps in time."""

    weight: int
    bias: int
    inputs: int
    cols: int
    floor: float = NO_FLOOR
    active: int = 1
    taps: int = 1
    back: int = 0


def vectors(cols: int) -> int:
    """Return how many vectors of four numbers hold this many columns."""
    return -(-cols // LANES)


def float_bits(value: float) -> int:
    """Return a number as the bits of a float32."""
    return int(np.float32(value).view(np.uint32))


class Assembler:
    """Collect words and constants; hand out addresses."""

    def __init__(self, plan: Plan, constants_at: int, arena_at: int) -> None:
        self.plan = plan
        self.words: list[int] = []
        self.constants: list[tuple[int, Array]] = []
        self.constants_end = constants_at
        self.wanted = demand(plan)
        self.arena = Arena(arena_at)
        self.now = -1
        self.root = view_roots(plan)
        self._last = last_uses(plan, self.wanted)
        self._known: dict[tuple[str, str], int] = {}
        self._places: dict[int, Place] = {}

    # --- memory ------------------------------------------------------------------------------

    def constant(self, name: str, form: str, array: Array) -> int:
        """Return the address of an array; the same weight in the same form is kept once."""
        address = self._known.get((name, form))
        if address is None:
            address = self.constants_end
            flat = np.ascontiguousarray(array, dtype=np.float32).ravel()
            self.constants.append((address, flat))
            self.constants_end = round_up(address + flat.nbytes, ALIGNMENT)
            self._known[name, form] = address
        return address

    def zeros(self, count: int) -> int:
        """Return the address of at least `count` zeros."""
        size = round_up(count, 16)
        return self.constant("", f"zeros {size}", np.zeros(size, dtype=np.float32))

    def place(self, index: int) -> Place:
        """Return where a tensor lies; its bytes are taken at the first call."""
        place = self._places.get(index)
        if place is None:
            rows, cols = self.plan.shapes[index]
            stride = stride_of(cols)
            address = self.arena.take(rows * stride, self.now, self._last[index])
            place = self._places[index] = Place(address, stride)
        return place

    def put(self, index: int, place: Place) -> None:
        """Say where a tensor lies that needs no bytes of its own."""
        self._places[index] = place

    def scratch(self, size: int) -> int:
        """Return the address of bytes that only the present node uses."""
        return self.arena.take(size, self.now, self.now)

    def field(self, name: str, index: int, code: int) -> Field:
        """Describe a named input or output."""
        place, (rows, cols) = self.place(index), self.plan.shapes[index]
        return Field(name, place.address, rows, cols, place.stride, code)

    # --- facts about a node ------------------------------------------------------------------

    def weight(self, node: Node, role: str) -> tuple[str, Array]:
        """Return name and array of a weight."""
        name = node.weights[role]
        return name, self.plan.weights[name]

    def rows(self, node: Node) -> Rows:
        """Return the rows that a node has to write."""
        return self.wanted[node.outputs[0]]

    def cols(self, node: Node) -> int:
        """Return the columns of a node's first output."""
        return self.plan.shapes[node.outputs[0]][1]

    # --- instructions ------------------------------------------------------------------------

    def emit(self, opcode: int, *args: int) -> None:
        """Append one instruction."""
        self.words += [opcode, len(args), *(int(a) & 0xFFFFFFFF for a in args)]

    def check(self, field: Field) -> None:
        """Stop with the field's code when it holds NaN or infinity."""
        rows, cols = field.rows, field.cols
        if field.stride == 4 * cols:
            rows, cols = 1, rows * cols  # rows without gaps go as one long row
        self.emit(CHECK, field.code, field.address, rows, cols, field.stride)

    def activate(self, kind: str, place: Place, rows: Rows, cols: int) -> None:
        """Apply an activation in place; ReLU and none are done by the product before."""
        if kind not in {"none", "relu"}:
            self.unary(kind, place, place, rows, cols)

    def unary(self, kind: str, x: Place, out: Place, rows: Rows, cols: int) -> None:
        """Apply an activation; rows without gaps go as one long row."""
        count, width = rows.count, vectors(cols)
        source, target, _, _, stride, out_stride = self.move(x, out, rows, width)
        if stride == out_stride == 16 * width:
            count, width = 1, count * width
        code = ACTIVATIONS.index(kind)
        self.emit(UNARY, code, source, target, count, width, stride, out_stride)

    def product(self, out: Place, x: Place, rows: Rows, right: Product) -> None:
        """Multiply the same rows of x into rows of out."""
        self.emit(
            GEMM,
            out.row(rows.first),
            out.stride * rows.step,
            x.row(rows.first),
            x.stride * rows.step,
            right.weight,
            right.bias,
            rows.count,
            16 * right.inputs,
            vectors(right.cols),
            right.active,
            right.taps,
            right.back,
            float_bits(right.floor),
        )

    @staticmethod
    def move(x: Place, out: Place, rows: Rows, width: int) -> tuple[int, ...]:
        """Return src, dst, rows, width, src stride, dst stride for some rows."""
        strides = x.stride * rows.step, out.stride * rows.step
        return (x.row(rows.first), out.row(rows.first), rows.count, width, *strides)
