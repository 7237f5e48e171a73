"""The fake Polymarket's truth as the venue's own JSON: tokens, books, orders, markets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.domain.clock import iso_from_ns
from core.domain.market import Market
from core.engine.paper.book import PRICE_UNIT, BookSide, FakeBook, other
from core.engine.paper.exchange import FakeMarket, FakeOrder

YES, NO = "YES", "NO"
MICRO_PER_LOT = 10_000


@dataclass(frozen=True, slots=True)
class FakeInfo:
    """What the exchange does not keep of a market.

    Attributes
    ----------
    tokens : tuple of str
        YES and NO.
    """

    condition: str
    tokens: tuple[str, str]
    question: str = ""
    slug: str = ""
    outcomes: tuple[str, str] = ("Yes", "No")
    neg_risk: bool = False
    neg_risk_id: str = ""
    version: str = "v1"
    event_id: str = ""
    open_ns: int = 0
    end_ns: int = 0
    delay_s: int = 0

    @classmethod
    def of(cls, market: Market, end_ns: int) -> FakeInfo:
        """Return the info of a catalog market."""
        yes, no = (token_number(o.token_id) for o in market.outcomes)
        return cls(
            market.market_id,
            (yes, no),
            market.question,
            market.info.get("slug") or market.market_id,
            (market.outcomes[0].name, market.outcomes[1].name),
            bool(market.neg_risk_id),
            market.neg_risk_id,
            market.info.get("version") or "v1",
            market.event_id,
            market.open_ns,
            end_ns,
        )


def token_number(token: str) -> str:
    """Return a token id as the number that orders are signed with; invented ids get one from their hash."""
    if token.isdigit():
        return token
    return str(int.from_bytes(hashlib.sha256(token.encode()).digest(), "big"))


def price_text(units: int) -> str:
    """Return ten-thousandths as the venue writes them: no trailing zeros, at least one decimal place of cents."""
    return format((Decimal(units) / PRICE_UNIT).normalize(), "f")


def size_text(lots: int) -> str:
    """Return hundredths of a share as the venue writes them."""
    return format((Decimal(lots) / 100).normalize(), "f")


def public_size(book: FakeBook, side: BookSide, price: int) -> int:
    """Return the size everybody sees at a price: replayed, less what we took, plus our own resting orders."""
    own = sum(o.left for o in book.resting.values() if o.side == side and o.price == price)
    return book.shown(side, price) + own


def public_levels(book: FakeBook, side: BookSide) -> dict[int, int]:
    """Return price to size of one side as everybody sees it."""
    prices = set(book.levels[side]) | {o.price for o in book.resting.values() if o.side == side}
    found = {p: public_size(book, side, p) for p in prices}
    return {p: q for p, q in found.items() if q > 0}


def token_side(side: BookSide, outcome: str) -> BookSide:
    """Return the side of a token's own book: NO mirrors YES."""
    return side if outcome == YES else other(side)


def token_price(price: int, outcome: str) -> int:
    """Return a YES price in a token's own terms."""
    return price if outcome == YES else PRICE_UNIT - price


def book_body(
    info: FakeInfo,
    market: FakeMarket,
    levels: dict[BookSide, dict[int, int]],
    outcome: str,
    ms: int,
) -> dict[str, Any]:
    """Return a whole book of one token; the best level of each side is last.

    Its hash is the SHA-1 of the compact JSON with an empty hash, fields in this order.
    """
    sides: dict[str, list[dict[str, str]]] = {}
    for name, own in (("bids", "bid"), ("asks", "ask")):
        source: BookSide = token_side(own, outcome)  # type: ignore[arg-type]
        rows = [(token_price(p, outcome), q) for p, q in levels[source].items()]
        rows.sort(reverse=own == "ask")
        sides[name] = [{"price": price_text(p), "size": size_text(q)} for p, q in rows]
    body = {
        "market": info.condition,
        "asset_id": info.tokens[0 if outcome == YES else 1],
        "timestamp": str(ms),
        "hash": "",
        **sides,
        "min_order_size": size_text(market.min_quantity),
        "tick_size": price_text(market.tick),
        "neg_risk": info.neg_risk,
        "last_trade_price": "",
    }
    text = json.dumps(body, separators=(",", ":"))
    return body | {"hash": hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}


def gamma_body(info: FakeInfo, market: FakeMarket, now_ns: int) -> dict[str, Any]:
    """Return a catalogue payload: lists as JSON text in version 1, real ids of positions in version 2."""
    closed = market.status in ("closed", "resolved")
    yes = market.yes_payout
    prices = ["0.5", "0.5"]
    if yes is not None:
        prices = [price_text(yes), price_text(PRICE_UNIT - yes)]
    fees = market.fees
    body: dict[str, Any] = {
        "id": info.condition[:10],
        "conditionId": info.condition,
        "question": info.question or info.slug,
        "slug": info.slug or info.condition,
        "questionID": info.condition,
        "version": info.version,
        "outcomes": json.dumps(list(info.outcomes)),
        "outcomePrices": json.dumps(prices),
        "startDate": iso_from_ns(info.open_ns or 1_577_836_800_000_000_000),
        "endDate": iso_from_ns(info.end_ns or market.close_ns),
        "active": True,
        "closed": closed,
        "acceptingOrders": market.status == "active",
        "enableOrderBook": not closed,
        "orderPriceMinTickSize": float(Decimal(market.tick) / PRICE_UNIT),
        "orderMinSize": float(Decimal(market.min_quantity) / 100),
        "negRisk": info.neg_risk,
        "negRiskMarketID": info.neg_risk_id,
        "secondsDelay": info.delay_s,
        "feesEnabled": fees.rate is not None,
        "events": [{"id": info.event_id or info.condition[:10], "slug": info.slug, "tags": []}],
    }
    if info.version == "v2":
        body["positionIds"] = list(info.tokens)
    else:
        body["clobTokenIds"] = json.dumps(list(info.tokens))
    if fees.rate is not None:
        body["feeSchedule"] = {
            "rate": float(fees.rate),
            "exponent": float(fees.exponent),
            "takerOnly": True,
            "rebateRate": 0,
        }
    if closed:
        body |= {
            "closedTime": iso_from_ns(now_ns).replace("T", " ").replace("Z", "+00"),
            "umaResolutionStatus": "proposed" if yes is None else "resolved",
        }
    return body


def order_body(order: FakeOrder, info: FakeInfo, owner: str) -> dict[str, Any]:
    """Return an own order as REST and the user channel give it."""
    status = "LIVE" if order.status == "resting" else "MATCHED"
    if order.status == "canceled":
        status = "CANCELED" if not order.reason else order.reason
    buys = (order.side == "bid") == (order.outcome == YES)
    return {
        "id": order.order_id,
        "status": status,
        "market": order.market,
        "asset_id": info.tokens[0 if order.outcome == YES else 1],
        "original_size": size_text(order.quantity),
        "size_matched": size_text(order.filled),
        "outcome": info.outcomes[0 if order.outcome == YES else 1],
        "maker_address": "",
        "owner": owner,
        "order_owner": owner,
        "price": price_text(token_price(order.price, order.outcome)),
        "side": "BUY" if buys else "SELL",
        "expiration": str(order.expire_ns // 1_000_000_000),
        "order_type": order.tif if order.tif != "IOC" else "FAK",
        "created_at": order.created_ns // 1_000_000_000,
        "associate_trades": None,
    }
