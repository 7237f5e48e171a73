"""How long news and orders take through a whole node, on loopback, beside a bare aiohttp client in the same run.

python -m tests.live.latency KALSHI HOME 200            # HOME on a disk: with fsync; on /dev/shm: without
python -m tests.live.latency KALSHI-ED25519 HOME 1000 stages
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from core.domain.decision import TimeInForce
from core.engine.live.health import Health
from tests.live.rig import Hands, eventually, node_on
from tests.live.stages import Stages
from tests.live.venues import Venue

D = Decimal
GAP_MS = 5.0
#: Prices and quantities in turn: the gate refuses what repeats.
PRICES = ("0.36", "0.37", "0.38", "0.39")
PACE_S = 0.12
#: Enough for ten beyond p99; more only take time.
MOST_QUOTES = 1_000


async def bare_posts(session: aiohttp.ClientSession, url: str, n: int) -> list[int]:
    """Return the send times of `n` plain POSTs with a body like an order's."""
    body, sent = b"x" * 420, []
    for _ in range(n):
        sent.append(time.monotonic_ns())
        async with session.post(f"{url}/_bench/bare", data=body) as answer:
            await answer.read()
        await asyncio.sleep(0.005)
    return sent


async def bare_quotes(
    session: aiohttp.ClientSession, code: str, told: dict[str, Any], url: str, n: int
) -> list[int]:
    """Return the arrival times of `n` book changes at a client that only parses JSON."""
    got: list[int] = []
    headers, ask = hello(code, told)
    word = "orderbook_delta" if code == "KALSHI" else "price_change"
    path = told["ws_url"] if code == "KALSHI" else told["market_ws_url"]
    async with session.ws_connect(path, headers=headers) as socket:
        await socket.send_json(ask)

        async def read() -> None:
            async for message in socket:
                body = json.loads(message.data)
                if isinstance(body, dict) and word in (body.get("type"), body.get("event_type")):
                    got.append(time.monotonic_ns())

        task = asyncio.create_task(read())
        await asyncio.sleep(0.3)
        async with session.post(f"{url}/_bench/quotes?n={n}&gap={GAP_MS}"):
            await eventually(lambda: len(got) >= n, 5)
        task.cancel()
    return got


