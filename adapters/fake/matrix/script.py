"""What a seeded strategy and a seeded market do during one run."""

from __future__ import annotations

import asyncio
import contextlib
import random
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.core import UUID4
from nautilus_trader.model import ClientOrderId, LimitOrder, MarketOrder, OrderSide
from nautilus_trader.model import TimeInForce as EngineTif

from adapters.fake.matrix.engine import STRATEGY, TRADER
from adapters.fake.matrix.lives import Killed
from adapters.fake.matrix.stand import Stand
from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import Side
from core.domain.market import Market
from core.engine.units import price_of, quantity_of
from core.ledger.kinds import VerdictGiven
from core.risk.verdict import MarketView, Refusal

TIFS = {
    TimeInForce.GTC: EngineTif.GTC,
    TimeInForce.IOC: EngineTif.IOC,
    TimeInForce.FOK: EngineTif.FOK,
    TimeInForce.GTD: EngineTif.GTD,
}
PRICE = Decimal(10_000)


class Trader:
    """Sends orders the way the strategy base does: gate, verdict row, execution client."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.intents: dict[str, OrderIntent] = {}
        self.refused: list[str] = []
        self.forgets = self.crosses = False
        self._sent, self._life = 0, stand.lives

    def view(self, market: Market, outcome: int = 0) -> MarketView:
        """Return an outcome's top of book: as the feed tells it, else the market's own."""
        feed = self.stand.feed
        if feed is not None:
            return MarketView(self.stand.clock.timestamp_ns(), *feed.top(market, outcome))
        levels = self.stand.exchange.markets[market.market_id].book.levels
        bids, asks = ([p for p, q in levels[side].items() if q > 0] for side in ("bid", "ask"))
        if outcome:
            bids, asks = [10_000 - p for p in asks], [10_000 - p for p in bids]
        return MarketView(
            self.stand.clock.timestamp_ns(),
            Decimal(max(bids)) / PRICE if bids else None,
            Decimal(min(asks)) / PRICE if asks else None,
        )

    async def send(
        self,
        market: Market,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        tif: TimeInForce = TimeInForce.IOC,
        *,
        post_only: bool = False,
        expire_ns: int = 0,
        outcome: int = 0,
    ) -> str | None:
        """Submit an order; return its id, or None when the gate refused."""
        stand, now = self.stand, self.stand.clock.timestamp_ns()
        if stand.feed is not None and None in stand.feed.top(market, outcome):
            return None  # no strategy trades on a book that it does not see
        cid = self._number()
        intent = OrderIntent(
            cid,
            STRATEGY.value,
            market.venue,
            stand.instrument(market, outcome),
            market.market_id,
            market.event_id,
            side,
            quantity,
            price,
            tif,
            now,
            post_only=post_only,
            expire_ns=expire_ns,
        )
        stand.exposure.allow()
        answer = stand.gate.review(intent, self.view(market, outcome))
        if isinstance(answer, Refusal):
            self.refused.append(str(answer.code))
            return None
        self.intents[cid] = intent
        if stand.feed is not None:
            stand.feed.traded_on(market)
        seq = stand.ledger.append(VerdictGiven.of(answer.verdict()), ts_event=now)
        stand.client.journal.link(cid, seq)
        order = self._order(intent)
        stand.engine.orders[cid] = order
        stand.client.early.begin(intent, answer.worst_price if price is None else price)
        await stand.client._submit_order(SimpleNamespace(order=order))
        return cid

    def _number(self) -> str:
        """Return the next order id; a strategy that forgets begins again in every life."""
        if self.forgets and self._life != self.stand.lives:
            self._sent, self._life = 0, self.stand.lives
        self._sent += 1
        return f"F-{self._sent:04d}"

    def _order(self, intent: OrderIntent) -> Any:
        instrument = self.stand.engine.instruments[intent.instrument_id]
        side = OrderSide.BUY if intent.side is Side.BUY else OrderSide.SELL
        cid, tif = ClientOrderId(intent.client_order_id), TIFS[intent.tif]
        quantity = quantity_of(intent.quantity, instrument.size_precision)
        if intent.price is None:
            return MarketOrder(
                TRADER, STRATEGY, instrument.id, cid, side, quantity, UUID4(), intent.ts_ns, tif, False, False
            )  # fmt: skip
        price = price_of(intent.price, instrument.price_precision)
        return LimitOrder(
            TRADER, STRATEGY, instrument.id, cid, side, quantity, price, tif, intent.post_only, False, False,
            UUID4(), intent.ts_ns, expire_time=intent.expire_ns or None,
        )  # fmt: skip

    async def cancel(self, cid: str) -> None:
        """Cancel an order."""
        await self.stand.client._cancel_order(SimpleNamespace(client_order_id=ClientOrderId(cid)))

    async def modify(self, cid: str, market: Market, quantity: Decimal, price: Decimal) -> bool:
        """Change an order; return whether the gate let it pass."""
        stand, base = self.stand, self.intents[cid]
        stand.exposure.allow()
        answer = stand.gate.review_change(cid, quantity, price, base, self.view(market))
        if isinstance(answer, Refusal):
            return False
        instrument = stand.engine.instruments[base.instrument_id]
        await stand.client._modify_order(
            SimpleNamespace(
                client_order_id=ClientOrderId(cid),
                quantity=quantity_of(quantity, instrument.size_precision),
                price=price_of(price, instrument.price_precision),
            )
        )
        return True

    def working(self) -> list[str]:
        """Return ids of orders the engine holds open, oldest first."""
        return [c for c, o in self.stand.engine.orders.items() if o.is_open]


async def play(
    stand: Stand, trader: Trader, rng: random.Random, steps: int, changes: bool = False
) -> None:
    """Trade for `steps` seeded moves, many `changes` or few; a client side that was killed comes back first."""
    for _ in range(steps):
        if stand.dead:
            await _come_back(stand, rng)
        market = rng.choice(stand.markets)
        move = rng.choices(
            ("buy", "rest", "sell", "cancel", "modify", "flow", "level", "gtd", "wait"),
            (2, 6, 2, 2, 8, 4, 2, 1, 2) if changes else (4, 5, 3, 4, 1, 5, 2, 1, 2),
        )[0]
        if changes and move == "modify":
            move = "amend"
        if trader.crosses and rng.random() < 0.25:
            move = "cross"
        try:
            await _move(stand, trader, rng, market, move)
        except Killed:
            continue
        await asyncio.sleep(rng.choice((0.0, 0.01, 0.1, 0.4, 1.5)))


async def linger(stand: Stand, rng: random.Random, seconds: float) -> None:
    """Let others trade for a while: orders with a time fill in part, then expire."""
    end = stand.loop.time() + seconds
    while stand.loop.time() < end:
        market = rng.choice(stand.markets)
        if stand.exchange.markets[market.market_id].status == "active":
            stand.trade(market.market_id, rng.choice((3700, 3800)), rng.randint(50, 600), "ask")
        await asyncio.sleep(5.0)
        stand.exchange.expire(stand.loop.time_ns())


async def _come_back(stand: Stand, rng: random.Random) -> None:
    """Let the venue go on without us for a while, then begin a new life; it may be killed at its start, too."""
    away = rng.choice((0.5, 3.0, 20.0, 7200.0))
    for _ in range(rng.randint(0, 2)):
        market = rng.choice(stand.markets)
        stand.trade(market.market_id, rng.choice((3700, 3900)), rng.randint(100, 3_000), "ask")
    while stand.dead:
        with contextlib.suppress(Killed):
            await stand.rise(away)
        away = 1.0


async def _move(
    stand: Stand, trader: Trader, rng: random.Random, market: Market, move: str
) -> None:
    """Do one move."""
    if stand.exchange.markets[market.market_id].status != "active":
        return
    quantity = Decimal(rng.randint(1, 9))
    held = stand.engine.positions.get(stand.instrument(market), Decimal(0))
    if move == "buy":
        await trader.send(market, Side.BUY, quantity, Decimal("0.43"))
    elif move == "rest":
        price = Decimal(rng.choice((37, 38, 39, 40))) / 100
        await trader.send(market, Side.BUY, quantity, price, TimeInForce.GTC)
    elif move == "gtd":
        at = stand.loop.time_ns() + rng.randint(65, 90) * NS_PER_SECOND
        await trader.send(
            market, Side.BUY, quantity, Decimal("0.38"), TimeInForce.GTD, expire_ns=at
        )
    elif move == "sell" and held > 0:
        tif, price = rng.choice(
            ((TimeInForce.IOC, Decimal("0.39")), (TimeInForce.GTC, Decimal("0.45")))
        )
        await trader.send(market, Side.SELL, min(held, quantity), price, tif)
    elif move == "cross" and held > 0:
        bids = [o for o in stand.exchange.working() if o.market == market.market_id]
        price = Decimal(max((o.price for o in bids if o.side == "bid"), default=4_000)) / PRICE
        await trader.send(market, Side.SELL, min(held, quantity), price, TimeInForce.GTC)
    elif move == "cancel" and (open_ids := trader.working()):
        await trader.cancel(rng.choice(open_ids))
    elif move == "modify" and (open_ids := trader.working()):
        cid = rng.choice(open_ids)
        base = trader.intents[cid]
        owner = next(m for m in stand.markets if m.market_id == base.market_id)
        assert base.price is not None
        await trader.modify(cid, owner, max(base.quantity - 1, Decimal(1)), base.price)
    elif move == "amend" and (open_ids := trader.working()):
        cid = rng.choice(open_ids)
        base = trader.intents[cid]
        owner = next(m for m in stand.markets if m.market_id == base.market_id)
        total = max(base.quantity + rng.randint(-2, 4), Decimal(1))
        near = (36, 37, 38, 39) if base.side is Side.BUY else (44, 45, 46)
        await trader.modify(cid, owner, total, Decimal(rng.choice(near)) / 100)
    elif move == "flow":
        side, at_price = rng.choice((("ask", 3800), ("ask", 3700), ("bid", 4500), ("ask", 3900)))
        stand.trade(market.market_id, at_price, rng.randint(100, 4_000), side)
    elif move == "level":
        side, at_price = rng.choice((("bid", 4000), ("bid", 3900), ("ask", 4200), ("ask", 4300)))
        stand.level(market.market_id, side, at_price, rng.randint(300, 3_000))


async def quiesce(stand: Stand, limit_s: float = 240.0) -> bool:
    """Let everything in flight end; repeat the engine's checks; return whether it came to rest."""
    end = stand.loop.time() + limit_s
    quiet = 0
    while stand.loop.time() < end and quiet < 2:
        await asyncio.sleep(5.0)
        if stand.dead:
            await _come_back(stand, random.Random(0))
            end = stand.loop.time() + limit_s  # hours may have passed
        told = stand.clock.skew_ns != 0  # then the venue refuses every signature
        with contextlib.suppress(Killed):
            told = await stand.engine.check(stand.client) or told
        await asyncio.sleep(0.5)
        calm = (
            told and not stand.client.unknowns.ids and not stand.client.running and not stand.dead
        )
        quiet = quiet + 1 if calm else 0
    return quiet >= 2
