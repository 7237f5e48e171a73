"""Scaffolds: a strategy with its config and its test, ready to run."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from core.domain.errors import UsageError

TEMPLATES = Path(__file__).parent / "cli" / "templates"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a new strategy."""

    strategy: Path
    config: Path
    test: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, in the order to read them."""
        return (self.strategy, self.config, self.test)


def usable(name: str) -> bool:
    """Return whether `name` can name a strategy's file and class."""
    return bool(re.fullmatch(r"[a-z][a-z0-9_]{1,40}", name)) and not keyword.iskeyword(name)


def scaffold_strategy(name: str, into: Path) -> Scaffold:
    """Write a new strategy called `name` below `into`; nothing existing is overwritten.

    Raises
    ------
    UsageError
        If the name is not a lower-case identifier, or a file is already there.
    """
    if not usable(name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
        near = next((n for n in (near, f"my_{near}") if usable(n)), "my_strategy")
        raise UsageError(
            "a strategy's name is 2 to 41 lower-case letters, digits and underscores, no keyword",
            name,
            f"beta new strategy {near}",
        )
    made = Scaffold(
        into / "strategies" / f"{name}.py",
        into / "configs" / f"{name}.toml",
        into / "tests" / "unit" / "strategies" / f"test_{name}.py",
    )
    taken = [path for path in made.files if path.exists()]
    if taken:
        raise UsageError("this file is already there", taken[0], f"beta new strategy {name}_2")
    words = name.replace("_", " ")
    values = {
        "name": name,
        "title": words[:1].upper() + words[1:],
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "path": f"../strategies/{name}.py",
        "depth": "3",
    }
    for path, template in zip(made.files, ("strategy.py", "config.toml", "test.py"), strict=True):
        text = Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.substitute(values), encoding="utf-8")
    return made
