"""What becomes of orders that are over on a real node; returns facts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import InstrumentId

from core.engine.live.port import VenueVoid
from tests.live.rig import Rig, eventually, rig
from tests.live.scenarios import rest

D = Decimal


def external(r: Rig) -> list[str]:
    """Return the engine's orders that it takes for somebody else's."""
    return [o.client_order_id.value for o in r.cache.orders() if o.strategy_id.value == "EXTERNAL"]


async def sold_beyond(r: Rig, iid: str, late: Any) -> dict[str, Any]:
    """Sell what only a late fill has brought: the engine counts fewer shares than the account holds."""
    r.client.on_fill(replace(late, trade_id="late-2", quantity=D(20), provisional=False))
    held = r.hands.position(iid)
    bid = r.hands.best_bid(iid)
    assert bid is not None
    sold = r.hands.sell(iid, D(20), bid.price, reason="all of the late ones")
    assert sold is not None, r.hands.heard
    await eventually(lambda: r.status(sold) in ("FILLED", "REJECTED", "DENIED", "CANCELED"))
    told = getattr(r.order(sold).last_event, "reason", "")
    return {"sold_of": str(held), "sale": r.status(sold), "said": told}


def traces(r: Rig) -> set[str]:
    """Return the orders that the client still knows by name, outside of what is kept of dropped ones."""
    c = r.client
    return {*c._accepted, *c._ended, *c.venue_orders, *c.acks, *c.journal._last, *c.sizes._filled}


async def dropped(code: str, home: Path) -> dict[str, Any]:
    """Orders fill and are cancelled; the engine drops them; then a fill of one is told late and taken back."""
    async with rig(code, home) as r:
        r.client.context.closed_grace_s = 0.5
        iid, kept = r.venue.instruments[0], r.client.closed.kept
        bought = r.hands.buy(iid, D(5), D("0.42"), reason="takes")
        assert await eventually(lambda: r.hands.position(iid) == 5), r.hands.heard
        gone, works = rest(r, 1), rest(r, 2)
        assert await eventually(lambda: r.status(gone) == r.status(works) == "ACCEPTED")
        r.hands.cancel(gone)
        assert await eventually(lambda: bought in kept and gone in kept, 40), kept
        await asyncio.sleep(6.0)  # one check of the engine more
        facts: dict[str, Any] = {
            "left": [o.client_order_id.value for o in r.cache.orders()] == [works],
            "records": list(r.node.session.journal.orders) == [works],
            "traces": sorted({bought, gone} & traces(r)),
            "external": external(r),
        }
        (fill,) = await r.client.port.fills(0)
        late = replace(fill, trade_id="late-1", quantity=D(2), client_order_id="", provisional=True)
        r.client.on_fill(late)
        r.client.on_fill(late)
        r.client.on_fill(fill)
        heard = [text for kind, text in r.hands.heard if kind == "fill"]
        facts["told"] = await eventually(
            lambda: len([k for k, _ in r.hands.heard if k == "fill"]) == 2
        )
        facts["before"], facts["held"] = len(heard), str(r.hands.position(iid))
        r.client.on_fill(replace(late, provisional=False))
        r.client.on_void(VenueVoid("late-1", fill.venue_order_id, "FAILED"))
        facts["after"] = str(r.hands.position(iid))
        await asyncio.sleep(6.0)
        facts |= {"external_later": external(r), "halted": r.node.halted()}
        facts["records_later"] = list(r.node.session.journal.orders) == [works]
        facts["counted"] = r.node.session.journal.filled, str(r.node.session.journal.fees)
        facts["filled"] = str(r.client.closed.filled(bought))
        facts |= await sold_beyond(r, iid, late)
        facts["rows"] = len(r.rows("order.filled"))
    return facts


async def paid_out(code: str, home: Path) -> dict[str, Any]:
    """A market is paid out after its orders are over; the engine drops it; then a fill is told late and taken back."""
    async with rig(code, home) as r:
        r.client.context.closed_grace_s = 0.5
        iid, other, closed = r.venue.instruments[2], r.venue.instruments[0], r.client.closed
        bought = r.hands.buy(iid, D(5), D("0.42"), reason="takes")
        assert await eventually(lambda: r.hands.position(iid) == 5), r.hands.heard
        r.venue.fake.exchange.settle(r.venue.ids[2], 10_000, r.venue.fake.clock())
        assert await eventually(lambda: r.hands.position(iid) == 0, 30), r.hands.heard
        top = r.hands.top(iid)
        both = {o.instrument_id for o in r.hands.markets[iid].outcomes}
        assert await eventually(lambda: both <= closed.paid_out.gone.keys(), 60), closed.kept
        await asyncio.sleep(6.0)  # one check of the engine more
        natives = [InstrumentId.from_str(i) for i in (iid, other)]
        facts: dict[str, Any] = {
            "instruments": [r.cache.instrument(n) is not None for n in natives],
            "books": [r.cache.order_book(n) is not None for n in natives],
            "top_stays": r.hands.top(iid) == top,
            "dropped": bought in closed.kept,
        }
        (fill,) = await r.client.port.fills(0)
        late = replace(fill, trade_id="late-1", quantity=D(2), client_order_id="", provisional=True)
        cash = r.node.gate.cash(code)
        r.client.on_fill(late)
        facts["paid_at_once"] = r.node.gate.cash(code) == cash + D(2) * (1 - late.price) - late.fee
        facts["told"] = await eventually(
            lambda: len([k for k, _ in r.hands.heard if k == "fill"]) == 2
        )
        r.client.on_void(VenueVoid("late-1", fill.venue_order_id, "FAILED"))
        facts["taken_back"] = r.node.gate.cash(code) == cash
        again = r.hands.buy(other, D(5), D("0.42"), reason="elsewhere")
        facts["trades_on"] = await eventually(lambda: r.hands.position(other) == 5)
        facts |= {"sent": bool(again), "external": external(r), "halted": r.node.halted()}
    return facts
