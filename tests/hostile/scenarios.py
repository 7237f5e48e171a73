"""Whole live nodes on fake venues that limit, disagree about the time, have the money elsewhere, or quote our keys."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from tests.live.rig import Rig, eventually, rig
from tests.live.scenarios import rest
from tests.live.venues import make

D = Decimal
STORM_S = 60.0
ASKED_S = 4.0
SKEW_S = 40
SKEW_NS = SKEW_S * 10**9


def rejections(r: Rig) -> list[str]:
    """Return the reasons of the orders that the venue's side refused."""
    return [row.reason for row in r.rows("order.rejected")]


def states(r: Rig, name: str) -> list[str]:
    """Return the states that a connection went through, as rows say."""
    return [row.state for row in r.rows("feed.state") if row.feed == name]


async def storm(code: str, home: Path) -> dict[str, Any]:
    """Every REST call is answered 429 with ``Retry-After`` for a minute, then none."""
    async with rig(code, home, markets=4, limits="research") as r:
        resting = rest(r, 0)
        assert await eventually(lambda: r.status(resting) == "ACCEPTED")
        fake = r.venue.fake
        before, began = len(fake.requests), time.monotonic()
        fake.faults.faults = (Fault(FaultKind.HTTP_429, count=1 << 40, seconds=ASKED_S),)
        refused, waits, sent = [], [], 0
        cancelled_at = 0.0
        while (at := time.monotonic() - began) < STORM_S:
            asked = time.monotonic()
            cid = r.hands.buy(
                r.venue.instruments[1], D(1), D("0.38"), tif=TimeInForce.GTC, reason="storm"
            )
            if cid is not None:
                sent += 1
                await eventually(lambda c=cid: r.status(c) == "REJECTED", 8)
                refused.append(r.status(cid))
                waits.append(time.monotonic() - asked)
            if at > STORM_S / 2 and not cancelled_at:
                cancelled_at = at
                r.hands.cancel(resting)
            await asyncio.sleep(1.0)
        arrived = Counter(
            path.split()[0] for _, path in fake.requests[before:] if "/ws" not in path
        )
        reasons = sorted({text.split(":")[0] for text in rejections(r)})
        status = dict(r.node._counters)
        fake.faults.faults = ()
        cancelled = await eventually(lambda: r.status(resting) == "CANCELED", 30)
        await eventually(lambda: states(r, f"{code} REST")[-1:] == ["up"], 20)
        after = rest(r, 2)
        return {
            "sent": sent,
            "refused": sorted(set(refused)),
            "longest_wait_s": round(max(waits, default=0.0), 2),
            "reasons": reasons,
            "arrived": dict(arrived),
            "limited": status["limited"],
            "cancelled": cancelled,
            "accepted_again": await eventually(lambda: r.status(after) == "ACCEPTED", 20),
            "states": states(r, f"{code} REST"),
            "halted": r.node.trouble(),
            "heard": Counter(code for kind, code in r.hands.heard if kind == "refused"),
        }


async def clock(code: str, home: Path) -> dict[str, Any]:
    """Our clock runs 40 seconds ahead of the venue for a while; later it agrees again."""
    async with rig(code, home, markets=4, limits="research") as r:
        resting, held = rest(r, 0), r.venue.instruments[3]
        r.hands.buy(held, D(5), D("0.42"), reason="holds")
        await eventually(lambda: r.hands.position(held) == 5)
        assert await eventually(lambda: r.status(resting) == "ACCEPTED")
        await asyncio.sleep(3.0)  # Polymarket's shares are final after a while
        fake = r.venue.fake
        fake.clock = lambda: time.time_ns() - SKEW_NS
        noticed = await eventually(lambda: "clock" in r.node.gate.holds.sources, 30)
        r.hands.heard.clear()
        bought = r.hands.buy(
            r.venue.instruments[1], D(1), D("0.38"), tif=TimeInForce.GTC, reason="late"
        )
        refused = [c for k, c in r.hands.heard if k == "refused"]
        reason = r.node.gate.holds.reason
        r.hands.cancel(resting)
        cancelled = await eventually(lambda: r.status(resting) == "CANCELED", 15)
        sold = r.hands.sell(held, D(5), D("0.39"), reason="exit")
        out = await eventually(lambda: r.hands.position(held) == 0, 15)
        fake.clock = time.time_ns
        lifted = await eventually(lambda: "clock" not in r.node.gate.holds.sources, 30)
        after = rest(r, 2)
        again = await eventually(lambda: r.status(after) == "ACCEPTED", 15)
        await asyncio.sleep(1.5)
        moves = [
            f"{row.machine} {row.subject} {row.before}->{row.after}" for row in r.rows("state")
        ]
        log = (home / "node.log.jsonl").read_text()
        return {
            "noticed": noticed,
            "bought": bought,
            "refused": refused,
            "reason": reason,
            "cancelled": cancelled,
            "sold": sold is not None and out,
            "lifted": lifted,
            "again": again,
            "moves": [m for m in moves if " clock " in m],
            "states": states(r, f"{code} REST"),
            "line": "NTP" in log,
        }


async def shard(code: str, home: Path) -> dict[str, Any]:
    """A market lies on a shard without a cent, while the account is rich."""
    venue = make(code, 2)
    venue.fake.infos[venue.ids[1]] = {"exchange_index": 3}
    venue.fake.shard_cash[3] = 0
    async with rig(code, home, venue=venue) as r:
        poor = rest(r, 1)
        refused = await eventually(lambda: r.status(poor) == "REJECTED")
        rich = rest(r, 0)
        accepted = await eventually(lambda: r.status(rich) == "ACCEPTED")
        posts = [p for p in r.posts() if p.endswith("/orders")]
        return {
            "refused": refused,
            "accepted": accepted,
            "reasons": rejections(r),
            "posts": len(posts),
        }
