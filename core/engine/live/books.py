"""Levels in Decimal to the engine's book messages, for one outcome or for its mirror image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    QuoteTick,
    RecordFlag,
)

from core.domain.money import ONE
from core.engine.units import price_of, quantity_of

F_LAST = RecordFlag.F_LAST.value
F_SNAPSHOT = RecordFlag.F_SNAPSHOT.value
#: Sequence number of the message that frees the engine's book of a market that is paid out; no venue counts so far.
RELEASED = (1 << 64) - 2
Levels = Iterable[tuple[Decimal, Decimal]]


def is_release(deltas: OrderBookDeltas) -> bool:
    """Return whether this only frees memory: the venue has said nothing, and nobody is to hear of it."""
    return bool(deltas.sequence == RELEASED)


def mirrored(levels: Levels) -> list[tuple[Decimal, Decimal]]:
    """Return levels of one outcome as levels of the other: price p becomes 1 - p."""
    return [(ONE - price, size) for price, size in levels]


class Stamps:
    """Receive times that never repeat: each piece of news has a moment of its own.

    Replayed by time alone, the news then comes in the order in which it was handled.
    """

    __slots__ = ("_clock", "last_ns")

    def __init__(self, clock: Any) -> None:
        self._clock, self.last_ns = clock, 0

    def next(self) -> int:
        """Return the time of news that has just been received."""
        self.last_ns = max(self.last_ns + 1, self._clock.timestamp_ns())
        return self.last_ns

    def beside(self) -> int:
        """Return the time of the same news for the other outcome: the next nanosecond."""
        self.last_ns += 1
        return self.last_ns


class BookWriter:
    """Engine book messages of one instrument.

    Parameters
    ----------
    instrument : engine instrument
    """

    def __init__(self, instrument: Any) -> None:
        self.id: InstrumentId = instrument.id
        self.price_precision: int = instrument.price_precision
        self.size_precision: int = instrument.size_precision

    def snapshot(
        self, bids: Levels, asks: Levels, seq: int, ts_event: int, ts_init: int
    ) -> OrderBookDeltas:
        """Return CLEAR and every level, the last one flagged."""
        rows = [(OrderSide.BUY, p, s) for p, s in bids] + [(OrderSide.SELL, p, s) for p, s in asks]
        deltas = [OrderBookDelta.clear(self.id, seq, ts_event, ts_init)]
        for index, (side, price, size) in enumerate(rows):
            flags = F_SNAPSHOT | (F_LAST if index == len(rows) - 1 else 0)
            deltas.append(
                self._delta(BookAction.ADD, side, price, size, flags, seq, ts_event, ts_init)
            )
        return OrderBookDeltas(self.id, deltas)

    def level(
        self, bid: bool, price: Decimal, size: Decimal, seq: int, ts_event: int, ts_init: int
    ) -> OrderBookDeltas:
        """Return one changed level; size 0 deletes it."""
        action = BookAction.UPDATE if size > 0 else BookAction.DELETE
        side = OrderSide.BUY if bid else OrderSide.SELL
        delta = self._delta(action, side, price, size, F_LAST, seq, ts_event, ts_init)
        return OrderBookDeltas(self.id, [delta])

    def levels(
        self,
        changes: Sequence[tuple[bool, Decimal, Decimal]],
        seq: int,
        ts_event: int,
        ts_init: int,
    ) -> OrderBookDeltas:
        """Return levels that changed together (is bid, price, size): nobody sees the book between them."""
        deltas, last = [], len(changes) - 1
        for index, (bid, price, size) in enumerate(changes):
            action = BookAction.UPDATE if size > 0 else BookAction.DELETE
            side = OrderSide.BUY if bid else OrderSide.SELL
            flags = F_LAST if index == last else 0
            deltas.append(self._delta(action, side, price, size, flags, seq, ts_event, ts_init))
        return OrderBookDeltas(self.id, deltas)

    def clear(self, seq: int, ts_event: int, ts_init: int) -> OrderBookDeltas:
        """Return an empty book: nobody may trade on what was there."""
        return OrderBookDeltas(self.id, [OrderBookDelta.clear(self.id, seq, ts_event, ts_init)])

    def release(self, now: int) -> OrderBookDeltas:
        """Return what makes the engine drop the levels of a market that is paid out."""
        return self.clear(RELEASED, now, now)

    def _delta(
        self,
        action: BookAction,
        side: OrderSide,
        price: Decimal,
        size: Decimal,
        flags: int,
        seq: int,
        ts_event: int,
        ts_init: int,
    ) -> OrderBookDelta:
        order = BookOrder(
            side, price_of(price, self.price_precision), quantity_of(size, self.size_precision), 0
        )
        return OrderBookDelta(self.id, action, order, flags, seq, ts_event, ts_init)

    def quote(
        self,
        bid: tuple[Decimal, Decimal],
        ask: tuple[Decimal, Decimal],
        ts_event: int,
        ts_init: int,
    ) -> QuoteTick:
        """Return the top of book."""
        return QuoteTick(
            self.id,
            price_of(bid[0], self.price_precision),
            price_of(ask[0], self.price_precision),
            quantity_of(bid[1], self.size_precision),
            quantity_of(ask[1], self.size_precision),
            ts_event,
            ts_init,
        )
