"""`beta` itself: quick help, lazy imports, nearest names, and every listed command there."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

from console.cli.app import COMMANDS, main
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


@pytest.mark.parametrize(
    ("command", "says", "code"),
    [
        (["backtest", "polymarket_arb", "--capital", "1e30"], "at most 1,000,000,000", 2),
        (["backtest", ".", "--ledger", "off"], "no such strategy", 2),
        (["backtest", "polymarket_arb", "-p", "min_edge=abc"], "--param min_edge=0.004", 2),
        (["fees", "kalshi", "--price", "0.5", "--size", "1e40"], "--size is too large", 2),
        (["fees", "kalshi", "--price", "abc", "--size", "1"], "mend: --price 0.42", 2),
        (["paper", "--venue", "nosuch"], "unknown venue", 2),
        (["paper", "--venue", "kalshi"], "beta paper kalshi_event --venue kalshi", 2),
        (["paper", "--environment", "demo"], "no such environment", 2),
        (["paper", "--speed", "0"], "--speed", 2),
        (["paper", "--for", "nan"], "--for", 2),
        (["parity", "nosuch"], "backtests have none", 1),
        (["new", "strategy", "class"], "beta new strategy my_class", 2),
    ],
)
def test_a_wrong_argument_is_answered_in_three_lines(
    command, says, code, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["beta", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert says in told
    assert ended.value.code == code
    assert "Traceback" not in told


def test_a_place_that_cannot_be_written_is_named_in_three_lines(tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["beta", "paper", "--home", "taken/below", "--for", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 1
    assert len(told) == 3
    assert "taken" in told[1]


def test_what_a_node_and_its_risk_commands_write_is_their_owners_alone(tmp_path):
    (tmp_path / "node.lock").touch()
    done = run("risk", "halt", "a test", "--dir", str(tmp_path / "risk"))
    assert done.returncode == 0, done.stderr
    modes = {
        p.name: p.stat().st_mode & 0o077
        for p in [tmp_path / "risk", *(tmp_path / "risk").iterdir()]
    }
    assert len(modes) > 1
    assert set(modes.values()) == {0}, modes
