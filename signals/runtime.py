"""`Runtime`: a plan loaded into its own sandbox, answering in microseconds or raising.

One runtime belongs to one strategy and one thread. Memory is sized once, so that the numpy views
of inputs and outputs never move. Each call gets fuel for four times the measured cost of the
plan; inputs and outputs are checked for NaN and infinity inside the kernel. There is no path
that returns a default, cached or earlier number: a call answers or raises.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from threading import get_ident
from typing import Any, Final

import numpy as np
import wasmtime
from numpy.typing import NDArray

from signals.calls import Call, Checked, Status, Unchecked
from signals.errors import (
    FuelExhausted,
    InputShape,
    KernelError,
    KernelTrap,
    NonFiniteInput,
    NonFiniteOutput,
)
from signals.kernel import MAX_MEMORY_BYTES, Kernel, load_kernel
from signals.plan.assembly import Field
from signals.plan.graph import Array, Plan
from signals.plan.lower import lower

FUEL_FACTOR: Final = 4
PAGE: Final = 65_536
MAX_FUEL: Final = 10_000_000_000
"""Most that one call of any plan may cost: about a second."""
_SORT_FUEL: Final = 32
"""Fuel a compared pair may cost: the only work that depends on the numbers is sorting."""


class Runtime:
    """A model ready to answer.

    Parameters
    ----------
    plan : Plan
    kernel : Kernel, optional
        The committed kernel by default.
    fast : bool
        Use the unchecked call of wasmtime (about 15 us less a call) where it is available.

    Attributes
    ----------
    inputs : dict[str, array]
        float32 views ``[rows, cols]`` of the kernel's memory; `predict` writes them.
    cost : int
        Fuel that one call takes.
    fuel : int
        Fuel that one call is given.
    fast : bool
        Whether the unchecked call is in use.
    """

    def __init__(self, plan: Plan, kernel: Kernel | None = None, *, fast: bool = True) -> None:
        self._kernel = kernel or load_kernel()
        self._program = lower(plan, self._kernel.heap_base)
        self._base = self._program.base
        self._shapes = [(f.name, (f.rows, f.cols)) for f in self._program.inputs]
        self._want_fast = fast
        self._thread = get_ident()
        self.fuel = MAX_FUEL
        self._start()
        self.cost = self._measure()
        pairs = sum(
            rows * cols * cols
            for rows, cols in (plan.shapes[n.outputs[0]] for n in plan.nodes if n.op == "sort")
        )
        self.fuel = FUEL_FACTOR * self.cost + _SORT_FUEL * pairs

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Answer one question.

        Parameters
        ----------
        inputs : Mapping[str, array]
            Every input of the plan, ``[rows, cols]`` each (``[cols]`` for a one-row input),
            oldest row first; converted to float32.

        Returns
        -------
        dict[str, array]
            Every output, ``[rows, cols]`` float32, copied.

        Raises
        ------
        InputShape
            Missing or unknown input, or wrong shape.
        NonFiniteInput, NonFiniteOutput
            NaN or infinity on the way in or out.
        FuelExhausted, KernelTrap
            The kernel was stopped.
        """
        if get_ident() != self._thread:
            raise KernelError(
                "a runtime belongs to one thread",
                threading.current_thread().name,
                "make one runtime for each thread",
            )
        for name, shape in self._shapes:
            value = inputs.get(name)
            if type(value) is np.ndarray and value.shape == shape:
                self.inputs[name][...] = value
            else:
                self._assign(name, inputs)
        if len(inputs) != len(self._shapes):
            self._refuse_names(inputs)
        status = self._call(self._base, self.fuel)
        if status:
            self._refuse(status)
        return {name: copy() for name, copy in self._copies}

    # --- inside ------------------------------------------------------------------------------

    def _start(self) -> None:
        """Make a fresh instance and write the program into it."""
        program = self._program
        store = wasmtime.Store(self._kernel.engine)
        store.set_limits(memory_size=MAX_MEMORY_BYTES, instances=1, tables=1, memories=1)
        store.set_fuel(MAX_FUEL)
        exports = wasmtime.Instance(store, self._kernel.module, []).exports(store)
        memory, run = exports["memory"], exports["run"]
        pages = -(-program.size // PAGE) - memory.size(store)
        if pages > 0:
            memory.grow(store, pages)
        store.set_limits(memory_size=memory.data_len(store))  # never more from here on
        raw = np.frombuffer(memory.get_buffer_ptr(store), dtype=np.uint8)
        raw[program.base : program.base + program.image.size] = program.image
        self._store, self._memory = store, memory  # the views below show its bytes
        self.inputs = {f.name: _view(raw, f) for f in program.inputs}
        self._outputs = {f.name: _view(raw, f) for f in program.outputs}
        self._copies = [(name, view.copy) for name, view in self._outputs.items()]
        self._call: Call = Checked(store, run)
        if self._want_fast and Unchecked.available(store, run):
            self._call = Unchecked(store, run)
        self.fast = isinstance(self._call, Unchecked)

    def _measure(self) -> int:
        """Return the fuel of one call. The cost of a plan does not depend on its numbers."""
        status = self._call(self._base, MAX_FUEL)
        if status < 0:
            self._refuse(status)  # a positive one only says that zeros are no sensible input
        for view in self._outputs.values():
            view.fill(np.nan)
        return MAX_FUEL - self._call.fuel_left()

    def _assign(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Take lists, and vectors for inputs of one row."""
        value = inputs.get(name)
        if value is None:
            self._refuse_names(inputs)
        view, given = self.inputs[name], np.asarray(value)
        if given.shape != view.shape and (1, *given.shape) != view.shape:
            raise InputShape(f"input {name} is not {view.shape}", given.shape)
        view[...] = given

    def _refuse_names(self, inputs: Mapping[str, Any]) -> None:
        raise InputShape(f"inputs are not {sorted(self.inputs)}", sorted(inputs))

    def _refuse(self, status: int) -> None:
        """Raise what a status other than 0 means."""
        if status == Status.OUT_OF_FUEL:
            self._start()
            raise FuelExhausted("kernel ran out of fuel", self.fuel, "rebuild the bundle")
        if status < 0:
            message = self._call.message
            self._start()  # a trapped instance may hold anything: never use it again
            raise KernelTrap("kernel trapped", message, "beta bundle verify")
        for kind, fields, views in (
            (NonFiniteInput, self._program.inputs, self.inputs),
            (NonFiniteOutput, self._program.outputs, self._outputs),
        ):
            for field in fields:
                if field.code == status:
                    bad = int(np.count_nonzero(~np.isfinite(views[field.name])))
                    what = "input" if kind is NonFiniteInput else "output"
                    raise kind(f"{what} {field.name} holds NaN or infinity", f"{bad} numbers")
        raise KernelError("kernel returned an unknown status", status)


def _view(raw: NDArray[np.uint8], field: Field) -> Array:
    """Return a float32 view ``[rows, cols]`` of one field."""
    end = field.address + (field.rows - 1) * field.stride + 4 * field.cols
    flat = raw[field.address : end].view(np.float32)
    strides = (field.stride, 4)
    return np.lib.stride_tricks.as_strided(flat, (field.rows, field.cols), strides, writeable=True)
