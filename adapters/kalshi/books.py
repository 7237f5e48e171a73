"""Order books from the ``orderbook_delta`` channel: absolute levels from signed increments, gaps detected.

Levels are kept in YES prices (``use_yes_price: true``): `bids` are YES bids, `asks` are NO bids at ``1 - p``.
A gap in the sequence of a subscription makes every book of it suspect; a book is good again only after its
own snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from adapters.kalshi.parsing import dollars
from adapters.kalshi.schemas import BookMsg, DeltaMsg, SnapshotMsg
from adapters.mends import NEWS_MEND
from core.domain.errors import CorruptData
from core.domain.money import ONE, ZERO

#: Side (``"bid"`` or ``"ask"``) and YES price of a level.
Place = tuple[str, Decimal]


class BookState(StrEnum):
    """Whether a book may be believed."""

    WAITING = "waiting"
    GOOD = "good"
    SUSPECT = "suspect"


@dataclass(slots=True)
class KalshiBook:
    """Levels of one market in YES prices: dollars to contracts.

    Attributes
    ----------
    touched : set, optional
        Gets every level that changes while somebody compares the book; None after a snapshot.
    """

    ticker: str
    state: BookState = BookState.WAITING
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    touched: set[Place] | None = None

    def load(self, msg: SnapshotMsg) -> None:
        """Replace everything by a snapshot.

        Raises
        ------
        CorruptData
            If it is crossed, out of range or not numeric; the book is then suspect.
        """
        self.state, self.touched = BookState.SUSPECT, None
        self.bids = _levels(msg.yes_dollars_fp, "yes level")
        self.asks = _levels(msg.no_dollars_fp, "no level")
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            raise CorruptData(
                f"the book of {self.ticker} is crossed: is use_yes_price what was asked for?",
                f"bid {max(self.bids)}, ask {min(self.asks)}",
                NEWS_MEND,
            )
        self.state = BookState.GOOD

    def apply(self, msg: DeltaMsg) -> tuple[str, Decimal, Decimal]:
        """Apply an increment; return (``"bid"`` or ``"ask"``, YES price, new size of the level).

        Raises
        ------
        CorruptData
            If the level would become negative or the side is unknown; the book is then suspect.
        """
        side = {"yes": "bid", "no": "ask"}.get(msg.side)
        if side is None:
            self.state = BookState.SUSPECT
            raise CorruptData("Kalshi sent an unknown book side", msg.side, NEWS_MEND)
        levels = self.bids if side == "bid" else self.asks
        price, change = dollars(msg.price_dollars, "price"), dollars(msg.delta_fp, "delta")
        size = levels.get(price, ZERO) + change
        if size < 0 or not ZERO < price < ONE:
            self.state = BookState.SUSPECT
            raise CorruptData(
                f"the book of {self.ticker} went negative or out of range",
                (str(price), str(size)),
                NEWS_MEND,
            )
        if size == 0:
            levels.pop(price, None)
        else:
            levels[price] = size
        if self.touched is not None:
            self.touched.add((side, price))
        return side, price, size

    @property
    def best_bid(self) -> tuple[Decimal, Decimal] | None:
        """Best YES bid and its size."""
        if not self.bids:
            return None
        price = max(self.bids)
        return price, self.bids[price]

    @property
    def best_ask(self) -> tuple[Decimal, Decimal] | None:
        """Best YES ask and its size."""
        if not self.asks:
            return None
        price = min(self.asks)
        return price, self.asks[price]


def _levels(rows: tuple[tuple[str, str], ...], what: str) -> dict[Decimal, Decimal]:
    out: dict[Decimal, Decimal] = {}
    for price_text, size_text in rows:
        price, size = dollars(price_text, what), dollars(size_text, what)
        if not ZERO < price < ONE or size < 0:
            raise CorruptData(
                f"Kalshi sent an impossible {what}", (price_text, size_text), NEWS_MEND
            )
        if size > 0:
            out[price] = size
    return out


def rest_levels(msg: BookMsg) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    """Return (bids, asks) in YES prices of a REST answer, which tells NO bids on their own scale.

    Raises
    ------
    CorruptData
        For an impossible level.
    """
    asks = _levels(msg.no_dollars, "no level")
    return _levels(msg.yes_dollars, "yes level"), {
        ONE - price: size for price, size in asks.items()
    }


@dataclass(slots=True)
class Sequence:
    """Sequence of one subscription: every sequenced frame counts, replies included."""

    sid: int
    last: int | None = None
    gaps: int = 0
    repeats: int = 0

    def accept(self, seq: int) -> str:
        """Return ``"next"``, ``"gap"`` or ``"repeat"`` for a frame with number `seq`.

        After a gap counting goes on from the new number: what follows is in order again, what was
        missed must come from snapshots.
        """
        if self.last is None or seq == self.last + 1:
            self.last = seq
            return "next"
        if seq <= self.last:
            self.repeats += 1
            return "repeat"
        self.gaps += 1
        self.last = seq
        return "gap"
