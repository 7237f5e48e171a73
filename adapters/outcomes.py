"""What the market data of every two-outcome venue has in common: who follows what, statuses and results told once.

The gate hears of a status or a result before the engine does, and the engine before the strategy: an order that was
decided on old news must meet a gate that knows the new.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.live.clients import MarketDataClient
from nautilus_trader.model import (
    AggressorSide,
    InstrumentClose,
    InstrumentCloseType,
    InstrumentStatus,
    MarketStatusAction,
    TradeId,
    TradeTick,
)

from core.domain.market import Market, MarketStatus
from core.engine.live.backlog import Backlog
from core.engine.live.beside import guarded
from core.engine.live.books import BookWriter, Stamps
from core.engine.units import price_of, quantity_of

#: The book of a market that is paid out stays this long: what was on its way has been handled by then.
RELEASE_S = 30.0
ACTIONS = {
    MarketStatus.ACTIVE: MarketStatusAction.TRADING,
    MarketStatus.PAUSED: MarketStatusAction.PAUSE,
}


class OutcomeData(MarketDataClient):
    """Base of a venue's data client.

    Attributes
    ----------
    on_status : callable
        Told of a market's status (the gate must know before the strategy does).
    on_settled : callable
        Told of each outcome's payout, before the engine is.
    last_news_ns : dict of str to int
        When a book last changed, by the venue's own id.
    """

    provider: Any

    def follow_nothing(
        self,
        on_status: Callable[[str, MarketStatus], None],
        on_settled: Callable[[str, Decimal], None],
    ) -> None:
        """Begin without subscriptions, statuses and results."""
        self.on_status, self.on_settled = on_status, on_settled
        self.on_barred: Callable[[str, str], None] = lambda market_id, reason: None
        self.on_failed: Callable[[str], None] = lambda why: None
        self.last_news_ns: dict[str, int] = {}
        self.stamps = Stamps(self.clock)
        self._backlog: Backlog | None = None
        self._writers: dict[str, BookWriter] = {}
        self._quotes: set[str] = set()
        self._deltas: set[str] = set()
        self._trades: set[str] = set()
        self._shown: dict[str, MarketStatus] = {}
        self._settled: set[str] = set()
        self._paid: deque[tuple[float, str]] = deque()
        self._released: set[str] = set()

    # -- the venue's part ---------------------------------------------------------------------
    def known_markets(self) -> Mapping[str, Market]:
        """Return the loaded markets by the venue's market id."""
        raise NotImplementedError

    def _follow(self, iid: str, wanted: set[str]) -> None:
        """Begin to follow an instrument; `wanted` is the kind of data."""
        raise NotImplementedError

    def serve(
        self,
        backlog: Backlog,
        on_barred: Callable[[str, str], None],
        on_failed: Callable[[str], None],
    ) -> None:
        """Read sockets no faster than the engine works off what it is told; bar markets whose books lie.

        `on_failed` halts trading: a part of this client has ended by an error (ADR 0138).
        """
        self._backlog, self.on_barred, self.on_failed = backlog, on_barred, on_failed
        self._after_frames(backlog.worked_off)

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin what must go on for as long as this client runs."""
        self.create_task(guarded(work, name, lambda why: self.on_failed(why), ()), name)

    def _after_frames(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Let every connection await `wait` after each frame."""
        raise NotImplementedError

    def _forget_books(self, market: Market) -> None:
        """Drop the own books of a market that is paid out; what comes for them later is not taken."""
        raise NotImplementedError

    # -- subscriptions ------------------------------------------------------------------------
    async def _load(self) -> None:
        """Hand every loaded instrument to the engine."""
        await self.provider.initialize()
        for instrument in self.provider.list_all():
            self._handle_instrument(instrument)
            self._writers[instrument.id.value] = BookWriter(instrument)

    def _want(self, command: Any, wanted: set[str]) -> None:
        iid = command.instrument_id.value
        wanted.add(iid)
        self._follow(iid, wanted)

    async def _subscribe_book_deltas(self, command: Any) -> None:
        self._want(command, self._deltas)

    async def _subscribe_quotes(self, command: Any) -> None:
        self._want(command, self._quotes)

    async def _subscribe_trades(self, command: Any) -> None:
        self._want(command, self._trades)

    async def _subscribe_instrument_status(self, command: Any) -> None:
        """Status of every loaded market is always sent."""

    async def _subscribe_instrument_close(self, command: Any) -> None:
        """Results of every loaded market are always sent."""

    async def _subscribe_instrument(self, command: Any) -> None:
        """Instruments are loaded at the start and when a market changes."""

    async def _subscribe_instruments(self, command: Any) -> None:
        """Instruments are loaded at the start and when a market changes."""

    async def _unsubscribe_book_deltas(self, command: Any) -> None:
        self._deltas.discard(command.instrument_id.value)

    async def _unsubscribe_quotes(self, command: Any) -> None:
        self._quotes.discard(command.instrument_id.value)

    async def _unsubscribe_trades(self, command: Any) -> None:
        self._trades.discard(command.instrument_id.value)

    async def _unsubscribe_instrument_status(self, command: Any) -> None:
        """Nothing to stop."""

    async def _unsubscribe_instrument_close(self, command: Any) -> None:
        """Nothing to stop."""

    # -- what is told -------------------------------------------------------------------------
    def _tell(self, news: Any) -> None:
        """Hand books, quotes and trades to the engine."""
        if self._backlog is not None:
            self._backlog.told(news.ts_init, news.ts_event)
        self._handle_data(news)

    def _empty(self, instruments: Iterable[str]) -> None:
        """Empty books in the engine: a doubtful book is not traded on."""
        for iid in instruments:
            writer = self._writers.get(iid)
            if writer is not None and iid in self._deltas:
                now = self.stamps.next()
                self._tell(writer.clear(0, now, now))

    def _tell_trade(
        self,
        iid: str,
        price: Decimal,
        size: Decimal,
        buys: bool,
        trade_id: str,
        event_ns: int,
        now_ns: int,
    ) -> None:
        """Hand on a public trade of one outcome; `buys` is the side that took."""
        writer = self._writers[iid]
        self._tell(
            TradeTick(
                writer.id,
                price_of(price, writer.price_precision),
                quantity_of(size, writer.size_precision),
                AggressorSide.BUY if buys else AggressorSide.SELL,
                TradeId(trade_id[:36]),
                event_ns or now_ns,
                now_ns,
            )
        )

    def _status(self, market_id: str, status: MarketStatus) -> None:
        """Tell gate and engine once."""
        if self._shown.get(market_id) is status or market_id in self._settled:
            return
        self._shown[market_id] = status
        self.on_status(market_id, status)
        action = ACTIONS.get(status, MarketStatusAction.CLOSE)
        for outcome in self.known_markets()[market_id].outcomes:
            writer = self._writers.get(outcome.instrument_id)
            if writer is not None:
                now = self.stamps.next()
                self._handle_data(InstrumentStatus(writer.id, action, now, now))

    def _settle(self, market_id: str, payouts: Iterable[Decimal]) -> None:
        """Pay out every outcome once, in the market's own order."""
        if market_id in self._settled:
            return
        self._status(market_id, MarketStatus.CLOSED)
        self._settled.add(market_id)
        outcomes = self.known_markets()[market_id].outcomes
        for outcome, payout in zip(outcomes, payouts, strict=True):
            writer = self._writers.get(outcome.instrument_id)
            self.on_settled(outcome.instrument_id, payout)
            if writer is None:
                continue
            shown = payout.quantize(Decimal(1).scaleb(-writer.price_precision))
            now = self.stamps.next()
            price = price_of(shown, writer.price_precision)
            self._handle_data(
                InstrumentClose(writer.id, price, InstrumentCloseType.CONTRACT_EXPIRED, now, now)
            )
        self._paid.append((asyncio.get_running_loop().time() + RELEASE_S, market_id))

    def _release_paid(self) -> None:
        """Free the books of markets that were paid out a while ago, here and in the engine, which keeps them for ever.

        Both hold every level: 300 KB a market. Strategies, recording and paper venue see no change (ADR 0096).
        """
        now = asyncio.get_running_loop().time()
        while self._paid and self._paid[0][0] <= now:
            _, market_id = self._paid.popleft()
            market = self.known_markets()[market_id]
            self._released.add(market_id)
            self._forget_books(market)
            for outcome in market.outcomes:
                if outcome.instrument_id in self._deltas:
                    writer = self._writers[outcome.instrument_id]
                    self._handle_data(writer.release(self.stamps.next()))
