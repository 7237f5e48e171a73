"""A recorded Kalshi stream through the real WebSocket path: is the best bid and ask what the venue's ticker said?

The fake venue plays a catalog step by step as fast as the node follows; at every recorded ticker row the recorded
best prices and sizes are compared with the client's book and with the engine's.

    python -m tests.live.exactness ../shared/data/kalshi_btc15m_l2 catalogs/kalshi_btc15m_l2     # the whole set
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from nautilus_trader.model import InstrumentId

from adapters.fake.kalshi.process import describe
from adapters.fake.player import Player
from adapters.fake.replay import ReplayStep, Step, Tape, load_tape
from adapters.kalshi.books import BookState
from core.engine.catalog import Catalog
from core.ledger.kinds import RunMode
from tests.live.rig import Rig, eventually, rig
from tests.live.venues import HOUR_NS, make

Top = tuple[Decimal, Decimal, Decimal, Decimal]
COLUMNS = ("yes_bid", "yes_ask", "yes_bid_size", "yes_ask_size")
BURST = 200
Replay = Callable[[Path, Path, Path, int], Awaitable[dict[str, Any]]]


@dataclass
class Tally:
    """What was compared.

    Attributes
    ----------
    within : int
        Rows equal to the book between two changes of the same exchange time (a sweep's ticker can be sent then).
    outside : int
        Rows at times at which nothing was recorded of the book: not compared.
    """

    compared: int = 0
    exact: int = 0
    within: int = 0
    outside: int = 0
    wrong: list[dict[str, Any]] = field(default_factory=list)


def ticker_rows(folder: Path, market: str) -> list[tuple[int, Top]]:
    """Return the recorded ticker rows of a market: exchange time, best bid, ask, their sizes."""
    table = pq.read_table(folder / "ticker.parquet", columns=["ticker", "exchange_ts", *COLUMNS])
    table = table.filter(pc.equal(table["ticker"], market))
    times = [us * 1_000 for us in pc.cast(table["exchange_ts"], "int64").to_pylist()]
    values = [table[c].to_pylist() for c in COLUMNS]
    rows = []
    for ts, bid, ask, bid_size, ask_size in zip(times, *values, strict=True):
        if None in (ts, bid, ask, bid_size, ask_size):
            continue
        price = [Decimal(str(v)).quantize(Decimal("0.0001")) for v in (bid, ask)]
        size = [Decimal(str(v)).quantize(Decimal("0.01")) for v in (bid_size, ask_size)]
        rows.append((ts, (price[0], price[1], size[0], size[1])))
    return sorted(rows)


def client_top(r: Rig, market: str) -> Top | None:
    """Return the best prices of the data client's own book, None while it is not to be believed."""
    book = r.node.data.books.get(market)
    if book is None or book.state is not BookState.GOOD:
        return None
    bid, ask = book.best_bid, book.best_ask
    zero, one = Decimal(0), Decimal(1)
    return (bid[0] if bid else zero, ask[0] if ask else one, bid[1] if bid else zero, ask[1] if ask else zero)  # fmt: skip


def engine_top(r: Rig, iid: str) -> Top:
    """Return the best prices of the engine's own book."""
    book = r.hands.cache.order_book(InstrumentId.from_str(iid))
    values = (
        book.best_bid_price(),
        book.best_ask_price(),
        book.best_bid_size(),
        book.best_ask_size(),
    )
    found = [v.as_decimal() if v is not None else None for v in values]
    bid, ask, bid_size, ask_size = found
    zero = Decimal(0)
    return (bid or zero, Decimal(1) if ask is None else ask, bid_size or zero, ask_size or zero)


class Follow:
    """Drives the fake venue and waits for the node."""

    def __init__(self, r: Rig, player: Player) -> None:
        self.r, self.player = r, player
        self.before: dict[str, dict[str, dict[int, int]]] = {}

    def remember(self, market: str) -> None:
        """Keep the venue's levels as they are before a batch."""
        levels = self.r.venue.fake.exchange.markets[market].book.levels
        self.before[market] = {"bid": dict(levels["bid"]), "ask": dict(levels["ask"])}

    def caught_up(self) -> bool:
        """Return whether the client has every frame the venue sent of its books."""
        socket = self.r.node.data.socket
        sid = socket.sids.get("orderbook_delta")
        for connection in self.r.venue.fake.streams.connections:
            sub = connection.subscriptions.get("orderbook_delta")
            if sub is not None and sub.sid == sid:
                return sub.seq == 0 or (
                    sid in socket._sequences and socket._sequences[sid].last == sub.seq
                )
        return False

    async def barrier(self, market: str) -> tuple[Top | None, Top]:
        """Wait until client and engine have everything; return both tops."""
        if not await eventually(self.caught_up, 30):
            raise RuntimeError("the client did not catch up")
        iid = f"{market}-YES.KALSHI"
        want = client_top(self.r, market)
        await eventually(lambda: want is None or engine_top(self.r, iid) == want, 5)
        return want, engine_top(self.r, iid)

    def play(self, steps: Sequence[ReplayStep]) -> None:
        """Apply steps at the venue."""
        for step in steps:
            self.player.apply(step, time.time_ns())


def batches(tape: Tape, market: str) -> Iterator[list[ReplayStep]]:
    """Yield the book changes of one market, those of one exchange time together."""
    batch: list[ReplayStep] = []
    for step in tape:
        if step.market_id != market or step.step not in (Step.CLEAR, Step.LEVEL):
            continue
        if batch and step.ts_ns != batch[0].ts_ns:
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


async def one_market(follow: Follow, tape: Tape, market: str, rows: list[tuple[int, Top]]) -> Tally:
    """Play one market and compare every ticker row."""
    tally, at, behind = Tally(), 0, 0
    last: list[ReplayStep] = []
    begun, truth = False, follow.r.venue.fake.exchange.markets[market].book
    for batch in [*batches(tape, market), []]:
        now = batch[0].ts_ns if batch else 1 << 62
        while at < len(rows) and rows[at][0] < now:
            ts, want = rows[at]
            at += 1
            # A recording ends by clearing its book: until the next one begins nothing is known.
            if not begun or not (truth.levels["bid"] or truth.levels["ask"]) or not batch:
                tally.outside += 1
                continue
            seen, engine = await follow.barrier(market)
            tally.compared += 1
            if seen == engine == want:
                tally.exact += 1
            elif seen == engine and want in between(last, market, follow):
                tally.within += 1
            else:
                tally.wrong.append({"ts_ns": ts, "recorded": text(want), "client": text(seen), "engine": text(engine)})  # fmt: skip
        if batch:
            last = [*batch]
            follow.remember(market)
            follow.play(batch)
            begun, behind = True, behind + len(batch)
            if behind > BURST:
                behind = 0
                await asyncio.sleep(0)
    return tally


def text(top: Top | None) -> list[str] | None:
    """Return a top as texts."""
    return None if top is None else [str(v) for v in top]


def between(batch: list[ReplayStep], market: str, follow: Follow) -> list[Top]:
    """Return the tops before and after each change of the batch that was played last."""
    sides = {s: dict(follow.before[market][s]) for s in ("bid", "ask")}
    tops = [_top(sides)]
    for step in batch:
        if step.step is Step.CLEAR:
            sides = {"bid": {}, "ask": {}}
        elif step.quantity:
            sides[step.side][step.price] = step.quantity
        else:
            sides[step.side].pop(step.price, None)
        tops.append(_top(sides))
    return tops


def _top(sides: dict[str, dict[int, int]]) -> Top:
    bid, ask = max(sides["bid"], default=0), min(sides["ask"], default=10_000)
    sizes = sides["bid"].get(bid, 0), sides["ask"].get(ask, 0)
    price, size = Decimal("0.0001"), Decimal("0.01")
    return (bid * price, ask * price, sizes[0] * size, sizes[1] * size)


def windows(tape: Tape) -> list[str]:
    """Return the markets of a tape, oldest first."""
    return [m.market_id for m in sorted(tape.markets, key=lambda m: m.close_ns)]


async def replayed(catalog: Path, recording: Path, home: Path, take: int = 0) -> dict[str, Any]:
    """Play the first `take` windows (0 = all) and return what was compared.

    Raises
    ------
    RuntimeError
        If the node does not come up or falls behind for good.
    """
    opened = Catalog.open(catalog)
    names = windows(load_tape(opened, None, 1_000, "KALSHI"))[: take or None]
    tape = load_tape(opened, names, len(names), "KALSHI")
    venue = make("KALSHI", 0)
    player = Player(tape, venue.fake.exchange, venue.fake.streams)
    describe(venue.fake, opened, tape, player.shift)
    for name, market in venue.fake.exchange.markets.items():
        market.close_ns = time.time_ns() + 24 * HOUR_NS  # recorded hours are long over
        venue.fake.infos[name] |= {"open_time": "2020-01-01T00:00:00Z"}
    probe = "KXPROBE-26NOV21-00"  # something with a book, so that the node is up before anything is played
    extra = make("KALSHI", 1)
    venue.fake.exchange.markets[probe] = extra.fake.exchange.markets[extra.ids[0]]
    venue.fake.exchange.markets[probe].market_id = probe
    venue = replace(
        venue,
        ids=(probe, *names),
        instruments=(f"{probe}-YES.KALSHI", *(f"{n}-YES.KALSHI" for n in names)),
    )
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    async with rig("KALSHI", home, venue=venue, mode=RunMode.PAPER) as r:
        follow = Follow(r, player)
        for name in names:
            rows = ticker_rows(recording, name)
            tallies[name] = await one_market(follow, tape, name, rows)
        socket = r.node.data.socket.stats
        told = {"frames": socket.frames, "bad_frames": socket.bad_frames, "gaps": socket.gaps}
    return {
        "windows": len(names),
        "steps": len(tape),
        "compared": sum(t.compared for t in tallies.values()),
        "exact": sum(t.exact for t in tallies.values()),
        "within_one_exchange_time": sum(t.within for t in tallies.values()),
        "outside_recordings": sum(t.outside for t in tallies.values()),
        "wrong": [w | {"market": n} for n, t in tallies.items() for w in t.wrong][:20],
        "wrong_count": sum(len(t.wrong) for t in tallies.values()),
        "seconds": round(time.monotonic() - started, 1),
        **told,
    }


def command(module: str, parts: str, replay: Replay, wrong: str) -> int:
    """Compare from the command line; exit 1 when a row differs.

    `parts` is what a recording has several of, `wrong` the figure that must be 0.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("recording", type=Path)
    parser.add_argument("catalog", type=Path)
    parser.add_argument(f"--{parts}", type=int, default=0, help="the first so many; 0 = all")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(
            replay(args.catalog, args.recording, Path(folder) / "node", getattr(args, parts))
        )
    print(json.dumps(found, indent=1))
    return 0 if found["compared"] and not found[wrong] else 1


if __name__ == "__main__":
    raise SystemExit(command("tests.live.exactness", "windows", replayed, "wrong_count"))
