"""Two ways of calling the kernel's ``run(i32) -> i32``: wasmtime's public call, and its unchecked one."""

from __future__ import annotations

import ctypes
from typing import Any, Final, Protocol

import wasmtime


class Status:
    """Negative results of a call; positive ones are the kernel's."""

    TRAP: Final = -1
    OUT_OF_FUEL: Final = -2


def _cause(text: str) -> str:
    """Return the last line of what wasmtime says: the cause stands below the backtrace."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


class Call(Protocol):
    """One way of calling ``run(i32) -> i32``."""

    message: str

    def __call__(self, address: int, fuel: int) -> int:
        """Run and return the kernel's status, or a negative `Status`."""

    def fuel_left(self) -> int:
        """Return the fuel that the last call left."""


class Checked:
    """The public call of wasmtime: types are checked at each call."""

    def __init__(self, store: wasmtime.Store, run: Any) -> None:
        self._store, self._run = store, run
        self.message = ""

    def __call__(self, address: int, fuel: int) -> int:
        """Run the program at `address`."""
        self._store.set_fuel(fuel)
        try:
            return int(self._run(self._store, address))
        except wasmtime.Trap as trap:
            self.message = _cause(trap.message)
            out = trap.trap_code == wasmtime.TrapCode.OUT_OF_FUEL
            return Status.OUT_OF_FUEL if out else Status.TRAP
        except wasmtime.WasmtimeError as error:
            self.message = _cause(str(error))
            return Status.OUT_OF_FUEL if "fuel" in str(error) else Status.TRAP

    def fuel_left(self) -> int:
        """Return the fuel that the last call left."""
        return int(self._store.get_fuel())


class Unchecked:
    """The unchecked call of wasmtime's C interface, with everything allocated beforehand.

    It skips the check of types, so the type of `run` is checked once here. It stands on private
    names of the pinned wasmtime; `available` says whether all of them are there, and without one
    the runtime uses `Checked`.
    """

    def __init__(self, store: wasmtime.Store, run: Any) -> None:
        from wasmtime import _bindings as bindings

        self._bindings = bindings
        self._store, self._run = store, run  # kept alive: the pointers below point into them
        value = (bindings.wasmtime_val_raw_t * 1)()
        self._value = ctypes.c_int32.from_buffer(value)  # argument and result share these bytes
        self._trap = ctypes.POINTER(bindings.wasm_trap_t)()
        # Arguments that are ctypes values already go through without a conversion, which costs
        # more than the call. PyDLL keeps the GIL: giving it up for microseconds could cost this
        # thread the five milliseconds until another one hands it back. Fuel bounds how long.
        library = ctypes.PyDLL(bindings.dll._name)
        self._invoke = library["wasmtime_func_call_unchecked"]
        self._refuel = library["wasmtime_context_set_fuel"]
        self._invoke.restype = self._refuel.restype = ctypes.c_void_p
        self._context = ctypes.cast(store._context(), ctypes.c_void_p)
        self._arguments = (
            self._context,
            ctypes.c_void_p(ctypes.addressof(run._func)),
            ctypes.c_void_p(ctypes.addressof(value)),
            ctypes.c_size_t(1),
            ctypes.c_void_p(ctypes.addressof(self._trap)),
        )
        self._fuel = ctypes.c_uint64()
        self.message = ""

    @staticmethod
    def available(store: wasmtime.Store, run: Any) -> bool:
        """Return whether this wasmtime has every private name that is used, and run's type fits."""
        try:
            from wasmtime import _bindings as bindings

            kind = run.type(store)
            fits = [str(t) for t in kind.params] == ["i32"] == [str(t) for t in kind.results]
            names = ("wasmtime_val_raw_t", "wasm_trap_t", "wasmtime_error_t", "dll")
            known = all(hasattr(bindings, name) for name in names)
            calls = ("wasmtime_func_call_unchecked", "wasmtime_context_set_fuel")
            symbols = known and all(hasattr(bindings.dll, name) for name in calls)
            return fits and symbols and hasattr(run, "_func") and hasattr(store, "_context")
        except (ImportError, AttributeError):
            return False

    def __call__(self, address: int, fuel: int) -> int:
        """Run the program at `address`."""
        self._fuel.value = fuel
        error = self._refuel(self._context, self._fuel)
        value = self._value
        value.value = address
        error = error or self._invoke(*self._arguments)
        if error or self._trap:
            return self._failed(error)
        return value.value

    def fuel_left(self) -> int:
        """Return the fuel that the last call left."""
        return int(self._store.get_fuel())

    def _failed(self, error: int | None) -> int:
        """Read and free what wasmtime returned instead of a value."""
        if error:
            kind = ctypes.POINTER(self._bindings.wasmtime_error_t)
            failure = wasmtime.WasmtimeError._from_ptr(ctypes.cast(error, kind))
            self.message = _cause(str(failure))
            return Status.OUT_OF_FUEL if "fuel" in str(failure) else Status.TRAP
        trap = wasmtime.Trap._from_ptr(ctypes.cast(self._trap, type(self._trap)))  # owns it
        ctypes.memset(ctypes.addressof(self._trap), 0, ctypes.sizeof(self._trap))
        self.message = _cause(trap.message)
        out = trap.trap_code == wasmtime.TrapCode.OUT_OF_FUEL
        return Status.OUT_OF_FUEL if out else Status.TRAP
