"""The truth of a venue of our own: orders, executions, cash, positions, settlement. Pure; time is an argument.

Paper trading and both fake venues stand on this. Everything it accepts, fills and pays is appended to
`journal`, which is what tests compare against the node's cache and ledger; a paper account keeps none.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.fees import FeeBook, FeeFill, FeeSchedule, Role, Side
from core.engine.paper.account import Account
from core.engine.paper.book import (
    PRICE_UNIT,
    QUANTITY_UNIT,
    BookSide,
    FakeBook,
    Levels,
    Match,
)

MICRO = 1_000_000


class VenueRefusal(Exception):
    """The venue says no; `code` is what it puts on the wire."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class FakeMarket:
    """One market: its book, its grid and its state.

    Attributes
    ----------
    status : str
        ``active``, ``paused``, ``closed`` or ``resolved``.
    tick : int
        Price step in ten-thousandths (uniform; changes by `Exchange.change_tick`).
    """

    market_id: str
    fees: FeeSchedule
    close_ns: int
    tick: int = 100
    min_quantity: int = 1
    status: str = "active"
    yes_payout: int | None = None
    book: FakeBook = field(default_factory=FakeBook)


@dataclass(slots=True)
class FakeOrder:
    """One order as the venue keeps it.

    `price` is the YES price, `outcome` the token it was placed on, `initial` the quantity before any change.
    """

    order_id: str
    client_order_id: str
    market: str
    side: BookSide
    outcome: str
    price: int
    quantity: int
    tif: str
    post_only: bool
    created_ns: int
    expire_ns: int = 0
    filled: int = 0
    cost: int = 0
    fees: int = 0
    maker_fees: int = 0
    status: str = "resting"
    reason: str = ""
    updated_ns: int = 0
    initial: int = 0

    @property
    def left(self) -> int:
        """Quantity not filled."""
        return self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill as the venue knows it; prices in YES terms, money in micro-dollars."""

    trade_id: str
    order_id: str
    client_order_id: str
    market: str
    side: BookSide
    outcome: str
    price: int
    quantity: int
    fee: int
    maker: bool
    ts_ns: int


Listener = Callable[[str, object], None]


class Exchange:
    """Orders in, executions out.

    Parameters
    ----------
    account : Account
        Netted (Kalshi) or token (Polymarket).
    fee_book : FeeBook
        The venue's real fee rules.
    prefix : str
        Prefix of order and trade ids, so that two venues never share one.
    """

    def __init__(self, account: Account, fee_book: FeeBook, prefix: str) -> None:
        self.account = account
        self.fee_book = fee_book
        self.prefix = prefix
        self.markets: dict[str, FakeMarket] = {}
        self.orders: dict[str, FakeOrder] = {}
        self.by_client_id: dict[str, str] = {}
        self.executions: list[Execution] = []
        self.journal: MutableSequence[tuple[int, str, dict[str, object]]] = []
        #: Whether an id was used by an order that is no longer here.
        self.used_before: Callable[[str], bool] = lambda client_order_id: False
        self.listeners: list[Listener] = []
        self.counter = 0

    # -- orders -----------------------------------------------------------------------------
    def submit(self, order: FakeOrder, now_ns: int) -> FakeOrder:
        """Accept and match an order, or raise `VenueRefusal`; ids are assigned here when empty."""
        market = self._require(order, now_ns)
        if not order.order_id:
            order.order_id = self._next_id("o")
        book = market.book
        takeable = book.takeable(order.side, order.price)
        if order.post_only and takeable > 0:
            raise VenueRefusal("post_only_cross", "post only order crosses the book")
        if order.tif == "FOK" and takeable < order.quantity:
            raise VenueRefusal("fok_unfilled", "order couldn't be fully filled")
        order.updated_ns, order.initial = now_ns, order.quantity
        self.orders[order.order_id] = order
        self.by_client_id[order.client_order_id] = order.order_id
        self._log(
            now_ns, "accepted", order_id=order.order_id, client_order_id=order.client_order_id
        )
        own_cross = book.would_cross_own(order.side, order.price)
        if not own_cross:
            for match in book.take(order.order_id, order.side, order.price, order.quantity):
                self._execute(match, now_ns)
        if order.left == 0:
            order.status = "executed"
        elif own_cross:
            self._close(order, "SelfTradeCancel", now_ns)
        elif order.tif in ("IOC", "FOK"):
            self._close(order, "", now_ns)
        else:
            book.rest(order.order_id, order.side, order.price, order.left)
        self._tell("order", order)
        return order

    def _require(self, order: FakeOrder, now_ns: int) -> FakeMarket:
        market = self.markets.get(order.market)
        if market is None:
            raise VenueRefusal("not_found", "market not found")
        if market.status != "active" or now_ns >= market.close_ns:
            raise VenueRefusal("market_inactive", "market is not open")
        cid = order.client_order_id
        if cid and (cid in self.by_client_id or self.used_before(cid)):
            raise VenueRefusal("order_already_exists", "client_order_id already used")
        if not 0 < order.price < PRICE_UNIT or order.price % market.tick:
            raise VenueRefusal("invalid_price", "price is not on the grid")
        if order.quantity < market.min_quantity:
            raise VenueRefusal("invalid_order", "size below the minimum")
        selling = sum(
            o.left
            for o in self.working()
            if o.market == order.market and o.side == order.side and o.outcome == order.outcome
        )
        if not self.account.covers(
            order.market, order.side, order.quantity, order.outcome, selling
        ):
            raise VenueRefusal("insufficient_balance", "not enough balance / allowance")
        if self._reserved([*self.working(), order]) > self.account.cash:
            raise VenueRefusal("insufficient_balance", "not enough balance / allowance")
        return market

    def _cost(self, order: FakeOrder, promised: int) -> int:
        """Return collateral of what is left of `order`."""
        return self.account.need(
            order.market, order.side, order.price, order.left, order.outcome, promised
        )

    def _worst_fee(self, order: FakeOrder) -> int:
        """Return the largest fee that what is left of `order` can cost."""
        schedule = self.markets[order.market].fees
        own = order.price if order.outcome == "YES" else PRICE_UNIT - order.price
        worst = self.fee_book.worst_case(
            schedule,
            Decimal(own) / PRICE_UNIT,
            Decimal(order.left) / QUANTITY_UNIT,
            order.created_ns,
        )
        return int(worst * MICRO)

    def _collateral(self, orders: list[FakeOrder]) -> int:
        """Return micro-dollars that `orders` lock; each share of the position covers one of them."""
        promised: dict[tuple[str, BookSide], int] = {}
        total = 0
        for order in orders:
            key = (order.market, order.side)
            total += self._cost(order, promised.get(key, 0))
            promised[key] = promised.get(key, 0) + order.left
        return total

    def _reserved(self, orders: list[FakeOrder]) -> int:
        """Return micro-dollars promised to `orders`, worst fees included."""
        return self._collateral(orders) + sum(self._worst_fee(o) for o in orders)

    def collateral(self) -> int:
        """Return micro-dollars locked by working orders, fees left out: a fee is taken when it falls due."""
        return self._collateral(self.working())

    def reserved(self) -> int:
        """Return micro-dollars promised to working orders."""
        return self._reserved(self.working())

    def working(self) -> list[FakeOrder]:
        """Return orders that can still fill."""
        return [o for o in self.orders.values() if o.status == "resting"]

    def cancel(self, order_id: str, now_ns: int, reason: str = "") -> FakeOrder:
        """Cancel a working order; raises when it is not there or already done."""
        order = self.orders.get(order_id)
        if order is None or order.status != "resting":
            raise VenueRefusal("not_found", "order not found")
        market = self.markets[order.market]
        if not reason and (market.status != "active" or now_ns >= market.close_ns):
            raise VenueRefusal("market_inactive", "market is not open")
        market.book.remove(order_id)
        self._close(order, reason, now_ns)
        self._tell("order", order)
        return order

    def amend(
        self, order_id: str, price: int, quantity: int, now_ns: int, *, on_grid: bool = True
    ) -> FakeOrder:
        """Change price or total quantity; only a pure decrease keeps the place in the queue.

        `on_grid` False is a decrease by itself: it names no price, so a changed grid does not matter.
        """
        order = self.orders.get(order_id)
        if order is None or order.status != "resting":
            raise VenueRefusal("not_found", "order not found")
        market = self.markets[order.market]
        if quantity <= order.filled:
            raise VenueRefusal("invalid_order", "count is below what is filled")
        if on_grid and (not 0 < price < PRICE_UNIT or price % market.tick):
            raise VenueRefusal("invalid_price", "price is not on the grid")
        if price == order.price and quantity <= order.quantity:
            market.book.resting[order_id].left -= order.quantity - quantity
            order.quantity = quantity
        else:
            market.book.remove(order_id)
            order.price, order.quantity = price, quantity
            for match in market.book.take(order_id, order.side, price, order.left):
                self._execute(match, now_ns)
            if order.left > 0:
                market.book.rest(order_id, order.side, price, order.left)
            else:
                order.status = "executed"
        order.updated_ns = now_ns
        self._tell("order", order)
        return order

    # -- replay and life --------------------------------------------------------------------
    def level(self, market_id: str, side: BookSide, price: int, quantity: int, now_ns: int) -> None:
        """Set a replayed level and book what it fills."""
        for match in self.markets[market_id].book.set_level(side, price, quantity):
            self._execute(match, now_ns)

    def snapshot(self, market_id: str, levels: Levels, now_ns: int) -> None:
        """Replace the replayed book by `levels` and book what they fill."""
        for match in self.markets[market_id].book.snapshot(levels):
            self._execute(match, now_ns)

    def trade(
        self, market_id: str, price: int, quantity: int, aggressor: BookSide, now_ns: int
    ) -> None:
        """Let a replayed trade pass and book what it fills."""
        for match in self.markets[market_id].book.trade(price, quantity, aggressor):
            self._execute(match, now_ns)

    def expire(self, now_ns: int) -> None:
        """Expire GTD orders and close markets whose time has come."""
        for order in self.working():
            if order.expire_ns and now_ns >= order.expire_ns:
                self.cancel(order.order_id, now_ns, "ExpiryCancel")
        for market in self.markets.values():
            if market.status == "active" and now_ns >= market.close_ns:
                self.close(market.market_id, now_ns)

    def close(self, market_id: str, now_ns: int, status: str = "closed") -> None:
        """Stop trading in a market; resting orders are cancelled."""
        market = self.markets[market_id]
        market.status = status
        for order in self.working():
            if order.market == market_id:
                self.cancel(order.order_id, now_ns, "CloseCancel")
        self._tell("market", market)

    def settle(self, market_id: str, yes_payout: int, now_ns: int) -> int:
        """Resolve a market and pay; a second settlement changes nothing."""
        market = self.markets[market_id]
        if market.yes_payout is not None:
            return 0
        self.close(market_id, now_ns, "resolved")
        market.yes_payout = yes_payout
        paid = self.account.settle(market_id, yes_payout)
        self._log(now_ns, "settled", market=market_id, yes_payout=yes_payout, paid=paid)
        self._tell("settled", market)
        return paid

    def forget(self, before_ns: int) -> int:
        """Drop orders that have not worked since `before_ns`, and executions until then; return how many of these.

        Whoever calls this keeps them elsewhere.
        """
        for order in [o for o in self.orders.values() if o.updated_ns < before_ns]:
            if order.status != "resting":
                del self.orders[order.order_id]
                self.by_client_id.pop(order.client_order_id, None)
        old = 0
        while old < len(self.executions) and self.executions[old].ts_ns < before_ns:
            old += 1
        del self.executions[:old]
        return old

    # -- inside -----------------------------------------------------------------------------
    def _execute(self, match: Match, now_ns: int) -> None:
        order = self.orders[match.order_id]
        market = self.markets[order.market]
        own = match.price if order.outcome == "YES" else PRICE_UNIT - match.price
        buys = (order.side == "bid") == (order.outcome == "YES")
        charge = self.fee_book.charge(
            market.fees,
            FeeFill(
                order.order_id,
                Side.BUY if buys else Side.SELL,
                Role.MAKER if match.maker else Role.TAKER,
                Decimal(own) / PRICE_UNIT,
                Decimal(match.quantity) / QUANTITY_UNIT,
                now_ns,
            ),
        )
        fee = int(charge.fee * MICRO)
        self.account.apply(order.market, order.side, match.price, match.quantity, order.outcome)
        self.account.cash -= fee
        order.filled += match.quantity
        order.cost += match.price * match.quantity
        order.fees += fee
        order.maker_fees += fee if match.maker else 0
        order.updated_ns = now_ns
        if order.left == 0:
            order.status = "executed"
        execution = Execution(
            self._next_id("t"),
            order.order_id,
            order.client_order_id,
            order.market,
            order.side,
            order.outcome,
            match.price,
            match.quantity,
            fee,
            match.maker,
            now_ns,
        )
        self.executions.append(execution)
        self._log(now_ns, "executed", trade_id=execution.trade_id, order_id=order.order_id, fee=fee)
        self._tell("execution", execution)
        if match.maker:
            self._tell("order", order)

    def _close(self, order: FakeOrder, reason: str, now_ns: int) -> None:
        order.status, order.reason, order.updated_ns = "canceled", reason, now_ns
        self._log(now_ns, "canceled", order_id=order.order_id, reason=reason)

    def _next_id(self, kind: str) -> str:
        self.counter += 1
        return f"{self.prefix}-{kind}-{self.counter:08d}"

    def _log(self, now_ns: int, kind: str, **detail: object) -> None:
        self.journal.append((now_ns, kind, detail))

    def _tell(self, kind: str, value: object) -> None:
        for listener in self.listeners:
            listener(kind, value)
