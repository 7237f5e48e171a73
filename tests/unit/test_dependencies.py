"""What the code imports is what pyproject.toml installs: a fresh clone has nothing by luck."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = ("core", "adapters", "intel", "signals", "routing", "strategies", "skills", "console")


def distribution(requirement):
    return re.split(r"[\[=<>! ;]", requirement)[0].lower().replace("_", "-")


def imported_at_load(tree):
    """Top-level modules that a module imports when it loads, not inside a function or for types only."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_every_module_loads_with_what_the_run_time_set_or_its_extra_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {distribution(d) for d in project["dependencies"]}
    training = {distribution(d) for d in project["optional-dependencies"]["train"]}
    providers = importlib.metadata.packages_distributions()
    undeclared = {}
    for package in OWN:
        for path in sorted((ROOT / package).rglob("*.py")):
            # Modules behind the `train` extra are imported only by `beta train`.
            allowed = declared | (training if package == "signals" else set())
            for name in imported_at_load(ast.parse(path.read_text(encoding="utf-8"))):
                if name in sys.stdlib_module_names or name in OWN:
                    continue
                found = {distribution(d) for d in providers.get(name, [name])}
                if not found & allowed:
                    undeclared[str(path.relative_to(ROOT))] = name
    assert undeclared == {}
