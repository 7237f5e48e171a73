"""A node whose terminal has gone trades on as before; one of which a part has failed halts and ends."""

import json
import os
import subprocess
import sys
import time

import pytest

from core.domain.errors import ExitCode
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.integration.kalshi_session import write_catalog
from tests.integration.test_parity import start


@pytest.fixture
def catalog(tmp_path):
    return write_catalog(tmp_path / "walk", steps=50)


def lines(home, event):
    log = home / "node.log.jsonl"
    said = log.read_text().splitlines() if log.is_file() else []
    return [one for one in map(json.loads, said) if one["event"] == event]


def test_a_node_whose_terminal_has_gone_goes_on_watching_and_says_its_own_figures(
    repo_root, tmp_path, catalog
):
    home = tmp_path / "home"
    command = [
        sys.executable, "-m", "console.cli", "paper", "--venue", "fake-kalshi", "--data", str(catalog),
        "--home", str(home), "--status-every", "1", "--json", "base_predictor",
    ]  # fmt: skip
    node = subprocess.Popen(
        command, cwd=repo_root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, env=os.environ | {"PYTHONPATH": str(repo_root)},
    )  # fmt: skip
    assert node.stderr is not None and node.stderr.readline()
    node.stderr.close()
    node.stderr = None
    end = time.monotonic() + 120
    while len(lines(home, "status")) < 4:
        assert node.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    node.terminate()
    said, _ = node.communicate(timeout=120)
    assert node.returncode == 0
    assert "equity" in json.loads(said)


@pytest.mark.parametrize("broken", ["screen", "audit"])
def test_a_node_of_which_a_part_has_failed_halts_says_so_and_ends(
    repo_root, tmp_path, catalog, broken
):
    home = tmp_path / "home"
    node = start(repo_root, home, catalog, run_s=200.0, broken=broken)
    node.communicate(timeout=180)
    assert node.returncode == ExitCode.HALTED
    (halt,) = [r.decoded() for r in LedgerReader(home / "ledger").rows(Selection(kinds=("halt",)))]
    assert "failed: ZeroDivisionError" in halt.reason
    (line,) = lines(home, "part.failed")
    assert line["where"]


@pytest.mark.parametrize(
    ("broken", "word"), [("account", "the venue cannot be reached"), ("cash", "cash failed: Zero")]
)
def test_a_node_whose_account_does_not_open_or_fails_at_work_halts_and_says_why(
    repo_root, tmp_path, catalog, broken, word
):
    home = tmp_path / "home"
    node = start(repo_root, home, catalog, run_s=200.0, broken=broken, params={"every": 3})
    end = time.monotonic() + 120
    while not lines(home, "halt@1"):
        assert node.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    (line,) = lines(home, "halt@1")
    assert word in line["row"]["reason"]
    node.terminate()
    node.communicate(timeout=120)
    assert node.returncode == ExitCode.HALTED
