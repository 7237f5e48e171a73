"""The command-line reference, written from the commands themselves: ``python -m console.cli.reference``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from console.cli.app import COMMANDS

TARGET = Path("docs/cli.md")
_HEAD = """# Command line

Written from the commands by `python -m console.cli.reference`; a test fails when this page and the
commands differ. `beta COMMAND --help` says the same. Data goes to stdout, progress and errors to stderr.

Exit codes: 0 ok, 1 error, 2 usage, 3 not running, 4 configuration or credentials, 5 timeout, 6 gate
refused, 7 halted, 8 ledger corrupt or replay diverged, 130 interrupted. An error is three lines: what
failed, the value seen, what mends it; `BETA_DEBUG=1` shows the traceback.
"""


def available() -> list[str]:
    """Return the listed commands whose module is there."""
    return [name for name, (module, _) in COMMANDS.items() if importlib.util.find_spec(module)]


def reference() -> str:
    """Return the reference of every command as Markdown."""
    import typer.main

    parts = [_HEAD]
    for name in available():
        module = COMMANDS[name][0]
        command = typer.main.get_command(importlib.import_module(module).app)
        parts.append(_section(f"beta {name}", command, 2))
    return "\n".join(parts).rstrip() + "\n"


def _section(path: str, command: Any, level: int) -> str:
    subcommands = getattr(command, "commands", {})
    lines = [f"{'#' * level} {path}", "", _text(command.help), ""]
    usage = [path] + (["COMMAND"] if subcommands else [])
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [
        p
        for p in command.params
        if p.param_type_name == "option" and not p.hidden and not p.name.endswith("_completion")
    ]
    for argument in arguments:
        word = (argument.metavar or argument.name or "").strip("[]").upper()
        word += "..." if argument.nargs == -1 else ""
        usage.append(word if argument.required else f"[{word}]")
    if options:
        usage.append("[OPTIONS]")
    if not subcommands or options:
        lines += ["```text", " ".join(usage), "```", ""]
    rows = [(_names(p), _meaning(p)) for p in [*arguments, *options]]
    if rows:
        lines += ["| | |", "|---|---|", *[f"| {a} | {b} |" for a, b in rows], ""]
    if command.epilog:
        lines += [_text(command.epilog), ""]
    for name, sub in subcommands.items():
        if not sub.hidden:
            lines.append(_section(f"{path} {name}", sub, level + 1))
    return "\n".join(lines)


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{(param.metavar or param.name).strip('[]').upper()}`"
    names = ", ".join(f"`{n}`" for n in [*param.opts, *param.secondary_opts])
    return names


def _meaning(param: Any) -> str:
    text = _text(getattr(param, "help", "") or "")
    default = param.default
    if param.required and param.param_type_name == "option":
        return f"{text} Required."
    if callable(default) or default in (None, "", False, [], ()):
        return text
    if default is True:
        return f"{text} Default: on."
    shown = ", ".join(map(str, default)) if isinstance(default, list | tuple) else default
    return f"{text} Default: `{shown}`."


def _text(text: str | None) -> str:
    return " ".join((text or "").replace("\b", "").split()).replace("|", "\\|")


def main() -> int:
    """Write the page; with ``--check`` only say whether it is up to date."""
    text = reference()
    if "--check" in sys.argv:
        same = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
        print("up to date" if same else f"{TARGET} differs: run python -m console.cli.reference")
        return 0 if same else 1
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {TARGET}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
