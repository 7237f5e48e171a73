"""Kalshi values to domain values and back: one signed YES book to two long-only outcomes.

======================  ==================  =============
intent                  V2 side             V2 price
======================  ==================  =============
buy YES at p            ``bid``             p
sell YES at p           ``ask``             p
buy NO at q             ``ask``             1 - q
sell NO at q            ``bid``             1 - q
======================  ==================  =============
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from adapters.mends import NEWS_MEND, SHAPE_MEND
from core.domain.errors import CorruptData, MarketError, VenueError
from core.domain.fees import Side
from core.domain.money import ONE, ZERO

YES, NO = "YES", "NO"
#: No text of the venue is longer, and no amount larger: what is would only fill memory.
LAST_MS = 4_102_444_800_000  # the year 2100
MAX_DIGITS, MOST = 40, Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class BookOrder:
    """An order in the venue's own terms."""

    side: str
    price: Decimal


def instrument_id(ticker: str, outcome: str) -> str:
    """Return ``{ticker}-YES.KALSHI`` or ``{ticker}-NO.KALSHI``."""
    return f"{ticker}-{outcome}.KALSHI"


def split_instrument(iid: str) -> tuple[str, str]:
    """Return (ticker, ``"YES"`` or ``"NO"``); tickers may hold dots and dashes."""
    body, _, venue = iid.rpartition(".")
    ticker, _, outcome = body.rpartition("-")
    if venue != "KALSHI" or outcome not in (YES, NO) or not ticker:
        raise MarketError(
            "not a Kalshi outcome", iid, "name it TICKER-YES.KALSHI or TICKER-NO.KALSHI"
        )
    return ticker, outcome


def to_book(outcome: str, side: Side, price: Decimal) -> BookOrder:
    """Return side and YES price of an order on one outcome."""
    if outcome == YES:
        return BookOrder("bid" if side == Side.BUY else "ask", price)
    return BookOrder("ask" if side == Side.BUY else "bid", ONE - price)


def from_book(outcome: str, book_side: str, yes_price: Decimal) -> tuple[Side, Decimal]:
    """Return side and price on `outcome` of an order or fill in the venue's terms.

    Raises
    ------
    VenueError
        If the venue sends a side we do not know.
    """
    if book_side not in ("bid", "ask"):
        raise VenueError("Kalshi sent an unknown book side", book_side, SHAPE_MEND)
    if outcome == YES:
        return (Side.BUY if book_side == "bid" else Side.SELL), yes_price
    return (Side.BUY if book_side == "ask" else Side.SELL), ONE - yes_price


def dollars(text: str | None, what: str) -> Decimal:
    """Return a finite Decimal of a venue string.

    Raises
    ------
    CorruptData
        If it is missing, no number, not finite, or larger than anything that is traded.
    """
    try:
        value = Decimal(text) if text is not None and len(text) <= MAX_DIGITS else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or not -MOST < value < MOST:
        raise CorruptData(
            f"Kalshi sent no number for {what}", text and text[:MAX_DIGITS], NEWS_MEND
        )
    return value


def ns_of_ms(ts_ms: int) -> int:
    """Return a venue time given in milliseconds; what cannot be a time is absent: 0."""
    return ts_ms * 1_000_000 if 0 < ts_ms < LAST_MS else 0


def payouts(result: str, settlement_value: Decimal | None) -> tuple[Decimal, Decimal]:
    """Return the payouts (YES, NO) of a determined market.

    Raises
    ------
    VenueError
        If the result is not one we know: nobody is paid on a guess.
    """
    if result == "yes":
        return ONE, ZERO
    if result == "no":
        return ZERO, ONE
    if result == "scalar" and settlement_value is not None and ZERO <= settlement_value <= ONE:
        return settlement_value, ONE - settlement_value
    raise VenueError(
        "Kalshi sent a result that cannot be settled",
        (result, settlement_value),
        "see the market on kalshi.com, then update beta-trader: nobody is paid on a guess",
    )


def format_price(price: Decimal) -> str:
    """Return a price as the venue writes it, four decimals."""
    return f"{price:.4f}"


def format_count(count: Decimal) -> str:
    """Return a contract count as the venue writes it, two decimals."""
    return f"{count:.2f}"
