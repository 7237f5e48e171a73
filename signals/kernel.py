"""The compiled inference kernel: one engine and one module a process, shared by all runtimes.

``signals/wasm/kernel.wasm`` is committed with its sha256 and the version of the tool that built
it (``kernel.sha256``). A kernel whose bytes differ is refused before it is compiled. The module
imports nothing, so no plan can reach a clock, a file, a socket or a random number.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import wasmtime

from signals.errors import KernelMismatch
from signals.plan.assembly import INSTRUCTION_SET

KERNEL: Final = Path(__file__).parent / "wasm" / "kernel.wasm"
RECORD: Final = KERNEL.with_suffix(".sha256")
MAX_MEMORY_BYTES: Final = (1 << 30) + (1 << 20)


def recorded() -> tuple[str, str]:
    """Return sha256 and tool version of the committed kernel."""
    digest, _, tool = RECORD.read_text().strip().partition("  ")
    return digest, tool.partition("  ")[2]


class Kernel:
    """A compiled kernel module and the engine it belongs to.

    Attributes
    ----------
    sha256 : str
        Of the .wasm file.
    engine : wasmtime.Engine
    module : wasmtime.Module
    heap_base : int
        First address that the kernel itself does not use.
    """

    def __init__(self, wasm: bytes) -> None:
        self.sha256 = hashlib.sha256(wasm).hexdigest()
        config = wasmtime.Config()
        config.consume_fuel = True
        config.wasm_relaxed_simd = False  # its results may differ from machine to machine
        config.wasm_threads = False
        config.wasm_multi_memory = False
        config.wasm_memory64 = False
        self.engine = wasmtime.Engine(config)
        try:
            self.module = wasmtime.Module(self.engine, wasm)
        except wasmtime.WasmtimeError as error:
            raise KernelMismatch(
                "kernel does not compile", error, "run scripts/build_kernel.sh"
            ) from error
        if self.module.imports:
            raise KernelMismatch("kernel asks for imports", [i.name for i in self.module.imports])
        store = wasmtime.Store(self.engine)
        store.set_fuel(10_000)
        exports = wasmtime.Instance(store, self.module, []).exports(store)
        try:
            seen = exports["version"](store)
            self.heap_base = int(exports["__heap_base"].value(store))
        except KeyError as error:
            raise KernelMismatch("kernel lacks an export", error.args[0]) from error
        if seen != INSTRUCTION_SET:
            mend = "run scripts/build_kernel.sh"
            raise KernelMismatch(f"kernel's instruction set is not {INSTRUCTION_SET}", seen, mend)


@cache
def load_kernel(sha256: str | None = None) -> Kernel:
    """Return the committed kernel, compiled once a process.

    Parameters
    ----------
    sha256 : str, optional
        The kernel that is wanted (a bundle names its own); the recorded one by default.

    Raises
    ------
    KernelMismatch
        The file is missing, altered, or another one than wanted.
    """
    expected = recorded()[0]
    if sha256 is not None and sha256 != expected:
        mend = "build the bundle again with this version: beta bundle build"
        raise KernelMismatch("another kernel is wanted than this version ships", sha256, mend)
    wasm = KERNEL.read_bytes() if KERNEL.exists() else b""
    seen = hashlib.sha256(wasm).hexdigest()
    if seen != expected:
        raise KernelMismatch(
            "kernel.wasm is not the recorded one", seen, "git checkout signals/wasm"
        )
    return Kernel(wasm)
