"""A stand-in of Kraken's public spot feed on loopback: replays the spot trades of a catalog beside a fake venue.

Speaks what the engine's own Kraken client asks for: ``GET /0/public/AssetPairs`` and the ``trade`` channel of
WebSocket v2. Prices are the recorded ones, whichever exchange they were recorded at.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import WSMsgType, web

from adapters.fake.player import AHEAD_NS, TimeShift
from adapters.fake.replay import Tape, moved_times
from core.domain.clock import NS_PER_SECOND, iso_from_ns
from core.domain.market import Market
from core.engine.catalog import Catalog, Kind

Int64 = npt.NDArray[np.int64]
#: Recorded seconds of spot before the first row of a market: volatility is to be known when it opens.
WARM_UP_S = 120
DECIMALS = 8


@dataclass(frozen=True, slots=True)
class SpotTape:
    """Spot trades of one asset in the time of a tape: price as integer ticks of `decimals`."""

    base: str
    ts_ns: Int64
    price: Int64
    decimals: int

    @property
    def symbol(self) -> str:
        """Symbol of WebSocket v2."""
        return f"{self.base}/USD"


def base_of(catalog: Catalog, market: Market) -> str:
    """Return the asset behind a market of a catalog, empty when it names none."""
    found = catalog.markets().get(market.underlying)
    return found.underlying if found is not None else ""


def spot_rows(catalog: Catalog, market: Market) -> int:
    """Return how many spot trades were recorded while `market` was."""
    source, own = market.underlying, market.outcomes[0].instrument_id
    if source not in catalog.markets() or Kind.TRADES not in catalog.kinds(source):
        return 0
    return len(catalog.trades(source, *catalog.span_ns(own)))


def load_spot(catalog: Catalog, raw: Tape, played: Tape) -> list[SpotTape]:
    """Return the spot behind the markets of a tape, moved along where quiet stretches were cut.

    Parameters
    ----------
    raw, played : Tape
        The tape as recorded, and as it is played (`adapters.fake.replay.squeezed`).
    """
    out = []
    for source in sorted({m.underlying for m in raw.markets if m.underlying}):
        about = [m for m in raw.markets if m.underlying == source]
        base = base_of(catalog, about[0])
        if not base or Kind.TRADES not in catalog.kinds(source):
            continue
        columns = catalog.trades(source)
        wanted = np.zeros(len(columns.ts), dtype=bool)
        for market in about:
            first, last = catalog.span_ns(market.outcomes[0].instrument_id)
            begin = first - WARM_UP_S * NS_PER_SECOND
            wanted |= (columns.ts >= begin) & (columns.ts <= max(last, market.close_ns))
        ts, inside = moved_times(raw, played, columns.ts[wanted])
        price = columns.price[wanted][inside]
        out.append(SpotTape(base, ts[inside], price, columns.price_precision))
    return out


class FakeKraken:
    """Serves `tapes` to whoever subscribes, in step with a fake venue.

    Parameters
    ----------
    shift : TimeShift
        Of the venue's player.
    """

    def __init__(
        self,
        tapes: Sequence[SpotTape],
        shift: TimeShift,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.tapes, self.shift, self.clock = tapes, shift, clock
        self.readers: dict[web.WebSocketResponse, set[str]] = {}
        self.sent = 0

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/0/public/AssetPairs", self.get_pairs),
                web.get("/v2", self.handle),
            ]
        )
        return app

    async def get_pairs(self, request: web.Request) -> web.Response:
        """Every asset as a dollar pair; tokenized assets there are none."""
        if "aclass_base" in request.query:
            return web.json_response({"error": [], "result": {}})
        return web.json_response(
            {"error": [], "result": {f"{t.base}USD": _pair(t) for t in self.tapes}}
        )

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One client: subscriptions to the trade channel, pings."""
        socket = web.WebSocketResponse(heartbeat=20.0)
        await socket.prepare(request)
        self.readers[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, json.loads(message.data))
        finally:
            self.readers.pop(socket, None)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        method, req_id = asked.get("method"), asked.get("req_id")
        if method == "ping":
            await socket.send_json({"method": "pong", "req_id": req_id})
        elif method in ("subscribe", "unsubscribe"):
            params = asked.get("params", {})
            for symbol in params.get("symbol", []):
                known = params.get("channel") == "trade" and symbol in {
                    t.symbol for t in self.tapes
                }
                body: dict[str, Any] = {"method": method, "req_id": req_id, "success": known}
                if known:
                    body["result"] = {"channel": "trade", "symbol": symbol, "snapshot": False}
                    change = self.readers[socket].add if method == "subscribe" else None
                    (change or self.readers[socket].discard)(symbol)
                else:
                    body["error"] = f"Currency pair not supported {symbol}"
                await socket.send_json(body)

    async def run(self) -> None:
        """Play every tape; return when all are through."""
        await asyncio.gather(*(self._play(tape) for tape in self.tapes))

    async def _play(self, tape: SpotTape) -> None:
        for number, (ts, price) in enumerate(
            zip(tape.ts_ns.tolist(), tape.price.tolist(), strict=True)
        ):
            due = self.shift.wall(ts)
            while (ahead := due - self.clock()) > AHEAD_NS:
                await asyncio.sleep(min(ahead / NS_PER_SECOND, 0.5))
            await self._trade(tape, number, price)

    async def _trade(self, tape: SpotTape, number: int, price: int) -> None:
        row = {
            "symbol": tape.symbol,
            "side": "buy",
            "price": price / 10**tape.decimals,
            "qty": 10**-DECIMALS,
            "ord_type": "limit",
            "trade_id": number + 1,
            "timestamp": iso_from_ns(self.clock()),
        }
        text = json.dumps({"channel": "trade", "type": "update", "data": [row]})
        for socket, symbols in list(self.readers.items()):
            if tape.symbol in symbols and not socket.closed:
                try:
                    await asyncio.wait_for(socket.send_str(text), 1.0)
                    self.sent += 1
                except (ConnectionError, TimeoutError):
                    self.readers.pop(socket, None)


def _pair(tape: SpotTape) -> dict[str, Any]:
    """Return a pair as ``AssetPairs`` shows it (fields of the venue's documentation, made-up limits)."""
    old = "XBT" if tape.base == "BTC" else tape.base
    return {
        "altname": f"{old}USD",
        "wsname": f"{old}/USD",
        "aclass_base": "currency",
        "base": f"X{old}" if len(old) == 3 else old,
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": tape.decimals,
        "lot_decimals": DECIMALS,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": f"{10**-tape.decimals:.{tape.decimals}f}",
        "status": "online",
    }
