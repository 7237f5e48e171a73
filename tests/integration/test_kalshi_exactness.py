"""The recorded Kalshi stream through the real WebSocket path: at every ticker row the recorded best bid and ask."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.history.sets import ingest

WINDOWS = 2


@pytest.mark.slow
def test_at_every_ticker_row_client_and_engine_hold_the_recorded_best_prices_and_sizes(
    shared_data: Path, tmp_path: Path, repo_root: Path
) -> None:
    recording = shared_data / "kalshi_btc15m_l2"
    catalog = tmp_path / "k"
    ingest("kalshi_btc15m_l2", recording, catalog)
    done = subprocess.run(  # one engine node a process is all there can be
        [sys.executable, "-m", "tests.live.exactness", str(recording), str(catalog), f"--windows={WINDOWS}"],
        cwd=repo_root, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["exact"] + found["within_one_exchange_time"] == found["compared"]
    assert found["compared"] > 400, "whole windows were compared"
    assert found["bad_frames"] == found["gaps"] == 0
