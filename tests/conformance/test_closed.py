"""News of an order that the engine no longer has: a late fill, a repeated one, a trade taken back; the same at every venue."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.fake.matrix.stand import CAPITAL
from core.domain.decision import TimeInForce
from core.domain.errors import VenueUncertain
from core.domain.fees import Side
from core.engine.live.port import VenueOrderStatus, VenueVoid
from core.ledger.kinds.orders import FillVoided, OrderFilled
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.conformance.rig import VENUES, play, reports, rest

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
GRACE_S = 1.0
pytestmark = pytest.mark.parametrize("venue", VENUES)


async def dropped(stand, cid):
    """Let the engine's checks run until it no longer has the order."""
    stand.context.closed_grace_s = GRACE_S
    for _ in range(20):
        await asyncio.sleep(2.0)
        await stand.engine.check(stand.client)
        if cid in stand.client.closed.kept:
            break
    assert cid not in stand.engine.orders and cid in stand.engine.purged
    assert stand.client.order_of(cid) is None and cid not in stand.client.venue_orders


def rows(root):
    """Return the rows of fills and voids by kind."""
    found = {OrderFilled: [], FillVoided: []}
    for row in LedgerReader(root / "ledger").rows(Selection()):
        payload = row.decoded()
        if type(payload) in found:
            found[type(payload)].append(payload)
    return found


def test_an_order_that_is_over_leaves_the_engine_and_every_report(tmp_path, venue):
    async def script(stand, trader):
        await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        filled = next(iter(stand.engine.orders))
        cancelled = await rest(trader, stand)
        await trader.cancel(cancelled)
        works = await rest(trader, stand, price="0.37")
        await dropped(stand, filled)
        await dropped(stand, cancelled)
        assert list(stand.engine.orders) == [works]
        orders, fills, held = await reports(stand.client)
        assert [r.client_order_id.value for r in orders] == [works]
        assert not fills and len(held) == 1

    play(tmp_path, venue, script)


def test_an_order_stays_while_its_grace_lasts_while_it_works_and_while_a_fill_can_be_undone(
    tmp_path, venue
):
    slow = {"mine_s": 2.0, "confirm_s": 300.0} if venue == "POLYMARKET" else {}

    async def script(stand, trader):
        stand.context.closed_grace_s = 60.0
        works = await rest(trader, stand, price="0.37")
        cid = await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        for _ in range(20):
            await asyncio.sleep(2.0)
            await stand.engine.check(stand.client)
        assert set(stand.engine.orders) == {works, cid}
        for _ in range(60):
            await asyncio.sleep(2.0)
            await stand.engine.check(stand.client)
        assert (cid in stand.engine.orders) == bool(slow)
        assert works in stand.engine.orders
        await asyncio.sleep(300.0)

    play(tmp_path, venue, script, options=slow)


def test_a_fill_told_long_after_its_order_was_cancelled_is_booked_once_and_its_strategy_hears(
    tmp_path, venue
):
    async def script(stand, trader):
        cid = await rest(trader, stand, "6", "0.41")
        stand.trade(stand.markets[0].market_id, 4100, 250, "ask")
        await asyncio.sleep(2.0)
        await trader.cancel(cid)
        await dropped(stand, cid)
        (first,) = await stand.port.fills(0)
        late = replace(first, trade_id="late-1", quantity=D("1.5"), fee=D(0), client_order_id="")
        code, iid = stand.markets[0].venue, late.instrument_id
        before, cash = stand.gate.position("Matrix-001", iid), stand.gate.cash(code)
        stand.client.on_fill(late)
        stand.client.on_fill(late)
        stand.client.on_fill(first)
        assert stand.gate.position("Matrix-001", iid) == before + D("1.5")
        assert stand.gate.cash(code) == cash - D("1.5") * late.price
        assert stand.engine.events.count(f"OrderFilled:{cid}") == 2
        assert stand.engine.purged[cid].filled_qty.as_decimal() == D(4)
        assert stand.client.closed.filled(cid) == D(4) and not stand.halted
        assert not stand.client.strangers.waiting
        await asyncio.sleep(5.0)

    play(tmp_path, venue, script, at_rest=False)
    booked = rows(tmp_path)[OrderFilled]
    assert [(f.trade_id == "late-1", f.strategy_id) for f in booked] == [
        (False, "Matrix-001"),
        (True, "Matrix-001"),
    ]
    assert len({f.client_order_id for f in booked}) == 1
    told = list(LedgerReader(tmp_path / "ledger").rows(Selection()))
    of_order = [
        r for r in told if getattr(r.decoded(), "client_order_id", "") == booked[0].client_order_id
    ]
    late = next(r for r in of_order if getattr(r.decoded(), "trade_id", "") == "late-1")
    newest = max(r.seq for r in of_order if r.seq < late.seq)
    assert late.parents == f"[{newest}]", "it comes from the newest row of its order"


def test_a_trade_taken_back_long_after_its_order_ended_is_taken_back_everywhere(tmp_path, venue):
    async def script(stand, trader):
        cid = await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        await asyncio.sleep(2.0)
        code, iid = stand.markets[0].venue, stand.instrument(stand.markets[0])
        (fill,) = await stand.port.fills(0)
        await dropped(stand, cid)
        void = VenueVoid(fill.trade_id, fill.venue_order_id, "FAILED")
        stand.client.on_void(void)
        stand.client.on_void(void)
        assert stand.gate.position("Matrix-001", iid) == 0 and stand.gate.cash(code) == CAPITAL
        assert stand.engine.positions[iid] == 0
        assert [e.split(":")[0] for e in stand.engine.events][-1] == "OrderFillVoided"
        stand.client.on_fill(fill)  # told again: it stays taken back
        assert stand.gate.position("Matrix-001", iid) == 0
        assert stand.client.closed.filled(cid) == 0
        await asyncio.sleep(5.0)

    play(tmp_path, venue, script, at_rest=False)
    found = rows(tmp_path)
    assert len(found[OrderFilled]) == len(found[FillVoided]) == 1


def test_an_order_that_the_venue_counts_more_of_is_read_again_after_it_has_gone(tmp_path, venue):
    async def script(stand, trader):
        cid = await rest(trader, stand, "6", "0.41")
        await trader.cancel(cid)
        await dropped(stand, cid)
        (told,) = await stand.port.orders(working_only=False, since_ns=0)
        asked, fills = [], stand.port.fills

        async def keep(since_ns, venue_order_id=""):
            asked.append(venue_order_id)
            return await fills(since_ns, venue_order_id)

        stand.port.fills = keep
        await stand.client.take_report(replace(told, filled=D(2)), cid)
        assert asked == [told.venue_order_id]
        stand.client.on_order(replace(told, status=VenueOrderStatus.WORKING))
        with pytest.raises(VenueUncertain):
            stand.client.on_order(replace(told, side=SELL))

    play(tmp_path, venue, script)


def test_a_cancel_and_a_change_that_come_after_it_has_gone_do_nothing(tmp_path, venue):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        await trader.cancel(cid)
        native = stand.engine.orders[cid].client_order_id
        await dropped(stand, cid)
        before = list(stand.engine.events)
        await stand.client._cancel(native)
        await stand.client._cancel_many([native])
        await stand.client._cancelled(native, stand.instrument(stand.markets[0]), None)
        assert await stand.client.unknowns.settle(cid, stand.instrument(stand.markets[0]))
        assert stand.engine.events == before

    play(tmp_path, venue, script)
