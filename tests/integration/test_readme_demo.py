"""What the README promises of `beta paper`: its own lines, killed at the first fill, end with everything paid out."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.domain.fees import Side
from core.engine.live.memory import remember
from core.ledger.kinds import OrderFilled, RunMode, Settled
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

ROOT = Path(__file__).resolve().parents[2]


def promised():
    """Return the arguments of the README's paper lines; what kills the first is left to the test."""
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^beta (paper .*)$", text, re.M)
    assert lines[0].endswith("& sleep 25; kill -9 $!")
    return [shlex.split(line.partition(" & ")[0]) for line in lines]


def beta(args, cwd):
    env = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, "-m", "console.cli", *args],
        cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def outcome(node):
    said, errors = node.communicate(timeout=300)
    assert node.returncode == 0, errors
    return json.loads(said), errors


@pytest.fixture
def workplace(tmp_path):
    from adapters.sample.build import build_sample

    build_sample(tmp_path / "catalogs" / "sample")
    return tmp_path


@pytest.mark.slow
def test_a_killed_node_is_started_again_and_all_that_it_bought_is_paid_out(workplace):
    first_line, second_line, _ = promised()
    ledger = workplace / "runs" / "paper" / "fake-kalshi" / "ledger"
    first = beta(first_line, workplace)
    deadline = time.monotonic() + 120
    while not remember(ledger).trades:
        assert first.poll() is None, first.stderr.read()
        assert time.monotonic() < deadline, "no fill"
        time.sleep(0.3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = remember(ledger)
    assert second_line[-2] == "--for"
    longer = [*second_line[:-1], "120"]  # on a busy machine the replay falls behind its pace
    told, errors = outcome(beta([*longer, "--json"], workplace))
    assert "again on loopback" in errors, "the market went on without us"
    after = remember(ledger)
    assert set(before.trades) <= set(after.trades)
    assert told["unknown"] == 0
    assert not told["positions"], "all is paid out"
    rows = [r.decoded() for r in LedgerReader(ledger).rows(Selection())]
    filled = [r for r in rows if isinstance(r, OrderFilled)]
    paid = [r for r in rows if isinstance(r, Settled)]
    assert {r.strategy_id for r in (*filled, *paid)} == {"KalshiEvent-001"}
    assert len({f.trade_id for f in filled}) == len(filled), "each trade once"
    assert {f.side for f in filled} == {Side.BUY}, "nothing is sold before the payout"
    assert sum(f.quantity for f in filled) == sum(p.quantity for p in paid)
    runs = [r for r in LedgerReader(ledger).runs() if r.mode == RunMode.PAPER]
    assert len(runs) == 2


SHOWN = re.findall(r"^beta (paper .*)$", (ROOT / "docs" / "paper.md").read_text(), re.M)


@pytest.mark.slow
@pytest.mark.parametrize("line", SHOWN)
def test_each_paper_line_of_the_docs_trades(workplace, line):
    told, _ = outcome(beta([*shlex.split(line.removesuffix(" --json")), "--json"], workplace))
    assert told["fills"] > 0 and told["unknown"] == 0


def test_the_docs_show_paper_lines_of_three_strategies():
    assert {shlex.split(line)[1] for line in SHOWN} == {
        "polymarket_arb",
        "base_predictor",
        "kalshi_event",
    }


@pytest.mark.slow
def test_the_other_venue_of_the_readme_fills_orders(workplace):
    told, _ = outcome(beta([*promised()[2], "--json"], workplace))
    assert told["fills"] > 0
