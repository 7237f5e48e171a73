"""Two lives of a paper node: what the first has bought, and what the strategy of the second is told of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from core.ledger.kinds import RunMode
from tests.live.rig import eventually, rig

D = Decimal


async def bought(code: str, home: Path) -> dict[str, Any]:
    """Buy five shares."""
    async with rig(code, home, mode=RunMode.PAPER) as r:
        iid = r.venue.instruments[0]
        r.hands.buy(iid, D(5), D("0.42"), reason="first life")
        filled = await eventually(lambda: r.hands.position(iid) == 5)
        await eventually(lambda: r.rows("order.filled"))
        (row,) = r.rows("order.filled")
        return {"iid": iid, "filled": filled, "cost": str(row.quantity * row.price + row.fee)}


async def again(code: str, home: Path) -> dict[str, Any]:
    """Be told, and sell them."""
    async with rig(code, home, mode=RunMode.PAPER) as r:
        iid = r.venue.instruments[0]
        told = [text for kind, text in r.hands.heard if kind == "adopted"]
        held = str(r.hands.position(iid))
        r.hands.exit(iid, "second life")
        sold = await eventually(lambda: r.hands.position(iid) == 0)
        return {"told": told, "held": held, "sold": sold}
