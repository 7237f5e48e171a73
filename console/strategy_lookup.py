"""Find a strategy by what a user types: a short name, an import path or a file."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

from core.domain.errors import StrategyError, UsageError

#: Folder of strategy files looked up in the working directory, after the installed package.
LOCAL = Path("strategies")


def import_strings(names: str) -> str:
    """Return the import strings of one or several (comma-separated) strategies."""
    return ",".join(import_string(name.strip()) for name in names.split(",") if name.strip())


def import_string(name: str) -> str:
    """Return ``"package.module:Class"`` for a short name, an import path or a file.

    Parameters
    ----------
    name : str
        ``polymarket_arb``, ``package.module:Class``, ``package.module``, ``path/to/file.py`` or
        ``path/to/file.py:Class``.

    Raises
    ------
    UsageError
        If there is no such strategy; the message names the nearest ones.
    StrategyError
        If the file is there and cannot be imported.
    """
    path, _, wanted = name.partition(":")
    if not path:
        raise UsageError("no strategy named", name, "beta backtest polymarket_arb")
    module = _module(path)
    return f"{module.__name__}:{_class_name(module, wanted, path)}"


def known_names() -> list[str]:
    """Return the short names that `import_string` accepts, sorted."""
    import strategies

    folders = [Path(p) for p in strategies.__path__]
    if LOCAL.is_dir() and LOCAL.resolve() not in [f.resolve() for f in folders]:
        folders.append(LOCAL)
    names = set()
    for file in (f for folder in folders for f in folder.glob("[a-z]*.py")):
        source = file.read_text(encoding="utf-8", errors="replace")
        if "config_type" in source and "class " in source:
            names.add(file.stem)
    return sorted(names)


def _module(path: str) -> ModuleType:
    file = Path(path)
    if path.endswith(".py"):
        if not file.is_file():
            raise UsageError("no such strategy file", path, "name an existing .py file")
        return _from_file(file)
    if path.startswith(".") or path.endswith("."):
        raise _unknown(path)
    if "." in path:
        return _imported(path, path)
    short = path.replace("-", "_")
    if importlib.util.find_spec(f"strategies.{short}") is not None:
        return _imported(f"strategies.{short}", path)
    local = LOCAL / f"{short}.py"
    if local.is_file():
        return _from_file(local)
    raise _unknown(path)


def _imported(dotted: str, typed: str) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError as exc:
        if exc.name and not dotted.startswith(exc.name):
            raise StrategyError(
                "the strategy needs a module that is not installed", exc.name, f"used by {dotted}"
            ) from exc
        raise _unknown(typed) from exc
    except (Exception, SystemExit) as exc:
        raise _broken(dotted, exc) from exc


def _from_file(file: Path) -> ModuleType:
    """Import a file outside the packages under a name of its own, so that it shadows nothing."""
    import strategies
    from core.engine.strategy_files import load_file, module_name

    resolved = file.resolve()
    if resolved.parent in [Path(p).resolve() for p in strategies.__path__]:
        return _imported(f"strategies.{resolved.stem}", str(file))
    try:
        return load_file(module_name(resolved), resolved)
    except UsageError:
        raise
    except (Exception, SystemExit) as exc:
        raise _broken(str(file), exc) from exc


def _broken(where: str, exc: BaseException) -> StrategyError:
    return StrategyError(
        f"the strategy {where} cannot be imported",
        f"{type(exc).__name__}: {exc}",
        "BETA_DEBUG=1 shows the traceback",
    )


def _class_name(module: ModuleType, wanted: str, typed: str) -> str:
    """Return the strategy class of `module`: the named one, or the one defined there."""
    from core.engine.strategy import BetaStrategy

    if wanted:
        found = getattr(module, wanted, None)
        if isinstance(found, type) and issubclass(found, BetaStrategy):
            return wanted
        raise UsageError(
            f"no such strategy in {module.__name__}", wanted, _choices(_classes(module))
        )
    classes = _classes(module)
    if len(classes) > 1:
        camel = "".join(part.capitalize() for part in Path(typed).stem.split("_"))
        classes = [c for c in classes if c.lower() == camel.lower()] or classes
    if len(classes) == 1:
        return classes[0]
    if classes:
        raise UsageError(
            "this module holds several strategies", typed, f"name one: {typed}:{classes[0]}"
        )
    raise UsageError("no strategy in this module", typed, _choices(known_names()))


def _classes(module: ModuleType) -> list[str]:
    from core.engine.strategy import BetaStrategy

    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, BetaStrategy)
        and value.__module__ == module.__name__
    ]


def _choices(names: list[str]) -> str:
    return f"there are: {', '.join(names)}" if names else "there is none"


def _unknown(typed: str) -> UsageError:
    names = known_names()
    near = difflib.get_close_matches(typed.rpartition(".")[2], names, n=3, cutoff=0.5)
    mend = f"did you mean {' or '.join(near)}?" if near else _choices(names)
    return UsageError("no such strategy", typed, mend)
