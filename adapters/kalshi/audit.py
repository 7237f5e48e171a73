"""Kalshi's books beside the venue's own answer: a right frame that lies has a right number, so only a second source tells.

One market after the other, slowly. An answer has neither a number nor a time, so only levels are compared that no frame
touched from before the question until after the answer, and only what differs in two looks, by the same sizes, counts.

=========================  =====================================================================================
seen                       done
=========================  =====================================================================================
levels differ              the book is emptied and its snapshot asked for again; a row, counter `mended`
again, in the same market  the same, and the market is barred to purchases until an operator resumes
equal, `FORGET_LOOKS`      what was before is forgotten
=========================  =====================================================================================
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from decimal import Decimal

from adapters.certainty import NONSENSE
from adapters.kalshi.books import BookState, KalshiBook, Place, rest_levels
from adapters.kalshi.rest import KalshiRest
from adapters.strikes import Strikes
from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.money import ZERO

#: Seconds before a question and after its answer in which news may be on its way; between two markets.
NEWS_S, AUDIT_PAUSE_S = 1.0, 1.0
Differing = dict[Place, tuple[Decimal, Decimal]]


class BookAudit:
    """Compares, has books read again, and bars markets.

    Parameters
    ----------
    rest : KalshiRest
        A look costs one read.
    books : mapping
        By ticker; those in a good state are looked at.
    doubt : callable
        Empties a book and asks for its snapshot.
    bar : callable
        Bars a market to purchases, with the reason.
    settled : container of str
        Tickers that have no book any more.
    """

    def __init__(
        self,
        rest: KalshiRest,
        books: Mapping[str, KalshiBook],
        doubt: Callable[[KalshiBook], None],
        bar: Callable[[str, str], None],
        settled: Container[str] = (),
    ) -> None:
        self._settled = settled
        self._rest, self._books, self._doubt, self._bar = rest, books, doubt, bar
        self._strikes = Strikes()
        self.looks = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(AUDIT_PAUSE_S)
            for ticker in list(self._books):
                if await self.audit(ticker):  # what came instead is looked at next
                    await asyncio.sleep(AUDIT_PAUSE_S)
                    await self.audit(ticker)
                await asyncio.sleep(AUDIT_PAUSE_S)

    async def audit(self, ticker: str) -> bool:
        """Compare one market; return whether its book was not the venue's."""
        book = self._books.get(ticker)
        first = None if book is None else await self._look(book)
        if book is None or not first:
            if first is not None:
                self._strikes.equal(ticker)
            return False
        again = await self._look(book) or {}
        lasting = [place for place in first if again.get(place) == first[place]]
        if lasting:
            self._differs(book, lasting, first)
        return bool(lasting)

    async def _look(self, book: KalshiBook) -> Differing | None:
        """Return the levels that differ, (size here, size there); None when nothing can be concluded."""
        if book.state is not BookState.GOOD or book.ticker in self._settled:
            return None
        touched: set[Place] = set()
        book.touched = touched
        try:
            await asyncio.sleep(NEWS_S)
            bids, asks = rest_levels(await self._rest.orderbook(book.ticker))
            await asyncio.sleep(NEWS_S)
        except (VenueRefused, VenueUncertain):
            return None  # closed, or asked again next time
        except NONSENSE as exc:
            self._rest.answers.bad(f"the book of {book.ticker}", exc)
            return None
        if book.touched is not touched or book.state is not BookState.GOOD:
            return None  # it was read anew meanwhile
        book.touched = None
        self.looks += 1
        out: Differing = {}
        for side, here, there in (("bid", book.bids, bids), ("ask", book.asks, asks)):
            for price in here.keys() | there.keys():
                sizes = here.get(price, ZERO), there.get(price, ZERO)
                if sizes[0] != sizes[1] and (side, price) not in touched:
                    out[side, price] = sizes
        return out

    def _differs(self, book: KalshiBook, lasting: list[Place], sizes: Differing) -> None:
        """Read the book again; bar the market when it is not the first time."""
        side, price = min(lasting)
        here, there = sizes[side, price]
        words = (
            f"{book.ticker}: {len(lasting)} levels of the book are not the venue's, "
            f"{side} {price.normalize():f}: {here.normalize():f} here, {there.normalize():f} there"
        )
        barred = self._strikes.differs(book.ticker)
        if barred:
            self._bar(book.ticker, f"{words}, again")
        self._rest.answers.mended(f"{words}; {'barred' if barred else 'read again'}")
        self._doubt(book)
