"""What the engine asks of a venue, in domain terms: a handful of async calls and four kinds of news.

A venue package implements `VenuePort`; it never touches the engine. `core.engine.live.client` turns the engine's
commands into these calls and the news into engine events. Each call either returns, raises `VenueRefused` (a
clear no: nothing happened) or raises `VenueUncertain` (it may have happened). Nothing else is allowed out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.domain.decision import OrderIntent
from core.domain.errors import VenueRefused, VenueUncertain
from core.domain.fees import Role, Side
from core.domain.money import ZERO


class VenueOrderStatus(StrEnum):
    """State of an order at the venue."""

    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue knows it, on one outcome's own book.

    Attributes
    ----------
    client_order_id : str
        Empty when the venue does not say and we do not know.
    filled : Decimal
        Shares executed so far.
    reason : str
        The venue's own word for the end, for example ``"ExpiryCancel"``.
    """

    venue_order_id: str
    client_order_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    status: VenueOrderStatus
    ts_ns: int
    ts_last_ns: int
    reason: str = ""
    post_only: bool = False
    expire_ns: int = 0


@dataclass(frozen=True, slots=True)
class VenueFill:
    """An execution as the venue knows it. `provisional`: it can still be taken back."""

    trade_id: str
    venue_order_id: str
    client_order_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    role: Role
    ts_ns: int
    provisional: bool = False

    @property
    def signed(self) -> Decimal:
        """Shares added to what is held; negative for a sale."""
        return self.quantity if self.side is Side.BUY else -self.quantity


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """Shares held of one outcome; `average_price` only where the venue says it."""

    instrument_id: str
    quantity: Decimal
    average_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class VenueCash:
    """Money at the venue: `total` includes what resting orders lock.

    `pending` is what trades that are matched but not settled will still add to it (negative for purchases).
    """

    total: Decimal
    locked: Decimal
    pending: Decimal = ZERO

    @property
    def settled(self) -> Decimal:
        """What the balance will be once every trade so far is settled."""
        return self.total + self.pending


@dataclass(frozen=True, slots=True)
class VenueVoid:
    """A fill the venue took back."""

    trade_id: str
    venue_order_id: str
    reason: str


#: Sends one prepared order, once.
Send = Callable[[], Awaitable[VenueOrder]]


class Prepared(NamedTuple):
    """What sends an order, and its id at a venue that knows it before."""

    send: Send
    venue_order_id: str = ""


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order of ours that was, or was about to be, sent to a venue that knows its id before."""

    order_id: str
    client_order_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    sent_ns: int
    post_only: bool = False
    expire_ns: int = 0
    tif: str = "GTC"


#: What a venue said to one item of a batch.
BatchAnswer = VenueOrder | VenueRefused | VenueUncertain


class VenueNews(Protocol):
    """Where a port reports what it hears. Called on the event-loop thread, in the order it was heard."""

    def on_order(self, order: VenueOrder) -> None:
        """Take a changed order."""

    def on_fill(self, fill: VenueFill) -> None:
        """Take an execution; repeats are welcome."""

    def on_void(self, void: VenueVoid) -> None:
        """Take back an execution."""

    def on_cash(self, cash: VenueCash) -> None:
        """Take a balance."""

    def on_link(self, up: bool) -> None:
        """Note that private news flows (or not); while down everything is read again over REST."""


class VenuePort(Protocol):
    """A venue's private side.

    Attributes
    ----------
    venue : str
        Engine venue code.
    buys_in_cash : bool
        Whether a BUY that must not rest is sent for dollars, not for shares.
    share_dust : Decimal
        Shares that one fill can leave at the venue beyond what is booked here.
    names_orders : bool
        Whether an order's id at the venue is known before it is sent: `prepare` tells it, and the intent's row has it.
    """

    venue: str
    names_orders: bool
    buys_in_cash: bool
    share_dust: Decimal

    def most_shares(self, venue_order_id: str) -> Decimal | None:
        """Return how many shares an order sent for dollars can have filled at its end; None = as asked.

        Falls as dollars are spent; equal to what has filled once nothing more can.
        """
        ...

    def before_order(self, check: Callable[[], None]) -> None:
        """Call `check` when nothing is left to wait for before an order's bytes leave; what it raises keeps them."""

    async def connect(self, news: VenueNews) -> None:
        """Start private news; return when reads work."""

    async def disconnect(self) -> None:
        """Stop; sends nothing more."""

    def prepare(self, intent: OrderIntent, price: Decimal) -> Prepared:
        """Begin what needs not wait for the intent's row, as a signature; return what sends the order.

        Nothing may leave before it is sent; when it is never sent, nothing leaves.
        """
        ...

    async def submit(self, intent: OrderIntent, price: Decimal) -> VenueOrder:
        """Send one order once. `price` is the limit, or the protection price of a market order."""
        ...

    async def submit_many(self, orders: Sequence[tuple[OrderIntent, Decimal]]) -> list[BatchAnswer]:
        """Send several orders once, in as few requests as the venue allows; answer each, in order."""
        ...

    async def cancel(self, venue_order_id: str, instrument_id: str) -> None:
        """Cancel one order. A refusal with status 404 means it is not working (filled, gone or unknown)."""

    async def cancel_many(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[str, VenueRefused | VenueUncertain]:
        """Cancel (venue order id, instrument id) pairs; return those that were not cancelled, and why."""
        ...

    async def modify(self, order: VenueOrder, quantity: Decimal, price: Decimal) -> VenueOrder:
        """Change an order; ports without amend refuse with code ``"no_amend"``."""
        ...

    async def find(
        self, client_order_id: str, instrument_id: str, since_ns: int
    ) -> VenueOrder | None:
        """Return the order with this client id, or None when the venue surely does not have it.

        Raises `VenueUncertain` when it cannot be sure: a None is taken as proof.
        """
        ...

    async def orders(self, *, working_only: bool, since_ns: int) -> list[VenueOrder]:
        """Return own orders; all of them or an exception."""
        ...

    async def fills(self, since_ns: int, venue_order_id: str = "") -> list[VenueFill]:
        """Return own executions since a time; all of them or an exception."""
        ...

    async def positions(self) -> list[VenuePosition]:
        """Return holdings of unresolved markets."""
        ...

    async def cash(self) -> VenueCash:
        """Return the balance."""
        ...

    async def cancel_everything(self) -> list[str]:
        """Cancel all working orders at the venue, known to us or not; return ids that are still there."""
        ...

    async def engage_kill_switch(self) -> list[str]:
        """Cancel everything and let the venue refuse new orders where it can; return ids that are still there."""
        ...

    async def release_kill_switch(self) -> None:
        """Let the venue take orders again."""
