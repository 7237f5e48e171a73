"""The fake Polymarket as a process of its own: replays a catalog, listens on loopback, says where on stdout."""

from __future__ import annotations

import argparse
import asyncio
import json
import random

from aiohttp import web

from adapters.fake.player import Player
from adapters.fake.polymarket.server import FakePolymarket
from adapters.fake.polymarket.wire import FakeInfo
from adapters.fake.process import faults_of, options, run
from adapters.fake.replay import load_tape, squeezed
from adapters.polymarket.fees import PolymarketFeeBook
from core.engine.catalog import Catalog
from core.engine.paper.account import TokenAccount
from core.engine.paper.exchange import Exchange


def arguments() -> argparse.Namespace:
    """Parse the command line of the process."""
    parser = options("adapters.fake.polymarket.process")
    parser.add_argument(
        "--fail", type=float, default=0.0, help="share of trades that fail on chain"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


async def serve(args: argparse.Namespace) -> None:
    """Serve until the process is stopped."""
    catalog = Catalog.open(args.catalog)
    wanted = [m for m in args.markets.split(",") if m] or None
    tape = load_tape(catalog, wanted, args.max_markets, "POLYMARKET")
    tape = squeezed(tape, int(args.max_gap * 1e9))
    exchange = Exchange(TokenAccount(int(args.cash * 1_000_000)), PolymarketFeeBook(), "fp")
    rng = random.Random(args.seed)
    infos: dict[str, FakeInfo] = {}
    fake = FakePolymarket(
        exchange,
        infos,
        faults=faults_of(args.faults),
        fail=lambda number: rng.random() < args.fail,
        seed=args.seed,
    )
    player = Player(tape, exchange, fake.streams, speed=args.speed)
    for market in tape.markets:
        end = player.shift.wall(market.close_ns) if market.close_ns else 0
        infos[market.market_id] = FakeInfo.of(market, end)
    app = fake.app()

    async def truth(request: web.Request) -> web.Response:
        """What the venue itself knows, for comparison after a run."""
        trades = [t.status for t in fake.settlement.trades.values()]
        return web.json_response(
            {
                "cash_micros": exchange.account.cash,
                "positions": [[m, o, q] for (m, o), q in exchange.account.positions().items()],
                "orders": len(exchange.orders),
                "working": len(exchange.working()),
                "executions": len(exchange.executions),
                "trades": {s: trades.count(s) for s in sorted(set(trades))},
                "heartbeats": fake.heartbeats,
                "faults": len(fake.faults.fired),
            }
            | player.told()
        )

    app.router.add_get("/_truth", truth)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", args.port)
    await site.start()
    root = f"127.0.0.1:{runner.addresses[0][1]}"
    urls = dict.fromkeys(("clob_url", "gamma_url", "data_url", "relayer_url"), f"http://{root}")
    print(
        json.dumps(
            urls
            | {
                "geoblock_url": f"http://{root}/api/geoblock",
                "market_ws_url": f"ws://{root}/ws/market",
                "user_ws_url": f"ws://{root}/ws/user",
                "truth_url": f"http://{root}/_truth",
                "catalog": catalog.meta.name,
                "speed": args.speed,
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
    run(serve, arguments())