def hello(code: str, told: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return headers and first frame of a bare subscription to the first market's book."""
    if code == "POLYMARKET":
        return {}, {"assets_ids": [told["token"]], "type": "market", "custom_feature_enabled": True}
    from pydantic import SecretStr

    from adapters.kalshi.signing import WS_PATH, KalshiCredentials, Signer

    keys = KalshiCredentials(SecretStr(told["key_id"]), SecretStr(told["private_key"]))
    headers = Signer.from_credentials(keys).headers("GET", WS_PATH, time.time_ns() // 1_000_000)
    params = {
        "channels": ["orderbook_delta"],
        "market_tickers": [told["tickers"][0]],
        "use_yes_price": True,
    }
    return headers, {"id": 1, "cmd": "subscribe", "params": params}


async def node_quotes(
    session: aiohttp.ClientSession, hands: Hands, iid: str, url: str, n: int
) -> dict[int, int]:
    """Return size -> time at which ``on_quote`` saw it."""
    seen: dict[int, int] = {}

    def hook(quote: Any) -> None:
        now = time.monotonic_ns()
        if quote.instrument_id.value == iid:
            seen.setdefault(int(quote.bid_size.as_decimal() * 100), now)

    type(hands).on_quote_hook = staticmethod(hook)
    async with session.post(f"{url}/_bench/quotes?n={n}&gap={GAP_MS}"):
        await eventually(lambda: len(seen) >= n, 5)
    type(hands).on_quote_hook = None
    return seen


async def node_orders(
    hands: Hands, instruments: list[str], n: int, stages: Stages | None = None
) -> list[int]:
    """Return the times at which the strategy called ``buy``, one order at a time."""
    sent: list[int] = []
    for k in range(n):
        iid = instruments[k % len(instruments)]
        price, quantity = D(PRICES[k // 4 % 4]), D(5 + k % 17)
        at = time.monotonic_ns()
        if stages is not None:
            stages.begin(at)
        cid = hands.buy(iid, quantity, price, tif=TimeInForce.GTC, reason="latency")
        if stages is not None:
            stages.stamp("engine")
        if cid is None:
            raise RuntimeError(f"refused: {hands.heard[-1]}")
        sent.append(at)
        record = hands.session.journal.orders[cid]
        await until(record, "ACCEPTED")
        hands.cancel(cid)
        await until(record, "CANCELED")
        await asyncio.sleep(max(0.0, PACE_S - (time.monotonic_ns() - at) / 1e9))
    return sent


async def until(record: Any, status: str) -> None:
    """Wait for a state of an order."""
    if not await eventually(lambda: record.status == status, 10):
        raise RuntimeError(f"an order stayed {record.status}, expected {status}")


async def measure(kind: str, home: Path, n: int, stages: Stages | None = None) -> dict[str, Any]:
    """Start the venue as a process, measure bare and through the node, return microseconds.

    Parameters
    ----------
    kind : str
        As in `tests.live.venues.make`.
    stages : Stages, optional
        Also tell how long an order spends where; the stamps themselves take a few microseconds.
    """
    code = kind.partition("-")[0]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.live.server", kind, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    where = json.loads(await server.stdout.readline())
    url, instruments = where["bench"], list(where["instruments"])
    venue = Venue(code, None, tuple(where["ids"]), tuple(instruments), where["secrets"])
    told = venue.settings(where["host"], home / "state")
    extra = {"token": instruments[0].partition("-")[2].partition(".")[0]}
    quotes = min(4 * n, MOST_QUOTES)

    async def times(session: aiohttp.ClientSession) -> dict[str, Any]:
        async with session.get(f"{url}/_bench/times") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    try:
        async with aiohttp.ClientSession() as session:
            got = await bare_quotes(session, code, told | extra, url, quotes)
            left = [t for _, t in (await times(session))["quotes"]]
            bare_ws = [b - a for a, b in zip(left, got, strict=False)]
            sent = await bare_posts(session, url, n)
            bare_post = [b - a for a, b in zip(sent, (await times(session))["bare"], strict=True)]
            async with node_on(code, told, home, instruments[0]) as (node, hands):
                seen = await node_quotes(session, hands, instruments[0], url, quotes)
                left = (await times(session))["quotes"]
                node_ws = [seen[size] - at for size, at in left if size in seen]
                if stages is not None:
                    stages.watch(node)
                sent = await node_orders(hands, instruments, n, stages)
                arrived = (await times(session))["creates"]
                node_post = [b - a for a, b in zip(sent, arrived, strict=True)]
                rss = Health.now().rss_mb
    finally:
        server.kill()
        await server.wait()
    return {
        "venue": kind,
        "ws_bare": micros(bare_ws),
        "ws_node": micros(node_ws),
        "post_bare": micros(bare_post),
        "post_node": micros(node_post),
        "rss_mb": rss,
        "stages": {k: micros(v) for k, v in stages.table(arrived).items()} if stages else {},
    }


def micros(values: list[int]) -> dict[str, float]:
    """Return p50, p90, p99 and the longest in microseconds, and how many there are."""
    ordered = sorted(values)
    last = len(ordered) - 1
    found = {
        name: round(ordered[min(int(q * len(ordered)), last)] / 1000, 1)
        for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }
    return found | {"n": len(ordered)}


def main(venue: str, home: str, orders: str, *more: str) -> None:
    """Measure one venue and print one line of JSON."""
    watch = Stages() if "stages" in more else None
    print(json.dumps(asyncio.run(measure(venue, Path(home), int(orders), watch))))


if __name__ == "__main__":
    main(*sys.argv[1:])
