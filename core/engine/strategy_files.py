"""Strategies that are a file outside the packages: the name each has, and the file that a run was decided by."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from core.domain.errors import StrategyError, UsageError

#: First part of such a module's name, so that it shadows nothing.
PREFIX = "strategy_file_"


def module_name(file: Path) -> str:
    """Return the name that a strategy file is imported under."""
    return f"{PREFIX}{file.stem}"


def load_file(name: str, file: Path) -> ModuleType:
    """Import a strategy file; what it raises passes.

    Raises
    ------
    UsageError
        If it is no Python file.
    """
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError("not a Python file", file, "name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def file_of(cls: type) -> str:
    """Return the file of a strategy outside the packages, an empty string for one that is in a package."""
    if not cls.__module__.startswith(PREFIX):
        return ""
    return str(Path(inspect.getfile(cls)).resolve())


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without what decides nothing: where the file of a strategy lies."""
    plans = [{k: v for k, v in s.items() if k != "file"} for s in config["strategies"]]
    return {**config, "strategies": plans}


def files_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return module name to file of a recorded configuration.

    Raises
    ------
    StrategyError
        If one of them is not there any more.
    """
    found = {}
    for strategy in config["strategies"]:
        if file := strategy.get("file", ""):
            if not Path(file).is_file():
                raise StrategyError(
                    "the file of the run's strategy is not there any more",
                    file,
                    "put it back there",
                )
            found[str(strategy["path"]).partition(":")[0]] = file
    return found
