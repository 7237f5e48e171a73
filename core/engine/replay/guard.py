"""What a decision must not do, watched while a run is replayed: clock, randomness, environment, network.

Calls made by decision code (strategies, signals, intel, routing) are watched through `sys.monitoring`,
however the function was imported; the platform and libraries are not slowed down. What is found is noted
and the run goes on, so that the first row that differs can be named beside the line that caused it. The
network is closed for the whole process by an audit hook, which cannot be taken off again: the guard is
for a process of its own.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from types import CodeType, FunctionType, ModuleType
from typing import Any

from core.engine.strategy_files import PREFIX

TOOL = 3
#: Packages whose code decides something.
DECIDING = ("strategies", "signals", "intel", "routing", "skills")
#: Most findings that are kept; one line in a loop would otherwise fill the memory.
MAX_FINDINGS = 100
_CLOCKS = frozenset(
    getattr(time, n)
    for n in (
        "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
        "process_time", "process_time_ns", "localtime", "gmtime", "ctime",
    )
)  # fmt: skip
_RANDOM = frozenset(
    {os.urandom, uuid.uuid1, uuid.uuid4, random.SystemRandom, random.seed}
    | {getattr(secrets, n) for n in secrets.__all__ if n not in {"compare_digest"}}
)
_NOW = frozenset({"now", "utcnow", "today"})
_NETWORK = frozenset(
    {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that decision code did and must not: what, by which call, at which line."""

    what: str
    call: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what} ({self.call})"


class Guard:
    """Watches decision code and closes the network; use once, in a process of its own."""

    def __init__(self) -> None:
        self.findings: dict[tuple[str, int, str], Finding] = {}
        self._lines: dict[tuple[CodeType, int], int] = {}

    def close_network(self) -> None:
        """Refuse every connection of this process from now on."""

        def hook(event: str, _: tuple[Any, ...]) -> None:
            if event in _NETWORK:
                frame = _deciding_frame()
                self._note("reaches for the network", event, *frame)
                raise OSError("the network is closed while a run is replayed")

        sys.addaudithook(hook)

    def watch(self, modules: Iterable[ModuleType]) -> None:
        """Watch every call made by the code of these modules."""
        monitoring = sys.monitoring
        if monitoring.get_tool(TOOL) is None:
            monitoring.use_tool_id(TOOL, "beta-replay")
            monitoring.register_callback(TOOL, monitoring.events.CALL, self._on_call)
        for module in modules:
            for code in codes_of(module):
                monitoring.set_local_events(TOOL, code, monitoring.events.CALL)

    def _on_call(self, code: CodeType, offset: int, function: object, first: object) -> None:
        what = forbidden(function, first)
        if what:
            name = getattr(function, "__qualname__", None) or repr(function)
            module = getattr(function, "__module__", None)
            line = self._line(code, offset)
            self._note(what, f"{module}.{name}" if module else name, code.co_filename, line)

    def _note(self, what: str, call: str, file: str, line: int) -> None:
        key = (file, line, call)
        if key not in self.findings and len(self.findings) < MAX_FINDINGS:
            self.findings[key] = Finding(what, call, file, line)

    def _line(self, code: CodeType, offset: int) -> int:
        key = (code, offset)
        if key not in self._lines:
            found = [line for a, b, line in code.co_lines() if a <= offset < b and line]
            self._lines[key] = found[0] if found else code.co_firstlineno
        return self._lines[key]


def forbidden(function: object, first: object = None) -> str:
    """Return why decision code must not call `function` with this first argument, or an empty text."""
    try:
        if function in _CLOCKS:
            return "reads the wall clock"
        if function in _RANDOM:
            return "draws unseeded randomness"
    except TypeError:  # not hashable: none of ours
        return ""
    owner = getattr(function, "__self__", None)
    if owner is None and isinstance(function, FunctionType):
        owner = first  # a method call hands over the function and the object it belongs to
        if not _outside(owner):
            return "reads the environment" if function is os.getenv else ""
    name = getattr(function, "__name__", "")
    if owner is None or isinstance(owner, ModuleType):
        nothing = first is sys.monitoring.MISSING or first is None
        if nothing and (function is random.Random or name in {"default_rng", "RandomState"}):
            return "draws unseeded randomness"
        return "reads the environment" if function is os.getenv else ""
    if isinstance(owner, type) and name in _NOW and issubclass(owner, date):
        return "reads the wall clock"
    return _outside(owner)


def _outside(owner: object) -> str:
    """Return what is wrong with any method of this object: shared randomness, or the environment."""
    mtrand = sys.modules.get("numpy.random.mtrand")
    if owner is getattr(random, "_inst", None) or (
        mtrand is not None and owner is getattr(mtrand, "_rand", None)
    ):
        return "draws unseeded randomness"
    return "reads the environment" if owner is os.environ else ""


def deciding_modules(strategies: Iterable[type]) -> list[ModuleType]:
    """Return the loaded modules whose code decides: the strategies' packages and `DECIDING`."""
    packages = {*DECIDING}
    for cls in strategies:
        for base in cls.__mro__:
            name = base.__module__
            if not name.startswith(("core.", "nautilus_trader", "builtins")):
                packages.add(name if name.startswith(PREFIX) else name.split(".", 1)[0])
    chosen = [
        module
        for name, module in sorted(sys.modules.items())
        if module is not None and name.split(".", 1)[0] in packages
    ]
    return [m for m in chosen if isinstance(m, ModuleType)]


def codes_of(module: ModuleType) -> list[CodeType]:
    """Return the code of every function, method and nested function that `module` defines."""
    found: dict[CodeType, None] = {}

    def take(code: CodeType) -> None:
        if code not in found:
            found[code] = None
            for constant in code.co_consts:
                if isinstance(constant, CodeType):
                    take(constant)

    def visit(value: object, depth: int) -> None:
        value = getattr(value, "__func__", value)
        value = getattr(value, "__wrapped__", value)
        if isinstance(value, FunctionType):
            if value.__module__ == module.__name__:
                take(value.__code__)
        elif isinstance(value, property):
            for accessor in (value.fget, value.fset, value.fdel):
                visit(accessor, depth)
        elif isinstance(value, type) and value.__module__ == module.__name__ and depth < 4:
            for member in list(vars(value).values()):
                visit(member, depth + 1)

    for value in list(vars(module).values()):
        visit(value, 0)
    return list(found)


def _deciding_frame() -> tuple[str, int]:
    """Return file and line of the nearest caller that is not this module or the standard library."""
    frame = sys._getframe(2)
    here = frame
    stdlib = os.path.dirname(os.__file__)  # noqa: PTH120
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if not file.startswith((stdlib, "<")) and file != __file__:
            return file, frame.f_lineno
        frame = frame.f_back
    return here.f_code.co_filename, here.f_lineno
