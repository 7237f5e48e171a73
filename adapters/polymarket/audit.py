"""Polymarket's books beside the venue's own answer: changes carry no numbers, so a lost or false one is silent.

An answer that is not older than the book replaces it when it differs. Whether the book was wrong or the news only on its way
shows afterwards: a level that frames touch within `NEWS_S` of the answer was on its way.

=========================  =====================================================================================
seen                       done
=========================  =====================================================================================
levels differ              the answer is the book now; a row, counter `mended`
and no news of them came   counted; the second time for a token its market is barred until an operator resumes
equal, `FORGET_LOOKS`      what was before is forgotten
=========================  =====================================================================================
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.polymarket import schemas
from adapters.polymarket.books import BookState, Differing, Place, PolyBook
from adapters.strikes import Strikes
from core.domain.errors import VenueRefused, VenueUncertain

if TYPE_CHECKING:
    from adapters.polymarket.data import PolymarketData

#: Seconds between two rounds, between two books of one, and between two looks at whether a round is due at once.
AUDIT_S, AUDIT_PAUSE_S, TURN_S = 20.0, 0.02, 1.0
#: Seconds after an answer in which news of what it shows may still come.
NEWS_S = 2.0


class BookAudit:
    """Compares, takes over, and bars markets.

    Attributes
    ----------
    soon : bool
        Set it to have all books compared at once.
    """

    def __init__(self, data: PolymarketData) -> None:
        self._data = data
        self._strikes = Strikes()
        self.soon = False

    async def run(self) -> None:
        """Compare every book now and then, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + AUDIT_S
            await asyncio.sleep(TURN_S)
            while not self.soon and loop.time() < due:
                await asyncio.sleep(TURN_S)
            self.soon = False
            for token in list(self._data.books):
                if await self.audit(token):
                    await asyncio.sleep(AUDIT_PAUSE_S)

    async def audit(self, token: str) -> bool:
        """Compare one book; return whether the venue was asked."""
        data, book = self._data, self._data.books.get(token)
        if book is None or book.state is not BookState.GOOD or data.token_settled(token):
            return False
        try:
            msg = await data.rest.book(token)
            data.stamp(msg.timestamp)
            if book.state is BookState.GOOD and not book.newer_than(msg):
                self._compare(book, msg)
        except (VenueRefused, VenueUncertain):
            pass  # compared again next time
        except Exception as exc:
            # One answer that cannot be must not end the comparing of all the others.
            data.distrust(book, str(exc))
            data.rest.answers.bad(f"the book of {token[-8:]}", exc)
        return True

    def _compare(self, book: PolyBook, msg: schemas.BookMsg) -> None:
        found = book.differing(msg)
        if not found:
            self._strikes.equal(book.token)
            return
        self._data.take_book(book, msg)
        book.touched = touched = set[Place]()
        self._data.create_task(self._judge(book, found, touched), f"judge-{book.token[-8:]}")

    async def _judge(self, book: PolyBook, found: Differing, touched: set[Place]) -> None:
        """Tell what differed, and bar the market when it was no news on its way and not the first time."""
        await asyncio.sleep(NEWS_S)
        (side, price), (here, there) = min(found.items())
        words = (
            f"{self._data.instrument_of(book.token)}: {len(found)} levels of the book were not the venue's, "
            f"{side} {price.normalize():f}: {here.normalize():f} here, {there.normalize():f} there"
        )
        news = book.touched is not touched or bool(touched & found.keys())
        if book.touched is touched:
            book.touched = None
        barred = not news and self._strikes.differs(book.token)
        if barred:
            self._data.on_barred(self._data.registry.by_token[book.token][0], f"{words}, again")
        self._data.rest.answers.mended(f"{words}; {'barred' if barred else 'read again'}")
