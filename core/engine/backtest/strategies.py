"""Strategies by import string: class, typed parameters, and the hash of the code that will decide."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.domain.errors import StrategyError, UsageError
from core.engine.strategy import BetaStrategy, StrategyConfig
from core.engine.strategy_files import file_of
from core.engine.venues import load_object


@dataclass(frozen=True)
class StrategyPlan:
    """A strategy that is to be run."""

    path: str
    type: type[BetaStrategy]
    config: StrategyConfig
    version: str

    def recorded(self) -> dict[str, Any]:
        """Return what a run's first row says of it: what decides, and the file where it is no package's."""
        said = {
            "path": self.path,
            "version": self.version,
            "params": self.config.model_dump(mode="json"),
        }
        file = file_of(self.type)
        return said | {"file": file} if file else said


PLAIN = (bool, int, float, str, Decimal)


def plan_strategies(text: str, params: Mapping[str, Any]) -> list[StrategyPlan]:
    """Return the strategies that `text` names, with their parameters.

    Parameters
    ----------
    text : str
        ``"package.module:Class"``, or several joined by commas.
    params : mapping
        Parameters of the one strategy; with several, parameters by class name.

    Raises
    ------
    UsageError
        For an unknown strategy, or a parameter that is unknown or of the wrong type.
    StrategyError
        If the object is not a strategy.
    """
    paths = [p.strip() for p in text.split(",") if p.strip()]
    if not paths:
        raise UsageError("no strategy named", text, "use package.module:Class")
    plans = []
    for path in paths:
        cls = load_object(path, "strategy")
        if not (isinstance(cls, type) and issubclass(cls, BetaStrategy)):
            raise StrategyError(
                "not a strategy", path, "subclass core.engine.strategy.BetaStrategy"
            )
        own = params if len(paths) == 1 else params.get(cls.__name__, {})
        plans.append(StrategyPlan(path, cls, configure(cls, own), code_sha(cls)))
    if len(paths) > 1:
        names = {p.type.__name__ for p in plans}
        unknown = sorted(set(params) - names)
        if unknown:
            raise UsageError(
                "parameters of a strategy that is not run",
                unknown[0],
                f"run: {', '.join(sorted(names))}",
            )
    return plans


def configure(cls: type[BetaStrategy], params: Mapping[str, Any]) -> StrategyConfig:
    """Return the typed configuration of `cls`; unknown names are refused with the nearest valid one."""
    fields = list(cls.config_type.model_fields)
    for name in params:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"valid: {', '.join(fields) or 'none'}"
            raise UsageError(f"{cls.__name__} has no parameter of this name", name, hint)
    try:
        return cls.config_type(**params)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        usual = cls.config_type.model_fields[str(first["loc"][0])].get_default() if where else None
        if first["type"] == "missing":
            raise UsageError(
                f"{cls.__name__} needs the parameter {where}",
                f"given: {', '.join(params) or 'none'}",
                f"--param {where}=VALUE",
            ) from exc
        raise UsageError(
            f"parameter {where} of {cls.__name__}: {first['msg']}",
            first.get("input"),
            f"--param {where}={usual if isinstance(usual, PLAIN) else 'VALUE'}",
        ) from exc


def code_sha(cls: type) -> str:
    """Return sha256 over the source files that make up a strategy.

    These are the modules of its class and base classes, and what they import from the same top-level
    package, transitively. The platform itself is covered by its own version.
    """
    package = cls.__module__.split(".", 1)[0]
    todo = [c.__module__ for c in cls.__mro__]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        module = sys.modules.get(name)
        if module is None or name in seen or name.split(".", 1)[0] != package:
            continue
        seen.add(name)
        for value in vars(module).values():
            if inspect.ismodule(value):
                todo.append(value.__name__)
            else:
                todo.append(str(getattr(value, "__module__", "") or ""))
    digest = hashlib.sha256()
    for name in sorted(seen):
        file = getattr(sys.modules[name], "__file__", None)
        source = Path(file).read_bytes() if file and Path(file).is_file() else name.encode()
        digest.update(f"{name}\0".encode() + hashlib.sha256(source).digest())
    return digest.hexdigest()
