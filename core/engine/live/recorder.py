"""Keeps the market data a node saw, as it saw it: book changes, trades, trading states, results.

Bounded memory: rows wait in machine integers until `FLUSH_ROWS` or `FLUSH_S`, then a thread writes them as one
part. While `MAX_WAITING` parts wait for the disk, rows stay in the buffer; only when that is full too are they
dropped and counted, never the node stopped: recording is not worth a late order.
"""

from __future__ import annotations

import json
from array import array
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from nautilus_trader.common import DataActor
from nautilus_trader.model import AggressorSide, BookAction, BookType, InstrumentId, OrderSide

from core.domain.market import Market
from core.engine.catalog import F_LAST
from core.engine.catalog.instruments import Precision, is_spot, precision_of
from core.engine.live.backlog import Backlog
from core.engine.live.books import is_release
from core.engine.live.recording import (
    CLOSE,
    DELTA,
    NUMBERS,
    STATUS,
    TRADE,
    About,
    add_markets,
    begin,
    seal,
    write_part,
)
from core.engine.live.spot import recorded_market, recorded_name

FLUSH_ROWS = 20_000
FLUSH_S = 5
#: Parts that may wait for the disk.
MAX_WAITING = 8
SIDES = {OrderSide.BUY: 1, OrderSide.SELL: 2}
AGGRESSORS = {AggressorSide.BUY: 1, AggressorSide.SELL: 2}
ACTIONS = {BookAction.ADD: 0, BookAction.UPDATE: 1, BookAction.DELETE: 2, BookAction.CLEAR: 3}
CLEAR, DELETE = ACTIONS[BookAction.CLEAR], ACTIONS[BookAction.DELETE]
RAW_DECIMALS = 16
#: Raw units of the engine in one tick, by decimals.
TICKS = tuple(10 ** (RAW_DECIMALS - n) for n in range(RAW_DECIMALS + 1))
WIDTH = len(NUMBERS)


