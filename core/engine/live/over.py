"""Records of orders that are over, small: one piece of bytes each in place of a dozen objects."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from nautilus_trader.model import ClientOrderId

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import Side
from core.engine.journal import OrderRecord
from core.engine.references import References

#: Orders that are over and can still be told news of; at 0.5 KB each.
MOST_OVER = 100_000


class _Over(msgspec.Struct, array_like=True, gc=False):
    """What of an `OrderRecord` its id and its instrument do not tell."""

    instrument_id: str
    strategy_id: str
    side: Side
    asked: Decimal
    price: Decimal | None
    tif: TimeInForce
    ts_ns: int
    post_only: bool
    reduces: bool
    expire_ns: int
    reason: str
    sent: Decimal
    quantity: Decimal
    limit: Decimal | None
    status: str
    code: str
    fills: int
    filled: Decimal
    notional: Decimal


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Over).decode


def packed(record: OrderRecord) -> bytes:
    """Return a closed order as bytes."""
    i, r = record.intent, record
    return _encode(
        _Over(
            i.instrument_id, i.strategy_id, i.side, i.quantity, i.price, i.tif, i.ts_ns, i.post_only, i.reduces,
            i.expire_ns, i.reason, r.sent, r.quantity, r.limit, r.status, r.code, r.fills, r.filled, r.notional,
        )
    )  # fmt: skip


def unpacked(client_order_id: str, body: bytes, references: References) -> OrderRecord:
    """Return the order again, closed."""
    o = _decode(body)
    ref = references[o.instrument_id]
    market = ref.market
    intent = OrderIntent(
        client_order_id, o.strategy_id, market.venue, ref.iid, market.market_id, market.event_id, o.side, o.asked,
        o.price, o.tif, o.ts_ns, o.post_only, o.reduces, o.expire_ns, o.reason,
    )  # fmt: skip
    return OrderRecord(
        intent, ref, o.sent, ClientOrderId(client_order_id), o.quantity, o.limit, o.status, o.code, False, None,
        o.fills, o.filled, o.notional,
    )  # fmt: skip
