"""The fake Kalshi as a process of its own: replays a catalog, listens on loopback, says where on stdout."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from aiohttp import web

from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.kalshi.server import FakeKalshi
from adapters.fake.player import Player
from adapters.fake.replay import load_tape, squeezed
from adapters.kalshi.fees import KalshiFeeBook
from core.domain.clock import iso_from_ns
from core.engine.catalog import Catalog
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange


def arguments() -> argparse.Namespace:
    """Parse the command line of the process."""
    parser = argparse.ArgumentParser(prog="python -m adapters.fake.kalshi.process")
    parser.add_argument("--catalog", required=True, type=Path)
    parser.add_argument(
        "--markets", default="", help="comma list; default: the ones with most data"
    )
    parser.add_argument("--max-markets", type=int, default=20)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument(
        "--max-gap",
        type=float,
        default=0.0,
        help="cut quiet stretches to this many seconds; 0 = none",
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cash", type=float, default=100.0)
    parser.add_argument("--faults", default="", help="JSON list of faults")
    return parser.parse_args()


async def serve(args: argparse.Namespace) -> None:
    """Serve until the process is stopped."""
    catalog = Catalog.open(args.catalog)
    wanted = [m for m in args.markets.split(",") if m] or None
    tape = load_tape(catalog, wanted, args.max_markets, "KALSHI")
    tape = squeezed(tape, int(args.max_gap * 1e9))
    exchange = Exchange(NettedAccount(int(args.cash * 1_000_000)), KalshiFeeBook(), "fk")
    faults = [Fault(FaultKind(f.pop("kind")), **f) for f in json.loads(args.faults or "[]")]
    fake = FakeKalshi(
        exchange, faults=FaultSchedule(tuple(faults)), read_rate=2000.0, write_rate=1000.0
    )
    player = Player(tape, exchange, fake.streams, speed=args.speed)
    for market in tape.markets:
        fake.infos[market.market_id] = {
            "event_ticker": market.event_id or market.market_id.rpartition("-")[0],
            "title": market.question,
            "yes_sub_title": market.question,
            "open_time": iso_from_ns(player.shift.wall(market.open_ns))
            if market.open_ns
            else "2020-01-01T00:00:00Z",
            "strike_type": market.strike_type,
            "floor_strike": float(market.strike) if market.strike is not None else None,
            "cap_strike": float(market.strike_high) if market.strike_high is not None else None,
            "price_ranges": [
                {"start": str(b.start), "end": str(b.end), "step": str(b.step)}
                for b in market.grid.bands
            ],
        }
    app = fake.app()

    async def truth(request: web.Request) -> web.Response:
        """What the venue itself knows, for comparison after a run."""
        return web.json_response(
            {
                "cash_micros": exchange.account.cash,
                "positions": [[m, o, q] for (m, o), q in exchange.account.positions().items()],
                "orders": len(exchange.orders),
                "executions": len(exchange.executions),
                "played": player.played,
                "of": len(tape),
                "finished": player.finished.is_set(),
                "faults": len(fake.faults.fired),
            }
        )

    app.router.add_get("/_truth", truth)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", args.port)
    await site.start()
    port = runner.addresses[0][1]
    print(
        json.dumps(
            {
                "base_url": f"http://127.0.0.1:{port}/trade-api/v2",
                "ws_url": f"ws://127.0.0.1:{port}/trade-api/ws/v2",
                "truth_url": f"http://127.0.0.1:{port}/_truth",
                "catalog": catalog.meta.name,
                "synthetic": catalog.meta.synthetic,
                "markets": [m.market_id for m in tape.markets],
                "steps": len(tape),
            }
        ),
        flush=True,
    )
    await player.run()
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(serve(arguments()))
    except KeyboardInterrupt:
        sys.exit(0)
