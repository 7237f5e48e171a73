"""The scripts of a fresh clone run with any Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "backtest.py"


def test_the_twin_of_beta_backtest_runs_in_the_project_s_own_environment():
    bare = [sys.executable, "-I", "-S", str(SCRIPT), "--strategy=nosuch", "--no-progress"]
    if not (ROOT / ".venv" / "bin" / "python").exists():
        bare = [sys.executable, str(SCRIPT), "--strategy=nosuch", "--no-progress"]
    done = subprocess.run(bare, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    assert "no such strategy" in done.stderr or "no environment yet" in done.stderr
