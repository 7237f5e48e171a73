"""Kalshi nets YES against NO: two opposite purchases that were on their way together are dollars once both have filled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from core.ledger.kinds import PositionsMerged
from core.ledger.projections import Projections
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

STRATEGY = '''
from decimal import Decimal
from core.engine.strategy import BetaStrategy

class BothAtOnce(BetaStrategy):
    """Buys two YES and three NO of one market in one moment."""

    def on_start(self):
        self.sent = set()
        for iid in self.universe:
            self.watch_book(iid)

    def on_book(self, iid):
        no = iid.replace("-YES.", "-NO.")
        if iid == no or self.sent:
            return
        asks = [self.best_ask(one) for one in (iid, no)]
        if any(ask is None or not Decimal("0.1") < ask.price < Decimal("0.9") for ask in asks):
            return
        self.sent = {iid, no}
        for one, ask, size in zip((iid, no), asks, (2, 3), strict=True):
            self.buy(one, Decimal(size), ask.price, reason="both")
'''


def beta(*args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(Path.cwd()), "BETA_LIVE": ""}
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *args],
        capture_output=True, text=True, timeout=300, env=env, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_opposite_purchases_on_their_way_together_are_merged_in_gate_ledger_and_account(
    tmp_path: Path,
) -> None:
    file, home = tmp_path / "both_at_once.py", tmp_path / "node"
    file.write_text(STRATEGY)
    paper = ("paper", str(file), "--venue", "fake-kalshi", "--speed", "2", "--json")
    done = beta(*paper, "--for", "12", "--home", str(home))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["fills"] == 2, done.stderr
    assert len(told["positions"]) == 1 and "-NO.KALSHI" in told["positions"][0], told["positions"]

    reader = LedgerReader(home / "ledger")
    rows = list(reader.rows(Selection(kinds=("order.filled", "position.merged"))))
    assert [row.name for row in rows] == ["order.filled", "order.filled", "position.merged"]
    merged = rows[2].decoded()
    assert isinstance(merged, PositionsMerged)
    assert (merged.quantity, merged.proceeds) == (Decimal(2), Decimal(2))
    assert rows[2].parent_seqs == (rows[0].seq, rows[1].seq)
    assert not list(reader.rows(Selection(kinds=("account.difference", "halt"))))
    with Projections(home / "ledger") as projections:
        projections.catch_up()
        held = projections.query("SELECT instrument_id, quantity FROM positions")
        assert [p["quantity"] for p in held if Decimal(str(p["quantity"]))] == ["1"]
        assert projections.query("SELECT * FROM anomalies") == []

    # What is left can be sold: before, each side stood in the way of the other's sale for ever.
    assert beta("risk", "liquidate", "out", "--yes", "--dir", str(home / "risk")).returncode == 0
    done = beta(*paper, "--for", "12", "--home", str(home))
    told = json.loads(done.stdout)
    assert told["positions"] == [], told
    assert done.returncode == 7, "liquidated, then halted"
