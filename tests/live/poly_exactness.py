"""Recorded Polymarket books through the real WebSocket path: is the best bid and ask what the recording says?

The fake venue plays the catalog of a recording as fast as the node follows. Beside it the recording itself is replayed
row by row, without any of our code: at every recorded message the best prices and sizes of both tokens are compared in
the client's books and in the engine's.

    python -m tests.live.poly_exactness ../shared/data/polymarket_l2_mlb_2025 catalogs/polymarket_l2_mlb_2025
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.fake.player import Player
from adapters.fake.polymarket.wire import FakeInfo
from adapters.fake.replay import Tape, load_tape
from adapters.polymarket.books import BookState
from core.engine.catalog import Catalog
from core.ledger.kinds import RunMode
from tests.live.exactness import Tally, Top, batches, command, engine_top, text
from tests.live.rig import Rig, eventually, rig
from tests.live.venues import HOUR_NS, make

COLUMNS = ("seq", "ts_ms", "event_type", "side", "price", "size", "hash")
LOT, ZERO, ONE = Decimal("0.01"), Decimal(0), Decimal(1)
Levels = dict[Decimal, Decimal]


def recorded(folder: Path, slug: str, token: str) -> Iterator[tuple[int, int, Top]]:
    """Yield exchange time (ns), number of rows and best prices after each recorded message time of a token."""
    table = pq.read_table(folder / "events.parquet", columns=["market_slug", "asset_id", *COLUMNS])
    mine = pc.and_(pc.equal(table["market_slug"], slug), pc.equal(table["asset_id"], token))
    rows = table.filter(mine).select(COLUMNS).sort_by("seq").to_pylist()
    sides: dict[str, Levels] = {"bid": {}, "ask": {}}
    snapshot, count = "", 0
    for at, row in enumerate(rows):
        if row["event_type"] == "book":
            if row["hash"] != snapshot:
                sides = {"bid": {}, "ask": {}}
            snapshot = row["hash"]
        else:
            snapshot = ""
        price = Decimal(str(row["price"]))
        size = Decimal(str(row["size"])) // LOT * LOT  # what the engine can hold of it
        if size > 0:
            sides[row["side"]][price] = size
        else:
            sides[row["side"]].pop(price, None)
        count += 1
        if at + 1 == len(rows) or rows[at + 1]["ts_ms"] != row["ts_ms"]:
            yield row["ts_ms"] * 1_000_000, count, top(sides["bid"], sides["ask"])
            count = 0


def top(bids: Levels, asks: Levels) -> Top:
    """Return best bid and ask with their sizes; 0 and 1 stand for an empty side."""
    bid, ask = max(bids, default=ZERO), min(asks, default=ONE)
    return bid, ask, bids.get(bid, ZERO), asks.get(ask, ZERO)


def mirrored(t: Top) -> Top:
    """Return the top of the other token."""
    return ONE - t[1], ONE - t[0], t[3], t[2]


class Follow:
    """Drives the fake venue and waits for the node."""

    def __init__(self, r: Rig, player: Player) -> None:
        self.r, self.player, self.sent = r, player, 0
        self.heard = sum(s.stats.frames for s in r.node.data.sockets.sockets)
        r.venue.fake.streams.tamper = self._count

    def _count(self, frame: str) -> tuple[str, ...]:
        if frame.startswith("{") and '"event_type":"order"' not in frame:
            self.sent += 1
        return (frame,)

    def caught_up(self) -> bool:
        """Return whether the client has read every frame that the venue sent since the beginning."""
        frames = sum(s.stats.frames for s in self.r.node.data.sockets.sockets) - self.heard
        waiting = any(c.queue.qsize() for c in self.r.venue.fake.streams.connections)
        return not waiting and frames >= self.sent

    async def seen(self, tokens: tuple[str, str], iids: tuple[str, str]) -> list[Top | None]:
        """Return the tops of the client's two books and the engine's, as tops of the first token."""
        for _ in range(200):
            if self.caught_up():
                break
            await asyncio.sleep(0)
        if not await eventually(self.caught_up, 30):
            raise RuntimeError("the client did not catch up")
        client = [self.client(t) for t in tokens]
        for iid, want in zip(iids, client, strict=True):
            for _ in range(200):
                if want is None or engine_top(self.r, iid) == want:
                    break
                await asyncio.sleep(0)
            await eventually(lambda i=iid, w=want: w is None or engine_top(self.r, i) == w, 5)
        engine = [engine_top(self.r, i) for i in iids]
        return [client[0], client[1] and mirrored(client[1]), engine[0], mirrored(engine[1])]

    def client(self, token: str) -> Top | None:
        """Return the top of the data client's own book, None while it is not to be believed."""
        book = self.r.node.data.books.get(token)
        if book is None or book.state is not BookState.GOOD:
            return None
        return top(
            *({p: s // LOT * LOT for p, s in side.items()} for side in (book.bids, book.asks))
        )


async def one_game(follow: Follow, tape: Tape, market: Any, folder: Path) -> Tally:
    """Play one game and compare after every recorded message time of its first token."""
    tally = Tally()
    tokens = tuple(o.token_id for o in market.outcomes)
    iids = tuple(o.instrument_id for o in market.outcomes)
    steps = batches(tape, market.market_id)
    batch = next(steps, None)
    for ts, rows, want in recorded(folder, market.market_id, tokens[0]):
        while batch is not None and batch[0].ts_ns <= ts:
            for step in batch:
                follow.player.apply(step, time.time_ns())
            batch = next(steps, None)
        if want[0] >= want[1] or want[:2] == (ZERO, ONE):
            tally.outside += (
                rows  # crossed or empty in the recording itself: there is no best price to hold
            )
            continue
        tops = await follow.seen(tokens, iids)  # type: ignore[arg-type]
        tally.compared += rows
        if all(t == want for t in tops):
            tally.exact += rows
        else:
            tally.wrong.append({"ts_ns": ts, "rows": rows, "recorded": text(want), "seen": [text(t) for t in tops]})  # fmt: skip
    return tally


async def replayed(catalog: Path, recording: Path, home: Path, take: int = 0) -> dict[str, Any]:
    """Play the first `take` games (0 = all) and return what was compared."""
    opened = Catalog.open(catalog)
    whole = load_tape(opened, None, 1_000, "POLYMARKET")
    games = list(whole.markets)[: take or None]
    tape = load_tape(opened, [m.market_id for m in games], len(games), "POLYMARKET")
    venue = make("POLYMARKET", 1)
    probe = venue.instruments[0]
    player = Player(tape, venue.fake.exchange, venue.fake.streams)
    for market in tape.markets:
        venue.fake.exchange.markets[market.market_id].close_ns = time.time_ns() + 24 * HOUR_NS
        venue.fake.infos[market.market_id] = FakeInfo.of(market, time.time_ns() + 24 * HOUR_NS)
    names = tuple(m.market_id for m in tape.markets)
    iids = tuple(o.instrument_id for m in tape.markets for o in m.outcomes)
    venue = replace(venue, ids=(*venue.ids, *names), instruments=(probe, *iids))
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    async with rig("POLYMARKET", home, venue=venue, mode=RunMode.PAPER) as r:
        follow = Follow(r, player)
        for market in tape.markets:
            tallies[market.market_id] = await one_game(follow, tape, market, recording)
        stats = [s.stats for s in r.node.data.sockets.sockets]
        told = {n: sum(getattr(s, n) for s in stats) for n in ("frames", "bad_frames")}
        told["mended"] = r.node.data.rest.answers.stats.mended
    wrong = [w | {"game": n} for n, t in tallies.items() for w in t.wrong]
    return {
        "games": len(tape.markets),
        "compared": sum(t.compared for t in tallies.values()),
        "exact": sum(t.exact for t in tallies.values()),
        "outside": sum(t.outside for t in tallies.values()),
        "wrong_rows": sum(w["rows"] for w in wrong),
        "wrong": wrong[:20],
        "seconds": round(time.monotonic() - started, 1),
        **told,
    }


if __name__ == "__main__":
    raise SystemExit(command("tests.live.poly_exactness", "games", replayed, "wrong_rows"))
