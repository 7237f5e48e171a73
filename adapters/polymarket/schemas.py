"""Polymarket payloads as msgspec structs: only what is used, unknown fields ignored, words left open.

Numbers come as text or as numbers depending on route and year, so both are taken and turned into Decimal by
`number`. Status words stay open strings: a new word must never crash a reader.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec

from adapters.mends import NEWS_MEND
from core.domain.errors import CorruptData
from core.domain.money import ZERO

Number = str | int | float
#: Balances and allowances go up to 2^256; a larger number would only fill memory.
MAX_EXPONENT = 78


def number(value: Number | None, what: str) -> Decimal:
    """Return a venue number; empty and null are zero.

    Raises
    ------
    CorruptData
        If it is not a finite number, or larger than any number of a contract.
    """
    if value is None or value == "":
        return ZERO
    try:
        found = Decimal(str(value))
    except (InvalidOperation, ValueError):  # ValueError: an integer too long to be written out
        raise CorruptData(
            f"Polymarket sent a {what} that is no number", str(value)[:40], NEWS_MEND
        ) from None
    if not found.is_finite() or found.adjusted() > MAX_EXPONENT:
        raise CorruptData(f"Polymarket sent a {what} that is no number", str(value)[:40], NEWS_MEND)
    return found


# -- CLOB -----------------------------------------------------------------------------------------


class Level(msgspec.Struct, frozen=True):
    """One price level."""

    price: Number
    size: Number


class BookMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A whole book, REST and WebSocket alike; best levels last."""

    asset_id: str
    market: str = ""
    timestamp: Number = 0
    hash: str = ""
    bids: tuple[Level, ...] | msgspec.UnsetType | None = msgspec.UNSET
    asks: tuple[Level, ...] | msgspec.UnsetType | None = msgspec.UNSET
    buys: tuple[Level, ...] | msgspec.UnsetType | None = msgspec.UNSET
    sells: tuple[Level, ...] | msgspec.UnsetType | None = msgspec.UNSET
    tick_size: Number | None = None


def side_of_book(
    new: tuple[Level, ...] | msgspec.UnsetType | None,
    old: tuple[Level, ...] | msgspec.UnsetType | None,
) -> tuple[Level, ...]:
    """Return one side of a snapshot under its present or its old name.

    Raises
    ------
    CorruptData
        If it is there under neither: an empty side is an empty list, and a missing one says nothing.
    """
    if new is msgspec.UNSET and old is msgspec.UNSET:
        raise CorruptData("Polymarket sent a book without one of its sides", None, NEWS_MEND)
    return (new or ()) or (old or ())


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``POST /order``."""

    success: bool = False
    orderID: str | None = None
    errorMsg: str | None = None
    status: str = ""
    makingAmount: Number | None = None
    takingAmount: Number | None = None
    tradeIDs: tuple[str, ...] | None = None


class CancelAnswer(msgspec.Struct, frozen=True):
    """Answer to a cancel."""

    canceled: tuple[str, ...] | None = ()
    not_canceled: dict[str, str] | None = None


class OrderMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An own order, REST and user channel alike."""

    id: str
    asset_id: str
    market: str = ""
    side: str = ""
    original_size: Number | None = None
    size_matched: Number | None = None
    price: Number | None = None
    status: str = ""
    type: str = ""
    order_type: str = ""
    expiration: Number | None = None
    created_at: Number | None = None
    timestamp: Number | None = None
    associate_trades: tuple[str, ...] | None = None
    owner: str = ""


class MakerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One resting order that a trade met."""

    order_id: str
    asset_id: str
    matched_amount: Number
    price: Number
    owner: str = ""
    maker_address: str = ""
    side: str = ""


class TradeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of ours as taker or as maker, REST and user channel alike."""

    id: str
    market: str
    asset_id: str
    side: str
    size: Number
    price: Number
    status: str
    taker_order_id: str = ""
    maker_orders: tuple[MakerOrder, ...] | None = None
    trader_side: str = ""
    owner: str = ""
    maker_address: str = ""
    match_time: Number | None = None
    timestamp: Number | None = None
    last_update: Number | None = None
    transaction_hash: str | None = None


