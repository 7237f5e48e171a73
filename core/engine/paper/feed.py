"""The live market as the paper venue sees it: an actor that hands books, trades and results to its port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_trader.common import DataActor
from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookType,
    InstrumentId,
    OrderSide,
)

from core.domain.money import ZERO
from core.engine.live.backlog import Backlog
from core.engine.live.books import is_release
from core.engine.paper.port import PaperPort
from core.engine.units import exact


class PaperFeed(DataActor):
    """Follows the first outcome of each market for one `PaperPort`.

    Set `port` and `instruments` before it starts, and `backlog` where readers wait for it.
    """

    port: PaperPort
    instruments: tuple[str, ...] = ()
    backlog: Backlog | None = None

    def on_start(self) -> None:
        """Subscribe to everything that moves the paper book; the port's orders wait for news from before them."""
        if self.backlog is not None:
            self.port.wait_for_news(self.backlog.behind)
        for iid in self.instruments:
            instrument = InstrumentId.from_str(iid)
            self.subscribe_book_deltas(instrument, BookType.L2_MBP, managed=True)
            self.subscribe_trades(instrument)
            self.subscribe_instrument_close(instrument)

    def on_book_deltas(self, deltas: Any) -> None:
        """Hand a batch of book changes over."""
        if is_release(deltas):
            self.port.forget_book(deltas.instrument_id.value)
            return
        if self.backlog is not None:
            self.backlog.saw(deltas.ts_init)
        changes = changes_of(deltas.deltas)
        self.port.on_levels(deltas.instrument_id.value, *changes, ts_ns=deltas.ts_init)

    def on_trade(self, trade: Any) -> None:
        """Hand a trade over."""
        if self.backlog is not None:
            self.backlog.saw(trade.ts_init)
        if trade.aggressor_side != AggressorSide.NO_AGGRESSOR:
            self.port.on_trade(
                trade.instrument_id.value,
                trade.price.as_decimal(),
                trade.size.as_decimal(),
                trade.aggressor_side == AggressorSide.BUY,
                ts_ns=trade.ts_init,
            )

    def on_instrument_close(self, close: Any) -> None:
        """Hand a result over."""
        self.port.on_settlement(close.instrument_id.value, close.close_price.as_decimal())


def changes_of(deltas: Iterable[Any]) -> tuple[bool, list[Any]]:
    """Return whether the book was cleared, and (is bid, price, new size) of what follows the last clear."""
    clear = False
    changes: list[Any] = []
    for delta in deltas:
        if delta.action == BookAction.CLEAR:
            clear, changes = True, []
            continue
        order = delta.order
        size = ZERO if delta.action == BookAction.DELETE else exact(order.size)
        changes.append((order.side == OrderSide.BUY, exact(order.price), size))
    return clear, changes
