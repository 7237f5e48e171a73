"""Polymarket market data for the engine: each token's own book, doubtful books cleared, results paid once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from nautilus_trader.model import Venue

from adapters.answers import Answers
from adapters.certainty import NONSENSE
from adapters.connection import SocketState
from adapters.mends import NEWS_MEND
from adapters.outcomes import OutcomeData
from adapters.polymarket import schemas
from adapters.polymarket.audit import BookAudit
from adapters.polymarket.books import BookState, PolyBook
from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.grid import tick_of
from adapters.polymarket.markets import resolution_of
from adapters.polymarket.provider import PolymarketProvider
from adapters.polymarket.rest import ClobRest
from adapters.polymarket.sockets import MarketSockets, OnEvent, Socket
from core.domain.errors import CorruptData, VenueRefused, VenueUncertain
from core.domain.market import Market, MarketStatus
from core.domain.money import ONE, ZERO

OnShard = Callable[[SocketState, Sequence[str]], None]
SocketsFactory = Callable[[OnEvent, OnShard], MarketSockets]
POLL_RESULT_S = 30.0
SNAPSHOT_WAIT_S = 5.0
RESYNC_PAUSE_S = 1.0
LOT = Decimal("0.01")
#: A venue time further ahead of ours than this is none.
MAX_AHEAD_MS = 300_000
IGNORED = frozenset({"best_bid_ask"})
Timed = TypeVar("Timed", schemas.PriceChangeMsg, schemas.BookMsg)


class PolymarketData(OutcomeData):
    """Books, trades, grids, hours and results of Polymarket markets.

    See `OutcomeData` for what it tells, and to whom first.
    """

    def __init__(
        self,
        *,
        name: str,
        config: Any,
        cache: Any,
        clock: Any,
        provider: PolymarketProvider,
        rest: ClobRest,
        catalogue: Catalogue,
        sockets_of: SocketsFactory,
        on_status: Callable[[str, MarketStatus], None],
        on_settled: Callable[[str, Decimal], None],
        poll_result_s: float = POLL_RESULT_S,
    ) -> None:
        super().__init__(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            venue=Venue("POLYMARKET"),
            instrument_provider=provider,
        )
        self._wire(provider, rest, catalogue, sockets_of, on_status, on_settled, poll_result_s)

    def _wire(
        self,
        provider: PolymarketProvider,
        rest: ClobRest,
        catalogue: Catalogue,
        sockets_of: SocketsFactory,
        on_status: Callable[[str, MarketStatus], None],
        on_settled: Callable[[str, Decimal], None],
        poll_result_s: float = POLL_RESULT_S,
    ) -> None:
        """Set everything that is ours and not the engine's."""
        self.provider, self.registry = provider, provider.registry
        self.rest, self.catalogue = rest, catalogue
        self.follow_nothing(on_status, on_settled)
        self.poll_result_s = poll_result_s
        self.sockets = sockets_of(self._on_event, self._on_shard)
        self.sockets.on_unreadable = self._on_unreadable
        self.books: dict[str, PolyBook] = {}
        self.new_markets: list[schemas.NewMarketMsg] = []
        self.resyncs = 0
        self._resyncing: set[str] = set()
        self._asked: dict[str, float] = {}
        self.audit = BookAudit(self)

    @property
    def connections(self) -> dict[str, Socket | Answers]:
        """The market data connections and the REST answers, by name."""
        found: dict[str, Socket | Answers] = {"POLYMARKET REST": self.rest.answers}
        return found | {f"POLYMARKET data {n}": s for n, s in enumerate(self.sockets.sockets)}

    def _forget_books(self, market: Market) -> None:
        for outcome in market.outcomes:
            if (book := self.books.get(outcome.token_id)) is not None:
                book.forget()

    def _after_frames(self, wait: Callable[[], Awaitable[None]]) -> None:
        self.sockets.after_frame = wait

    # -- life -------------------------------------------------------------------------------
    async def _connect(self) -> None:
        await self._load()
        for market in self.registry.markets.values():
            self._status(market.market_id, market.status)
        self._keep(self._keep_results(), "polymarket-results")
        self._keep(self.audit.run(), "polymarket-audit")

    async def _disconnect(self) -> None:
        await self.sockets.close()

    # -- subscriptions ----------------------------------------------------------------------
    def known_markets(self) -> Mapping[str, Market]:
        """Return the registry's markets."""
        return self.registry.markets

    def _follow(self, iid: str, wanted: set[str]) -> None:
        token = self.registry.by_instrument[iid][1].token_id
        book = self.books.get(token)
        if book is None:
            self.books[token] = PolyBook(token)
            self.sockets.subscribe([token])
            self.create_task(self._await_snapshot(token), f"snapshot-{token[-8:]}")
        elif book.state is BookState.GOOD:
            self._show_snapshot(book)

    # -- doubt ------------------------------------------------------------------------------
    def _on_shard(self, state: SocketState, tokens: Sequence[str]) -> None:
        """Trust no book across a break: the snapshots that follow the reconnect renew them."""
        for token in tokens:
            book = self.books.get(token)
            if book is None:
                continue
            if state is SocketState.DOWN and book.state is BookState.GOOD:
                book.doubt("connection lost")
                self._empty([self.instrument_of(token)])
            elif state is SocketState.UP and book.state is not BookState.GOOD:
                self.create_task(self._await_snapshot(token), f"snapshot-{token[-8:]}")

    def _on_unreadable(self, tokens: Sequence[str]) -> None:
        """Doubt every book of a connection whose frame nobody can read."""
        for token in tokens:
            book = self.books.get(token)
            if book is not None and book.state is BookState.GOOD:
                self.distrust(book, "unreadable frame")

    def instrument_of(self, token: str) -> str:
        """Return the instrument id of a token, or an empty string."""
        known = self.registry.by_token.get(token)
        return known[1].instrument_id if known is not None else ""

    async def _await_snapshot(self, token: str) -> None:
        """Read the book over REST when the socket sends none in time."""
        await asyncio.sleep(SNAPSHOT_WAIT_S)
        if self.books[token].state is not BookState.GOOD:
            await self._resync(token)

    async def _resync(self, token: str) -> None:
        """Read the book over REST until it is good again; changes are held meanwhile."""
        if token in self._resyncing:
            return
        self._resyncing.add(token)
        book = self.books[token]
        loop = asyncio.get_running_loop()
        if book.state is BookState.EMPTY:
            book.doubt("no snapshot")
        try:
            while book.state is not BookState.GOOD and not self.token_settled(token):
                # a venue that sends nothing but nonsense is asked once a second, not at each piece of it
                due = self._asked.get(token, -RESYNC_PAUSE_S) + RESYNC_PAUSE_S - loop.time()
                await asyncio.sleep(max(due, 0.0))
                self._asked[token] = loop.time()
                self.resyncs += 1
                try:
                    msg = await self.rest.book(token)
                    if self.books[token].state is BookState.GOOD:
                        return  # the socket was faster
                    self.take_book(book, msg)
                    return
                except VenueRefused as exc:
                    if exc.status == 404:
                        return  # no book: closed, or not open yet
                except VenueUncertain:
                    continue  # asked again after the pause
                except Exception as exc:
                    book.doubt(str(exc))
                    self.rest.answers.bad(f"the book of {token[-8:]}", exc)
        finally:
            self._resyncing.discard(token)

    def token_settled(self, token: str) -> bool:
        """Return whether a token can no longer be traded."""
        known = self.registry.by_token.get(token)
        return known is None or known[0] in self._settled

    # -- news -------------------------------------------------------------------------------
    def _on_event(self, event: bytes) -> None:
        try:
            kind = msgspec.json.decode(event, type=schemas.EventKind).event_type
        except Exception as exc:
            self._distrust_all(str(exc))
            raise
        if kind == "price_change":
            self._on_changes(self._read(event, schemas.PriceChangeMsg))
        elif kind == "book":
            self._on_book(self._read(event, schemas.BookMsg))
        elif kind == "last_trade_price":
            self._on_trade(msgspec.json.decode(event, type=schemas.LastTradeMsg))
        elif kind == "tick_size_change":
            self._on_tick(msgspec.json.decode(event, type=schemas.TickSizeMsg))
        elif kind == "market_resolved":
            self._on_resolved(msgspec.json.decode(event, type=schemas.ResolvedMsg))
        elif kind == "new_market":
            self.new_markets.append(msgspec.json.decode(event, type=schemas.NewMarketMsg))
            del self.new_markets[:-1000]
        elif kind not in IGNORED:
            self.audit.soon = True  # it may have been a change under a new name
            raise CorruptData(
                "Polymarket sent an event of a kind that is not known", kind[:40], NEWS_MEND
            )

    def _read(self, event: bytes, kind: type[Timed]) -> Timed:
        """Decode an event about books; one that cannot be read has changed a book that we cannot name."""
        try:
            msg = msgspec.json.decode(event, type=kind)
            self.stamp(msg.timestamp)
        except Exception as exc:
            self._distrust_all(str(exc))
            raise
        return msg

    def stamp(self, timestamp: schemas.Number) -> int:
        """Return a venue time in milliseconds.

        Raises
        ------
        CorruptData
            If it lies ahead: a book with it would take every later change for an old one.
        """
        ts_ms = int(schemas.number(timestamp, "timestamp"))
        if not 0 < ts_ms <= self.clock.timestamp_ns() // 1_000_000 + MAX_AHEAD_MS:
            raise CorruptData("Polymarket sent a time that cannot be", str(ts_ms)[:40], NEWS_MEND)
        return ts_ms

    def _on_book(self, msg: schemas.BookMsg) -> None:
        book = self.books.get(msg.asset_id)
        if book is None:
            self._stranger(msg.asset_id, msg.market)
            return
        if msg.market in self._released:
            return
        try:
            if book.newer_than(msg):
                return  # changes overtook it; REST brings what is missing
            self.take_book(book, msg)
        except Exception as exc:  # crossed, impossible, or more than the engine can hold
            self.distrust(book, str(exc))
            raise

    def take_book(self, book: PolyBook, msg: schemas.BookMsg) -> None:
        """Make a snapshot the book, and show it."""
        self.stamp(msg.timestamp)
        if msg.asset_id != book.token:
            raise CorruptData(
                "Polymarket sent the book of another token", msg.asset_id[:80], NEWS_MEND
            )
        book.load(msg)
        self._show_snapshot(book)

    def _stranger(self, token: str, condition: str) -> None:
        """Compare the books when one of our markets is told to have a token that it has not."""
        if condition in self.registry.markets and token not in self.registry.by_token:
            self.audit.soon = True
            raise CorruptData(
                "Polymarket sent a token that its market does not have", token[:80], NEWS_MEND
            )

    def distrust(self, book: PolyBook, reason: str) -> None:
        """Empty a book and have it read again."""
        book.doubt(reason[:200])
        self._empty([self.instrument_of(book.token)])
        self.create_task(self._resync(book.token), f"resync-{book.token[-8:]}")

    def _distrust_all(self, reason: str) -> None:
        for book in self.books.values():
            if book.state is BookState.GOOD:
                self.distrust(book, reason)

    def _on_changes(self, msg: schemas.PriceChangeMsg) -> None:
        by_token: dict[str, list[schemas.Change]] = {}
        for change in msg.rows():
            by_token.setdefault(change.asset_id, []).append(change)
        if not by_token:
            self.audit.soon = True
            raise CorruptData(
                "Polymarket sent a book change without a change", msg.market[:80], NEWS_MEND
            )
        ts_ms = int(schemas.number(msg.timestamp, "timestamp"))
        failed: Exception | None = None
        for token, changes in by_token.items():
            book = self.books.get(token)
            try:
                if book is None:
                    self._stranger(token, msg.market)
                    continue
                self._show_changes(book, book.apply(changes, ts_ms), ts_ms)
            except Exception as exc:
                if book is not None:
                    self.distrust(book, str(exc))
                failed = exc  # the other token's changes still count
        if failed is not None:
            raise failed

    def _show_changes(
        self, book: PolyBook, done: Sequence[tuple[bool, Decimal, Decimal]], ts_ms: int
    ) -> None:
        if not done:
            return
        now = self.stamps.next()
        self.last_news_ns[book.token] = now
        iid = self.instrument_of(book.token)
        event = ts_ms * 1_000_000 or now
        if iid in self._deltas:
            shown = [(bid, price, size // LOT * LOT) for bid, price, size in done]
            self._tell(self._writers[iid].levels(shown, 0, event, now))
        self._show_quote(book, iid, event, now)

    def _show_snapshot(self, book: PolyBook) -> None:
        iid = self.instrument_of(book.token)
        self.last_news_ns[book.token] = now = self.stamps.next()
        if iid in self._deltas:
            sides = ([(p, s // LOT * LOT) for p, s in x.items()] for x in (book.bids, book.asks))
            bids, asks = ([row for row in side if row[1] > 0] for side in sides)
            self._tell(self._writers[iid].snapshot(bids, asks, 0, now, now))
        self._show_quote(book, iid, now, now)

    def _show_quote(self, book: PolyBook, iid: str, event: int, now: int) -> None:
        if iid not in self._quotes or book.state is not BookState.GOOD:
            return
        bid, ask = book.best_bid, book.best_ask
        if bid is None or ask is None:
            return
        top = (bid[0], bid[1] // LOT * LOT), (ask[0], ask[1] // LOT * LOT)
        self._tell(self._writers[iid].quote(*top, event, now))

    def _on_trade(self, msg: schemas.LastTradeMsg) -> None:
        iid = self.instrument_of(msg.asset_id)
        if iid not in self._trades:
            return
        now = self.stamps.next()
        price, size = schemas.number(msg.price, "price"), schemas.number(msg.size, "size")
        size = size // LOT * LOT
        if size <= 0 or not ZERO < price < ONE:
            return
        at = int(schemas.number(msg.timestamp, "timestamp")) * 1_000_000 or now
        told = f"{msg.transaction_hash}|{msg.asset_id}|{at}|{msg.price}|{msg.size}|{msg.side}"
        name = hashlib.sha256(told.encode()).hexdigest()
        self._tell_trade(iid, price, size, msg.side == "BUY", name, at, now)

    # -- grid, hours and results ------------------------------------------------------------
    def _on_tick(self, msg: schemas.TickSizeMsg) -> None:
        """Take over a new grid: the gate refuses prices off it from now on."""
        market = self.registry.tick_changed(msg.market, tick_of(str(msg.new_tick_size)))
        if market is not None:
            self.provider.on_market(market)

    def _on_resolved(self, msg: schemas.ResolvedMsg) -> None:
        market = self.registry.markets.get(msg.market)
        if market is None:
            return
        payouts = tuple(
            ONE if o.token_id == msg.winning_asset_id else ZERO for o in market.outcomes
        )
        named = {o.token_id for o in market.outcomes}
        if sum(payouts, ZERO) == ONE and set(msg.assets_ids) <= named:
            self._settle(msg.market, payouts)
        else:  # no winner named: a 50-50 or something new; the catalogue says what was paid
            self._status(msg.market, MarketStatus.CLOSED)

    async def _keep_results(self) -> None:
        """Ask the catalogue for markets that are past their end or closed: no event is repeated for them."""
        while True:
            await asyncio.sleep(self.poll_result_s)
            self._release_paid()
            now = self.clock.timestamp_ns()
            waiting = [
                m.market_id
                for m in self.registry.markets.values()
                if m.market_id not in self._settled
                and (
                    (m.close_ns and now >= m.close_ns)
                    or self._shown.get(m.market_id) is MarketStatus.CLOSED
                )
            ]
            if not waiting:
                continue
            try:
                await self.ask_results(waiting)
            except NONSENSE as exc:  # nobody is paid on a guess: asked again
                self.rest.answers.bad("the results of closed markets", exc)

    async def ask_results(self, conditions: Sequence[str]) -> None:
        """Settle what the catalogue calls resolved: a winner, or half and half."""
        try:
            payloads = await self.catalogue.by_condition(conditions)
        except (VenueRefused, VenueUncertain):
            return  # asked again next time
        for payload in payloads:
            condition = str(payload.get("conditionId"))
            found = resolution_of(payload)
            if condition not in self.registry.markets:
                continue
            if found is not None:
                self._settle(condition, found.payouts)
            elif payload.get("closed"):
                self._status(condition, MarketStatus.CLOSED)
