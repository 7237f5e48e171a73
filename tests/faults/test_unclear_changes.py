"""Changes and cancels whose answer is lost while the venue is unreachable: nothing is concluded until it was asked."""

import asyncio
from decimal import Decimal

import pytest
from nautilus_trader.model import OrderStatus

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.conformance.rig import play, rest

D = Decimal
NEWS = ("user_order", "fill", "order", "trade")
KINDS = ("order.modified", "order.modify_rejected", "order.modify_unknown")


def unreachable(*more):
    """No read is answered and no private frame arrives; `more` is what befalls the writes."""
    return [
        Fault(FaultKind.HTTP_503, match="GET", count=100_000),
        *[Fault(FaultKind.WS_DROP, match=m, count=100_000) for m in NEWS],
        *more,
    ]


def changes(stand):
    """Return the rows about the change, in order."""
    rows = LedgerReader(stand.root / "ledger").rows(Selection(kinds=KINDS))
    return [r.kind.partition("@")[0] for r in rows]


@pytest.mark.parametrize("lost", [FaultKind.DROP_RESPONSE, FaultKind.DROP_REQUEST])
@pytest.mark.parametrize("new", [("8", "0.39"), ("3", "0.39"), ("3", "0.38"), ("8", "0.37")])
def test_a_lost_change_reserves_both_terms_until_the_venue_was_asked(tmp_path, lost, new):
    quantity, price = map(D, new)
    arrived = lost is FaultKind.DROP_RESPONSE
    verb = "decrease" if new == ("3", "0.38") else "amend"

    async def script(stand, trader):
        cid = await rest(trader, stand)
        stand.faults.faults = unreachable(Fault(lost, match=verb))
        assert await trader.modify(cid, stand.markets[0], quantity, price)
        await asyncio.sleep(60.0)
        order = stand.gate.book.orders[cid]
        assert order.change is not None, "nothing is known yet"
        worst = max(D("0.38"), price) * max(D(5), quantity)
        reserved = stand.gate.cash("KALSHI") - stand.gate.free_cash("KALSHI")
        assert reserved >= worst
        told = [e for e in stand.engine.events if e.split(":")[0].startswith(("OrderM", "OrderU"))]
        assert told == []
        stand.faults.faults = ()
        await asyncio.sleep(30.0)
        assert stand.gate.book.orders[cid].change is None
        (working,) = stand.exchange.working()
        terms = (quantity, price) if arrived else (D(5), D("0.38"))
        assert (working.quantity, working.price) == (terms[0] * 100, terms[1] * 10_000)
        ours = stand.engine.orders[cid]
        assert (ours.quantity.as_decimal(), ours.price.as_decimal()) == terms
        spent = stand.gate.cash("KALSHI") - stand.gate.free_cash("KALSHI")
        assert terms[0] * terms[1] <= spent <= reserved
        assert (spent < reserved) == (terms[0] * terms[1] < worst)

    def written(stand):
        last = "order.modified" if arrived else "order.modify_rejected"
        assert changes(stand) == ["order.modify_unknown", last]

    events = play(tmp_path, "KALSHI", script, check=written)
    assert events[-1] == ("OrderUpdated" if arrived else "OrderModifyRejected")


def test_a_lost_change_whose_order_fills_meanwhile_is_booked_to_the_last_share(tmp_path):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        stand.faults.faults = unreachable(Fault(FaultKind.DROP_RESPONSE, match="amend"))
        assert await trader.modify(cid, stand.markets[0], D(8), D("0.41"))
        await asyncio.sleep(5.0)
        stand.trade(stand.markets[0].market_id, 4100, 800, "ask")
        await asyncio.sleep(20.0)
        stand.faults.faults = ()
        await asyncio.sleep(30.0)
        ours = stand.engine.orders[cid]
        assert ours.status == OrderStatus.FILLED
        assert ours.filled_qty.as_decimal() == D(8)
        assert not stand.halted

    play(tmp_path, "KALSHI", script)


def test_news_of_the_new_terms_ends_the_wait_though_no_read_is_answered(tmp_path):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        stand.faults.faults = [
            Fault(FaultKind.HTTP_503, match="GET", count=100_000),
            Fault(FaultKind.DROP_RESPONSE, match="amend"),
        ]
        assert await trader.modify(cid, stand.markets[0], D(8), D("0.39"))
        await asyncio.sleep(2.0)
        assert stand.engine.orders[cid].quantity.as_decimal() == D(8)
        assert stand.gate.book.orders[cid].change is None
        stand.faults.faults = ()

    assert play(tmp_path, "KALSHI", script).count("OrderUpdated") == 1


def test_a_change_that_was_made_is_booked_though_reading_it_back_is_refused(tmp_path):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        stand.faults.faults = [
            Fault(FaultKind.HTTP_429, match="GET /trade-api/v2/portfolio/orders/", count=8)
        ]
        assert await trader.modify(cid, stand.markets[0], D(8), D("0.39"))
        await asyncio.sleep(20.0)
        assert stand.engine.orders[cid].quantity.as_decimal() == D(8)

    events = play(tmp_path, "KALSHI", script)
    assert "OrderModifyRejected" not in events


def test_a_change_proven_lost_that_arrives_after_all_is_booked_and_halts(tmp_path):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        stand.faults.faults = [Fault(FaultKind.DROP_REQUEST, match="amend")]
        assert await trader.modify(cid, stand.markets[0], D(8), D("0.39"))
        await asyncio.sleep(20.0)
        assert stand.gate.book.orders[cid].change is None
        (working,) = stand.exchange.working()
        stand.exchange.amend(working.order_id, 3900, 800, stand.loop.time_ns())
        await asyncio.sleep(0.5)
        assert "proven lost" in stand.halted
        await asyncio.sleep(10.0)
        assert not stand.exchange.working()

    play(tmp_path, "KALSHI", script)


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
@pytest.mark.parametrize("lost", [FaultKind.DROP_RESPONSE, FaultKind.DROP_REQUEST])
def test_a_lost_cancel_is_asked_again_until_the_order_has_ended(tmp_path, venue, lost):
    async def script(stand, trader):
        cid = await rest(trader, stand)
        stand.faults.faults = unreachable(Fault(lost, match="DELETE", count=3))
        await trader.cancel(cid)
        await asyncio.sleep(40.0)
        assert stand.engine.orders[cid].is_open and cid in stand.gate.book.orders
        stand.faults.faults = ()
        await asyncio.sleep(10.0)
        assert not stand.exchange.working()
        assert stand.engine.orders[cid].status == OrderStatus.CANCELED

    assert play(tmp_path, venue, script)[-1] == "OrderCanceled"


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_an_order_older_than_the_look_back_is_found_and_not_called_absent(tmp_path, venue):
    async def script(stand, trader):
        cid = await trader.send(stand.markets[0], Side.BUY, D(5), D("0.38"), TimeInForce.GTC)
        await asyncio.sleep(3 * 3600.0)
        found = await stand.client.unknowns.look_up(cid, stand.instrument(stand.markets[0]))
        assert getattr(found, "client_order_id", None) == cid

    play(tmp_path, venue, script)
