"""Rows of merges that no node could write: what calls, rows and account all say, once, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.engine.journal import Causes
from core.engine.live.away import holdings
from core.engine.live.collectable import MERGE, CallState, TokenCall
from core.engine.live.memory import remember
from core.engine.live.merged_away import Behind, catch_up
from core.engine.live.passage import Passage
from core.ledger import DurableLedger
from core.ledger.kinds import PositionsMerged
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.unit.core.ledger import rows_for_tests as make
from tests.unit.core.risk.world import PNO, PYES, D, Desk, market, world

T0 = make.T0
P1 = market("POLYMARKET", "P1", "E2")


def call(quantity: str, state: CallState = CallState.DONE, market_id: str = "P1") -> TokenCall:
    return TokenCall(f"c-{quantity}-{state}", MERGE, market_id, D(quantity), state)


class Start:
    """A ledger of ten pairs of two strategies, and a node that starts on an account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with DurableLedger(folder) as ledger:
            ledger.begin_run(make.started(), ts_event=T0)
            for strategy, size in (("S1", "6"), ("S2", "4")):
                for iid in (PYES, PNO):
                    row = make.fill(
                        f"O-{strategy}-{iid}", f"T-{strategy}-{iid}", quantity=size, price="0.48", fee="0",
                        instrument=iid, strategy=strategy,
                    )  # fmt: skip
                    ledger.append(row, ts_event=T0)

    def begin(
        self, yes: str, no: str, calls: list[TokenCall], *fills: Any, dust: str = "0"
    ) -> Behind:
        """Start a node that finds these shares at the venue."""
        desk = Desk(world())
        for iid, size in ((PYES, yes), (PNO, no)):
            if D(size):
                desk.hold(iid, size)
        self.gate = desk.gate
        memory = remember(self.folder)

        async def told(since_ns: int) -> list[Any]:
            return list(fills)

        port = SimpleNamespace(venue="POLYMARKET", share_dust=D(dust), fills=told)
        returns = SimpleNamespace(calls=lambda: calls)
        held = holdings(self.folder)
        with DurableLedger(self.folder) as ledger:
            self.context = SimpleNamespace(
                port=port, gate=desk.gate, ledger=ledger, currency="USD", passage=Passage(),
                causes=Causes(), adopted=memory.trades | {f.trade_id for f in fills},
                since_ns=lambda now: 0, now_ns=lambda: T0,
            )  # fmt: skip
            self.context.causes.fills = memory.fills
            work = catch_up(self.context, returns, [P1], memory, held, self.folder, T0)  # type: ignore[arg-type]
            return asyncio.run(work)

    def rows(self) -> list[tuple[str, Any]]:
        found = LedgerReader(self.folder).rows(Selection(kinds=("position.merged",)))
        told = [p for r in found if isinstance(p := r.decoded(), PositionsMerged)]
        return [(p.strategy_id, p.quantity) for p in told]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


def test_a_merge_without_a_row_gets_one_for_each_owner_and_only_once(start: Start) -> None:
    for _ in range(2):
        start.begin("2", "2", [call("8")])
        assert start.rows() == [("S1", 4), ("S2", 4)], "two pairs are left, and S1 was given them"


def test_shares_that_a_venue_does_not_list_are_no_merge_without_a_call(start: Start) -> None:
    start.begin("0", "0", [])
    start.begin("0", "0", [call("8", CallState.NOT_DONE), call("8", market_id="P9")])
    assert start.rows() == []


def test_a_call_that_the_account_does_not_show_gets_no_row(start: Start) -> None:
    start.begin("10", "10", [call("8")])
    start.begin("2", "10", [call("8")])
    assert start.rows() == []


def test_fills_that_no_row_tells_of_are_taken_into_account(start: Start) -> None:
    late = [
        SimpleNamespace(trade_id=f"late-{i}", instrument_id=i, signed=D(-3)) for i in (PYES, PNO)
    ]  # fmt: skip
    start.begin("7", "7", [call("3")], *late)
    assert start.rows() == [], "three of each were sold, not merged"
    start.begin("4", "4", [call("3")], *late)
    assert start.rows() == [("S1", 2), ("S2", 1)]


def test_hundredths_that_fills_leave_hide_no_merge_and_make_none(start: Start) -> None:
    start.begin("10.02", "9.99", [], dust="0.01")
    assert start.rows() == []
    start.begin("2.01", "1.98", [call("8")], dust="0.01")
    assert start.rows() == [("S1", D("3.99")), ("S2", 4)]


def test_an_open_call_is_promised_and_remembered_with_what_the_account_lacks(start: Start) -> None:
    behind = start.begin("10", "10", [call("5", CallState.OPEN)])
    assert start.gate.sellable("S1", PYES) == 5
    assert not behind.take("P1", D(5)), "the account has them still"
    behind = start.begin("5", "5", [call("5", CallState.OPEN)])
    assert behind.take("P1", D(5))
    assert not behind.take("P1", D(5))
    assert start.rows() == []
