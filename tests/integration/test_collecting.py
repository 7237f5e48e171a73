"""Nodes bring the dollars of pairs back while they run: on paper at once, live through the relayer, each pair once."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.polymarket.relayer import UnredeemedAccount
from core.domain.errors import MissingData
from core.engine.paper.account import TokenAccount
from core.engine.paper.store import PaperStore
from core.engine.parity import check_parity, run
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.state_file import Command, RiskFile
from core.risk.states import TradingState
from tests.integration.polymarket_stand import C1, INO, IYES, eventually
from tests.integration.test_polymarket_node import NodeProcess, venue
from tests.integration.test_polymarket_tokens import RELAYER_KEY

pytestmark = pytest.mark.slow
REPO = Path(__file__).resolve().parents[2]
D = Decimal


def rows(tmp_path, *kinds):
    """Return rows of the node's ledger; none while there is no ledger."""
    with suppress(MissingData):
        ledger = LedgerReader(tmp_path / "home" / "ledger")
        return [r.decoded() for r in ledger.rows(Selection(kinds=kinds))]
    return []


def merges(tmp_path):
    """Return (strategy, quantity) of each row that tells of a merge."""
    return [(p.strategy_id, p.quantity) for p in rows(tmp_path, "position.merged")]


def wanted(quantity="10"):
    return {"iid": IYES, "other": INO, "quantity": quantity}


def paper(tmp_path, told, quantity="10", **more):
    keyless = {k: v for k, v in told.items() if k != "private_key"}
    return NodeProcess(
        REPO, tmp_path, keyless, mode="paper", params=wanted(quantity), audit_every_s=0.5,
        **({"collect_every_s": 0.3, "strategy": "Pairs"} | more),
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


async def test_a_replay_merges_pairs_when_the_node_did(tmp_path, monkeypatch):
    """The strategy buys the next pair at the first change of the book after a merge: not at the fill of the last one."""
    async with venue(tmp_path) as (fake, told):
        node = paper(tmp_path, told, strategy="PairsAgain", collect_every_s=1.0, limits="research")
        await node.start()
        steps = 0
        while len(merges(tmp_path)) < 3 and steps < 1200:
            steps += 1
            price = 3900 - steps % 2 * 100
            fake.exchange.level(C1, "bid", price, 700 + steps, 0)
            fake.streams.level_changed(C1, "bid", price, 0, time.time_ns())
            fake.streams.ticked(C1, time.time_ns())
            await asyncio.sleep(0.05)
        assert await node.end() == 0
    report = check_parity(tmp_path / "home", window_ms=300.0)
    assert report.differences == ()
    assert report.orders[0] == report.orders[1] >= 6
    spec_of = run._spec_of
    monkeypatch.setattr(run, "_spec_of", lambda *told: replace(spec_of(*told), merges=None))
    assert not check_parity(tmp_path / "home", window_ms=300.0).equal, (
        "merged at the fill it buys more often"
    )


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


# -- live: through the relayer ----------------------------------------------------------------
FUNDER = "0x" + "f1" * 20


@asynccontextmanager
async def relayed(tmp_path, *faults, kept=False, **more):
    """Yield (fake, settings) of a deposit wallet whose node may collect."""
    account = UnredeemedAccount if kept else TokenAccount
    async with venue(tmp_path, account, faults=FaultSchedule(faults)) as (fake, told):
        fake.relayer.key = RELAYER_KEY
        yield fake, told | {
            "signature_type": 3, "funder": FUNDER, "relayer_url": told["clob_url"], "collect": True,
            "relayer_key": RELAYER_KEY, "collect_settle_s": 1.0, "collect_wait_s": 10.0,
            "collect_poll_s": 0.05, "tokens_dir": str(tmp_path / "tokens"),
            "runs_dir": str(tmp_path / "runs"), **more,
        }  # fmt: skip


def live(tmp_path, told, quantity="10", **more):
    return NodeProcess(
        REPO, tmp_path, told, params=wanted(quantity),
        **({"strategy": "Pairs", "collect_every_s": 0.5, "audit_every_s": 0.5} | more),
    )  # fmt: skip


def submits(fake):
    return sum(1 for _, what in fake.requests if what == "POST /submit")


def faulted(tmp_path):
    return [p for p in rows(tmp_path, "fault") if p.where == "collect"]


def truth(fake):
    """Dollars and pairs as the fake's own ledger has them."""
    shares = [fake.relayer.shares(C1, o) for o in ("YES", "NO")]
    return D(fake.exchange.account.cash) / 1_000_000, min(shares) // 1_000_000


async def agrees(node, fake):
    """Wait until the node says the fake's cash, and let the audit look on."""
    await eventually(
        lambda: node.proc.returncode or D(node.said[-1].get("cash", "0")) == truth(fake)[0]
    )
    await asyncio.sleep(3.0)
    last = node.said[-1]
    assert (D(last["cash"]), last["halted"]) == (truth(fake)[0], ""), node.errors.decode()[-3000:]


async def merged_once(node, fake, tmp_path):
    await eventually(lambda: node.proc.returncode or merges(tmp_path))
    await eventually(lambda: node.proc.returncode or node.held() == {})
    await agrees(node, fake)
    assert merges(tmp_path) == [("Pairs-001", 10)]
    assert (truth(fake)[1], len(fake.relayer.executed)) == (0, 1)
    # a trade that is matched but not mined may differ for one look; nothing lasts, and nothing is booked as a stranger's
    assert {p.action for p in rows(tmp_path, "account.difference")} <= {"looked at again"}


async def test_a_live_node_merges_a_pair_through_the_relayer_once(tmp_path):
    async with relayed(tmp_path) as (fake, told):
        node = live(tmp_path, told)
        await node.start()
        await merged_once(node, fake, tmp_path)
        assert submits(fake) == 1
        assert await node.end() == 0
        names = [r.name for r in LedgerReader(tmp_path / "tokens" / "ledger").rows()]
        own = [n for n in names if n.startswith(("operator.", "tokens."))]
        assert own[:2] == ["operator.command", "tokens.intended"]
        assert own[-1] == "tokens.ended"
        kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert RELAYER_KEY.encode() not in kept + node.errors


async def test_a_live_node_that_was_not_told_to_collect_sends_no_call(tmp_path):
    async with relayed(tmp_path, collect=False) as (fake, told):
        node = live(tmp_path, told)
        await node.start()
        await eventually(lambda: node.proc.returncode or node.held() == {IYES: 10.0, INO: 10.0})
        await asyncio.sleep(2.0)
        assert await node.end() == 0, node.errors.decode()[-3000:]
        assert (submits(fake), merges(tmp_path)) == (0, [])


@pytest.mark.parametrize("point", ["tokens.intended", "tokens.answered", "collect.done"])
async def test_a_live_node_killed_during_a_call_has_merged_once_after_its_restart(tmp_path, point):
    async with relayed(tmp_path) as (fake, told):
        node = live(tmp_path, told, die_at=point)
        await node.start()
        await asyncio.wait_for(node.proc.wait(), 120)
        assert node.proc.returncode == -signal.SIGKILL, node.errors.decode()[-3000:]
        assert merges(tmp_path) == []
        again = live(tmp_path, told, "0")
        await again.start()
        await merged_once(again, fake, tmp_path)
        assert await again.end() == 0
        assert submits(fake) == 1


async def test_a_live_node_killed_while_the_chain_stands_still_books_what_comes_of_it(tmp_path):
    async with relayed(tmp_path, collect_wait_s=1.0) as (fake, told):
        fake.relayer.step_s = 3600.0
        node = live(tmp_path, told)
        await node.start()
        await eventually(lambda: node.proc.returncode or submits(fake))
        await asyncio.sleep(2.0)
        assert await node.end(signal.SIGKILL) == -signal.SIGKILL
        again = live(tmp_path, told, "0")
        await again.start()
        await eventually(lambda: again.proc.returncode or again.held() == {IYES: 10.0, INO: 10.0})
        await asyncio.sleep(2.0)
        fake.relayer.step_s = 0.05
        for one in fake.relayer.transactions:
            one.due_ns = 0
        await merged_once(again, fake, tmp_path)
        assert await again.end() == 0
        assert submits(fake) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.DROP_REQUEST, match="POST /submit"),
        Fault(FaultKind.DROP_RESPONSE, match="POST /submit"),
        Fault(FaultKind.HTTP_429, match="POST /submit"),
        Fault(FaultKind.HTTP_503, match="POST /submit"),
    ],
    ids=["lost", "answer lost", "rate limit", "server error"],
)  # fmt: skip
async def test_a_relayer_that_fails_is_told_in_a_row_and_asked_again_for_the_same_pair(
    tmp_path, fault
):
    async with relayed(tmp_path, fault, timeout_s=2.0) as (fake, told):
        node = live(tmp_path, told)
        await node.start()
        await merged_once(node, fake, tmp_path)
        assert await node.end() == 0


