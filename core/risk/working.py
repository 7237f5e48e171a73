"""An order at work: what was approved, what has filled of it, and what it still reserves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.decision import OrderIntent
from core.risk.approval import ApprovedOrder
from core.risk.instruments import InstrumentRules


class OrderState(StrEnum):
    """Where an order stands for the gate. Only `DONE` releases what it reserves."""

    APPROVED = "approved"
    SENT = "sent"
    WORKING = "working"
    UNKNOWN = "unknown"
    DONE = "done"


#: The states, each looked up once.
APPROVED, SENT, WORKING, UNKNOWN, DONE = OrderState


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides the worst case of an order."""

    price: int
    quantity: int
    fee_bound: int


@dataclass(frozen=True, slots=True)
class Change:
    """A modification under way: until the venue answers either set of terms may be in force.

    `worst` bounds both, and every mix of fills under the old and then the new ones.
    """

    old: Terms
    new: Terms
    worst: Terms
    nonce: int


class WorkingOrder:
    """An order and what it still reserves. It begins at its review: the checks find out what is missing here.

    Attributes
    ----------
    approval : ApprovedOrder, optional
        The approval that waits to be redeemed; `Portfolio.renew` and `no_longer_waits` set it.
    signed : OrderIntent, optional
        A copy of the intent that `approval` vouches for, as it was when it was signed.
    rules, price, quantity, fee_bound, reserved
        What the checks find out; `reserved` is what it may cost at worst.
    ts_ns, until_ns : int
        When it was reviewed, and how long it can rest (0: not at all).
    by_cash : bool
        Sent for ``price * quantity`` dollars, however many shares they buy; `spent` counts them.
    """

    # without __slots__: the interpreter runs the constructor of such a class in place

    rules: InstrumentRules
    price: int
    quantity: int
    fee_bound: int
    reserved: int

    def __init__(self, intent: OrderIntent, buy: bool, ts_ns: int) -> None:
        self.client_order_id = intent.client_order_id
        self.strategy_id = intent.strategy_id
        self.buy = buy
        self.stop = False if buy else intent.reason.startswith("stop")
        self.ts_ns = ts_ns
        self.by_cash = False
        self.until_ns = self.fee_paid = self.filled = self.spent = self.nonce = 0
        self.change: Change | None = None
        self.state = APPROVED
        self.approval: ApprovedOrder | None = None
        self.signed: OrderIntent | None = None

    @property
    def leaves(self) -> int:
        """Quantity that can still fill."""
        return max(0, self.quantity - self.filled)

    @property
    def terms(self) -> Terms:
        """The terms in force."""
        return Terms(self.price, self.quantity, self.fee_bound)

    def widest(self, price: int, quantity: int) -> tuple[int, int]:
        """Return the price and quantity that bound both the present and these terms."""
        at = max(self.price, price) if self.buy else min(self.price, price)
        return at, max(self.quantity, quantity)

    def need_of(self, price: int, quantity: int, fee_bound: int) -> int:
        """Return what the order would reserve under these terms, after what it has filled."""
        if self.by_cash:
            left = price * quantity - self.spent
            return max(0, left) + max(0, fee_bound - self.fee_paid)
        leaves = max(0, quantity - self.filled)
        if not leaves:
            return 0
        if self.buy:
            return price * leaves + max(0, fee_bound - self.fee_paid)
        return max(0, fee_bound - price * quantity)


def need(buy: bool, price: int, quantity: int, fee_bound: int) -> int:
    """Return the cash an order can cost at worst: a buy its price and fee, a sale a fee above its proceeds."""
    return price * quantity + fee_bound if buy else max(0, fee_bound - price * quantity)
