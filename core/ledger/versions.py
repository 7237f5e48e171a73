"""Strategy version: one sha256 of everything of ours that decides what a strategy does."""

from __future__ import annotations

import ast
import importlib.util
from hashlib import sha256
from pathlib import Path

from core.domain.errors import UsageError
from core.ledger.kinds import StrategyVersion


def strategy_version(strategy_id: str, path: str, skill: Path | None = None) -> StrategyVersion:
    """Return the version of a strategy: its module, what it imports from its own package, its skill.

    Sources are read, never imported or run. The engine and installed libraries are not part of it:
    the run records their versions apart.

    Parameters
    ----------
    path : str
        Import string ``module:Class`` or ``file.py:Class``.
    skill : Path, optional
        Skill file whose text steers the strategy.

    Raises
    ------
    UsageError
        If the module or the skill is not there.
    """
    module = path.partition(":")[0]
    sources = _closure(module)
    digest = sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{sha256(sources[name]).hexdigest()}\n".encode())
    skill_sha = ""
    if skill is not None:
        try:
            skill_sha = sha256(skill.read_bytes()).hexdigest()
        except OSError as exc:
            raise UsageError("the skill of a strategy cannot be read", f"{skill}: {exc}") from exc
        digest.update(f"skill\0{skill_sha}\n".encode())
    return StrategyVersion(
        strategy_id=strategy_id, path=path, sha256=digest.hexdigest(), skill_sha256=skill_sha
    )


def _closure(module: str) -> dict[str, bytes]:
    """Return name -> source of a module and of what it imports from its own top package."""
    first = _source(module)
    if first is None:
        raise UsageError("no source of this strategy", module, "give module:Class or file.py:Class")
    top = module.partition(".")[0]
    found = {module: first}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for wanted in sorted(_imports(name, found[name])):
            if wanted.partition(".")[0] == top and wanted not in found:
                source = _source(wanted)
                if source is not None:
                    found[wanted] = source
                    waiting.append(wanted)
    return found


def _imports(module: str, source: bytes) -> set[str]:
    """Return the modules that a source names in import statements, absolute."""
    out: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            out.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base]) if base else ".".join(parent)
            out.add(base)
            out.update(f"{base}.{alias.name}" for alias in node.names)
    return out


def _source(module: str) -> bytes | None:
    """Return the source of a module or file, or None when it has none. Imports nothing."""
    if module.endswith(".py"):
        return Path(module).read_bytes() if Path(module).is_file() else None
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        places = [Path(spec.origin)] if spec.origin and not rest else []
    else:
        bases = [Path(place).joinpath(*rest) for place in spec.submodule_search_locations]
        places = [
            p for b in bases for p in (b.with_suffix(".py") if rest else b, b / "__init__.py")
        ]
    return next((p.read_bytes() for p in places if p.suffix == ".py" and p.is_file()), None)