async def test_a_call_that_fails_on_chain_moves_nothing_and_is_tried_again_later(tmp_path):
    async with relayed(tmp_path) as (fake, told):
        fake.relayer.fail = lambda number: number == 0
        node = live(tmp_path, told)
        await node.start()
        await merged_once(node, fake, tmp_path)
        assert await node.end() == 0
        assert "execution reverted" in faulted(tmp_path)[0].detail
        assert submits(fake) == 2


async def test_above_the_cap_of_a_day_nothing_leaves_and_a_row_says_what_raises_it(tmp_path):
    async with relayed(tmp_path, collect_day_cap="4") as (fake, told):
        node = live(tmp_path, told)
        await node.start()
        await eventually(lambda: node.proc.returncode or faulted(tmp_path))
        row = faulted(tmp_path)[0]
        assert (row.error, "--collect-day-cap" in row.detail) == ("above the cap of 24 hours", True)
        assert (submits(fake), node.held()) == (0, {IYES: 10.0, INO: 10.0})
        assert await node.end() == 0


async def test_the_operators_halt_holds_merges_back(tmp_path):
    async with relayed(tmp_path) as (fake, told):
        node = live(tmp_path, told, collect_every_s=4.0)
        await node.start()
        await eventually(lambda: node.proc.returncode or node.held() == {IYES: 10.0, INO: 10.0})
        command = Command("c-1", "risk halt", {"state": "HALTED", "reason": "t"}, "t", "cli", 1)
        RiskFile(tmp_path / "home" / "risk").order(TradingState.HALTED, command)
        await eventually(lambda: node.proc.returncode or node.said[-1].get("halted"))
        await asyncio.sleep(6.0)
        assert (submits(fake), merges(tmp_path)) == (0, [])
        await node.end()


async def test_a_winner_is_redeemed_after_its_market_has_resolved(tmp_path):
    async with relayed(tmp_path, kept=True) as (fake, told):
        node = live(tmp_path, told, strategy="BuyOnce")
        await node.start()
        await eventually(lambda: node.proc.returncode or node.held() == {IYES: 10.0})
        await asyncio.sleep(2.0)
        before = truth(fake)[0]
        fake.exchange.settle(C1, 10_000, time.time_ns())
        await eventually(lambda: node.proc.returncode or fake.relayer.executed)
        await agrees(node, fake)
        assert truth(fake)[0] >= before + 10
        assert (submits(fake), fake.relayer.shares(C1, "YES")) == (1, 0)
        assert await node.end() == 0
