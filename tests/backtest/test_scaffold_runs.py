"""What `beta new strategy` writes runs at once: its backtest on the sample, and its own test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(*args, cwd):
    out = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert out.returncode == 0, out.stdout[-3000:] + out.stderr[-3000:]
    return out.stdout


def test_a_scaffold_in_an_empty_folder_backtests_and_passes_its_own_test(tmp_path):
    said = python("-m", "console.cli", "new", "strategy", "my_edge", cwd=tmp_path)
    assert "beta backtest --config configs/my_edge.toml" in said
    report = python(
        "-m", "console.cli", "backtest", "--config", "configs/my_edge.toml", cwd=tmp_path
    )
    assert "SYNTHETIC DATA" in report
    assert "MyEdge" in report
    ran = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".",
        "tests/unit/strategies/test_my_edge.py",
        cwd=tmp_path,
    )  # fmt: skip
    assert "3 passed" in ran
