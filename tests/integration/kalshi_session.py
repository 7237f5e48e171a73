"""A paper node on a fake Kalshi that replays a small made-up catalog, for tests of recording and parity."""

import asyncio
import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import numpy as np

from core.domain.errors import ExitCode, VenueUncertain
from core.domain.fees import FeeSchedule
from core.domain.grid import Band, TickGrid
from core.domain.market import Market, Outcome
from core.engine.catalog import F_LAST, CatalogWriter, DeltaColumns, TradeColumns
from core.engine.strategy import BetaStrategy, StrategyConfig, TimeInForce
from core.risk.volatility import STEP_NS as LOOK_NS

D = Decimal
TICKERS = ("KXTEST-26NOV21-A", "KXTEST-26NOV21-B")
START_NS = 1_780_000_000_000_000_000
STEP_NS = 100_000_000


class Config(StrategyConfig):
    """How often and how much, and whether it sells what it holds: what it then does hangs on when it heard of a fill."""

    every: int = 7
    quantity: Decimal = D(2)
    sells: bool = True


class TakesNowAndThen(BetaStrategy):
    """Buys YES (or sells what it holds, or buys NO) at the touch on a rule of the book alone."""

    config_type = Config

    def on_start(self):
        self.seen = {}
        for iid in self.universe:
            self.watch_book(iid)

    def on_book(self, iid):
        bid, ask = self.best_bid(iid), self.best_ask(iid)
        if bid is None or ask is None:
            return
        top = (bid, ask)
        last, count = self.seen.get(iid, (None, 0))
        if top == last:
            return
        self.seen[iid] = (top, count + 1)
        if (count + 1) % self.config.every:
            return
        held = self.position(iid) if self.config.sells else D(0)
        if held > 0:
            self.sell(iid, held, bid.price, reason="out")
        elif iid.endswith("-YES.KALSHI"):
            self.buy(iid, self.config.quantity, ask.price, reason="in")


class Rests(StrategyConfig):
    """Orders that rest: how many book changes apart, how many they stay, how much, whether it sells again."""

    every: int = 9
    stay: int = 25
    quantity: Decimal = D(30)
    sells: bool = True


class RestsNowAndThen(BetaStrategy):
    """Joins the best bid, sells what it holds at the best ask, takes back what stays too long. By the book alone."""

    config_type = Rests

    def on_start(self):
        self.count, self.placed = {}, {}
        for iid in self.universe:
            if iid.endswith(("-YES.KALSHI",)) or ".POLYMARKET" in iid:
                self.watch_book(iid)

    def on_book(self, iid):
        bid, ask = self.best_bid(iid), self.best_ask(iid)
        if bid is None or ask is None or iid not in self.markets:
            return
        self.count[iid] = n = self.count.get(iid, 0) + 1
        for order in self.working(iid):
            if n - self.placed.get(order.intent.client_order_id, n) == self.config.stay:
                self.cancel(order.intent.client_order_id)
        if n % self.config.every or self.working(iid):
            return
        held = self.position(iid)
        if held > 0 and self.config.sells:
            cid = self.sell(iid, held, ask.price, tif=TimeInForce.GTC, post_only=True, reason="out")
        else:
            cid = self.buy(
                iid,
                self.config.quantity,
                bid.price,
                tif=TimeInForce.GTC,
                post_only=True,
                reason="in",
            )
        if cid:
            self.placed[cid] = n


def market(ticker, close_ns):
    return Market(
        venue="KALSHI",
        market_id=ticker,
        question=f"{ticker}?",
        outcomes=(
            Outcome(f"{ticker}-YES.KALSHI", "Yes", payout=D(1)),
            Outcome(f"{ticker}-NO.KALSHI", "No", payout=D(0)),
        ),
        grid=TickGrid((Band(D(0), D(1), D("0.01")),)),
        fees=FeeSchedule("KALSHI", kind="quadratic"),
        event_id=ticker.rpartition("-")[0],
        close_ns=close_ns,
    )


def delta_columns(rows):
    """Book changes from rows of time after `START_NS`, action, side, price and size; the last of a moment is flagged."""
    ts, action, side, price, size = (
        np.array(c, dtype=np.int64) for c in list(zip(*rows, strict=True))[:5]
    )
    return DeltaColumns(
        ts_event=ts + START_NS,
        action=action.astype(np.uint8),
        side=side.astype(np.uint8),
        price=price,
        size=size,
        flags=np.where(np.append(ts[1:] != ts[:-1], True), F_LAST, 0).astype(np.uint8),
        sequence=np.zeros(len(ts), dtype=np.uint64),
    )


