"""`beta` itself: quick help, lazy imports, nearest names, and every listed command there."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from console.cli.app import COMMANDS
from console.cli.reference import available

HEAVY = {"nautilus_trader", "polars", "torch", "pandas", "plotly", "pyarrow", "numpy", "pydantic"}


def run(*args, code=None):
    command = [sys.executable, *(["-c", code] if code else ["-m", "console.cli", *args])]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def loaded_after(code):
    out = run(code=f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))")
    assert out.returncode == 0, out.stderr
    return {name.partition(".")[0] for name in json.loads(out.stdout.splitlines()[-1])}


def test_help_of_beta_imports_nothing_heavy():
    help_of = (
        "import io, contextlib\nfrom console.cli.group import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try: cli.main(['--help'], prog_name='beta')\n"
        "    except SystemExit: pass"
    )
    loaded = loaded_after(help_of)
    assert not loaded & (HEAVY | {"rich", "typer", "apsw"})


@pytest.mark.parametrize("name", available())
def test_each_command_is_there_and_its_module_imports_nothing_heavy(name):
    module = COMMANDS[name][0]
    loaded = loaded_after(f"import {module}")
    assert not loaded & (HEAVY - {"pydantic"}), name
    assert importlib.import_module(module).app is not None


def test_a_mistyped_command_names_the_nearest():
    out = run("bactest")
    assert out.returncode == 2
    assert "backtest" in out.stderr


def test_help_lists_every_command():
    out = run("--help")
    assert out.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in out.stdout
