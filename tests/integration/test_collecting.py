"""Nodes bring the dollars of pairs back while they run: on paper at once, live through the relayer, each pair once."""

from __future__ import annotations

import asyncio
import json
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from core.engine.paper.store import PaperStore
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.integration.polymarket_stand import INO, IYES, eventually
from tests.integration.test_polymarket_node import NodeProcess, venue

pytestmark = pytest.mark.slow
REPO = Path(__file__).resolve().parents[2]
D = Decimal


def merges(tmp_path):
    """Return (strategy, quantity) of each row that tells of a merge."""
    rows = LedgerReader(tmp_path / "home" / "ledger").rows(Selection(kinds=("position.merged",)))
    return [(p.strategy_id, p.quantity) for p in (r.decoded() for r in rows)]


def wanted(quantity="10"):
    return {"iid": IYES, "other": INO, "quantity": quantity}


def paper(tmp_path, told, quantity="10", **more):
    keyless = {k: v for k, v in told.items() if k != "private_key"}
    return NodeProcess(
        REPO, tmp_path, keyless, mode="paper", strategy="Pairs", params=wanted(quantity),
        audit_every_s=0.5, **({"collect_every_s": 0.3} | more),
    )  # fmt: skip


def account(tmp_path):
    """Return dollars and shares of the paper account on file."""
    store = PaperStore(tmp_path / "home" / "paper.sqlite")
    try:
        told = json.loads(
            store.db.execute("SELECT body FROM state WHERE name = 'account'").fetchone()[0]
        )
        return D(told["cash"]) / 1_000_000, {(m, o): q for m, o, q in told["held"]}, store.merged()
    finally:
        store.close()


async def done(node):
    """Wait until both legs are gone again."""
    await eventually(
        lambda: node.proc.returncode or (node.said and node.said[-1].get("fills") == 2)
    )
    await eventually(lambda: node.proc.returncode or node.held() == {})
    assert node.held() == {}, node.errors.decode()[-3000:]


async def test_a_paper_node_merges_a_pair_and_has_its_dollars_at_once(tmp_path):
    async with venue(tmp_path) as (_, told):
        node = paper(tmp_path, told)
        await node.start()
        await done(node)
        await asyncio.sleep(3.0)  # the audit compares on
        status = node.said[-1]
        assert (status["halted"], merges(tmp_path)) == ("", [("Pairs-001", 10)])
        assert await node.end() == 0
        cash, held, merged = account(tmp_path)
        assert held == {}
        assert [q for _, _, q in merged] == [1000]
        assert D(status["cash"]) == cash


async def test_a_paper_node_that_may_not_collect_keeps_its_pairs(tmp_path):
    async with venue(tmp_path) as (_, told):
        node = paper(tmp_path, told, collect_every_s=0.0)
        await node.start()
        await eventually(lambda: node.proc.returncode or node.held() == {IYES: 10.0, INO: 10.0})
        await asyncio.sleep(2.0)
        assert node.held() == {IYES: 10.0, INO: 10.0}, node.errors.decode()[-3000:]
        assert await node.end() == 0
        assert merges(tmp_path) == []


async def test_a_paper_node_killed_between_account_and_row_has_merged_once_after_its_restart(
    tmp_path,
):
    async with venue(tmp_path) as (_, told):
        node = paper(tmp_path, told, die_at="paper.merged")
        await node.start()
        await asyncio.wait_for(node.proc.wait(), 120)
        assert node.proc.returncode == -signal.SIGKILL, node.errors.decode()[-3000:]
        assert merges(tmp_path) == []
        cash, held, merged = account(tmp_path)
        assert (held, len(merged)) == ({}, 1)
        again = paper(tmp_path, told, "0")
        await again.start()
        await eventually(lambda: again.proc.returncode or len(again.said) > 3)
        assert again.held() == {}, again.errors.decode()[-3000:]
        assert merges(tmp_path) == [("Pairs-001", 10)]
        assert D(again.said[-1]["cash"]) == cash
        assert await again.end() == 0
        third = paper(tmp_path, told, "0")
        await third.start()
        await eventually(lambda: third.proc.returncode or len(third.said) > 2)
        assert await third.end() == 0
        assert merges(tmp_path) == [("Pairs-001", 10)]
        assert account(tmp_path) == (cash, {}, merged)