class OrdersPage(msgspec.Struct, frozen=True):
    """A page of own orders."""

    data: tuple[OrderMsg, ...] | None
    next_cursor: str | None


class TradesPage(msgspec.Struct, frozen=True):
    """A page of own trades."""

    data: tuple[TradeMsg, ...] | None
    next_cursor: str | None


class BalanceMsg(msgspec.Struct, frozen=True):
    """Balance of one asset in millionths, and what each contract may take of it."""

    balance: Number
    allowances: dict[str, Number] | None = None


class HeartbeatMsg(msgspec.Struct, frozen=True):
    """Answer to a heartbeat, good or bad."""

    heartbeat_id: str | None = None
    error_msg: str | None = None


class ApiKeyMsg(msgspec.Struct, frozen=True):
    """An API key as the venue gives it."""

    apiKey: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "ApiKeyMsg(**********)"


class ClosedOnlyMsg(msgspec.Struct, frozen=True):
    """Whether the account may only close."""

    closed_only: bool = False


class GeoblockMsg(msgspec.Struct, frozen=True):
    """Where the venue thinks we are."""

    blocked: bool
    country: str = ""
    region: str = ""


class ErrorMsg(msgspec.Struct, frozen=True):
    """Body of a refusal."""

    error: str | None = None
    errorMsg: str | None = None
    error_msg: str | None = None
    retry_after_seconds: float | None = None
    post_only_mode: bool = False


# -- Data v2 --------------------------------------------------------------------------------------


class PositionMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A holding as the indexer sees it; it lags the chain."""

    token_id: str
    condition_id: str
    current_size: Number
    avg_price: Number | None = None
    status: str = ""
    redeemable: bool = False


class Pagination(msgspec.Struct, frozen=True):
    """Where the next page is."""

    has_more: bool = False
    next_cursor: str | None = None


class PositionsPage(msgspec.Struct, frozen=True):
    """A page of holdings."""

    data: tuple[PositionMsg, ...] | None
    pagination: Pagination | None = None


class ResolutionMsg(msgspec.Struct, frozen=True, kw_only=True):
    """What the oracle says; price "69" means not set."""

    condition_id: str
    status: str
    price: Number | None = None


class ResolutionsPage(msgspec.Struct, frozen=True):
    """A page of resolutions."""

    data: tuple[ResolutionMsg, ...] | None = None


# -- market channel -------------------------------------------------------------------------------


class EventKind(msgspec.Struct, frozen=True):
    """First look at a frame: which kind it is."""

    event_type: str = ""
    type: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One level: `size` is the new absolute size, 0 deletes."""

    asset_id: str
    price: Number
    size: Number
    side: str
    best_bid: Number | None = None
    best_ask: Number | None = None


class PriceChangeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Changed levels of one market, both tokens possible."""

    market: str = ""
    timestamp: Number = 0
    price_changes: tuple[Change, ...] | None = None
    # the flat form of before 2025-09
    asset_id: str = ""
    price: Number | None = None
    size: Number | None = None
    side: str = ""

    def rows(self) -> tuple[Change, ...]:
        """Return the changes of either form."""
        if self.price_changes is not None:
            return self.price_changes
        if self.asset_id and self.price is not None and self.size is not None:
            return (
                Change(asset_id=self.asset_id, price=self.price, size=self.size, side=self.side),
            )
        return ()


class LastTradeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A public trade; side is the taker's."""

    asset_id: str
    price: Number
    size: Number
    side: str
    timestamp: Number = 0
    transaction_hash: str | None = None


class TickSizeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A changed grid."""

    asset_id: str
    market: str
    new_tick_size: Number


class ResolvedMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A market's winner."""

    market: str
    winning_asset_id: str = ""
    assets_ids: tuple[str, ...] = ()


class NewMarketMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A market that was just listed."""

    market: str = ""
    slug: str = ""
    assets_ids: tuple[str, ...] = ()
