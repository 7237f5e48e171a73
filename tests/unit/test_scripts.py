"""The scripts of a fresh clone run with any Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "backtest.py"


def test_the_twin_of_beta_backtest_runs_in_the_project_s_own_environment():
    bare = [sys.executable, "-I", "-S", str(SCRIPT), "--strategy=nosuch", "--no-progress"]
    if not (ROOT / ".venv" / "bin" / "python").exists():
        bare = [sys.executable, str(SCRIPT), "--strategy=nosuch", "--no-progress"]
    done = subprocess.run(bare, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    assert "no such strategy" in done.stderr or "no environment yet" in done.stderr


#: What GNU tools or bash 4 have and a Mac has not.
LINUX_ONLY = (
    r"\bsed (-\w+ )*-i\b|\breadlink -f|\brealpath\b|\bnproc\b|\bdate -d|\btimeout \d|\bflock\b|\bgrep -\w*P"
    r"|\bstat -c|\bxargs -r|\bmktemp --|\bcp --|\bsha256sum\b|/proc/|\bmapfile\b|\breadarray\b|declare -A|\$\{\w+(,,|\^\^)"
)


@pytest.mark.parametrize("name", ["scripts/setup.sh", "scripts/lock.sh", "Makefile", ".ci/run"])
def test_set_up_uses_nothing_that_a_mac_has_not(name):
    assert re.findall(LINUX_ONLY, (ROOT / name).read_text()) == []


def test_a_mac_that_the_engine_has_no_build_for_is_told_at_once(tmp_path):
    machine = tmp_path / "uname"
    machine.write_text('#!/bin/sh\n[ "$1" = -s ] && echo Darwin || echo x86_64\n')
    machine.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    setup = ["bash", str(ROOT / "scripts" / "setup.sh"), "run"]
    done = subprocess.run(setup, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "Intel Macs" in done.stdout
    assert "mend:" in done.stdout
