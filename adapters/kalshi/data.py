"""Kalshi market data for the engine: both outcomes from one book, doubtful books cleared, hours kept by our clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from nautilus_trader.live import InstrumentProvider, InstrumentProviderConfig
from nautilus_trader.model import Venue

from adapters.answers import Answers
from adapters.connection import OnState, SocketState
from adapters.kalshi import schemas
from adapters.kalshi.audit import BookAudit
from adapters.kalshi.books import BookState, KalshiBook
from adapters.kalshi.markets import market_of
from adapters.kalshi.parsing import (
    NO,
    YES,
    dollars,
    instrument_id,
    ns_of_ms,
    payouts,
    split_instrument,
)
from adapters.kalshi.rest import KalshiRest
from adapters.kalshi.socket import KalshiSocket, OnFrame, OnGap
from adapters.mends import NEWS_MEND
from adapters.outcomes import OutcomeData
from core.domain.errors import BetaError, CorruptData, VenueError, VenueRefused, VenueUncertain
from core.domain.market import Market, MarketStatus
from core.domain.money import ONE, ZERO
from core.engine.live.books import mirrored
from core.engine.live.instruments import engine_instrument

SocketFactory = Callable[[OnFrame, OnGap, OnState], KalshiSocket]
TICKERS_PER_CALL = 100
CHECK_EVERY_S = 0.2
POLL_RESULT_S = 5.0
CHANNELS = ("orderbook_delta", "trade", "market_lifecycle_v2")
RESYNC_PAUSE_S, RENEW_PAUSE_S, MAX_TRIES = 1.0, 60.0, 10
Book = TypeVar("Book", schemas.DeltaMsg, schemas.SnapshotMsg)


@dataclass(frozen=True, slots=True)
class MarketFilter:
    """Which markets are loaded."""

    tickers: tuple[str, ...] = ()
    series: tuple[str, ...] = ()


class KalshiProvider(InstrumentProvider):
    """Loads markets as instruments, two each.

    Attributes
    ----------
    markets : dict of str to Market
        By ticker; shared with gate and strategies through `on_market`.
    refused : list of (ticker, reason)
        Markets that were left out, and why.
    shards : dict of str to int
        Exchange shard of each market.
    """

    def __init__(
        self,
        rest: KalshiRest,
        wanted: MarketFilter,
        on_market: Callable[[Market], None],
        clock: Callable[[], int],
    ) -> None:
        super().__init__(InstrumentProviderConfig(load_all=True))
        self.rest, self.wanted, self.on_market, self._clock = rest, wanted, on_market, clock
        self.markets: dict[str, Market] = {}
        self.refused: list[tuple[str, str]] = []
        self.shards: dict[str, int] = {}
        self._series: dict[str, schemas.SeriesMsg] = {}
        self._events: dict[str, schemas.EventMsg] = {}

    async def load_all_async(self, filters: dict[str, Any] | None = None) -> None:
        """Load the wanted tickers and the open markets of the wanted series."""
        rows: dict[str, schemas.MarketMsg] = {}
        for start in range(0, len(self.wanted.tickers), TICKERS_PER_CALL):
            part = self.wanted.tickers[start : start + TICKERS_PER_CALL]
            for row in await self.rest.markets(tickers=",".join(part)):
                rows[row.ticker] = row
        for series in self.wanted.series:
            for row in await self.rest.markets(series_ticker=series, status="open"):
                rows[row.ticker] = row
        for row in rows.values():
            await self.take(row)

    async def take(self, row: schemas.MarketMsg) -> Market | None:
        """Turn one payload into a market and its instruments; what cannot be read is left out with its reason."""
        try:
            market = market_of(row, await self.series_of(row), await self.event_of(row))
        except VenueUncertain:  # nothing is said against it: it is asked for again
            raise
        except (BetaError, ValueError, ArithmeticError) as exc:
            self.refused.append((row.ticker, str(exc)))
            return None
        self.markets[market.market_id] = market
        self.shards[market.market_id] = row.exchange_index
        for outcome in market.outcomes:
            self.add(engine_instrument(market, outcome, "USD", self._clock()))
        self.on_market(market)
        return market

    async def series_of(self, row: schemas.MarketMsg) -> schemas.SeriesMsg:
        """Return the series of a market, asked for once."""
        name = row.event_ticker.split("-")[0] or row.ticker.split("-")[0]
        if name not in self._series:
            self._series[name] = await self.rest.series(name)
        return self._series[name]

    async def event_of(self, row: schemas.MarketMsg) -> schemas.EventMsg | None:
        """Return the event of a market that is not paid out, asked for once; None when it names none."""
        name = row.event_ticker
        if not name or row.result:
            return None
        if name not in self._events:
            self._events[name] = await self.rest.event(name)
        return self._events[name]

    def forget_terms(self) -> None:
        """Ask for series and events again at the next market: their fee terms may have changed."""
        self._series.clear()
        self._events.clear()


class KalshiData(OutcomeData):
    """Books, trades, hours and results of Kalshi markets.

    See `OutcomeData` for what it tells, and to whom first.
    """

    def __init__(
        self,
        *,
        name: str,
        config: Any,
        cache: Any,
        clock: Any,
        provider: KalshiProvider,
        socket_of: SocketFactory,
        on_status: Callable[[str, MarketStatus], None],
        on_settled: Callable[[str, Decimal], None],
    ) -> None:
        super().__init__(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            venue=Venue("KALSHI"),
            instrument_provider=provider,
        )
        self.provider, self.rest = provider, provider.rest
        self.follow_nothing(on_status, on_settled)
        self.socket = socket_of(self._on_frame, self._on_gap, self._on_link)
        self.socket.on_unreadable = self._on_unreadable
        self.books: dict[str, KalshiBook] = {}
        self._asked, self._tries, self._renewed = -RESYNC_PAUSE_S, 0, -RENEW_PAUSE_S
        self._relearning = False
        self.audit = BookAudit(
            self.rest, self.books, self._doubt, lambda *told: self.on_barred(*told), self._settled
        )

    @property
    def connections(self) -> dict[str, KalshiSocket | Answers]:
        """The market data connection and the REST answers, by name."""
        return {"KALSHI data": self.socket, "KALSHI REST": self.rest.answers}

    def _forget_books(self, market: Market) -> None:
        self.books.pop(market.market_id, None)

    def _after_frames(self, wait: Callable[[], Awaitable[None]]) -> None:
        self.socket.after_frame = wait

    # -- life -------------------------------------------------------------------------------
    async def _connect(self) -> None:
        await self._load()
        self.socket.subscribe("market_lifecycle_v2")
        self._keep(self.socket.run(), "kalshi-data")
        self._keep(self._keep_hours(), "kalshi-hours")
        self._keep(self.audit.run(), "kalshi-audit")

    async def _disconnect(self) -> None:
        await self.socket.close()

    # -- subscriptions ----------------------------------------------------------------------
    def known_markets(self) -> Mapping[str, Market]:
        """Return the provider's markets."""
        found: Mapping[str, Market] = self.provider.markets
        return found

    def _follow(self, iid: str, wanted: set[str]) -> None:
        ticker, _ = split_instrument(iid)
        if wanted is self._trades:
            self.socket.subscribe("trade", [ticker])
            return
        self.socket.subscribe("orderbook_delta", [ticker])
        book = self.books.get(ticker)
        if book is not None and book.state is BookState.GOOD:
            self._show_snapshot(book, only=iid)

    # -- news -------------------------------------------------------------------------------
    def _on_link(self, state: SocketState) -> None:
        if state is SocketState.DOWN:
            self._doubt_all()
        elif state is SocketState.UP and self.socket.stats.connects > 1:
            self._relearn()  # a pause, a new grid or a result may have come meanwhile

    def _on_gap(self, sid: int) -> None:
        if self.socket.sids.get("orderbook_delta") == sid:
            self._doubt_all()
            self._ask_books()
        elif self.socket.sids.get("market_lifecycle_v2") == sid:
            self._relearn()  # a pause, a new grid or a result may have been missed

    def _on_unreadable(self) -> None:
        """Doubt everything that a frame without a readable word may have been about."""
        self._doubt_all()
        self._ask_books()
        self._relearn()

    def _waiting(self) -> list[str]:
        """Return the followed markets without a good book."""
        wanted = self.socket.wanted.get("orderbook_delta", set()) - self._settled
        books = self.books
        return sorted(t for t in wanted if t not in books or books[t].state is not BookState.GOOD)

    def _ask_books(self) -> None:
        """Ask for the books that are not good, once a second; what stays without answer needs a new connection."""
        now = asyncio.get_running_loop().time()
        if now - self._asked < RESYNC_PAUSE_S:
            return
        waiting = self._waiting()
        if not waiting:
            self._tries = 0
            return
        self._asked, self._tries = now, self._tries + 1
        self.socket.resync(waiting)
        doubted = any(t in self.books for t in waiting)
        if doubted and self._tries > MAX_TRIES and now - self._renewed > RENEW_PAUSE_S:
            self._renewed, self._tries = now, 0
            self.socket.stats.note("books stay without snapshots: connecting anew")
            self.create_task(self.socket.renew(), "kalshi-renew")

    def _doubt(self, book: KalshiBook) -> None:
        book.state = BookState.SUSPECT
        self._clear(book.ticker)
        self._ask_books()

    def _doubt_all(self) -> None:
        for book in self.books.values():
            if book.state is BookState.GOOD:
                book.state = BookState.SUSPECT
                self._clear(book.ticker)

    def _clear(self, ticker: str) -> None:
        self._empty(instrument_id(ticker, outcome) for outcome in (YES, NO))

    def _on_frame(self, frame: schemas.Frame) -> None:
        if frame.type == "orderbook_delta":
            self._on_delta(self._read(frame, schemas.DeltaMsg), frame.seq or 0)
        elif frame.type == "orderbook_snapshot":
            self._on_snapshot(self._read(frame, schemas.SnapshotMsg))
        elif frame.type == "trade":
            self._on_trade(msgspec.json.decode(frame.msg, type=schemas.TradeMsg))
        elif frame.type == "market_lifecycle_v2":
            try:
                self._on_life(msgspec.json.decode(frame.msg, type=schemas.LifecycleMsg))
            except Exception:
                self._relearn()
                raise
        elif frame.type == "event_fee_update":
            event = msgspec.json.decode(frame.msg, type=schemas.EventFeeMsg).event_ticker
            if any(m.event_id == event for m in self.provider.markets.values()):
                self._relearn()

    def _read(self, frame: schemas.Frame, kind: type[Book]) -> Book:
        """Decode a frame about a book; one that cannot be read has changed a book that we cannot name."""
        try:
            msg = msgspec.json.decode(frame.msg, type=kind)
            if msg.market_ticker not in self.socket.wanted.get("orderbook_delta", ()):
                raise CorruptData(
                    "Kalshi sent a book that was not asked for", msg.market_ticker[:80], NEWS_MEND
                )
        except Exception:
            self._doubt_all()
            self._ask_books()
            raise
        return msg

    def _on_snapshot(self, msg: schemas.SnapshotMsg) -> None:
        if msg.market_ticker in self._released:
            return
        book = self.books.setdefault(msg.market_ticker, KalshiBook(msg.market_ticker))
        try:
            book.load(msg)
            self._show_snapshot(book)
        except Exception:  # crossed, impossible, or more than the engine can hold
            self._doubt(book)
            raise

    def _show_snapshot(self, book: KalshiBook, only: str = "") -> None:
        self.last_news_ns[book.ticker] = now = self.stamps.next()
        for outcome in (YES, NO):
            iid = instrument_id(book.ticker, outcome)
            writer = self._writers.get(iid)
            if writer is None or iid not in self._deltas or (only and only != iid):
                continue
            bids, asks = list(book.bids.items()), list(book.asks.items())
            if outcome == NO:
                bids, asks = mirrored(asks), mirrored(bids)
                now = self.stamps.beside()
            self._tell(writer.snapshot(bids, asks, 0, now, now))
        self._show_quotes(book, now, now)

    def _on_delta(self, msg: schemas.DeltaMsg, seq: int) -> None:
        book = self.books.get(msg.market_ticker)
        if book is None or book.state is not BookState.GOOD:
            return
        try:
            self._show_delta(book, msg, seq)
        except Exception:
            self._doubt(book)
            raise

    def _show_delta(self, book: KalshiBook, msg: schemas.DeltaMsg, seq: int) -> None:
        now = self.stamps.next()
        side, price, size = book.apply(msg)
        self.last_news_ns[book.ticker] = now
        event = ns_of_ms(msg.ts_ms) or now
        bid = side == "bid"
        yes, no = instrument_id(book.ticker, YES), instrument_id(book.ticker, NO)
        if yes in self._deltas:
            self._tell(self._writers[yes].level(bid, price, size, seq, event, now))
        if no in self._deltas:
            now = self.stamps.beside()
            self._tell(self._writers[no].level(not bid, ONE - price, size, seq, event, now))
        self._show_quotes(book, event, now)

    def _show_quotes(self, book: KalshiBook, event: int, now: int) -> None:
        if (
            not self._quotes
        ):  # the top of a book of a hundred levels costs as much as the rest of a change
            return
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            return
        yes, no = instrument_id(book.ticker, YES), instrument_id(book.ticker, NO)
        if yes in self._quotes:
            self._tell(self._writers[yes].quote(bid, ask, event, now))
        if no in self._quotes:
            flipped = (ONE - ask[0], ask[1]), (ONE - bid[0], bid[1])
            self._tell(self._writers[no].quote(*flipped, event, now))

    def _on_trade(self, msg: schemas.TradeMsg) -> None:
        if msg.is_block_trade:
            return  # negotiated off the book
        now = self.stamps.next()
        price, count = dollars(msg.yes_price_dollars, "price"), dollars(msg.count_fp, "count")
        if not ZERO < price < ONE or count <= 0:
            raise CorruptData(
                "Kalshi sent an impossible trade", (str(price), str(count)), NEWS_MEND
            )
        if msg.taker_book_side not in ("bid", "ask"):
            raise CorruptData(
                "Kalshi sent a trade of an unknown side", msg.taker_book_side[:80], NEWS_MEND
            )
        takes_bid, at = msg.taker_book_side == "bid", ns_of_ms(msg.ts_ms) or now
        for outcome, own in ((YES, price), (NO, ONE - price)):
            iid = instrument_id(msg.market_ticker, outcome)
            if iid not in self._trades:
                continue
            buys = takes_bid == (outcome == YES)
            now = now if outcome == YES else self.stamps.beside()
            self._tell_trade(iid, own, count, buys, msg.trade_id, at, now)

    # -- hours and results ------------------------------------------------------------------
    def _on_life(self, msg: schemas.LifecycleMsg) -> None:
        ticker = msg.market_ticker
        if ticker not in self.provider.markets:
            return
        if msg.event_type == "deactivated":
            self._status(ticker, MarketStatus.PAUSED)
        elif msg.event_type == "activated":
            self._status(ticker, MarketStatus.ACTIVE)
        elif msg.event_type in (
            "close_date_updated",
            "price_level_structure_updated",
            "metadata_updated",
        ):
            self.create_task(self._reload(ticker), f"reload-{ticker}")
        elif msg.event_type == "determined":
            value = dollars(msg.settlement_value, "settlement") if msg.settlement_value else None
            self._settle(ticker, payouts(msg.result, value))

    async def _reload(self, ticker: str) -> None:
        """Take over a changed grid, close or metadata."""
        try:
            known = await self.provider.take(await self.rest.market(ticker))
        except (VenueRefused, VenueUncertain):
            known = None
        if known is None:
            self._status(ticker, MarketStatus.PAUSED)  # unknown terms are not traded on
            self._relearn()
        elif ticker in self._shown:
            self._status(ticker, known.status)  # a close that moved opens a closed market again

    def _relearn(self) -> None:
        """Read terms and results of all markets again: news of them may have been lost. One reading at a time."""
        if not self._relearning:
            self._relearning = True
            self.create_task(self._learn_again(), "kalshi-relearn")

    async def _learn_again(self) -> None:
        await asyncio.sleep(RESYNC_PAUSE_S)  # more may be lost with it
        self._relearning = False
        self.provider.forget_terms()
        tickers = [t for t in self.provider.markets if t not in self._settled]
        for start in range(0, len(tickers), TICKERS_PER_CALL):
            part = tickers[start : start + TICKERS_PER_CALL]
            try:
                rows = await self.rest.markets(tickers=",".join(part))
                for row in rows:
                    if row.ticker in part and not row.result:
                        known = await self.provider.take(row)
                        self._status(row.ticker, known.status if known else MarketStatus.PAUSED)
            except (VenueRefused, VenueUncertain):
                self._relearn()
                return
            self._take_results(rows)

    async def _keep_hours(self) -> None:
        """Open and close by our own clock (Kalshi sends no event for it), and ask for late results."""
        asked = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._ask_books()
            self._release_paid()
            now = self.clock.timestamp_ns()
            waiting = []
            for ticker, market in list(self.provider.markets.items()):
                if ticker in self._settled:
                    continue
                if market.close_ns and now >= market.close_ns:
                    self._status(ticker, MarketStatus.CLOSED)
                    waiting.append(ticker)
                elif market.status is MarketStatus.UNOPENED and now >= market.open_ns:
                    self._status(ticker, MarketStatus.ACTIVE)
            if waiting and loop.time() - asked >= POLL_RESULT_S:
                asked = loop.time()
                await self._ask_results(waiting)
            await asyncio.sleep(CHECK_EVERY_S)

    async def _ask_results(self, tickers: list[str]) -> None:
        for start in range(0, len(tickers), TICKERS_PER_CALL):
            part = tickers[start : start + TICKERS_PER_CALL]
            try:
                rows = await self.rest.markets(tickers=",".join(part))
            except (VenueRefused, VenueUncertain):
                return
            self._take_results(rows)

    def _take_results(self, rows: list[schemas.MarketMsg]) -> None:
        for row in rows:
            if not row.result or row.ticker not in self.provider.markets:
                continue
            told = row.settlement_value_dollars
            try:
                value = dollars(told, "settlement") if told else None
                self._settle(row.ticker, payouts(row.result, value))
            except (VenueError, CorruptData) as exc:  # nobody is paid on a guess: asked again
                self.rest.answers.bad(f"the result of {row.ticker}", exc)
