"""Every row names the rows it came from: a backtest and a paper node are run, and their ledgers walked to the data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.ledger.reader import LedgerReader
from core.ledger.rows import Row

#: Kinds that come from outside the ledger (docs/ledger.md, "Roots"). Every other row has a parent.
ROOTS = frozenset(
    {
        "ledger.genesis", "ledger.digest", "ledger.fault", "run.started", "run.ended",
        "operator.command", "data.manifest", "intel.item", "llm.call", "random.draw",
        "feed.state", "fault", "account.difference",
    }
)  # fmt: skip
DATA = {"data.manifest", "data.snapshot"}
STRATEGY = '''
from decimal import Decimal
from core.engine.strategy import BetaStrategy, Side
from core.domain.decision import Forecast, Proposal

class DrawsAndTrades(BetaStrategy):
    """Buys a little when a draw says so, and takes it back: every kind of row of an order."""

    def on_start(self):
        self.sent = 0
        for iid in self.universe:
            self.watch_book(iid)

    def on_book(self, iid):
        ask, bid = self.best_ask(iid), self.best_bid(iid)
        if ask is None or bid is None or self.sent >= 12 or not 0.05 < float(ask.price) < 0.9:
            return
        if self.rng.random() < 0.5:
            return
        self.sent += 1
        now = self.now_ns
        made = Forecast(
            instrument_id=iid, probability=Decimal("0.5"), low=Decimal("0.4"), high=Decimal("0.6"),
            ts_event=now, expires_ns=now + 10**10, model_id="coin",
        )
        self.record_forecast(made)
        held = self.position(iid)
        if held > 0:
            self.sell(iid, held, bid.price, reason="out")
        else:
            limit = self.markets[iid].grid_of(iid).snap_up(ask.price)
            self.buy(iid, Decimal(2), limit, reason="in")
'''


def rows_of(ledger: Path) -> dict[int, Row]:
    return {row.seq: row for row in LedgerReader(ledger).rows()}


def orphans(rows: dict[int, Row]) -> list[str]:
    """Name every row that should have a parent and has none, or one that is not an earlier row."""
    out = []
    for seq, row in rows.items():
        parents = row.parent_seqs
        if not parents and row.name not in ROOTS:
            out.append(f"{seq} {row.name} {row.payload[:200]!r}")
        out += [f"{seq} {row.name} names {p}" for p in parents if not (p < seq and p in rows)]
    return out


def came_from(rows: dict[int, Row], seq: int) -> set[str]:
    """Return the kinds of everything that a row came from."""
    seen, level = set(), [seq]
    while level:
        found = [p for s in level for p in rows[s].parent_seqs]
        level = [p for p in dict.fromkeys(found) if p not in seen]
        seen.update(level)
    return {rows[s].name for s in seen}


def beta(*args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(Path.cwd()), "BETA_LIVE": ""}
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *args],
        capture_output=True, text=True, timeout=300, env=env, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    path = tmp_path / "draws_and_trades.py"
    path.write_text(STRATEGY)
    return str(path)


def check(rows: dict[int, Row]) -> None:
    assert orphans(rows) == []
    fills = [seq for seq, row in rows.items() if row.name == "order.filled"]
    assert fills
    for seq in fills:
        kinds = came_from(rows, seq)
        assert {"order.intent", "verdict", "data.snapshot", "data.manifest"} <= kinds
        assert {"random.draw"} <= kinds, "the draw that let the order pass"
    for seq, row in rows.items():
        if row.name in {"settlement", "account", "state", "halt", "forecast", "proposal"}:
            assert came_from(rows, seq) & DATA, row


@pytest.mark.slow
def test_every_row_of_a_backtest_names_what_it_came_from(strategy: str, tmp_path: Path) -> None:
    done = beta(
        "backtest", strategy, "--data", "sample", "--ledger", str(tmp_path / "ledger"),
        "--report", str(tmp_path / "report"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check(rows_of(tmp_path / "ledger"))
    again = beta("replay", "--dir", str(tmp_path / "ledger"), "--strategy", strategy)
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.slow
def test_every_row_of_a_paper_node_names_what_it_came_from(strategy: str, tmp_path: Path) -> None:
    home = tmp_path / "node"
    paper = ("paper", strategy, "--venue", "fake-kalshi", "--speed", "2", "--json")
    for seconds in ("15", "6"):  # a second life finds what the first has left
        done = beta(*paper, "--for", seconds, "--home", str(home))
        assert done.returncode == 0, done.stderr
    rows = rows_of(home / "ledger")
    check(rows)
    last = max(seq for seq, row in rows.items() if row.name == "order.filled")
    shown = beta("ledger", "show", str(last), "--chain", "--json", "--dir", str(home))
    assert "data.snapshot" in shown.stdout
    json.loads(shown.stdout)
