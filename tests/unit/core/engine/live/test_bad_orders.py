"""Live: approvals that are forged, expired or for another order, and the rows of a change, on the real client."""

from __future__ import annotations

import asyncio
from copy import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.ledger.kinds import OrderDenied, OrderModified, OrderModifyRejected, OrderModifyRequested
from core.ledger.reader import LedgerReader
from core.risk import ApprovedOrder
from tests.conformance.rig import play, rest

D = Decimal


def ledger_rows(tmp_path: Path, *kinds: type) -> list:
    (folder,) = tmp_path.rglob("ledger")
    rows = (row.decoded() for row in LedgerReader(folder).rows())
    return [row for row in rows if isinstance(row, kinds)]


async def reviewed(stand, trader, quantity: str = "5"):
    """Let the gate approve an order that does not leave yet; return it as the engine holds it."""
    kept, submit = [], stand.client._submit_order

    async def keep(command) -> None:
        kept.append(command.order)

    stand.client._submit_order = keep
    await trader.send(stand.markets[0], Side.BUY, D(quantity), D("0.38"), TimeInForce.GTC)
    stand.client._submit_order = submit
    return kept[0]


async def expired(stand, trader) -> None:
    order = await reviewed(stand, trader)
    await asyncio.sleep(6.0)
    await stand.client._submit_order(SimpleNamespace(order=order))


async def forged(stand, trader) -> None:
    order = await reviewed(stand, trader)
    held = stand.gate.book.orders[order.client_order_id.value]
    fields = (replace(held.approval.intent, quantity=D(500)), *tuple(held.approval)[1:])
    held.approval = tuple.__new__(ApprovedOrder, fields)
    await stand.client._submit_order(SimpleNamespace(order=order))


async def of_another_order(stand, trader) -> None:
    order = await reviewed(stand, trader)
    cid = order.client_order_id.value
    larger = trader._order(replace(trader.intents[cid], quantity=D(500)))
    await stand.client._submit_order(SimpleNamespace(order=larger))


@pytest.mark.parametrize(
    ("trick", "code"),
    [
        (expired, "APPROVAL_"),
        (forged, "APPROVAL_FORGED"),
        (of_another_order, "APPROVAL_OTHER_ORDER"),
    ],
)
def test_an_order_without_a_true_approval_never_leaves_and_its_denial_is_a_row(
    tmp_path, trick, code
):
    async def script(stand, trader):
        before = stand.gate.free_cash("KALSHI")
        await trick(stand, trader)
        await asyncio.sleep(1.0)
        assert stand.exchange.orders == {} or not list(stand.exchange.working())
        stand.gate.on_time(stand.clock.timestamp_ns())
        assert stand.gate.free_cash("KALSHI") == before, "what was reserved is free again"

    play(tmp_path, "KALSHI", script)
    (denied,) = ledger_rows(tmp_path, OrderDenied)
    assert denied.reason.startswith(code)


@pytest.mark.parametrize(("venue", "made"), [("KALSHI", True), ("POLYMARKET", False)])
def test_a_change_is_a_row_when_asked_for_and_another_when_answered(tmp_path, venue, made):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        assert await trader.modify(cid, stand.markets[0], D(3), D("0.38"))
        await asyncio.sleep(2.0)

    play(tmp_path, venue, script)
    asked, answered = ledger_rows(
        tmp_path, OrderModifyRequested, OrderModified, OrderModifyRejected
    )
    assert isinstance(asked, OrderModifyRequested)
    assert (asked.quantity, asked.price) == (D(3), D("0.38"))
    if made:
        assert isinstance(answered, OrderModified)
        assert answered.quantity == D(3)
    else:
        assert isinstance(answered, OrderModifyRejected)
        assert answered.reason == "no_amend"


def test_a_decrease_that_comes_after_the_fills_leaves_the_terms_that_the_venue_holds(tmp_path):
    async def script(stand, trader):
        cid = await rest(trader, stand, quantity="6")
        stand.trade(stand.markets[0].market_id, 3700, 593, "ask")  # 5.93; we do not hear of it
        assert await trader.modify(cid, stand.markets[0], D(5), D("0.38"))
        await asyncio.sleep(30.0)
        assert stand.engine.orders[cid].quantity.as_decimal() == D(6)
        assert stand.judge.notes == [], "no fill raises the money at risk"

    events = play(tmp_path, "KALSHI", script, [Fault(FaultKind.WS_DROP, match="fill")])
    assert "OrderUpdated" in events
    asked, answered = ledger_rows(
        tmp_path, OrderModifyRequested, OrderModified, OrderModifyRejected
    )
    assert asked.quantity == D(5)
    assert isinstance(answered, OrderModified)
    assert (answered.quantity, answered.price) == (D(6), D("0.38"))


@pytest.mark.parametrize("arrived", [True, False])
def test_a_change_whose_answer_is_lost_is_booked_as_the_venue_holds_it(tmp_path, arrived):
    kind = FaultKind.DROP_RESPONSE if arrived else FaultKind.DROP_REQUEST

    async def script(stand, trader):
        cid = await rest(trader, stand)
        assert await trader.modify(cid, stand.markets[0], D(3), D("0.38"))
        await asyncio.sleep(30.0)
        left = D(3) if arrived else D(5)
        assert stand.gate.book.orders[cid].leaves == left * 10**9

    play(tmp_path, "KALSHI", script, [Fault(kind, match="decrease")])
    kinds = (OrderModified, OrderModifyRejected)
    (answered,) = ledger_rows(tmp_path, *kinds)
    assert isinstance(answered, OrderModified if arrived else OrderModifyRejected)
