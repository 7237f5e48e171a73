"""A fake venue as a process of its own that notes when bytes arrive and when news leaves, on the machine's clock.

``CLOCK_MONOTONIC`` is one clock for all processes of a machine, so times of venue and node may be subtracted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from aiohttp import web

from tests.live.venues import Venue, make

ORDER_PATHS = ("/trade-api/v2/portfolio/events/orders", "/order")
BARE = "/_bench/bare"


class Stopwatch:
    """Arrival of creates, departure of quotes, in order; nanoseconds of the monotonic clock."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.creates: list[int] = []
        self.bare: list[int] = []
        self.quotes: list[tuple[int, int]] = []

    @web.middleware
    async def watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Note the time at which the whole body of a create is here."""
        if request.method == "POST" and request.path in ORDER_PATHS:
            await request.read()
            self.creates.append(time.monotonic_ns())
        response: web.StreamResponse = await handler(request)
        return response

    async def on_bare(self, request: web.Request) -> web.Response:
        """Take a plain POST."""
        await request.read()
        self.bare.append(time.monotonic_ns())
        return web.json_response({})

    async def on_quotes(self, request: web.Request) -> web.Response:
        """Change the size at the best bid `n` times, `gap` milliseconds apart."""
        n, gap = int(request.query["n"]), float(request.query["gap"]) / 1000
        self.quotes.clear()
        for k in range(n):
            size = 3_000 + k
            self.quotes.append((size, time.monotonic_ns()))
            self.venue.level(self.venue.ids[0], "bid", 4000, size)
            await asyncio.sleep(gap)
        return web.json_response({"n": n})

    async def on_times(self, request: web.Request) -> web.Response:
        """Tell everything noted, and forget it."""
        body = {"creates": self.creates[:], "bare": self.bare[:], "quotes": self.quotes[:]}
        self.creates.clear()
        self.bare.clear()
        return web.json_response(body)


async def serve(code: str) -> None:
    """Serve until the process is stopped."""
    venue = make(code)
    watch = Stopwatch(venue)
    # Public to the venue's own signature check: the stopwatch answers before it.
    outer = web.Application(client_max_size=1 << 20)
    app = venue.fake.app()
    app.middlewares.insert(0, watch.watch)
    outer.add_routes(
        [
            web.post(BARE, watch.on_bare),
            web.post("/_bench/quotes", watch.on_quotes),
            web.get("/_bench/times", watch.on_times),
        ]
    )
    runners = [web.AppRunner(a, access_log=None) for a in (app, outer)]
    hosts = []
    for runner in runners:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hosts.append(f"127.0.0.1:{runner.addresses[0][1]}")
    told = {
        "host": hosts[0],
        "bench": f"http://{hosts[1]}",
        "ids": venue.ids,
        "instruments": venue.instruments,
        "secrets": venue.secrets,
    }
    print(json.dumps(told), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
