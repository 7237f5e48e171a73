"""A fill taken back, as the engine's own event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nautilus_trader.core import UUID4
from nautilus_trader.model import OrderFilled, OrderFillVoided, VenueOrderId

from core.engine.live.port import VenueVoid

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient


def void_event(client: VenueClient, order: Any, void: VenueVoid) -> Any:
    """Return the engine event that undoes the fill with this trade id, or None when the order has no such fill."""
    fill = next(
        (
            e
            for e in order.events()
            if isinstance(e, OrderFilled) and e.trade_id.value == void.trade_id
        ),
        None,
    )
    if fill is None:
        return None
    now = client.clock.timestamp_ns()
    return OrderFillVoided(
        client.trader_id,
        order.strategy_id,
        order.instrument_id,
        order.client_order_id,
        VenueOrderId(void.venue_order_id),
        client.account_id,
        f"void-{void.trade_id}",
        fill.trade_id,
        fill.last_qty,
        order.side,
        order.order_type,
        fill.last_px,
        fill.currency,
        fill.liquidity_side,
        UUID4(),
        now,
        now,
        False,
        commission_voided=fill.commission,
        position_id=fill.position_id,
        reason=void.reason,
    )
