"""The benchmark's strategy logic twice: on our base class, and on the engine's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.model import TimeInForce as EngineTif
from nautilus_trader.trading import Strategy

from core.domain.decision import TimeInForce
from core.engine.results import FillRow
from core.engine.strategy import BetaStrategy
from tests.benchmarks.backtest_workload import EVERY, IID

SIZE = Decimal(5)
#: Books from one order to the next where the cost of one that follows closely is measured.
CLOSE = 2


class Ours(BetaStrategy):
    """The logic on our base class."""

    every: ClassVar[int] = EVERY

    def on_start(self) -> None:
        """Watch the book and the trades."""
        self.n = 0
        self.turn = 0
        self.fills = 0
        self.resting: str | None = None
        self.watch_book(IID)
        self.watch_trades(IID)

    def on_book(self, iid: str) -> None:  # type: ignore[override]
        """Look at the top; now and then send an order."""
        bid, ask = self.top(iid)
        if bid is None or ask is None or ask.price - bid.price > 1:
            return
        self.n += 1
        if self.n % self.every:
            return
        self.turn = (self.turn + 1) % 3
        if self.turn == 1:
            self.buy(iid, SIZE, ask.price, reason="take")
        elif self.turn == 2:
            if self.resting is not None:
                self.cancel(self.resting)
            self.resting = self.buy(
                iid, SIZE, bid.price, tif=TimeInForce.GTC, post_only=True, reason="rest"
            )
        else:
            held = self.position(iid)
            if held >= 2 * SIZE:  # never flat: a streak of losing trades would start a cool-down
                self.sell(iid, SIZE, bid.price, reason="out")

    def on_fill(self, fill: FillRow) -> None:
        """Count."""
        self.fills += 1


class Bare(Strategy):
    """The same logic on the engine's own class."""

    every: ClassVar[int] = EVERY

    def on_start(self) -> None:
        """Watch the book and the trades."""
        self.n = 0
        self.turn = 0
        self.fills = 0
        self.resting: Any = None
        self.iid = InstrumentId.from_str(IID)
        self.subscribe_book_deltas(self.iid, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.iid)

    def on_book_deltas(self, deltas: Any) -> None:
        """Look at the top; now and then send an order."""
        top = self.cache.top_of_book(self.iid)
        if top is None:
            return
        bid, _, ask, _ = top
        if bid is None or ask is None or ask.as_decimal() - bid.as_decimal() > 1:
            return
        self.n += 1
        if self.n % self.every:
            return
        self.turn = (self.turn + 1) % 3
        if self.turn == 1:
            self._send(OrderSide.BUY, SIZE, ask, EngineTif.IOC)
        elif self.turn == 2:
            if self.resting is not None and self.cache.is_order_open(self.resting):
                self.cancel_order(self.resting)
            self.resting = self._send(OrderSide.BUY, SIZE, bid, EngineTif.GTC, post_only=True)
        else:
            held = self.portfolio.net_position(self.iid)
            if held >= 2 * SIZE:
                self._send(OrderSide.SELL, SIZE, bid, EngineTif.IOC)

    def _send(
        self, side: OrderSide, size: Decimal, price: Price, tif: EngineTif, post_only: bool = False
    ) -> Any:
        order = self.order_factory.limit(
            self.iid, side, Quantity.from_decimal_dp(size, 2), price, tif, post_only=post_only
        )
        self.submit_order(order)
        return order.client_order_id

    def on_trade(self, trade: Any) -> None:
        """See trades as ours does."""

    def on_order_filled(self, event: Any) -> None:
        """Count."""
        self.fills += 1


class OursClose(Ours):
    """Orders that follow one another closely."""

    every = CLOSE


class BareClose(Bare):
    """The same on the engine's own class."""

    every = CLOSE


class LooksAtTop(BetaStrategy):
    """The logic up to the decision, without orders."""

    def on_start(self) -> None:
        """Watch the book and the trades."""
        self.n = 0
        self.watch_book(IID)
        self.watch_trades(IID)

    def on_book(self, iid: str) -> None:  # type: ignore[override]
        """Look at the top."""
        bid, ask = self.top(iid)
        if bid is None or ask is None or ask.price - bid.price > 1:
            return
        self.n += 1


class BareLooks(Bare):
    """The same on the engine's own class."""

    def on_book_deltas(self, deltas: Any) -> None:
        """Look at the top."""
        top = self.cache.top_of_book(self.iid)
        if top is None:
            return
        bid, _, ask, _ = top
        if bid is None or ask is None or ask.as_decimal() - bid.as_decimal() > 1:
            return
        self.n += 1


class Looks(BetaStrategy):
    """Streaming benchmark: a callback for every event, no orders."""

    def on_start(self) -> None:
        """Watch everything."""
        self.n = 0
        for iid in self.universe:
            if iid.startswith("QUOTED"):
                self.watch_quotes(iid)
            else:
                self.watch_book(iid)

    def on_book(self, iid: str) -> None:  # type: ignore[override]
        """Count."""
        self.n += 1

    def on_quote(self, quote: Any) -> None:
        """Count."""
        self.n += 1
