"""What contract tests let happen on a real node; each returns facts."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from tests.live.rig import Rig, eventually, rig

D = Decimal
POST = {"KALSHI": "POST /trade-api/v2/portfolio/events/orders", "POLYMARKET": "POST /order"}


def rest(r: Rig, market: int, price: str = "0.38", quantity: str = "5") -> str:
    """Rest a bid and return its id."""
    iid = r.venue.instruments[market]
    cid = r.hands.buy(iid, D(quantity), D(price), tif=TimeInForce.GTC, reason="rest")
    assert cid is not None, r.hands.heard
    return cid


async def hung_post(code: str, home: Path) -> dict[str, Any]:
    """A create hangs for seconds; meanwhile another order is cancelled and a third one sent."""
    async with rig(code, home) as r:
        first = rest(r, 0)
        assert await eventually(lambda: r.status(first) == "ACCEPTED"), r.status(first)
        r.venue.fake.faults.faults = (
            Fault(FaultKind.DELAY, match=POST[code], count=1, seconds=3.0),
        )
        before = len(r.posts())
        hung = rest(r, 1)
        await eventually(lambda: len(r.posts()) > before)
        r.hands.cancel(first)
        third = rest(r, 2)
        cancelled = await eventually(lambda: r.status(first) == "CANCELED", 2.5)
        accepted = await eventually(lambda: r.status(third) == "ACCEPTED", 2.5)
        meanwhile = r.status(hung)
        arrived = await eventually(lambda: r.status(hung) == "ACCEPTED", 8)
        return {
            "cancelled": cancelled,
            "third": accepted,
            "meanwhile": meanwhile,
            "arrived": arrived,
            "posts": r.posts()[before:],
            "working": len(r.venue.fake.exchange.working()),
        }


async def nothing(code: str, home: Path) -> dict[str, Any]:
    """Come up and go down."""
    async with rig(code, home) as r:
        await asyncio.sleep(0.5)
        return {"heard": r.hands.heard}