class PartWriter:
    """Rows in, parts out.

    Parameters
    ----------
    folder : Path
        Made by `begin`.

    Attributes
    ----------
    lost : int
        Rows dropped because the disk was too slow or full. At most ``(MAX_WAITING + 1) * FLUSH_ROWS`` rows and
        one batch are held before any is dropped.
    error : str
        First error of the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows, self.lost, self.error = 0, 0, ""
        self._number = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._waiting: list[tuple[Future[None], int]] = []
        self._fresh()

    def _fresh(self) -> None:
        self._numbers = array("q")
        self._texts: list[str | None] = []

    def add(self, *values: int, text: str | None = None) -> None:
        """Add one row, in the order of `NUMBERS`; what does not fit is not there at all.

        Raises
        ------
        ValueError, OverflowError
            If there are more or fewer values, or one is no 64-bit integer.
        """
        numbers = self._numbers
        begin = len(numbers)
        try:
            numbers.extend(values)
        except BaseException:
            del numbers[begin:]
            raise
        if len(values) != WIDTH:
            del numbers[begin:]
            raise ValueError(f"a row has {WIDTH} numbers, not {len(values)}")
        self._texts.append(text)
        self.rows += 1
        if len(self._texts) >= FLUSH_ROWS and values[8] & F_LAST:
            self.flush()  # never between the changes of one batch

    def flush(self) -> None:
        """Hand what waits to the writing thread; a slow disk leaves it in the buffer until that is full."""
        self._look()
        if len(self._waiting) < MAX_WAITING:
            self._hand_over()
        elif len(self._texts) >= FLUSH_ROWS:
            self.lost += len(self._texts)
            self._fresh()

    def _hand_over(self) -> None:
        if not self._texts:
            return
        numbers, texts = self._numbers, self._texts
        self._fresh()
        self._number += 1
        part = self._pool.submit(write_part, self.folder, self._number, numbers, texts)
        self._waiting.append((part, len(texts)))

    def _look(self) -> None:
        """Take note of parts that are written, and of those that could not be."""
        waiting = []
        for future, rows in self._waiting:
            if not future.done():
                waiting.append((future, rows))
            elif (error := future.exception()) is not None:
                self.error = self.error or f"{type(error).__name__}: {error}"
                self.lost += rows
        self._waiting = waiting

    def close(self) -> None:
        """Write what waits and end the thread; no order waits any more, so the disk may take its time."""
        self._hand_over()
        self._pool.shutdown(wait=True)
        self._look()
        if self.lost:
            (self.folder / "lost.json").write_text(
                json.dumps({"rows": self.lost, "error": self.error})
            )


class Recorder(DataActor):
    """Follows every instrument of a node and hands all of it to a `PartWriter`.

    Set `writer`, `codes` (instrument id to its number in the recording) and `spot` (decimals of price and
    size of the instruments that have trades only) before it starts, and `backlog` where readers wait for it.
    """

    writer: PartWriter
    codes: dict[str, int]
    spot: dict[str, Precision]
    backlog: Backlog | None = None

    def on_start(self) -> None:
        """Subscribe to everything, flush by the clock."""
        self._by_native = {InstrumentId.from_str(iid): code for iid, code in self.codes.items()}
        for native in self._by_native:
            self.subscribe_trades(native)
            if native.value in self.spot:
                continue
            self.subscribe_book_deltas(native, BookType.L2_MBP, managed=True)
            self.subscribe_instrument_status(native)
            self.subscribe_instrument_close(native)
        self.clock.set_timer_ns("recorder", FLUSH_S * 1_000_000_000, callback=self._on_timer)

    def _on_timer(self, event: Any) -> None:
        self.writer.flush()

    def on_book_deltas(self, deltas: Any) -> None:
        """Keep a batch of book changes; its last row is flagged, whatever the venue flagged."""
        if is_release(deltas):
            return
        if self.backlog is not None:
            self.backlog.saw(deltas.ts_init)
        code = self._by_native[deltas.instrument_id]
        add, rows = self.writer.add, deltas.deltas
        last = len(rows) - 1
        for index, delta in enumerate(rows):
            action = ACTIONS[delta.action]
            side = price = size = 0
            if action != CLEAR:
                order = delta.order
                side, price = SIDES[order.side], ticks(order.price)
                size = ticks(order.size) if action != DELETE else 0
                if size == 0:
                    action = DELETE
            flags = (delta.flags | F_LAST) if index == last else (delta.flags & ~F_LAST)
            add(code, DELTA, delta.ts_event, delta.ts_init, action, side, price, size, flags, delta.sequence)  # fmt: skip

    def on_trade(self, trade: Any) -> None:
        """Keep a trade."""
        if self.backlog is not None:
            self.backlog.saw(trade.ts_init)
        code = self._by_native[trade.instrument_id]
        side = AGGRESSORS.get(trade.aggressor_side, 0)
        price, size = ticks(trade.price), ticks(trade.size)
        declared = self.spot.get(trade.instrument_id.value) if self.spot else None
        if declared is not None:  # the venue's decimals of a pair are not ours
            price = ticks(trade.price, declared.price)
            size = max(ticks(trade.size, declared.size), 1)
        self.writer.add(
            code, TRADE, trade.ts_event, trade.ts_init, 0, side, price, size,
            F_LAST, 0, text=trade.trade_id.value,
        )  # fmt: skip

    def on_instrument_status(self, status: Any) -> None:
        """Keep a trading state."""
        code = self._by_native[status.instrument_id]
        self.writer.add(
            code, STATUS, status.ts_event, status.ts_init, 0, 0, 0, 0, F_LAST, 0, text=status.action.name
        )  # fmt: skip

    def on_instrument_close(self, close: Any) -> None:
        """Keep a result."""
        code = self._by_native[close.instrument_id]
        price = ticks(close.close_price)
        self.writer.add(code, CLOSE, close.ts_event, close.ts_init, 0, 0, price, 0, F_LAST, 0)


def ticks(value: Any, precision: int = -1) -> int:
    """Return an engine price or quantity as integer ticks of its own precision, or cut to `precision`."""
    decimals = value.precision if precision < 0 else precision
    whole: int = value.raw // TICKS[decimals]
    return whole


class Recording:
    """The recording of one run, from the node's side.

    Parameters
    ----------
    folder, target : Path
        Where parts go, and where the catalog shall be.
    """

    def __init__(self, folder: Path, target: Path, about: About, markets: list[Market]) -> None:
        self._codes = {iid: code for code, iid in enumerate(about.instruments)}
        self._spot = {m.market_id: precision_of(m) for m in markets if is_spot(m)}
        # The engine's id of a pair may hold a slash; the recording has its own name for it.
        named = replace(about, instruments=tuple(recorded_name(i) for i in about.instruments))
        begin(folder, named, [recorded_market(m) for m in markets])
        self.folder, self.target, self.error = folder, target, ""
        self.writer = PartWriter(folder)

    def actor(self, backlog: Backlog) -> Recorder:
        """Return the actor that records."""
        actor = Recorder()
        actor.backlog = backlog
        actor.writer, actor.codes, actor.spot = self.writer, self._codes, self._spot
        return actor

    def on_market(self, market: Market) -> None:
        """Keep changed terms of a market; a disk that refuses costs the recording only, not the market's news."""
        if all(o.instrument_id in self._codes for o in market.outcomes):
            try:
                add_markets(self.folder, [market])
            except OSError as exc:
                self.error = self.error or f"terms of {market.market_id} not kept: {exc}"

    def finish(self) -> None:
        """Write what waits and make the catalog; with nothing recorded there is none."""
        self.writer.close()
        if self.writer.rows:
            seal(self.folder, self.target)
