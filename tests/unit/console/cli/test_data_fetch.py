from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli.data_fetch import app
from core.domain.errors import BetaError, OverlappingData, UsageError, VenueError
from core.engine.catalog import Catalog
from tests.unit.adapters.download.history_server import (
    HistoryServer,
    crypto_server,
    kalshi_server,
    running,
)
from tests.unit.adapters.download.test_load import TICKER, trade
from tests.unit.adapters.download.test_venues import bars

PERIOD = ["--start", "2025-06-01", "--end", "2026-09-01"]


@pytest.fixture
def venue(shared_fixtures: Path, shared_data: Path):
    with running(kalshi_server(shared_fixtures, shared_data / "kalshi_api_samples")) as server:
        server.trades[TICKER] = [trade(i) for i in reversed(range(4500))]
        yield server


def kalshi_args(server: HistoryServer, tmp_path: Path, *more: str) -> list[str]:
    where = ["--to", str(tmp_path / "cat"), "--base-url", server.url, "--speed", "1"]
    return ["kalshi", *PERIOD, "--ticker", TICKER, *where, *more]


def fetch(*args: str) -> dict:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def test_a_download_ends_with_a_catalog_and_a_report(venue, tmp_path):
    out = fetch(*kalshi_args(venue, tmp_path))
    assert out["schema_version"] == 1
    assert out["complete"] is True
    assert out["report"]["markets"] == 1
    assert len(Catalog.open(tmp_path / "cat").trades(f"{TICKER}-YES.KALSHI")) == 4500
    assert Catalog.open(tmp_path / "cat").meta.synthetic is False


def test_the_same_command_again_asks_only_for_listings(venue, tmp_path):
    fetch(*kalshi_args(venue, tmp_path))
    first = Catalog.open(tmp_path / "cat").meta.content_sha
    venue.seen.clear()
    out = fetch(*kalshi_args(venue, tmp_path))
    assert out["resumed"] is False
    assert venue.count()["/markets/trades"] == 0
    assert Catalog.open(tmp_path / "cat").meta.content_sha == first


def test_a_killed_download_is_continued_without_loss(venue, tmp_path, repo_root):
    def slow(request):
        time.sleep(0.3)
        return original(request)

    original = venue.routes["/markets/trades"]
    venue.routes["/markets/trades"] = slow
    command = [sys.executable, "-m", "console.cli", "data", "fetch"]
    child = subprocess.Popen(
        [*command, *kalshi_args(venue, tmp_path)],
        cwd=repo_root,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 60
    while venue.count()["/markets/trades"] < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert venue.count()["/markets/trades"] >= 3
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    assert not (tmp_path / "cat").exists()
    venue.routes["/markets/trades"] = original
    out = fetch(*kalshi_args(venue, tmp_path))
    assert out["resumed"] is True
    trades = Catalog.open(tmp_path / "cat").trades(f"{TICKER}-YES.KALSHI")
    assert len(set(trades.trade_id)) == len(trades) == 4500


def test_ctrl_c_keeps_what_arrived_and_says_how_to_go_on(venue, tmp_path, repo_root):
    def slow(request):
        time.sleep(1.0)
        return original(request)

    original = venue.routes["/markets/trades"]
    venue.routes["/markets/trades"] = slow
    child = subprocess.Popen(
        [sys.executable, "-m", "console.cli", "data", "fetch", *kalshi_args(venue, tmp_path)],
        cwd=repo_root,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while venue.count()["/markets/trades"] < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"continues from here" in err
    asked = venue.count()["/markets/trades"]
    venue.routes["/markets/trades"] = original
    out = fetch(*kalshi_args(venue, tmp_path))
    assert out["resumed"] is True
    assert venue.count()["/markets/trades"] - asked < 5  # not from the beginning
    assert len(Catalog.open(tmp_path / "cat").trades(f"{TICKER}-YES.KALSHI")) == 4500


def test_a_failed_part_ends_with_exit_1_and_no_catalog_unless_asked(venue, tmp_path):
    venue.fail("/markets/trades", *["html"] * 3)
    with pytest.raises(VenueError) as caught:
        CliRunner().invoke(app, kalshi_args(venue, tmp_path), catch_exceptions=False)
    assert len(caught.value.lines()) == 3
    assert not (tmp_path / "cat").exists()
    with pytest.raises(VenueError):
        CliRunner().invoke(app, kalshi_args(venue, tmp_path, "--partial"), catch_exceptions=False)
    assert (tmp_path / "cat").exists()


def test_raw_rows_alone_make_no_catalog(venue, tmp_path):
    out = fetch(*kalshi_args(venue, tmp_path, "--raw-only"))
    assert out["catalog"] is None
    assert (tmp_path / "cat.raw" / "state.jsonl").exists()
    assert not (tmp_path / "cat").exists()


def test_a_folder_that_is_no_catalog_is_not_touched(venue, tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "thesis.txt").write_text("mine")
    with pytest.raises(OverlappingData):
        CliRunner().invoke(app, kalshi_args(venue, tmp_path), catch_exceptions=False)
    assert venue.seen == []


def test_spot_bars_by_command(tmp_path):
    with running(crypto_server(bars(30))) as server:
        args = ["crypto", "--symbol", "BTCUSDT", "--start", "2025-10-09T08:00:00Z"]
        where = ["--to", str(tmp_path / "spot"), "--base-url", f"binance={server.url}"]
        out = fetch(*args, "--end", "2025-10-10T12:00:00Z", *where)
    assert out["complete"] is True
    assert len(Catalog.open(tmp_path / "spot").bars("BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL")) > 20


def test_the_report_for_people_names_the_catalog(venue, tmp_path):
    result = CliRunner().invoke(app, kalshi_args(venue, tmp_path), catch_exceptions=False)
    assert "kalshi_history" in result.stdout
    assert "downloaded" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["kalshi", "--start", "2026-01-01"],
        ["kalshi", "--start", "2026-02-01", "--end", "2026-01-01", "--series", "A"],
        ["kalshi", "--start", "soon", "--series", "A"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--interval", "2m"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--what", "books"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--speed", "3"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--assumed-size", "x"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--assumed-size", "-1"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--base-url", "moon=http://x"],
        ["kalshi", "--start", "2026-01-01", "--series", "A", "--base-url", "ftp://x"],
        ["polymarket", "--start", "2026-01-01"],
        ["polymarket", "--start", "2026-01-01", "--tag", "x", "--state", "odd"],
        ["crypto", "--start", "2026-01-01"],
        ["crypto", "--start", "2026-01-01", "--symbol", "A", "--venue", "mtgox"],
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_three_lines(args, tmp_path):
    with pytest.raises(BetaError) as caught:
        CliRunner().invoke(app, [*args, "--to", str(tmp_path / "c")], catch_exceptions=False)
    assert caught.value.exit_code == UsageError.exit_code or "number" in caught.value.what
    assert 2 <= len(caught.value.lines()) <= 3
    assert not any(tmp_path.iterdir())