def write_catalog(path, steps=60, seed=1):
    """Two markets, a walk of the touch every `STEP_NS`, now and then a trade, resolved YES."""
    rng = np.random.default_rng(seed)
    close = START_NS + (steps + 5) * STEP_NS
    with CatalogWriter(path, name="walk", synthetic=True) as writer:
        writer.markets([market(t, close) for t in TICKERS])
        for offset, ticker in enumerate(TICKERS):
            rows = [(0, 3, 0, 0, 0, 0)]
            middle = 45 + 5 * offset
            for k in range(1, 4):
                rows.append((0, 0, 1, (middle - k) * 100, 900 + 100 * k, 0))
                rows.append((0, 0, 2, (middle + k) * 100, 700 + 100 * k, 0))
            now = {1: middle - 1, 2: middle + 1}
            for n in range(1, steps):
                side = int(rng.integers(1, 3))
                sign = 1 if side == 2 else -1
                at = (2 * n + offset) * STEP_NS // 2
                if rng.random() < 0.5:
                    price = (now[side] + sign) * 100
                    rows.append((at, 2, side, now[side] * 100, 0, 1))
                    rows.append((at, 1, side, price, int(rng.integers(5, 20)) * 100, 1))
                    now[side] += sign
                else:
                    rows.append((at, 1, side, now[side] * 100, int(rng.integers(5, 20)) * 100, 1))
                if abs(now[2] - now[1]) > 6:
                    inner = now[side] - sign * 2
                    rows.append((at + 1000, 1, side, inner * 100, 900, 1))
                    now[side] = inner
            writer.deltas(f"{ticker}-YES.KALSHI", delta_columns(rows))
            trades = START_NS + np.arange(5, steps, 9, dtype=np.int64) * STEP_NS + 50_000_000
            n = len(trades)
            writer.trades(
                f"{ticker}-YES.KALSHI",
                TradeColumns(
                    ts_event=trades,
                    price=np.full(n, middle * 100, dtype=np.int64),
                    size=np.full(n, 100, dtype=np.int64),
                    aggressor=np.full(n, 1, dtype=np.uint8),
                ),
            )
    return path


