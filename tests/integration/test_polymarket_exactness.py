"""Recorded Polymarket books through the real WebSocket path: at every recorded message the recorded best bid and ask."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.history.sets import ingest

GAMES = 2


@pytest.mark.slow
def test_at_every_recorded_message_client_and_engine_hold_the_recorded_best_prices_and_sizes(
    shared_data: Path, tmp_path: Path, repo_root: Path
) -> None:
    name = "polymarket_l2_mlb_2025"
    recording, catalog = shared_data / name, tmp_path / "p"
    ingest(name, recording, catalog)
    done = subprocess.run(  # one engine node a process is all there can be
        [sys.executable, "-m", "tests.live.poly_exactness", str(recording), str(catalog), f"--games={GAMES}"],
        cwd=repo_root, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["exact"] == found["compared"] > 10_000, "whole games were compared"
    assert found["bad_frames"] == 0
