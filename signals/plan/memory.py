"""Where each tensor lies in the kernel's memory.

Tensors whose lives do not overlap share bytes, so that a deep model stays in the first levels of
the processor's cache. Rows start at multiples of 32 bytes: the kernel reads and writes whole
vectors up to the stride, and LSTM states eight units at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signals.plan.demand import Rows
from signals.plan.graph import Plan
from signals.plan.packing import round_up

ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Address of the first number and bytes between rows."""

    address: int
    stride: int

    def row(self, number: int) -> int:
        """Return the address of a row."""
        return self.address + number * self.stride


def stride_of(cols: int) -> int:
    """Return the bytes between rows of a tensor with this many columns."""
    return 4 * round_up(cols, 8)


class Arena:
    """First-fit allocation over time: ask in order of birth, release at death."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._used: list[tuple[int, int, int]] = []  # (address, end, last node that reads it)
        self.end = start

    def take(self, size: int, now: int, until: int) -> int:
        """Return the address of `size` bytes that are free from node `now` to node `until`."""
        self._used = sorted(u for u in self._used if u[2] >= now)
        address = self._start
        for begin, end, _ in self._used:
            if address + size <= begin:
                break
            address = max(address, end)
        stop = round_up(address + size, ALIGNMENT)
        self._used.append((address, stop, until))
        self.end = max(self.end, stop)
        return address


def view_roots(plan: Plan) -> dict[int, int]:
    """Return, for every tensor, the tensor whose bytes it shows: slices and cheap reshapes do."""
    root = {i: i for i in range(len(plan.shapes))}
    packed = [rows == 1 or cols % 8 == 0 for rows, cols in plan.shapes]
    for node in plan.nodes:
        out = node.outputs[0]
        if node.op == "slice":
            source = node.inputs[0]
            root[out] = root[source]
            whole = plan.shapes[out][1] == plan.shapes[source][1]
            packed[out] = plan.shapes[out][0] == 1 or (whole and packed[source])
        elif node.op == "reshape" and packed[node.inputs[0]]:
            root[out] = root[node.inputs[0]]  # no gap between the rows: only the stride changes
            packed[out] = True
    return root


def last_uses(plan: Plan, wanted: list[Rows]) -> Mapping[int, int]:
    """Return, for every root tensor, the last node that reads it; inputs and outputs never die."""
    root = view_roots(plan)
    last = {root[i]: -1 for i in range(len(plan.shapes))}
    for position, node in enumerate(plan.nodes):
        if any(wanted[i].count for i in node.outputs):
            for index in (*node.inputs, *node.outputs):
                last[root[index]] = position
    for index in (*plan.inputs.values(), *plan.outputs.values()):
        last[root[index]] = len(plan.nodes)
    return last
