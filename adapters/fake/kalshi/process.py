"""The fake Kalshi as a process of its own: replays a catalog, listens on loopback, says where on stdout."""

from __future__ import annotations

import argparse
import asyncio
import json

from aiohttp import web

from adapters.fake.kalshi.server import FakeKalshi
from adapters.fake.player import Player, TimeShift
from adapters.fake.process import faults_of, options, run
from adapters.fake.replay import Tape, load_tape, repeated, squeezed
from adapters.fake.spot import FakeKraken, base_of, load_spot, spot_rows
from adapters.kalshi.fees import KalshiFeeBook
from core.domain.clock import iso_from_ns
from core.domain.errors import MissingData
from core.engine.catalog import Catalog
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange


def arguments() -> argparse.Namespace:
    """Parse the command line of the process."""
    parser = options("adapters.fake.kalshi.process")
    parser.add_argument(
        "--repeat", type=int, default=1, help="play everything this often, as new markets"
    )
    parser.add_argument(
        "--spot",
        action="store_true",
        help="replay markets with recorded spot, and the spot on a stand-in of Kraken",
    )
    return parser.parse_args()


def describe(fake: FakeKalshi, catalog: Catalog, tape: Tape, shift: TimeShift) -> None:
    """Tell the venue what its payloads say of each market beyond book and state."""
    for market in tape.markets:
        opens = (
            iso_from_ns(shift.wall(market.open_ns)) if market.open_ns else "2020-01-01T00:00:00Z"
        )
        event = market.event_id or market.market_id.rpartition("-")[0]
        fake.infos[market.market_id] = {
            "event_ticker": event,
            "title": market.question,
            "yes_sub_title": market.question,
            "open_time": opens,
            "strike_type": market.strike_type,
            "floor_strike": float(market.strike) if market.strike is not None else None,
            "cap_strike": float(market.strike_high) if market.strike_high is not None else None,
            "price_ranges": [
                {"start": str(b.start), "end": str(b.end), "step": str(b.step)}
                for b in market.grid.bands
            ],
        }
        if base := base_of(catalog, market):
            fake.tags[event.split("-")[0]] = [base]


def with_spot(catalog: Catalog) -> list[str]:
    """Return the markets during which spot was recorded.

    Raises
    ------
    MissingData
        If there is none.
    """
    found = [
        m.market_id
        for m in catalog.markets().values()
        if len(m.outcomes) == 2 and m.underlying and catalog.kinds(m.outcomes[0].instrument_id)
        if spot_rows(catalog, m)
    ]
    if not found:
        raise MissingData(
            "no market of this catalog has a spot price recorded beside it",
            catalog.meta.name,
            "choose another catalog (beta data ls), or --spot off",
        )
    return found


async def serve_spot(spot: FakeKraken) -> dict[str, str]:
    """Start the stand-in of Kraken and return where it is."""
    runner = web.AppRunner(spot.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    return {"base_url": f"http://127.0.0.1:{port}", "ws_url": f"ws://127.0.0.1:{port}/v2"}


async def serve(args: argparse.Namespace) -> None:
    """Serve until the process is stopped."""
    catalog = Catalog.open(args.catalog)
    wanted = [m for m in args.markets.split(",") if m] or None
    if args.spot and wanted is None:
        wanted = with_spot(catalog)
    raw = load_tape(catalog, wanted, args.max_markets, "KALSHI")
    once = squeezed(raw, int(args.max_gap * 1e9))
    tape = repeated(once, args.repeat)
    exchange = Exchange(NettedAccount(int(args.cash * 1_000_000)), KalshiFeeBook(), "fk")
    fake = FakeKalshi(exchange, faults=faults_of(args.faults), read_rate=2000.0, write_rate=1000.0)
    player = Player(tape, exchange, fake.streams, speed=args.speed)
    describe(fake, catalog, tape, player.shift)
    app = fake.app()

    async def truth(request: web.Request) -> web.Response:
        """What the venue itself knows, for comparison after a run."""
        return web.json_response(
            {
                "cash_micros": exchange.account.cash,
                "positions": [[m, o, q] for (m, o), q in exchange.account.positions().items()],
                "orders": len(exchange.orders),
                "executions": len(exchange.executions),
                "faults": len(fake.faults.fired),
            }
            | player.told()
        )

    app.router.add_get("/_truth", truth)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", args.port)
    await site.start()
    port = runner.addresses[0][1]
    spot = FakeKraken(load_spot(catalog, raw, once), player.shift) if args.spot else None
    told = {"spot": await serve_spot(spot)} if spot is not None else {}
    print(
        json.dumps(
            told
            | {
                "base_url": f"http://127.0.0.1:{port}/trade-api/v2",
                "ws_url": f"ws://127.0.0.1:{port}/trade-api/ws/v2",
                "truth_url": f"http://127.0.0.1:{port}/_truth",
                "catalog": catalog.meta.name,
                "speed": args.speed,
                "synthetic": catalog.meta.synthetic,
                "markets": [m.market_id for m in tape.markets],
                "steps": len(tape),
            }
        ),
        flush=True,
    )
    await asyncio.gather(player.run(), *([spot.run()] if spot is not None else []))
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(serve, arguments())
