"""Signed order bodies at the fake Polymarket: read, checked, hashed, turned into orders of the exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from adapters.fake.polymarket.wire import YES, FakeInfo
from adapters.polymarket.eip712 import OrderStruct, exchange_of
from core.engine.paper.book import PRICE_UNIT, BookSide, FakeBook, other
from core.engine.paper.exchange import Exchange, FakeMarket, FakeOrder, VenueRefusal

TIF = {"GTC": "GTC", "GTD": "GTC", "FAK": "IOC", "FOK": "FOK"}
MICRO_PER_LOT = 10_000
DOLLAR = 1_000_000
GTD_EARLY_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Posted:
    """One order body, read.

    Attributes
    ----------
    dollars : int
        Millionths that a market BUY spends; 0 for every other order.
    """

    order_id: str
    order: FakeOrder
    dollars: int


def read(
    body: dict[str, Any],
    infos: dict[str, FakeInfo],
    exchange: Exchange,
    key: ec.EllipticCurvePublicKey | None,
    now_ns: int,
) -> Posted:
    """Return the order in a body.

    Raises
    ------
    VenueRefusal
        With the venue's own words.
    """
    try:
        raw = body["order"]
        struct = OrderStruct(
            salt=int(raw["salt"]),
            maker=str(raw["maker"]),
            signer=str(raw["signer"]),
            token_id=int(raw["tokenId"]),
            maker_amount=int(raw["makerAmount"]),
            taker_amount=int(raw["takerAmount"]),
            side=0 if raw["side"] == "BUY" else 1,
            signature_type=int(raw["signatureType"]),
            timestamp_ms=int(raw["timestamp"]),
            metadata=str(raw["metadata"]),
            builder=str(raw["builder"]),
        )
        kind, expiration = str(body["orderType"]), int(raw["expiration"])
        tif = TIF[kind]
    except (KeyError, TypeError, ValueError):
        raise VenueRefusal("bad_request", "Invalid order payload") from None
    info, outcome = _token(infos, str(struct.token_id))
    target = exchange_of(info.version, info.neg_risk)
    if key is not None and struct.signature_type != 3:
        _verify(key, struct.order_hash(target), str(raw["signature"]))
    order_id = "0x" + struct.order_hash(target).hex()
    if order_id in exchange.orders:
        raise VenueRefusal("duplicate", f"order {order_id} is invalid. Duplicated.")
    if body.get("postOnly") and tif != "GTC":
        raise VenueRefusal("bad_request", "invalid post-only order: order type")
    if kind == "GTD" and expiration * 10**9 < now_ns + GTD_EARLY_NS:
        raise VenueRefusal("bad_request", "invalid expiration")
    market = exchange.markets[info.condition]
    buys = struct.side == 0
    own, dollars = _price(struct, market, market_buy=buys and tif != "GTC")
    side: BookSide = "bid" if buys == (outcome == YES) else "ask"
    yes_price = own if outcome == YES else PRICE_UNIT - own
    if dollars:
        lots, left = affordable(market.book, side, yes_price, outcome, dollars)
        if tif == "FOK" and (lots == 0 or left >= MICRO_PER_LOT):
            raise VenueRefusal("fok_unfilled", FOK_WORDS)
    else:
        shares = struct.taker_amount if buys else struct.maker_amount
        lots, rest = divmod(shares, MICRO_PER_LOT)
        if rest:
            raise VenueRefusal("bad_request", "invalid amounts")
    order = FakeOrder(
        order_id=order_id,
        client_order_id="",
        market=info.condition,
        side=side,
        outcome=outcome,
        price=yes_price,
        quantity=lots,
        tif=tif,
        post_only=bool(body.get("postOnly")),
        created_ns=now_ns,
        expire_ns=max(expiration * 10**9 - GTD_EARLY_NS, 0) if kind == "GTD" else 0,
    )
    return Posted(order_id, order, dollars)


FOK_WORDS = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_WORDS = "no orders found to match with FAK order. FAK orders are partially filled or killed."


def _token(infos: dict[str, FakeInfo], token: str) -> tuple[FakeInfo, str]:
    for info in infos.values():
        if token in info.tokens:
            return info, YES if token == info.tokens[0] else "NO"
    raise VenueRefusal("not_found", "No orderbook exists for the requested token id")


def _verify(key: ec.EllipticCurvePublicKey, digest: bytes, signature: str) -> None:
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
        der = utils.encode_dss_signature(
            int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        )
        key.verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except (ValueError, InvalidSignature):
        raise VenueRefusal("bad_request", "invalid signature") from None


def _price(struct: OrderStruct, market: FakeMarket, *, market_buy: bool) -> tuple[int, int]:
    """Return the token price in ten-thousandths, and the dollars of a market BUY."""
    buys = struct.side == 0
    dollars = struct.maker_amount if buys else struct.taker_amount
    shares = struct.taker_amount if buys else struct.maker_amount
    if not dollars or not shares:
        raise VenueRefusal("bad_request", "invalid amounts")
    if market_buy:
        if dollars % MICRO_PER_LOT:
            raise VenueRefusal(
                "bad_request",
                "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals",
            )
        if dollars < DOLLAR:
            raise VenueRefusal(
                "bad_request", "invalid amount for a marketable BUY order, min size: $1"
            )
        return dollars * PRICE_UNIT // shares // market.tick * market.tick, dollars
    price, rest = divmod(dollars * PRICE_UNIT, shares)
    if rest or price % market.tick or not market.tick <= price <= PRICE_UNIT - market.tick:
        raise VenueRefusal("invalid_price", f"price breaks minimum tick size rule: {market.tick}")
    return price, 0


def affordable(
    book: FakeBook, side: BookSide, limit: int, outcome: str, dollars: int
) -> tuple[int, int]:
    """Return the hundredths of a share that millionths of dollars buy within `limit`, and what is left of them."""
    lots = 0
    for price, shown in book.depth(other(side)):
        if price > limit if side == "bid" else price < limit:
            break
        own = price if outcome == YES else PRICE_UNIT - price
        take = min(shown, dollars // own)
        lots += take
        dollars -= take * own
        if take < shown:
            break
    return lots, dollars
