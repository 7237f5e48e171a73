"""A venue trade as our executions: one for each level we took, one for each order of ours that was met.

===============================  ==================================================================
trade status                     meaning for us
===============================  ==================================================================
MATCHED, MATCHED_..., MINED,     provisional: booked, but its shares cannot be sold yet
RETRYING and any unknown word
CONFIRMED                        final
FAILED                           taken back: every execution of the trade is void
===============================  ==================================================================

A word may carry the prefix ``TRADE_STATUS_``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from adapters.mends import NEWS_MEND
from adapters.polymarket import schemas
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import CorruptData
from core.domain.fees import Role, Side
from core.domain.money import ONE, ZERO

LOT = Decimal("0.01")
PRICE_STEP = Decimal("0.0001")
LAST_S = 4_102_444_800  # the year 2100
MOST_SHARES = Decimal(10) ** 12


class TradeState(StrEnum):
    """How final a trade is."""

    PROVISIONAL = "provisional"
    MINED = "mined"
    CONFIRMED = "confirmed"
    FAILED = "failed"


def state_of(status: str) -> TradeState:
    """Return how final a status word is; an unknown word is provisional: it neither ends nor voids anything."""
    word = status.upper().removeprefix("TRADE_STATUS_")
    return {
        "CONFIRMED": TradeState.CONFIRMED,
        "FAILED": TradeState.FAILED,
        "MINED": TradeState.MINED,
    }.get(word, TradeState.PROVISIONAL)


@dataclass(frozen=True, slots=True)
class Leg:
    """One execution of one of our orders, in the terms of that order's own token.

    Attributes
    ----------
    leg_id : str
        Our trade id, the same every time the trade is told; at most 36 characters.
    """

    leg_id: str
    trade_id: str
    order_id: str
    token_id: str
    market: str
    side: Side
    size: Decimal
    price: Decimal
    role: Role
    ts_ns: int


def side_of(word: str) -> Side:
    """Return the side of a word.

    Raises
    ------
    CorruptData
        For any other word: a purchase booked as a sale is worse than a trade that is read again.
    """
    try:
        return Side(word.upper())
    except ValueError:
        raise CorruptData("Polymarket sent an unknown side", word[:40], NEWS_MEND) from None


def flipped(side: Side) -> Side:
    """Return the other side."""
    return Side.SELL if side is Side.BUY else Side.BUY


def leg_id(trade_id: str, order_id: str, maker_order_id: str) -> str:
    """Return a stable id of one leg; the engine takes at most 36 characters."""
    return hashlib.sha256(f"{trade_id}|{order_id}|{maker_order_id}".encode()).hexdigest()[:36]


def venue_time_ns(value: schemas.Number | None) -> int:
    """Return a time given as seconds, milliseconds or ISO text; 0 when absent or unreadable."""
    if value is None or value == "":
        return 0
    text = str(value)
    try:
        stamp = Decimal(text)
    except ArithmeticError:
        try:
            return ns_from_iso(text.replace("Z", "+00:00"))
        except Exception:
            # Any unreadable time counts as absent; the receiver then uses its own clock.
            return 0
    if not stamp.is_finite() or stamp <= 0:
        return 0
    seconds = stamp / 1000 if stamp > 10_000_000_000 else stamp
    return int(seconds * NS_PER_SECOND) if seconds < LAST_S else 0


def traded(value: schemas.Number | None) -> Decimal:
    """Return the shares of a trade.

    Raises
    ------
    CorruptData
        If there are none: what was traded would be booked as nothing, and its repetition taken for known.
    """
    size = schemas.number(value, "size")
    if not ZERO < size < MOST_SHARES:
        raise CorruptData(
            "Polymarket sent a trade of an impossible size", str(value)[:40], NEWS_MEND
        )
    return size


def price_of(value: schemas.Number | None) -> Decimal:
    """Return the price of a trade; raise `CorruptData` for one outside 0 and 1."""
    price = schemas.number(value, "price")
    if not ZERO < price < ONE:
        raise CorruptData(
            "Polymarket sent a trade at an impossible price", str(value)[:40], NEWS_MEND
        )
    return price


def legs_of(trade: schemas.TradeMsg, api_key: str, ours: Container[str] = ()) -> list[Leg]:
    """Return our executions in a trade.

    We are the taker when the venue says so, or when the taker order is one of ours. A maker order is ours by its
    owner or its id; it may be on the other token (a mint or a merge), then with the taker's own side.
    """
    at = venue_time_ns(trade.match_time) or venue_time_ns(trade.timestamp)
    makers = trade.maker_orders or ()
    taker_side = side_of(trade.side)
    if trade.trader_side != "MAKER" and (
        trade.trader_side == "TAKER" or trade.taker_order_id in ours or trade.owner == api_key
    ):
        return _taker_legs(trade, taker_side, at)
    legs = []
    for maker in makers:
        if maker.owner != api_key and maker.order_id not in ours:
            continue
        if maker.side:
            side = side_of(maker.side)
        else:
            side = flipped(taker_side) if maker.asset_id == trade.asset_id else taker_side
        legs.append(
            Leg(
                leg_id(trade.id, maker.order_id, maker.order_id),
                trade.id,
                maker.order_id,
                maker.asset_id,
                trade.market,
                side,
                traded(maker.matched_amount),
                price_of(maker.price),
                Role.MAKER,
                at,
            )
        )
    return legs


def _taker_legs(trade: schemas.TradeMsg, side: Side, at: int) -> list[Leg]:
    """Return one leg for each maker order at its own price, when the parts add up; else one at the trade's price.

    The trade's single price is only right when all makers had the same one; the parts are exact.
    """
    size, price = traded(trade.size), price_of(trade.price)
    whole = Leg(
        leg_id(trade.id, trade.taker_order_id, ""),
        trade.id,
        trade.taker_order_id,
        trade.asset_id,
        trade.market,
        side,
        size,
        price,
        Role.TAKER,
        at,
    )
    parts: list[Leg] = []
    for maker in trade.maker_orders or ():
        same = maker.asset_id == trade.asset_id
        own = price_of(maker.price)
        parts.append(
            replace(
                whole,
                leg_id=leg_id(trade.id, trade.taker_order_id, maker.order_id),
                size=traded(maker.matched_amount),
                price=own if same else ONE - own,
            )
        )
    worse = any(p.price > price if side is Side.BUY else p.price < price for p in parts)
    if len(parts) < 2 or worse or sum((p.size for p in parts), ZERO) != size:
        return [replace(whole, leg_id=leg_id(trade.id, trade.taker_order_id, ""))]
    return parts


class Shares:
    """Chain sizes (6 decimals) to sizes that the engine books (2 decimals), without losing the rest.

    The total of each order is rounded down, so what is booked never exceeds what is held; a leg is worth the
    step of that total, decided once.
    """

    def __init__(self) -> None:
        self._total: dict[str, Decimal] = {}
        self._booked: dict[str, Decimal] = {}
        self._spent: dict[str, dict[str, Decimal]] = {}

    def booked(self, leg: Leg) -> Decimal:
        """Return the shares to book for a leg; the same answer each time it is asked."""
        if leg.leg_id not in self._booked:
            before = self._total.get(leg.order_id, ZERO)
            after = before + leg.size
            self._total[leg.order_id] = after
            self._spent.setdefault(leg.order_id, {})[leg.leg_id] = leg.size * leg.price
            self._booked[leg.leg_id] = after // LOT * LOT - before // LOT * LOT
        return self._booked[leg.leg_id]

    def total(self, order_id: str) -> Decimal:
        """Return the shares of an order that legs have shown, rounded down."""
        return self._total.get(order_id, ZERO) // LOT * LOT

    def spent(self, order_id: str) -> Decimal:
        """Return the dollars of all legs of an order, taken back or not."""
        return sum(self._spent.get(order_id, {}).values(), ZERO)

    def legs(self, order_id: str) -> list[str]:
        """Return the ids of all legs of an order, taken back or not."""
        return list(self._spent.get(order_id, ()))

    def forget(self, order_ids: Container[str]) -> list[str]:
        """Forget orders; return the ids of their legs."""
        gone: list[str] = []
        for order_id in [o for o in self._total if o in order_ids]:
            del self._total[order_id]
            gone += self._spent.pop(order_id, ())
        for leg in gone:
            self._booked.pop(leg, None)
        return gone

    def void(self, leg: Leg) -> None:
        """Forget a leg that the venue took back."""
        if self._booked.pop(leg.leg_id, None) is not None:
            self._total[leg.order_id] = self._total.get(leg.order_id, ZERO) - leg.size
