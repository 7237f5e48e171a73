"""Rows about orders, from the intent to the last fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.domain.decision import OrderIntent
from core.domain.fees import Side
from core.domain.money import ONE
from core.ledger.registry import Payload, kind, upcaster


@kind("order.intent", version=2)
class OrderIntended(Payload, frozen=True, kw_only=True):
    """An order that is about to be sent. Durable before the first byte leaves.

    ``venue_order_id`` is its id at a venue that knows it before (empty elsewhere), and ``limit`` the worst price that such
    an order without a price was signed with: with them it is found again whatever became of the process.
    """

    client_order_id: str
    strategy_id: str
    venue: str
    instrument_id: str
    market_id: str
    event_id: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    tif: str
    post_only: bool = False
    reduces: bool = False
    expire_ns: int = 0
    reason: str = ""
    venue_order_id: str = ""
    limit: Decimal | None = None

    @classmethod
    def of(
        cls, intent: OrderIntent, venue_order_id: str = "", limit: Decimal | None = None
    ) -> OrderIntended:
        """Return the row of a domain intent."""
        return cls(
            client_order_id=intent.client_order_id,
            strategy_id=intent.strategy_id,
            venue=intent.venue,
            instrument_id=intent.instrument_id,
            market_id=intent.market_id,
            event_id=intent.event_id,
            side=intent.side,
            quantity=intent.quantity,
            price=intent.price,
            tif=str(intent.tif),
            post_only=intent.post_only,
            reduces=intent.reduces,
            expire_ns=intent.expire_ns,
            reason=intent.reason,
            venue_order_id=venue_order_id,
            limit=limit,
        )


@upcaster("order.intent", 1)
def _without_an_id(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a first version's fields as those of the second."""
    return plain | {"venue_order_id": "", "limit": None}


class OrderEvent(Payload, frozen=True, kw_only=True):
    """What happened to an order; ``reason`` is the venue's or the gate's own word."""

    client_order_id: str
    venue_order_id: str = ""
    reason: str = ""


@kind("order.submitted")
class OrderSubmitted(OrderEvent, frozen=True, kw_only=True):
    """The request has left for the venue."""


@kind("order.accepted")
class OrderAccepted(OrderEvent, frozen=True, kw_only=True):
    """The venue took the order; ``venue_ns`` is when, by the venue's clock (0 = it did not say)."""

    venue_ns: int = 0


@kind("order.rejected", version=2)
class OrderRejected(OrderEvent, frozen=True, kw_only=True):
    """The venue refused the order; ``venue_ns`` is when, by the venue's clock (0 = it did not say)."""

    venue_ns: int = 0


@upcaster("order.rejected", 1)
def _without_a_time(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a first version's fields as those of the second."""
    return plain | {"venue_ns": 0}


@kind("order.denied")
class OrderDenied(OrderEvent, frozen=True, kw_only=True):
    """The order never left: the gate, the risk engine or the ledger said no."""


@kind("order.canceled")
class OrderCanceled(OrderEvent, frozen=True, kw_only=True):
    """The order is off the book; ``venue_ns`` is since when, by the venue's clock (0 = it did not say)."""

    venue_ns: int = 0


@kind("order.expired")
class OrderExpired(OrderEvent, frozen=True, kw_only=True):
    """The order reached its end of life."""


@kind("order.unknown")
class OrderUnknown(OrderEvent, frozen=True, kw_only=True):
    """The venue did not answer: the order may live. Its exposure stays reserved."""


@kind("order.absent")
class OrderAbsent(OrderEvent, frozen=True, kw_only=True):
    """Proven: the venue never had the order of unknown fate."""


@kind("order.modify_requested")
class OrderModifyRequested(OrderEvent, frozen=True, kw_only=True):
    """A change of price or quantity has passed the gate and may leave: until the answer either terms may hold."""

    quantity: Decimal
    price: Decimal | None = None


@kind("order.modify_rejected")
class OrderModifyRejected(OrderEvent, frozen=True, kw_only=True):
    """The venue refused a change, or was found to hold the old terms; `reason` says which."""


@kind("order.modify_unknown")
class OrderModifyUnknown(OrderEvent, frozen=True, kw_only=True):
    """The venue did not answer a change: either terms may hold, and the worse stay reserved."""


@kind("order.modified")
class OrderModified(OrderEvent, frozen=True, kw_only=True):
    """The venue has changed price or quantity.

    Ledgers written before ``order.modify_requested`` existed have this row at the request.
    """

    quantity: Decimal
    price: Decimal | None = None


@kind("order.filled")
class OrderFilled(Payload, frozen=True, kw_only=True):
    """A fill. ``fee`` is in `currency`; a fee paid in another coin is valued in it at fill time.

    ``fee_paid`` and ``fee_currency`` keep what was really paid; ``quantity * price * multiplier`` is
    the notional in `currency`.
    """

    client_order_id: str
    venue_order_id: str
    trade_id: str
    strategy_id: str
    venue: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str
    liquidity: str = ""
    fee_paid: Decimal | None = None
    fee_currency: str = ""
    multiplier: Decimal = ONE
    provisional: bool = False

    @property
    def signed(self) -> Decimal:
        """Shares added to what is held; negative for a sale."""
        return self.quantity if self.side is Side.BUY else -self.quantity


@kind("order.confirmed")
class FillConfirmed(Payload, frozen=True, kw_only=True):
    """A provisional fill that became final."""

    client_order_id: str
    trade_id: str
    venue: str


@kind("order.voided")
class FillVoided(Payload, frozen=True, kw_only=True):
    """A fill that the venue took back (a trade that failed on chain)."""

    client_order_id: str
    trade_id: str
    venue: str
    reason: str


@kind("news.heard")
class NewsHeard(Payload, frozen=True, kw_only=True):
    """A node's strategy has heard of a row of its own: a fill, the end of an order, a merge. That row is its parent.

    Both times are receive times of market data, the newest that strategies had been handed: when gate and ledger booked
    the row (``booked_after_ns``), and when the strategy was told (``heard_after_ns``; 0: none yet).
    """

    booked_after_ns: int
    heard_after_ns: int
