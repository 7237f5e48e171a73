"""A trade that an earlier run has booked is not booked again, also when the engine knows its order."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from nautilus_trader.core import UUID4
from nautilus_trader.model import ClientOrderId, LimitOrder, OrderSide, StrategyId, TimeInForce

from adapters.fake.matrix.engine import TRADER
from adapters.fake.matrix.lives import PowerCut
from adapters.fake.matrix.script import Trader
from adapters.fake.matrix.stand import Stand
from adapters.fake.matrix.virtual import run_virtual
from core.domain.fees import Side
from core.engine.units import price_of, quantity_of
from core.ledger.kinds import OrderFilled
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

D = Decimal
OWNER = "Matrix-001"
each_venue = pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])


def second_life(tmp_path, venue, act):
    """Buy some, die, begin again, let the engine know the order as somebody else's, and do `act` with its fill."""

    async def work(loop):
        stand = Stand(loop, tmp_path, venue, [], {})
        stand.cut = PowerCut(stand, (), ())
        await stand.open()
        stand.cut.install()
        cid = await Trader(stand).send(stand.markets[0], Side.BUY, D(5), D("0.43"))
        await asyncio.sleep(3.0)
        stand.cut.dead = True
        stand.ledger.power.cut(True)
        await stand.rise(0.1)
        await asyncio.sleep(30.0)
        (fill,) = await stand.port.fills(0)
        stand.engine.orders[cid] = foreign(stand, cid, fill)
        stand.client.seen.clear()
        act(stand, fill)
        await asyncio.sleep(1.0)
        held = {s: stand.gate.position(s, i) for s, i in stand.gate.book.holdings}
        cash, truth = stand.gate.cash(venue), (await stand.port.cash()).settled
        await stand.close()
        rows = LedgerReader(stand.root / "ledger").rows(Selection())
        filled = [p for r in rows if isinstance(p := r.decoded(), OrderFilled)]
        return held, cash - truth, filled

    return run_virtual(work)


def foreign(stand, cid, fill):
    """Return the order as the engine makes it of a report: with an owner that no strategy of ours is."""
    instrument = stand.engine.instruments[fill.instrument_id]
    return LimitOrder(
        TRADER, StrategyId("EXTERNAL"), instrument.id, ClientOrderId(cid), OrderSide.BUY,
        quantity_of(D(9), instrument.size_precision), price_of(D("0.43"), instrument.price_precision),
        TimeInForce.GTC, False, False, False, UUID4(), fill.ts_ns,
    )  # fmt: skip


@each_venue
def test_a_trade_that_the_ledger_has_is_not_booked_again(tmp_path, venue):
    held, off, filled = second_life(tmp_path, venue, lambda s, fill: s.client.on_fill(fill))
    assert held == {OWNER: filled[0].quantity} and off == 0
    assert [f.strategy_id for f in filled] == [OWNER]


@each_venue
def test_a_trade_that_only_the_start_has_seen_gets_its_row_and_no_more(tmp_path, venue):
    def unwritten(stand, fill):
        other = replace(fill, trade_id="only-at-the-venue", quantity=D(2))
        stand.context.adopted.add(other.trade_id)  # its shares are in what the gate began with
        for _ in range(2):
            stand.client.on_fill(other)

    held, off, filled = second_life(tmp_path, venue, unwritten)
    first, second = filled
    assert held == {OWNER: first.quantity} and off == 0
    assert (second.trade_id, second.strategy_id) == ("only-at-the-venue", OWNER)


@each_venue
def test_a_new_fill_of_an_earlier_order_is_its_strategys_whoever_the_engine_names(tmp_path, venue):
    def more(stand, fill):
        stand.client.on_fill(replace(fill, trade_id="after-the-start", quantity=D(2)))

    held, off, filled = second_life(tmp_path, venue, more)
    assert held == {OWNER: filled[0].quantity + 2} and off < 0
    assert [f.strategy_id for f in filled] == [OWNER, OWNER]
