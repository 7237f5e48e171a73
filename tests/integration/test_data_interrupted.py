"""Ctrl-C during an import: exit 130, no catalog, nothing left that opens, and the next run works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.domain.errors import MissingData
from core.engine.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]


def test_ctrl_c_leaves_no_half_written_catalog(tmp_path: Path) -> None:
    env = {**os.environ, "BETA_CATALOGS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "console.cli", "data", "sample"]
    child = subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".sample.tmp-*")):  # written to, not yet committed
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors.strip() == "interrupted"
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []
    with pytest.raises(MissingData):
        Catalog.open(tmp_path / "sample")
    again = subprocess.run([*command, "--json"], env=env, cwd=tmp_path, capture_output=True)
    assert again.returncode == 0
    assert Catalog.open(tmp_path / "sample").meta.synthetic
