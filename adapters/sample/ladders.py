"""Order books of one outcome as ladders of cents around a bid and an ask, and the trades that hit them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from adapters.history.levels import book_from_sizes, mirrored
from adapters.sample.draws import Draws
from core.engine.catalog import Aggressor, DeltaColumns, TradeColumns

#: Ticks of 0.0001 in a cent, size ticks of 0.01 in a share.
CENT, SHARE = 100, 100


@dataclass(slots=True)
class Ladder:
    """The book of one outcome while it is generated.

    Parameters
    ----------
    draws : Draws
        Source of sizes.
    levels : int
        Levels shown on each side.
    depth : tuple of int
        Smallest and largest size of a level, shares.
    """

    draws: Draws
    levels: int = 4
    depth: tuple[int, int] = (40, 400)
    _shown: dict[tuple[int, int], int] = field(default_factory=dict)
    _rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    _trades: list[tuple[int, int, int, int]] = field(default_factory=list)

    def quote(self, ts_ns: int, bid: int, ask: int, sizes: tuple[int, int] | None = None) -> None:
        """Show the book around `bid` and `ask` (cents); `sizes` fixes the two best levels.

        A level that stays keeps its size, a new one gets a random size.
        """
        wanted: dict[tuple[int, int], int] = {}
        for depth in range(self.levels):
            for side, price in ((0, bid - depth), (1, ask + depth)):
                if 1 <= price <= 99:
                    kept = self._shown.get((side, price))
                    wanted[side, price] = kept or self.draws.one(*self.depth) * SHARE
        if sizes is not None:
            wanted[0, bid], wanted[1, ask] = sizes[0] * SHARE, sizes[1] * SHARE
        elif self.draws.chance(500):
            touched = (0, bid) if self.draws.chance(500) else (1, ask)
            if touched in wanted:
                wanted[touched] = self.draws.one(*self.depth) * SHARE
        for key in self._shown.keys() - wanted.keys():
            self._rows.append((ts_ns, key[0], key[1] * CENT, 0))
        for key, size in wanted.items():
            if self._shown.get(key) != size:
                self._rows.append((ts_ns, key[0], key[1] * CENT, size))
        self._shown = wanted

    def trade(self, ts_ns: int, buys: bool, shares: int, keep: int = 0) -> None:
        """Let a taker hit the best level, of which at least `keep` shares stay; it shrinks at the same time."""
        side = 1 if buys else 0
        prices = [p for s, p in self._shown if s == side]
        if not prices:
            return
        price = min(prices) if buys else max(prices)
        size = min(shares * SHARE, self._shown[side, price] - keep * SHARE)
        if size <= 0:
            return
        left = self._shown.pop((side, price)) - size
        if left > 0:
            self._shown[side, price] = left
        self._trades.append((ts_ns, price * CENT, size, int(buys)))
        self._rows.append((ts_ns, side, price * CENT, left))

    def deltas(self, close_ns: int) -> DeltaColumns:
        """Return the book; it is cleared at `close_ns`."""
        rows = sorted(self._rows, key=lambda r: r[0])
        ts, side, price, size = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True))
        opens = np.zeros(len(ts), dtype=bool)
        opens[0] = True
        return book_from_sizes(ts, side, price, size, opens, close_ns=close_ns)

    def trades(self, prefix: str) -> TradeColumns | None:
        """Return the trades on this outcome's book, or None."""
        if not self._trades:
            return None
        rows = sorted(self._trades, key=lambda r: r[0])
        ts, price, size, buys = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True))
        taker = np.where(buys == 1, np.uint8(Aggressor.BUY), np.uint8(Aggressor.SELL))
        ids = [f"{prefix}{i}" for i in range(len(ts))]
        return TradeColumns(ts_event=ts, price=price, size=size, aggressor=taker, trade_id=ids)


def other_side(deltas: DeltaColumns) -> DeltaColumns:
    """Return the book of the opposite outcome."""
    return mirrored(deltas)


def other_trades(trades: TradeColumns) -> TradeColumns:
    """Return the trades as the opposite outcome sees them: buying YES at p is selling NO at 1 - p."""
    swap = np.array([Aggressor.NONE, Aggressor.SELL, Aggressor.BUY], dtype=np.uint8)
    return TradeColumns(
        ts_event=trades.ts_event,
        price=10_000 - trades.price,
        size=trades.size,
        aggressor=swap[trades.aggressor],
        trade_id=trades.trade_id,
    )


def cents(probability: float, spread: int, lean: int = 0) -> tuple[int, int]:
    """Return bid and ask in cents around a probability, at least `spread` apart, inside 1..99.

    Parameters
    ----------
    lean : int
        Shift of both in cents: the market maker's error.
    """
    middle = int(probability * 200.0 + 0.5) + 2 * lean  # half cents
    bid = (middle - spread) // 2
    bid = min(max(bid, 1), 99 - spread)
    return bid, bid + spread
