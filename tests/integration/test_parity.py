"""A paper session on the fake Kalshi, run again as a backtest on its own recording."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from core.engine.arrivals import Arrivals, Known, Place
from core.engine.live.recording import open_recording, parts_path
from core.engine.parity import Reason, check_parity, run
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.integration.kalshi_session import write_catalog


def start(root, home, catalog, **told):
    told = {
        "catalog": str(catalog),
        "home": str(home),
        "strategy": "tests.integration.kalshi_session:TakesNowAndThen",
        **told,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.kalshi_session", json.dumps(told)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def fills_told(log):
    return log.read_text().count('"event": "order.filled') if log.is_file() else 0


def stopped(node, home, when):
    """Stop a node once its log says `when`; return its run."""
    log, end = home / "node.log.jsonl", time.monotonic() + 120
    while not (log.is_file() and when(log)):
        assert node.poll() is None, "the node ended by itself"
        assert time.monotonic() < end
        time.sleep(0.05)
    node.send_signal(signal.SIGTERM)
    said, _ = node.communicate(timeout=120)
    assert node.returncode == 0
    return json.loads(said)["run_id"]


@pytest.fixture(scope="module")
def recorded(repo_root, tmp_path_factory):
    home = tmp_path_factory.mktemp("node")
    catalog = write_catalog(tmp_path_factory.mktemp("cat") / "walk", steps=50)
    node = start(repo_root, home / "home", catalog, run_s=90.0, params={"every": 6})
    return home / "home", stopped(node, home / "home", lambda log: fills_told(log) >= 5)


def test_a_paper_session_and_its_backtest_send_the_same_orders(recorded):
    home, run_id = recorded
    report = check_parity(home)
    assert report.run_id == run_id
    assert report.orders[0] >= 5
    assert report.fills[0] >= 5
    assert report.fees[0] > 0
    assert report.differences == ()
    assert report.orders[0] == report.orders[1]
    assert report.fees[0] == report.fees[1]
    assert report.refusals[0] == report.refusals[1]
    assert report.synthetic


def test_the_log_of_the_session_holds_every_order_event_and_the_state_of_the_node(recorded):
    home, run_id = recorded
    said = [json.loads(line) for line in (home / "node.log.jsonl").read_text().splitlines()]
    assert {s["run_id"] for s in said} == {run_id}
    rows = [s["seq"] for s in said if "seq" in s]
    assert rows == sorted(set(rows))
    filled = [s for s in said if s["event"].startswith("order.filled")]
    assert len(filled) == check_parity(home).fills[0]
    (status, *_) = [s for s in said if s["event"] == "status"]
    assert status["recorded_rows"] > 0
    assert status["feed_age_s"] is not None
    assert said[-1]["event"].startswith("run.ended")


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_news_after_the_strategies_were_stopped_is_recorded_and_decides_nothing(
    repo_root, tmp_path, mode
):
    """The node goes on receiving for a second after it has stopped its strategies: they would have traded on.

    What this strategy orders hangs on the book alone, so a busy machine changes nothing: the orders are the same.
    """
    home, catalog = tmp_path / "home", write_catalog(tmp_path / "walk", steps=900)
    params = {"every": 3, "quantity": "1", "sells": False}
    node = start(
        repo_root, home, catalog, run_s=300.0, params=params, linger_s=1.5, limits="research",
        mode=mode, capital="1000",
    )  # fmt: skip
    run_id = stopped(node, home, lambda log: fills_told(log) >= 4)
    (row,) = LedgerReader(home / "ledger").rows(Selection(kinds=("run.stopping",)))
    told = row.decoded()
    assert (told.run_id, told.reason) == (run_id, "signal")
    _, end_ns = open_recording(home, run_id).span_ns()
    assert end_ns - told.seen_ns > 10**9, "a second of news that no strategy saw"
    assert row.ts_event - told.seen_ns >= 0
    report = check_parity(home)
    assert report.orders[0] == report.orders[1] >= 4
    assert not [d for d in report.differences if d.what == "order"]
    if mode == "paper":
        assert report.differences == ()
    else:  # an order and a change of the book may have one millisecond at the venue
        assert not [d for d in report.differences if d.reason is Reason.UNEXPLAINED]


def test_fills_that_are_heard_at_another_moment_than_recorded_are_found(recorded, monkeypatch):
    """Told at the end of the recording, or of the market, only: the strategy then never sells."""
    home, run_id = recorded
    _, end_ns = open_recording(home, run_id).span_ns()
    never = Place(end_ns, end_ns)
    monkeypatch.setattr(Arrivals, "fill_of", lambda *args: Known(never, never, args[2]))
    report = check_parity(home)
    assert not report.equal
    assert report.differences[0].what == "order"
    assert report.differences[0].reason in (Reason.UNEXPLAINED, Reason.LATENCY)
    assert not [d for d in report.differences if d.replayed.startswith("SELL")]


def test_a_strategy_that_trades_otherwise_than_recorded_is_found(recorded, monkeypatch):
    home, _ = recorded
    given = run._params
    monkeypatch.setattr(run, "_params", lambda config: given(config) | {"sells": False})
    report = check_parity(home)
    sold = [d for d in report.differences if d.recorded.startswith("SELL") and not d.replayed]
    assert sold
    assert report.differences[0].reason is Reason.UNEXPLAINED


def test_a_replay_with_another_latency_differs_and_says_why(recorded):
    home, _ = recorded
    report = check_parity(home, latency_ms=900.0)
    assert not report.equal
    assert Reason.LATENCY in {d.reason for d in report.differences}
    assert not [d for d in report.differences if d.reason is Reason.UNEXPLAINED]


def test_the_command_prints_json_and_exits_8_only_when_strict(recorded, repo_root):
    home, run_id = recorded

    def beta(*args):
        return subprocess.run(
            [sys.executable, "-m", "console.cli", "parity", *args],
            cwd=repo_root, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    same = beta(str(home), "--json", "--strict")
    assert same.returncode == 0, same.stderr
    assert json.loads(same.stdout)["equal"] is True
    other = beta(run_id, "--home", str(home), "--latency-ms", "900", "--strict")
    assert other.returncode == 8
    assert "latency" in other.stdout
    assert beta(run_id, "--home", str(home), "--latency-ms", "900").returncode == 0
    assert beta("paper-none", "--home", str(home)).returncode == 2


def test_a_killed_node_leaves_a_recording_that_can_be_compared(repo_root, tmp_path):
    catalog = write_catalog(tmp_path / "walk", steps=150)
    node = start(repo_root, tmp_path / "home", catalog, run_s=60.0, flush_s=1)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "home").glob("recordings/*.parts/0000000[4-9].parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(node.pid, signal.SIGKILL)
    node.wait(60)
    report = check_parity(tmp_path / "home")
    assert not parts_path(tmp_path / "home", report.run_id).exists()
    assert open_recording(tmp_path / "home", report.run_id).rows
    assert any("killed" in n for n in report.notes)
    # Orders decided in what was never flushed are the only ones that may be missing in the replay.
    assert {d.reason for d in report.differences} <= {Reason.MISSING_DATA}
