"""`beta paper` on a fake venue: trades without a key, survives kill -9, refuses a second node; `beta live` refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.domain.errors import ExitCode
from core.engine.live.memory import remember

BUY = """
from decimal import Decimal
from core.engine.strategy import BetaStrategy, StrategyConfig

class BuyOnceConfig(StrategyConfig):
    \"\"\"How many contracts to buy.\"\"\"
    quantity: Decimal = Decimal(2)

class BuyOnce(BetaStrategy):
    config_type = BuyOnceConfig

    def on_start(self):
        self.asked = set()
        for iid in self.universe:
            self.watch_book(iid)

    def on_book(self, iid):
        ask = self.best_ask(iid)
        if ask is None or self.asked or not 0.05 < float(ask.price) < 0.6:
            return
        if any(self.position(i) > 0 for i in self.universe):
            self.asked.add("held")
            return
        self.asked.add(iid)
        limit = self.markets[iid].grid_of(iid).snap_up(ask.price)
        self.buy(iid, self.config.quantity, limit, reason="once")
"""


def beta(*args, home, wait=True, **kw):
    env = (
        os.environ
        | {"PYTHONPATH": str(Path.cwd()), "BETA_LIVE": "", "COLUMNS": "200"}
        | kw.pop("env", {})
    )
    command = [sys.executable, "-m", "console.cli", *args, "--home", str(home)]
    if wait:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=env, stdin=subprocess.DEVNULL
        )
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


@pytest.fixture
def strategy(tmp_path):
    path = tmp_path / "buy_once.py"
    path.write_text(BUY)
    return str(path)


def paper(strategy, *more):
    return ("paper", strategy, "--venue", "fake-kalshi", "--speed", "2", *more)


@pytest.mark.slow
def test_a_killed_paper_node_finds_its_position_again(strategy, tmp_path):
    home = tmp_path / "node"
    first = beta(*paper(strategy), home=home, wait=False)
    deadline = time.monotonic() + 60
    while not remember(home / "ledger").trades:
        assert time.monotonic() < deadline, "no fill"
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.3)
    second = beta(*paper(strategy), home=home)
    assert second.returncode == ExitCode.LEDGER, "a second node on the same folder is refused"
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = beta(*paper(strategy, "--for", "6", "--json"), home=home)
    assert again.returncode == 0, again.stderr
    assert "again on loopback" in again.stderr, "the market went on without us"
    told = json.loads(again.stdout)
    memory = remember(home / "ledger")
    assert told["fills"] == 0, "nothing is bought twice"
    assert told["positions"] or memory.settled
    compared = beta("parity", "", "--json", home=home)
    assert compared.returncode == 0, "the strategy's file is found by itself: " + compared.stderr


@pytest.mark.slow
def test_live_names_everything_that_is_missing_and_starts_nothing(strategy, tmp_path):
    home = tmp_path / "live"
    off = beta("live", strategy, "--venue", "kalshi", home=home)
    assert off.returncode == ExitCode.GATE_REFUSED
    refused = beta("live", strategy, "--venue", "kalshi", "--live", home=home)
    assert refused.returncode == ExitCode.GATE_REFUSED
    for word in ("KALSHI_KEY_ID", "BETA_LIVE", "backtest", "dry run", "exchange", "clock"):
        assert word in refused.stderr
    assert not (home / "ledger").exists()


@pytest.mark.slow
def test_secrets_of_the_environment_are_never_shown(strategy, tmp_path):
    canary = "CANARY-c0ffee-1234"
    env = {"KALSHI_KEY_ID": canary, "KALSHI_PRIVATE_KEY": canary, "BETA_LIVE": "1"}
    done = beta("live", strategy, "--venue", "kalshi", "--live", home=tmp_path / "x", env=env)
    assert canary not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_replay_that_cannot_be_says_why_and_what_mends_it(strategy, tmp_path):
    told = beta(*paper(strategy, "--market", "NOPE", "--for", "3"), home=tmp_path / "n")
    assert told.returncode == ExitCode.ERROR
    assert "no market to replay in " in told.stderr
    assert "beta data ls" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.slow
def test_a_node_that_ends_halted_says_so_and_exits_7(strategy, tmp_path):
    home = tmp_path / "node"
    node = beta(*paper(strategy, "--for", "12"), home=home, wait=False)
    deadline = time.monotonic() + 60
    while not (home / "node.log.jsonl").is_file():
        assert node.poll() is None, node.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    halt = [sys.executable, "-m", "console.cli", "risk", "halt", "--dir", str(home / "risk")]
    subprocess.run(halt, check=True, capture_output=True, timeout=60)
    _, said = node.communicate(timeout=60)
    assert node.returncode == ExitCode.HALTED, said
    assert "beta risk resume" in said