def write_burst_catalog(path, calm=100, burst=30, after=60):
    """One market whose touch moves by a cent, then by ten, then by a cent again, every `STEP_NS`; ends unresolved."""
    moves = [1, -1] * (calm // 2) + [10, -10] * (burst // 2) + [1, -1] * (after // 2)
    rows, cents, ticker = [(0, 3, 0, 0, 0)], 50, TICKERS[0]
    for n, move in enumerate([0, *moves]):
        at = n * STEP_NS
        if move:
            rows += [(at, 2, 1, (cents - 1) * 100, 0), (at, 2, 2, (cents + 1) * 100, 0)]
        cents += move
        rows += [(at, 0, 1, (cents - 1) * 100, 9000), (at, 0, 2, (cents + 1) * 100, 9000)]
    with CatalogWriter(path, name="burst", synthetic=True) as writer:
        writer.markets([market(ticker, START_NS + 3600 * 10**9)])
        writer.deltas(f"{ticker}-YES.KALSHI", delta_columns(rows))
    return path


def traded_book(rng, steps, offset):
    """Book changes and trades of a market in which trades eat the levels: resting orders fill in parts."""
    book = {1: {44 - k: 20 + 10 * k for k in range(4)}, 2: {47 + k: 20 + 10 * k for k in range(4)}}
    deltas = [(0, 3, 0, 0, 0)]
    deltas += [(0, 0, s, p * 100, q * 100) for s in (1, 2) for p, q in book[s].items()]
    trades = []
    for n in range(1, steps):
        at = (2 * n + offset) * STEP_NS // 2
        side = int(rng.integers(1, 3))
        best = max(book[1]) if side == 1 else min(book[2])
        roll = rng.random()
        if roll < 0.55:  # somebody takes from the best level
            size = min(int(rng.integers(3, 25)), book[side][best])
            trades.append((at, best * 100, size * 100, 3 - side))
            book[side][best] -= size
            if book[side][best] == 0 and len(book[side]) > 1:
                del book[side][best]
                deltas.append((at + 1000, 2, side, best * 100, 0))
            else:
                book[side][best] = book[side][best] or 1
                deltas.append((at + 1000, 1, side, best * 100, book[side][best] * 100))
        elif roll < 0.8:  # somebody joins
            book[side][best] += int(rng.integers(2, 15))
            deltas.append((at, 1, side, best * 100, book[side][best] * 100))
        else:  # somebody improves
            better = best + 1 if side == 1 else best - 1
            if better in book[3 - side]:
                continue
            book[side][better] = int(rng.integers(5, 30))
            deltas.append((at, 1, side, better * 100, book[side][better] * 100))
    return deltas, trades


def write_traded_catalog(path, steps=200, seed=1):
    """Two markets whose trades eat their books, resolved YES."""
    rng = np.random.default_rng(seed)
    close = START_NS + (steps + 5) * STEP_NS
    with CatalogWriter(path, name="traded", synthetic=True) as writer:
        writer.markets([market(t, close) for t in TICKERS])
        for offset, ticker in enumerate(TICKERS):
            deltas, trades = traded_book(rng, steps, offset)
            writer.deltas(f"{ticker}-YES.KALSHI", delta_columns(deltas))
            at, price, size, aggressor = (np.array(c) for c in zip(*trades, strict=True))
            writer.trades(
                f"{ticker}-YES.KALSHI",
                TradeColumns(
                    ts_event=at + START_NS,
                    price=price,
                    size=size,
                    aggressor=aggressor.astype(np.uint8),
                ),
            )
            writer.closes(f"{ticker}-YES.KALSHI", close + 1, D(1))
    return path


def hard_of_hearing(late_s):
    """Let strategies hear of fills this much later than their gate books them, as on a machine that is overloaded."""
    from core.engine.live.client import VenueClient

    tell = VenueClient.generate_order_filled

    def later(self, *args):
        asyncio.get_running_loop().call_later(late_s, tell, self, *args)

    VenueClient.generate_order_filled = later


class BrokenAudit:
    """An audit that fails at its first look."""

    def __init__(self, client, every_s):
        pass

    async def run(self):
        await asyncio.sleep(1.0)
        raise ZeroDivisionError("planted")


async def broken_cash(client):
    """Fail where the balance is read after a fill."""
    raise ZeroDivisionError("planted")


async def no_account(port, news):
    """Refuse to open, as a venue that is down."""
    raise VenueUncertain("the venue cannot be reached", "503", "wait until it is back")


async def session(told):
    """Run a fake Kalshi and a paper node on it; return what the node said at its end."""
    from core.engine.backtest.strategies import plan_strategies
    from core.engine.live import node as nodes
    from core.engine.live import recorder
    from core.engine.live.client import VenueClient
    from core.engine.live.node import Node, NodeSpec
    from core.engine.live.venue import open_venue
    from core.engine.paper.port import PaperPort
    from core.ledger.kinds import RunMode

    if told.get("deaf_s"):
        hard_of_hearing(told["deaf_s"])
    recorder.FLUSH_S = told.get("flush_s", recorder.FLUSH_S)
    withdrawn, linger_s = nodes.withdrawn, told.get("linger_s", 0.0)

    async def slowly(sweep):
        await asyncio.sleep(linger_s)
        return await withdrawn(sweep)

    nodes.withdrawn = slowly
    fake = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.fake.kalshi.process", "--catalog", told["catalog"],
        "--speed", str(told.get("speed", 1.0)), "--cash", str(told.get("capital", "100")), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert fake.stdout is not None
        where = json.loads(await fake.stdout.readline())
        spec = NodeSpec(
            mode=RunMode(told.get("mode", "paper")),
            venue="KALSHI",
            plans=tuple(plan_strategies(told["strategy"], told.get("params", {}))),
            home=Path(told["home"]),
            capital=D(told.get("capital", "100")),
            run_s=told["run_s"],
            latency_s=told.get("latency_s", 0.02),
            limits=told.get("limits", ""),
            look_ns=told.get("look_ns", LOOK_NS),
        )
        settings = {
            "tickers": tuple(where["markets"]),
            "base_url": where["base_url"],
            "ws_url": where["ws_url"],
        }

        if told.get("broken") == "audit":
            nodes.Audit = BrokenAudit
        elif told.get("broken") == "cash":
            VenueClient._read_cash = broken_cash
        elif told.get("broken") == "account":
            PaperPort.connect = no_account

        def look(status):
            if told.get("broken") == "screen":
                1 / 0
            if told.get("until_paid") and status.settled >= status.markets:
                node.stop()

        node = Node(spec, open_venue("KALSHI", settings), on_status=look)
        await node.run()
        if node.trouble():
            sys.exit(ExitCode.HALTED)
        print(json.dumps({"run_id": node.run_id, "at": time.time()}), flush=True)
    finally:
        if fake.returncode is None:
            fake.kill()
        await fake.wait()


if __name__ == "__main__":
    asyncio.run(session(json.loads(sys.argv[1])))
