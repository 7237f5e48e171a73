"""A grid that changes while orders rest: the orders stay, a row says which are off it, nothing crashes."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from nautilus_trader.model import OrderStatus

from core.domain.grid import TickGrid
from core.engine.live.grids import GridWatch
from core.ledger.kinds import StateChanged
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.conformance.rig import play, rest

D = Decimal


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_orders_on_an_old_grid_stay_and_are_named_in_a_row(tmp_path, venue):
    async def script(stand, trader):
        market = stand.markets[0]
        watch = GridWatch(stand.gate, stand.ledger, stand.clock.timestamp_ns)
        watch.look(market)
        watch.look(market)
        resting = await rest(trader, stand, "5", "0.38")
        stand.exchange.markets[market.market_id].tick = 500
        changed = replace(market, grid=TickGrid.uniform(D("0.05")))
        stand.gate.on_market(changed)
        watch.look(changed)
        (working,) = stand.exchange.working()
        assert working.price == 3800, "the venue leaves it"
        assert not await trader.modify(resting, changed, D(5), D("0.39")), (
            "a new price must be on the grid"
        )
        await trader.cancel(resting)
        await asyncio.sleep(2.0)
        assert stand.engine.orders[resting].status == OrderStatus.CANCELED
        assert not stand.halted

    def told(stand):
        rows = LedgerReader(stand.root / "ledger").rows(Selection(kinds=("state",)))
        grids = [
            p for r in rows if isinstance(p := r.decoded(), StateChanged) and p.machine == "grid"
        ]
        assert [(D(g.before), D(g.after)) for g in grids] == [(D("0.01"), D("0.05"))]
        assert grids[0].reason == "1 resting orders are off it: F-0001"

    play(tmp_path, venue, script, check=told)
