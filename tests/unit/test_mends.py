"""Every error says what mends it, and every command that a mend names is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from console.cli.app import COMMANDS
from core.domain.errors import BetaError

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "adapters", "signals", "intel", "routing", "strategies", "skills", "console")
FILES = [p for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py"))]
NAMED = re.compile(r"\bbeta ([a-z]+)(?: ([a-z]+)\b)?((?: --[a-z-]+)*)")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def below(cls: type[BetaError]) -> Iterator[type[BetaError]]:
    yield cls
    for lower in cls.__subclasses__():
        yield from below(lower)


@cache
def errors() -> dict[str, type[BetaError]]:
    """Return every error class of the packages by its name."""
    bases = {
        node.name: ({b.id for b in node.bases if isinstance(b, ast.Name)}, path)
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    known: set[str] = set()
    while more := {n for n, (b, _) in bases.items() if b & (known | {"BetaError"})} - known:
        known |= more
    for name in sorted(known):
        dotted = ".".join(bases[name][1].relative_to(ROOT).with_suffix("").parts)
        importlib.import_module(dotted.removesuffix(".__init__"))
    return {
        cls.__name__: cls for cls in below(BetaError) if cls.__module__.split(".")[0] in PACKAGES
    }


def made(path: Path) -> Iterator[tuple[ast.Call, type[BetaError]]]:
    """Yield every place of a file where an error is made."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
            if name in errors():
                yield node, errors()[name]


def mend_of(call: ast.Call, cls: type[BetaError]) -> ast.expr | None:
    """Return the mend that a site gives, if it gives one."""
    for word in call.keywords:
        if word.arg == "mend":
            return word.value
    at = list(inspect.signature(cls).parameters).index("mend")
    return call.args[at] if len(call.args) > at else None


def silent(path: Path) -> Iterator[str]:
    """Yield the sites of a file whose error has no mend."""
    for call, cls in made(path):
        if "mend" not in inspect.signature(cls).parameters:
            continue  # it writes its own: see the test below
        mend = mend_of(call, cls)
        empty = isinstance(mend, ast.Constant) and not mend.value
        if (mend is None or empty) and not cls.usual_mend:
            yield f"{path.relative_to(ROOT)}:{call.lineno} {ast.unparse(call)[:80]}"


def test_every_error_says_what_mends_it():
    assert [site for path in FILES for site in silent(path)] == []


def test_every_option_that_a_mend_names_is_one_of_some_command():
    known = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs/cli.md").read_text(encoding="utf-8")))
    for path in FILES:
        for call, cls in made(path):
            mend = mend_of(call, cls) if "mend" in inspect.signature(cls).parameters else None
            named = (
                set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ast.unparse(mend))) if mend else set()
            )
            assert named <= known, f"{path.relative_to(ROOT)}:{call.lineno}"


def test_an_error_type_with_words_of_its_own_has_a_mend_among_them():
    own = [c for c in errors().values() if "mend" not in inspect.signature(c).parameters]
    assert own, "none left: drop this test and the exception above"
    for cls in own:
        numbers = [1 for _ in inspect.signature(cls).parameters]
        assert cls(*numbers).mend


@cache
def command(name: str) -> Any:
    return typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)


def unknown(first: str, second: str, options: str) -> str:
    """Return what a named command line has that the program has not."""
    if first not in COMMANDS:
        return f"beta {first}"
    found = command(first)
    group = getattr(found, "commands", {})
    if second and group:
        if second not in group:
            return f"beta {first} {second}"
        found, group = group[second], {}
    known = {o for p in found.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    bad = [o for o in options.split() if o not in known and not group]
    return f"beta {first} {second} {bad}" if bad else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_command_that_a_text_of_the_program_names_is_there(package):
    wrong = []
    for path in FILES:
        if path.relative_to(ROOT).parts[0] == package:
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for told in NAMED.finditer(node.value):
                        if bad := unknown(told[1], told[2] or "", told[3] or ""):
                            wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {bad}")
    assert wrong == []
