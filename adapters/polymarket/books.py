"""One token's book from snapshots and absolute level changes; what does not add up is not shown to anyone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

from adapters.mends import NEWS_MEND
from adapters.polymarket import schemas
from core.domain.errors import CorruptData
from core.domain.money import ONE, ZERO

Level = tuple[Decimal, Decimal]
#: Whether it is a bid, and its price; the sizes here and at the venue of places that differ.
Place = tuple[str, Decimal]
Differing = dict[Place, Level]
MAX_HELD = 5_000
#: A change that was overtaken by its snapshot is younger than this; an older one has a time that cannot be.
MAX_LATE_MS = 60_000


class BookState(StrEnum):
    """Whether the book may be traded on."""

    EMPTY = "empty"
    GOOD = "good"
    SUSPECT = "suspect"


def levels_of(rows: Iterable[schemas.Level]) -> dict[Decimal, Decimal]:
    """Return price to size of a snapshot side.

    Raises
    ------
    CorruptData
        For a price outside 0..1 or a negative size.
    """
    found: dict[Decimal, Decimal] = {}
    for row in rows:
        price, size = level_of(row.price, row.size)
        if size > 0:
            found[price] = size
    return found


def level_of(price: schemas.Number, size: schemas.Number) -> Level:
    """Return one level as Decimals, checked."""
    if size == "":
        raise CorruptData("a book level without a size", str(price)[:40], NEWS_MEND)
    p, s = schemas.number(price, "price"), schemas.number(size, "size")
    if not ZERO < p < ONE:
        raise CorruptData("a book price outside 0 and 1", str(p), NEWS_MEND)
    if s < 0:
        raise CorruptData("a book level with a negative size", str(s), NEWS_MEND)
    return p, s


class PolyBook:
    """Levels of one token.

    Attributes
    ----------
    state : BookState
        GOOD only between a snapshot and the first thing that does not add up.
    ts_ms : int
        Venue time of the last snapshot or change.
    touched : set, optional
        Places that frames tell of are added while it is set; a snapshot or a doubt ends it.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.state = BookState.EMPTY
        self.ts_ms = 0
        self.reason = ""
        self.touched: set[Place] | None = None
        self._held: list[tuple[int, Sequence[schemas.Change]]] = []
        self._loaded_ms = 0
        self._changed_ms: dict[tuple[bool, Decimal], int] = {}

    @property
    def best_bid(self) -> Level | None:
        """Best bid and its size."""
        price = max(self.bids, default=None)
        return None if price is None else (price, self.bids[price])

    @property
    def best_ask(self) -> Level | None:
        """Best ask and its size."""
        price = min(self.asks, default=None)
        return None if price is None else (price, self.asks[price])

    def forget(self) -> None:
        """Drop everything for good: the market is paid out."""
        self.bids, self.asks, self._held = {}, {}, []
        self._changed_ms.clear()
        self.state = BookState.EMPTY

    def load(self, msg: schemas.BookMsg) -> None:
        """Take a snapshot; then the changes that came while it was awaited.

        Raises
        ------
        CorruptData
            If it is crossed or holds impossible levels: the book is then suspect.
        """
        try:
            self.bids = levels_of(schemas.side_of_book(msg.bids, msg.buys))
            self.asks = levels_of(schemas.side_of_book(msg.asks, msg.sells))
            self.ts_ms = self._loaded_ms = int(schemas.number(msg.timestamp, "timestamp"))
            self._changed_ms.clear()
            self.touched = None
            self._check_crossed()
        except CorruptData as exc:
            self.doubt(str(exc))
            raise
        self.state, self.reason = BookState.GOOD, ""
        held, self._held = self._held, []
        for ts_ms, changes in held:
            if ts_ms > self.ts_ms:
                self.apply(changes, ts_ms)

    def apply(
        self, changes: Sequence[schemas.Change], ts_ms: int
    ) -> list[tuple[bool, Decimal, Decimal]]:
        """Apply the changes of one message; return (is bid, price, size) of each.

        While the book is suspect they are held for the snapshot that is on its way.

        Raises
        ------
        CorruptData
            If afterwards the book is crossed or its best prices are not the venue's.
        """
        if self.state is not BookState.GOOD:
            if self.state is BookState.SUSPECT and len(self._held) < MAX_HELD:
                self._held.append((ts_ms, changes))
            return []
        done: list[tuple[bool, Decimal, Decimal]] = []
        try:
            if ts_ms < self._loaded_ms - MAX_LATE_MS:
                raise CorruptData("a book change from long before its snapshot", ts_ms, NEWS_MEND)
            for change in changes:
                if change.side not in ("BUY", "SELL"):
                    raise CorruptData(
                        "a book change with an unknown side", change.side[:20], NEWS_MEND
                    )
                price, size = level_of(change.price, change.size)
                bid = change.side == "BUY"
                if self.touched is not None:
                    self.touched.add(("bid" if bid else "ask", price))
                if ts_ms < self._changed_ms.get((bid, price), self._loaded_ms):
                    continue  # overtaken by a newer word on this level
                self._changed_ms[bid, price] = ts_ms
                levels = self.bids if bid else self.asks
                if size > 0:
                    levels[price] = size
                else:
                    levels.pop(price, None)
                done.append((bid, price, size))
            self.ts_ms = max(self.ts_ms, ts_ms)
            self._check_crossed()
            if ts_ms == self.ts_ms:
                self._check_best(changes[-1])
        except CorruptData as exc:
            self.doubt(str(exc))
            raise
        return done

    def newer_than(self, msg: schemas.BookMsg) -> bool:
        """Return whether a snapshot is older than what is known, also while that is doubted."""
        return int(schemas.number(msg.timestamp, "timestamp")) < self.ts_ms

    def differing(self, msg: schemas.BookMsg) -> Differing:
        """Return the places where a snapshot shows another size: here, and in the snapshot."""
        bids = levels_of(schemas.side_of_book(msg.bids, msg.buys))
        asks = levels_of(schemas.side_of_book(msg.asks, msg.sells))
        out: Differing = {}
        for side, here, there in (("bid", self.bids, bids), ("ask", self.asks, asks)):
            for price in here.keys() | there.keys():
                sizes = here.get(price, ZERO), there.get(price, ZERO)
                if sizes[0] != sizes[1]:
                    out[side, price] = sizes
        return out

    def doubt(self, reason: str) -> None:
        """Stop trusting the levels."""
        self.state, self.reason, self.touched = BookState.SUSPECT, reason, None

    def _check_crossed(self) -> None:
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        if bid is not None and ask is not None and bid >= ask:
            raise CorruptData("a crossed book", f"bid {bid}, ask {ask}", NEWS_MEND)

    def _check_best(self, change: schemas.Change) -> None:
        """Compare with the best prices that the venue sends along (0 and 1 stand for an empty side)."""
        for said, mine, empty in (
            (change.best_bid, max(self.bids, default=None), ZERO),
            (change.best_ask, min(self.asks, default=None), ONE),
        ):
            if said is None or said == "":
                continue
            theirs = schemas.number(said, "best price")
            if theirs != (
                mine if mine is not None else theirs if theirs in (ZERO, empty) else empty
            ):
                raise CorruptData(
                    "the book's best price is not the venue's", f"{mine}, {theirs}", NEWS_MEND
                )
