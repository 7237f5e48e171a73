"""One approved intent as a signed Polymarket order: amounts, exchange, hash, body. Pure but for the key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from adapters.polymarket.amounts import (
    CENT_MICRO,
    MICRO,
    SIZE_UNITS,
    Amounts,
    limit_amounts,
    market_buy_amounts,
    price_units,
    whole,
)
from adapters.polymarket.eip712 import ZERO32, OrderStruct
from adapters.polymarket.registry import Terms
from adapters.polymarket.signing import Wallet
from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import VenueRefused
from core.domain.fees import Side
from core.engine.live.port import VenueOrderStatus

ORDER_TYPES = {
    TimeInForce.GTC: "GTC",
    TimeInForce.GTD: "GTD",
    TimeInForce.IOC: "FAK",
    TimeInForce.FOK: "FOK",
}
#: The venue takes a GTD order off the book about a minute before its expiration, and wants three minutes of life.
GTD_EARLY_S, GTD_LEAST_S = 60, 180
#: The venue refuses a marketable BUY of less than a dollar.
LEAST_MARKET_BUY_MICRO = MICRO
SALT_BITS = 53


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order ready to send: `order_id` is its id at the venue."""

    order_id: str
    body: bytes


def salt_of(client_order_id: str) -> int:
    """Return the salt of an order: from our own id, so that the same order has the same hash; fits a JSON number."""
    digest = hashlib.sha256(client_order_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SALT_BITS)


def sized_in_cash(side: Side, tif: str) -> bool:
    """Return whether the venue fills an order by dollars: a BUY that must not rest."""
    return side is Side.BUY and tif in (TimeInForce.IOC, TimeInForce.FOK)


def cash_micro(quantity: Decimal, price: Decimal, tick: Decimal) -> int:
    """Return the millionths of a dollar that such a BUY spends: shares times price, down to whole cents."""
    shares = whole(quantity, SIZE_UNITS, "size")
    return shares * price_units(price, tick) // CENT_MICRO * CENT_MICRO


def amounts_of(intent: OrderIntent, price: Decimal, terms: Terms) -> Amounts:
    """Return the amounts of an intent.

    A BUY that must not rest is sized in dollars at the venue: shares times price, down to whole cents.

    Raises
    ------
    VenueRefused
        If the venue could not take it: off the grid, too fine, or a marketable BUY below one dollar.
    """
    if not sized_in_cash(intent.side, intent.tif):
        return limit_amounts(intent.side, price, intent.quantity, terms.tick)
    dollars = cash_micro(intent.quantity, price, terms.tick)
    if dollars < LEAST_MARKET_BUY_MICRO:
        raise VenueRefused(
            "below_minimum",
            "a marketable BUY must be worth at least one dollar",
            mend="order for a dollar or more, or rest it below the best offer",
        )
    return market_buy_amounts(dollars, price, terms.tick)


def expiration_of(intent: OrderIntent) -> int:
    """Return the venue's expiration, seconds: a minute late, since it removes orders a minute early."""
    if intent.tif is not TimeInForce.GTD:
        return 0
    wanted = intent.expire_ns // NS_PER_SECOND + GTD_EARLY_S
    return max(wanted, intent.ts_ns // NS_PER_SECOND + GTD_LEAST_S + 1)


def needs_own_end(intent: OrderIntent) -> bool:
    """Return whether a GTD order must end before the venue's shortest life, so that we cancel it ourselves."""
    exact = intent.expire_ns // NS_PER_SECOND + GTD_EARLY_S
    return intent.tif is TimeInForce.GTD and expiration_of(intent) > exact


def build(
    intent: OrderIntent,
    price: Decimal,
    token_id: str,
    terms: Terms,
    wallet: Wallet,
    owner: str,
    builder: str = ZERO32,
) -> SignedOrder:
    """Return the signed order.

    Parameters
    ----------
    owner : str
        The API key, which the venue wants in the body.
    """
    if intent.post_only and intent.tif not in (TimeInForce.GTC, TimeInForce.GTD):
        raise VenueRefused(
            "invalid_order",
            "post-only needs GTC or GTD",
            mend="send it as GTC or GTD, or without post-only",
        )
    amounts = amounts_of(intent, price, terms)
    order = OrderStruct(
        salt=salt_of(intent.client_order_id),
        maker=wallet.funder,
        signer=wallet.order_signer,
        token_id=int(token_id),
        maker_amount=amounts.maker,
        taker_amount=amounts.taker,
        side=0 if intent.side is Side.BUY else 1,
        signature_type=int(wallet.signature_type),
        timestamp_ms=intent.ts_ns // 1_000_000,
        builder=builder,
    )
    digest = order.order_hash(terms.exchange)
    return SignedOrder(
        "0x" + digest.hex(),
        body_of(
            order,
            wallet.sign_order(order, terms.exchange, digest),
            expiration_of(intent),
            owner,
            ORDER_TYPES[intent.tif],
            intent.post_only,
        ),
    )


def body_of(
    order: OrderStruct,
    signature: str,
    expiration: int,
    owner: str,
    order_type: str,
    post_only: bool,
) -> bytes:
    """Return the compact JSON of ``POST /order``."""
    inner: dict[str, Any] = {
        "salt": order.salt,
        "maker": order.maker,
        "signer": order.signer,
        "tokenId": str(order.token_id),
        "makerAmount": str(order.maker_amount),
        "takerAmount": str(order.taker_amount),
        "side": "SELL" if order.side else "BUY",
        "expiration": str(expiration),
        "signatureType": order.signature_type,
        "timestamp": str(order.timestamp_ms),
        "metadata": order.metadata,
        "builder": order.builder,
        "signature": signature,
    }
    return msgspec.json.encode(
        {
            "order": inner,
            "owner": owner,
            "orderType": order_type,
            "deferExec": False,
            "postOnly": post_only,
        }
    )


def status_of(word: str, kind: str, full: bool) -> VenueOrderStatus:
    """Return the state behind a status word and message type; what says nothing of an end is working."""
    if full:
        return VenueOrderStatus.FILLED
    if word.startswith("CANCELED_EXPIRED") or word == "EXPIRED":
        return VenueOrderStatus.EXPIRED
    if kind == "CANCELLATION" or word.startswith(("CANCELED", "CANCELLED")) or word == "INVALID":
        return VenueOrderStatus.CANCELED
    return VenueOrderStatus.WORKING
