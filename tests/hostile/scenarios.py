"""Whole live nodes on fake venues that limit, disagree about the time, have the money elsewhere, or quote our keys."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from core.ledger.kinds import RunMode
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
        await eventually(
            lambda: not r.node.gate.book.provisional, 60
        )  # Polymarket's, after a while
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

        def moves() -> list[str]:
            told = (f"{w.machine} {w.subject} {w.before}->{w.after}" for w in r.rows("state"))
            return [move for move in told if " clock " in move]

        log = home / "node.log.jsonl"
        await eventually(
            lambda: (
                len(moves()) > 1
                and states(r, f"{code} REST")[-1:] == ["up"]
                and "NTP" in log.read_text()
            ),
            60,
        )
        return {
            "noticed": noticed,
            "bought": bought,
            "refused": refused,
            "reason": reason,
            "cancelled": cancelled,
            "sold": sold is not None and out,
            "lifted": lifted,
            "again": again,
            "moves": moves(),
            "states": states(r, f"{code} REST"),
            "line": "NTP" in log.read_text(),
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


async def lie(code: str, home: Path) -> dict[str, Any]:
    """Right frames of one market tell a size that is merely another number, twice; those of the other are true."""

    def lying(text: str) -> list[str]:
        frame = json.loads(text)
        if code == "POLYMARKET":
            for row in frame.get("price_changes", ()) if isinstance(frame, dict) else ():
                if row["asset_id"] == "1001":
                    row["size"] = str(D(row["size"]) - 7)
                    told.append(text)
        elif frame.get("type") == "orderbook_delta" and frame["msg"]["market_ticker"] == victim:
            frame["msg"]["delta_fp"] = "-12.00"  # the venue took away five
            told.append(text)
        return [json.dumps(frame)]

    async with rig(code, home, markets=2, limits="research") as r:
        victim, iid, honest = r.venue.ids[0], r.venue.instruments[0], r.venue.instruments[1]
        told: list[str] = []
        own = rest(r, 0)  # our own order is part of neither book, or of both
        await eventually(lambda: r.status(own) == "ACCEPTED")
        seen, barred = [], []
        for n, left in enumerate((1_500, 1_000), 1):
            for _ in range(5):  # a link that broke on a busy machine would mend the book by itself
                before, want = len(told), D(left) / 100
                r.venue.fake.streams.tamper = lying
                r.venue.level(victim, "bid", 4_000, left)
                r.venue.level(r.venue.ids[1], "bid", 4_000, left)
                await eventually(lambda b=before: len(told) > b)
                r.venue.fake.streams.tamper = None
                shown = await eventually(lambda w=want: r.hands.best_bid(iid).size < w, 30)
                mended = await eventually(
                    lambda w=want: (b := r.hands.best_bid(iid)) and b.size == w, 40
                )
                if await eventually(lambda k=n: len(rows(r)) >= k, 20):
                    break
                r.venue.level(victim, "bid", 4_000, left + 500)
                await eventually(lambda w=want: r.hands.best_bid(iid).size > w)
            seen.append((shown, mended))
            r.hands.heard.clear()
            r.hands.buy(iid, D(1), D("0.37"), tif=TimeInForce.GTC, reason="after")
            barred.append([c for k, c in r.hands.heard if k == "refused"])
        true = rest(r, 1)
        fine = await eventually(lambda: r.status(true) == "ACCEPTED")
        r.hands.cancel(own)
        cancelled = await eventually(lambda: r.status(own) == "CANCELED")
        await asyncio.sleep(8.0)  # nothing more is found
        return {
            "seen": seen,
            "barred": barred,
            "details": [row.detail for row in rows(r)],
            "mended": r.node._counters["mended"],
            "honest": honest and fine,
            "cancelled": cancelled,
            "halted": r.node.trouble(),
        }


def rows(r: Rig) -> list[Any]:
    """Return the rows about books that were not the venue's."""
    return [row for row in r.rows("feed.state") if row.state == "mended"]


async def _refused(
    code: str, home: Path, changes: dict[str, Any], spoil: Any = None
) -> dict[str, Any]:
    """Start a node that cannot be let in; return how it ended."""
    from tests.live.rig import CAPITAL, NodeSpec, TestServer, open_venue, plan_strategies

    venue = make(code, 2)
    if spoil is not None:
        spoil(venue.fake)
    server = TestServer(venue.fake.app())
    await server.start_server()
    told = venue.settings(f"{server.host}:{server.port}", home / "state") | changes
    began = time.monotonic()
    try:
        spec = NodeSpec(
            mode=RunMode.LIVE, venue=code, plans=tuple(plan_strategies("tests.live.rig:Hands", {})), home=home,
            capital=Decimal(CAPITAL), limits="usd10000", record=False, run_s=60.0,
        )  # fmt: skip
        from core.engine.live.node import Node

        await Node(spec, open_venue(code, told)).run()
        ended: dict[str, Any] = {"type": "", "lines": [], "code": 0}
    except Exception as exc:
        lines = exc.lines() if hasattr(exc, "lines") else [repr(exc)]
        ended = {
            "type": type(exc).__name__,
            "lines": lines,
            "code": int(getattr(exc, "exit_code", -1)),
        }
    finally:
        await server.close()
    return ended | {
        "orders": len(venue.fake.exchange.orders),
        "seconds": round(time.monotonic() - began, 1),
    }


