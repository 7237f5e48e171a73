"""Paper trading as a venue: the live market's book, our own matching, our own truth, the live contract.

The node talks to it exactly as to a real venue (`VenuePort`), so that restart, reconciliation, unknown
orders and settlement take the same path.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.fees import FeeBook, Role, Side
from core.domain.market import Market, MarketStatus
from core.domain.money import ONE, ZERO
from core.engine.live.port import (
    BatchAnswer,
    Prepared,
    VenueCash,
    VenueFill,
    VenueNews,
    VenueOrder,
    VenueOrderStatus,
    VenuePosition,
)
from core.engine.paper.account import Account, NettedAccount, TokenAccount
from core.engine.paper.arrivals import ArrivalQueue
from core.engine.paper.book import PRICE_UNIT, QUANTITY_UNIT, BookSide, no_levels
from core.engine.paper.collector import PaperCollector
from core.engine.paper.exchange import Exchange, Execution, FakeMarket, FakeOrder, VenueRefusal
from core.engine.paper.store import PaperStore

STATUSES = {
    "resting": VenueOrderStatus.WORKING,
    "executed": VenueOrderStatus.FILLED,
    "canceled": VenueOrderStatus.CANCELED,
}
MARKET_WORDS = {
    MarketStatus.ACTIVE: "active",
    MarketStatus.PAUSED: "paused",
    MarketStatus.CLOSED: "closed",
    MarketStatus.UNOPENED: "paused",
}
Levels = list[tuple[Decimal, Decimal]]
#: Orders that are over, and executions, are in memory for longer than the engine's checks read back.
KEPT_NS, FORGET_EVERY_NS = 4_200 * NS_PER_SECOND, 60 * NS_PER_SECOND


class PaperPort:
    """One paper account at one venue.

    Parameters
    ----------
    venue : str
        Engine venue code.
    capital : Decimal
        Starting dollars of a new account.
    netted : bool
        Kalshi's signed positions (True) or two tokens (False).
    latency_s : float
        Time an order takes to the venue, and its answer back.
    """

    names_orders = False
    buys_in_cash = False
    share_dust = ZERO

    def __init__(
        self,
        venue: str,
        fee_book: FeeBook,
        store: PaperStore,
        clock: Callable[[], int],
        *,
        capital: Decimal,
        netted: bool,
        latency_s: float = 0.05,
    ) -> None:
        self.venue, self.clock, self.latency_s = venue, clock, latency_s
        micros = int(capital * 1_000_000)
        account: Account = NettedAccount(micros) if netted else TokenAccount(micros)
        self.exchange = Exchange(account, fee_book, f"paper-{venue.lower()}")
        self.exchange.journal = deque(maxlen=0)
        self.store = store
        self.collector = (
            PaperCollector(self, account) if isinstance(account, TokenAccount) else None
        )
        store.restore(self.exchange)
        self.exchange.used_before = lambda client_order_id: (
            store.order_of(client_order_id) is not None
        )
        self._bought: dict[tuple[str, str], tuple[int, int]] = {}
        for execution in self.exchange.executions:
            self._count(execution)
        self.markets: dict[str, Market] = {}
        self._of: dict[str, tuple[str, str]] = {}
        self._news: VenueNews | None = None
        self._changed: set[str] = set()
        self._written, self._first, self._since_ns = len(self.exchange.executions), 0, 0
        self.exchange.listeners.append(self._heard)
        self._timer: asyncio.Task[None] | None = None
        self._killed = False
        self._arrivals = ArrivalQueue(clock, round(latency_s * 1e9))

    def wait_for_news(self, behind: Callable[[int], bool]) -> None:
        """Match no order before news that was received before its arrival (`ArrivalQueue.behind`)."""
        self._arrivals.behind = behind

    def most_shares(self, venue_order_id: str) -> Decimal | None:
        """Return None: paper orders are for shares."""
        return None

    # -- markets and their books --------------------------------------------------------------
    def on_market(self, market: Market) -> None:
        """Register a market or take over its changed fees, hours and grid."""
        if len(market.outcomes) != 2:
            return
        self.markets[market.market_id] = market
        for outcome, name in zip(market.outcomes, ("YES", "NO"), strict=True):
            self._of[outcome.instrument_id] = (market.market_id, name)
        found = self.exchange.markets.get(market.market_id)
        if found is not None:
            found.fees = market.fees
            found.close_ns = market.close_ns or (1 << 62)
            found.tick = int(market.grid.finest * PRICE_UNIT)
            return
        made = FakeMarket(
            market.market_id,
            market.fees,
            market.close_ns or (1 << 62),
            tick=int(market.grid.finest * PRICE_UNIT),
            min_quantity=max(int(market.min_size * QUANTITY_UNIT), 1),
        )
        paid = self.store.settled().get(market.market_id)
        if paid is not None:
            made.status, made.yes_payout = "resolved", paid
            if late := self.exchange.account.settle(market.market_id, paid):  # 0 once it is paid
                self.store.save_settlement(
                    self.exchange, market.market_id, paid, late, self.clock()
                )
        self.exchange.markets[market.market_id] = made
        self.store.restore_resting(self.exchange, market.market_id)

    def on_status(self, market_id: str, status: MarketStatus) -> None:
        """Open, pause or close a market; closing cancels what rests."""
        market, word = self.exchange.markets.get(market_id), MARKET_WORDS.get(status)
        if market is None or word is None or market.status in (word, "resolved"):
            return
        if word == "closed":
            self.exchange.close(market_id, self.clock())
        else:
            market.status = word
        self._save()

    def on_levels(
        self,
        instrument_id: str,
        clear: bool,
        changes: list[tuple[bool, Decimal, Decimal]],
        *,
        ts_ns: int = 0,
    ) -> None:
        """Take book changes of a market's first outcome: (is bid, price, new size), or its whole new book.

        Parameters
        ----------
        clear : bool
            Whether the changes are the whole book; none of them: nothing is known of it now.
        ts_ns : int
            When they came.
        """
        market_id, name = self._of.get(instrument_id, ("", ""))
        if name != "YES" or market_id not in self.exchange.markets:
            return
        now = self._arrivals.news(ts_ns or self.clock())
        levels = no_levels()
        for bid, price, size in changes:
            side: BookSide = "bid" if bid else "ask"
            units = int(price * PRICE_UNIT), int(size * QUANTITY_UNIT)
            if clear:
                levels[side][units[0]] = units[1]
            else:
                self.exchange.level(market_id, side, *units, now)
        if clear:
            self.exchange.snapshot(market_id, levels, now)
        self._save()

    def forget_book(self, instrument_id: str) -> None:
        """Drop the levels of a market that is paid out; no news, so nothing that is on its way arrives by it."""
        market_id, name = self._of.get(instrument_id, ("", ""))
        if name == "YES" and self.exchange.markets[market_id].yes_payout is not None:
            self.exchange.markets[market_id].book.clear()

    def on_trade(
        self,
        instrument_id: str,
        price: Decimal,
        size: Decimal,
        buyer_takes: bool,
        *,
        ts_ns: int = 0,
    ) -> None:
        """Let a public trade of the first outcome reach resting orders."""
        market_id, name = self._of.get(instrument_id, ("", ""))
        if name == "YES":
            now = self._arrivals.news(ts_ns or self.clock())
            side: BookSide = "bid" if buyer_takes else "ask"
            self.exchange.trade(
                market_id, int(price * PRICE_UNIT), int(size * QUANTITY_UNIT), side, now
            )
            self._save()

    def on_settlement(self, instrument_id: str, payout: Decimal) -> None:
        """Pay out a market once, told by either outcome."""
        market_id, name = self._of.get(instrument_id, ("", ""))
        if not name:
            return
        yes = payout if name == "YES" else ONE - payout
        units, now = int(yes * PRICE_UNIT), self.clock()
        if self.exchange.markets[market_id].yes_payout is None:
            paid = self.exchange.settle(market_id, units, now)
            self._save()
            self.store.save_settlement(self.exchange, market_id, units, paid, now)
            if self._news is not None:
                self._news.on_cash(self._cash())

    # -- the contract -----------------------------------------------------------------------
    def before_order(self, check: Callable[[], None]) -> None:
        """Nothing is waited for: an order is on its way when it is submitted."""

    async def connect(self, news: VenueNews) -> None:
        """Begin to tell what happens."""
        self._news = news
        self._timer = asyncio.create_task(self._expire(), name="paper-expiry")

    async def disconnect(self) -> None:
        """Stop telling and write what is left."""
        if self._timer is not None:
            self._timer.cancel()
        self._save()

    async def _expire(self) -> None:
        while True:
            now = self.clock()
            self.exchange.expire(now)
            self._save()
            self.forget_old(now)
            await asyncio.sleep(0.1)

    def forget_old(self, now: int) -> None:
        """Once a minute, leave what is older than the engine's checks read back to the file."""
        if now - self._since_ns > KEPT_NS + FORGET_EVERY_NS:
            self._since_ns = now - KEPT_NS
            self._first += self.exchange.forget(self._since_ns)

    def prepare(self, intent: OrderIntent, price: Decimal) -> Prepared:
        """Return what submits; there is nothing to prepare."""
        return Prepared(lambda: self.submit(intent, price))

    async def submit(self, intent: OrderIntent, price: Decimal) -> VenueOrder:
        """Match after the latency, in the order of arrival."""
        self._where(intent.instrument_id)
        answer: VenueOrder = await self._arrivals.at(
            intent.ts_ns, lambda now: self._submit(intent, price, now)
        )
        return answer

    async def submit_many(self, orders: Sequence[tuple[OrderIntent, Decimal]]) -> list[BatchAnswer]:
        """Match several after one latency, in their order."""

        def arrive(now: int) -> list[BatchAnswer]:
            out: list[BatchAnswer] = []
            for intent, price in orders:
                try:
                    out.append(self._submit(intent, price, now))
                except VenueRefused as exc:
                    out.append(exc)
            return out

        decided = max((intent.ts_ns for intent, _ in orders), default=self.clock())
        answers: list[BatchAnswer] = await self._arrivals.at(decided, arrive)
        return answers

    def _submit(self, intent: OrderIntent, price: Decimal, now: int) -> VenueOrder:
        """Match an order that arrives now."""
        if self._killed:
            raise VenueRefused(
                "kill_switch",
                "the paper venue takes no orders while halted",
                400,
                "beta risk resume, once the cause is mended",
                venue_ns=now,
            )
        market_id, outcome = self._where(intent.instrument_id)
        buys = intent.side is Side.BUY
        yes_price = price if outcome == "YES" else ONE - price
        order = FakeOrder(
            "",
            intent.client_order_id,
            market_id,
            "bid" if buys == (outcome == "YES") else "ask",
            outcome,
            int(yes_price * PRICE_UNIT),
            int(intent.quantity * QUANTITY_UNIT),
            "GTC" if intent.tif is TimeInForce.GTD else str(intent.tif),
            intent.post_only,
            now,
            intent.expire_ns if intent.tif is TimeInForce.GTD else 0,
        )
        try:
            done = self.exchange.submit(order, now)
        except VenueRefusal as exc:
            raise VenueRefused(
                exc.code, f"the paper venue refused: {exc}", 409 if "exists" in exc.code else 400,
                venue_ns=now,
            ) from exc  # fmt: skip
        self._save()
        return self.order(done)

    async def cancel(self, venue_order_id: str, instrument_id: str) -> None:
        """Cancel after the latency."""
        await self._arrivals.at(self.clock(), lambda now: self._cancel(venue_order_id, now))

    async def cancel_many(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[str, VenueRefused | VenueUncertain]:
        """Cancel several after one latency."""

        def arrive(now: int) -> dict[str, VenueRefused | VenueUncertain]:
            left: dict[str, VenueRefused | VenueUncertain] = {}
            for venue_order_id, _ in orders:
                try:
                    self._cancel(venue_order_id, now)
                except VenueRefused as exc:
                    left[venue_order_id] = exc
            return left

        left: dict[str, VenueRefused | VenueUncertain] = await self._arrivals.at(
            self.clock(), arrive
        )
        return left

    def _cancel(self, venue_order_id: str, now: int) -> None:
        try:
            self.exchange.cancel(venue_order_id, now)
        except VenueRefusal as exc:
            raise VenueRefused(
                exc.code, f"the paper venue refused: {exc}", 404 if exc.code == "not_found" else 400
            ) from exc
        self._save()

    async def modify(self, order: VenueOrder, quantity: Decimal, price: Decimal) -> VenueOrder:
        """Amend after the latency."""
        _, outcome = self._where(order.instrument_id)
        yes_price = price if outcome == "YES" else ONE - price

        def arrive(now: int) -> VenueOrder:
            units = int(yes_price * PRICE_UNIT), int(quantity * QUANTITY_UNIT)
            done = self.exchange.amend(order.venue_order_id, *units, now)
            self._save()
            return self.order(done)

        try:
            answer: VenueOrder = await self._arrivals.at(self.clock(), arrive)
        except VenueRefusal as exc:
            raise VenueRefused(exc.code, f"the paper venue refused: {exc}", 400) from exc
        return answer

    async def find(
        self, client_order_id: str, instrument_id: str, since_ns: int
    ) -> VenueOrder | None:
        """Return the order with this client id: the paper venue always knows."""
        order_id = self.exchange.by_client_id.get(client_order_id)
        if order_id:
            return self.order(self.exchange.orders[order_id])
        old = self.store.order_of(client_order_id) if self._since_ns else None
        return None if old is None else self.order(old)

    async def orders(self, *, working_only: bool, since_ns: int) -> list[VenueOrder]:
        """Return orders in the markets that are followed."""
        here = self.exchange.orders
        found = [
            o
            for o in here.values()
            if o.status == "resting" or (not working_only and o.updated_ns >= since_ns)
        ]
        if not working_only and since_ns < self._since_ns:
            found += [
                o
                for o in self.store.orders()
                if o.updated_ns >= since_ns and o.order_id not in here
            ]
        return [self.order(o) for o in found if o.market in self.markets]

    async def fills(self, since_ns: int, venue_order_id: str = "") -> list[VenueFill]:
        """Return executions in the markets that are followed; one that is not has nothing that is held or open."""
        found: Iterable[Execution] = self.exchange.executions
        if since_ns < self._since_ns:
            self._save()  # the file has all of them then
            found = [e for _, e in self.store.executions(venue_order_id)]
        return [
            self.fill(e)
            for e in found
            if e.ts_ns >= since_ns
            and e.market in self.markets
            and (not venue_order_id or e.order_id == venue_order_id)
        ]

    async def positions(self) -> list[VenuePosition]:
        """Return what is held."""
        out = []
        for (market_id, name), quantity in self.exchange.account.positions().items():
            market = self.markets.get(market_id)
            if market is None:
                raise VenueUncertain(
                    "the paper account holds a market that is not loaded",
                    market_id,
                    "start the node with --market of it",
                )
            outcome = market.outcomes[0 if name == "YES" else 1]
            out.append(
                VenuePosition(
                    outcome.instrument_id,
                    Decimal(quantity) / QUANTITY_UNIT,
                    self._average(market_id, name),
                )
            )
        return out

    def _average(self, market_id: str, name: str) -> Decimal | None:
        """Return the average price of the buys of an outcome."""
        cost, shares = self._bought.get((market_id, name), (0, 0))
        return (Decimal(cost) / shares / PRICE_UNIT).quantize(Decimal("0.0001")) if shares else None

    def _count(self, e: Execution) -> None:
        """Add a buy to the average price of its outcome."""
        if (e.side == "bid") == (e.outcome == "YES"):
            own = e.price if e.outcome == "YES" else PRICE_UNIT - e.price
            cost, shares = self._bought.get((e.market, e.outcome), (0, 0))
            self._bought[e.market, e.outcome] = (cost + own * e.quantity, shares + e.quantity)

    async def cash(self) -> VenueCash:
        """Return the balance."""
        return self._cash()

    def _cash(self) -> VenueCash:
        micro = Decimal(1_000_000)
        return VenueCash(self.exchange.account.cash / micro, self.exchange.reserved() / micro)

    async def cancel_everything(self) -> list[str]:
        """Cancel all working orders now: after all news that was received before, and before any later."""

        def arrive(now: int) -> list[str]:
            for order in self.exchange.working():
                self.exchange.cancel(order.order_id, now, "operator")
            self._save()
            return []

        left: list[str] = await self._arrivals.at(self.clock() - self._arrivals.latency_ns, arrive)
        return left

    async def engage_kill_switch(self) -> list[str]:
        """Cancel all working orders and refuse new ones, also those already on their way."""
        self._killed = True
        return await self.cancel_everything()

    async def release_kill_switch(self) -> None:
        """Take orders again."""
        self._killed = False

    # -- truth to news ----------------------------------------------------------------------
    def _where(self, instrument_id: str) -> tuple[str, str]:
        found = self._of.get(instrument_id)
        if found is None:
            raise VenueRefused(
                "not_found",
                "the paper venue does not know this market",
                404,
                "start the node with --market of it",
            )
        return found

    def _heard(self, kind: str, value: object) -> None:
        if isinstance(value, FakeOrder):
            self._changed.add(value.order_id)
            if self._news is not None:
                self._news.on_order(self.order(value))
        elif isinstance(value, Execution):
            self._changed.add(value.order_id)
            self._count(value)
            if self._news is not None:
                self._news.on_fill(self.fill(value))

    def _save(self) -> None:
        """Write what changed; nothing is written when nothing did."""
        if self._changed or self._written != self._first + len(self.exchange.executions):
            changed, self._changed = self._changed, set()
            self._written = self.store.save(self.exchange, changed, self._written, self._first)

    def order(self, o: FakeOrder) -> VenueOrder:
        """Return an order in the contract's words."""
        market = self.markets[o.market]
        yes = o.outcome == "YES"
        price = Decimal(o.price) / PRICE_UNIT
        status = STATUSES[o.status]
        if o.reason == "ExpiryCancel":
            status = VenueOrderStatus.EXPIRED
        return VenueOrder(
            o.order_id,
            o.client_order_id,
            market.outcomes[0 if yes else 1].instrument_id,
            Side.BUY if (o.side == "bid") == yes else Side.SELL,
            Decimal(o.quantity) / QUANTITY_UNIT,
            Decimal(o.filled) / QUANTITY_UNIT,
            price if yes else ONE - price,
            status,
            o.created_ns,
            o.updated_ns,
            reason=o.reason,
            post_only=o.post_only,
            expire_ns=o.expire_ns,
        )

    def fill(self, e: Execution) -> VenueFill:
        """Return an execution in the contract's words."""
        market = self.markets[e.market]
        yes = e.outcome == "YES"
        price = Decimal(e.price) / PRICE_UNIT
        return VenueFill(
            e.trade_id,
            e.order_id,
            e.client_order_id,
            market.outcomes[0 if yes else 1].instrument_id,
            Side.BUY if (e.side == "bid") == yes else Side.SELL,
            Decimal(e.quantity) / QUANTITY_UNIT,
            price if yes else ONE - price,
            Decimal(e.fee) / 1_000_000,
            Role.MAKER if e.maker else Role.TAKER,
            e.ts_ns,
        )
