"""An engine order as the intent it must equal: what the approval is compared with before anything leaves."""

from __future__ import annotations

from copy import replace
from typing import Any

from nautilus_trader.model import OrderSide

from core.domain.decision import OrderIntent
from core.domain.fees import Side


def intent_of(order: Any, approved: OrderIntent) -> OrderIntent:
    """Return `approved` with everything that the engine order says for itself.

    The gate compares the two: an order that differs from what was approved in id, strategy, instrument,
    side, quantity or price does not leave.
    """
    price = getattr(order, "price", None)
    return replace(
        approved,
        client_order_id=order.client_order_id.value,
        strategy_id=order.strategy_id.value,
        instrument_id=order.instrument_id.value,
        side=Side.BUY if order.side == OrderSide.BUY else Side.SELL,
        quantity=order.quantity.as_decimal(),
        price=price.as_decimal() if price is not None else None,
    )