async def other_environment(code: str, home: Path) -> dict[str, Any]:
    """A good key of another environment: the venue answers every private call with 401."""
    if code == "KALSHI":
        return await _refused(code, home, make(code, 1).secrets)
    return await _refused(
        code,
        home,
        {"api_key": "of-another-wallet", "api_secret": "B" * 43 + "=", "passphrase": "p" * 12},
    )


def canaries(code: str) -> tuple[Any, dict[str, str]]:
    """Return a venue and keys that exist nowhere else."""
    venue = make(code, 2)
    if code == "KALSHI":
        venue.secrets["key_id"] = f"canary-key-id-{secrets.token_hex(12)}"
        return venue, dict(venue.secrets)
    raw = secrets.token_bytes(32)
    venue.fake.public_key = ec.derive_private_key(int.from_bytes(raw), ec.SECP256K1()).public_key()
    own = {
        "private_key": "0x" + raw.hex(),
        "api_key": f"canary-{secrets.token_hex(12)}",
        "api_secret": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "passphrase": f"canary-{secrets.token_hex(12)}",
    }
    venue.secrets.update(own)
    venue.fake.api_key = venue.fake.settlement.owner = own["api_key"]
    venue.fake.secret = own["api_secret"]
    return venue, own


async def canary(code: str, home: Path, mode: str = "live") -> dict[str, Any]:
    """A node with keys that exist nowhere else runs into 401, 500, nonsense, and a venue that quotes its keys."""
    venue, own = canaries(code)
    (home.parent / f"{home.name}-canaries.json").write_text(json.dumps(own))
    texts: list[str] = []
    quote = (
        " ".join(v for k, v in own.items() if k != "private_key") + " " + own["private_key"][:40]
    )
    async with rig(code, home, venue=venue, mode=RunMode(mode), record=True) as r:
        fake = r.venue.fake
        first = rest(r, 0)
        await eventually(lambda: r.status(first) == "ACCEPTED")
        r.hands.buy(r.venue.instruments[1], D(5), D("0.42"), reason="holds")
        error = (
            {"error": {"code": "bad", "message": quote}} if code == "KALSHI" else {"error": quote}
        )
        plain, fake.tamper = fake.tamper, lambda subject, body: json.dumps(error).encode()
        rest(r, 1, "0.37")  # the answer quotes the keys
        await asyncio.sleep(1.0)
        fake.tamper = plain
        for spoilt in (quote, json.dumps({"type": quote, "event_type": quote}), json.dumps({"type": "orderbook_delta", "sid": 1, "seq": 9, "msg": {"market_ticker": quote}})):  # fmt: skip
            for connection in fake.streams.connections:
                connection.queue.put_nowait(spoilt)
        await asyncio.sleep(1.0)
        fake.faults.faults = (Fault(FaultKind.HTTP_500, count=30),)
        rest(r, 0, "0.36")
        await asyncio.sleep(2.0)
        fake.faults.faults = ()
        right, fake.public_key = fake.public_key, make(code, 1).fake.public_key
        secret, fake.secret = getattr(fake, "secret", None), "B" * 43 + "="
        rest(r, 1, "0.36")
        await asyncio.sleep(2.0)
        fake.public_key = right
        if secret is not None:
            fake.secret = secret
        live = r.node.venue
        for thing in (r.node, r.node.spec, live, live.settings, live.rest, live.rest.answers, r.node.data, r.client, r.client.port, getattr(live, "signer", None), getattr(live, "wallet", None), getattr(live, "api_key", None), *r.node.data.connections.values()):  # fmt: skip
            texts += [repr(thing), str(thing)]
            texts += [repr(v) for v in vars(thing).values()] if hasattr(thing, "__dict__") else []
        for stats in (c.stats for c in r.node.data.connections.values()):
            texts += stats.errors
    return {"texts": texts, "faults": len(r.rows("fault")), "rejected": rejections(r)}


async def canary_paper(code: str, home: Path) -> dict[str, Any]:
    """The same on paper: orders stay here, the keys are for the data."""
    return await canary(code, home, "paper")
