"""FIFO lots: which purchase a sale closes, at what cost, with which share of the fees.

Exact by construction: cost and proceeds are products, and fee shares are rounded to `FEE_STEP` with
the remainder carried by the last share, so the shares always sum to the fee.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Context, Decimal

from core.domain.money import ZERO, half_even_to

FEE_STEP = Decimal("0.00000001")
#: Wide enough that no product or sum of money is ever rounded.
EXACT = Context(prec=60)


@dataclass(slots=True)
class Lot:
    """What is left of an opening: positive quantity is long, negative is short.

    ``fee`` is the part of the opening fee that belongs to what is left.
    """

    open_seq: int
    opened_ns: int
    opened: Decimal
    quantity: Decimal
    price: Decimal
    multiplier: Decimal
    fee: Decimal

    @property
    def cost(self) -> Decimal:
        """Money in the lot, without fees; negative for a short."""
        return self.quantity * self.price * self.multiplier


@dataclass(frozen=True, slots=True)
class Closure:
    """A lot, or part of one, that was closed.

    ``cost`` is what buying it took and ``proceeds`` what selling it gave, both without fees;
    ``pnl = proceeds - cost - open_fee - close_fee``.
    """

    open_seq: int
    close_seq: int
    opened_ns: int
    closed_ns: int
    quantity: Decimal
    open_price: Decimal
    close_price: Decimal
    cost: Decimal
    proceeds: Decimal
    open_fee: Decimal
    close_fee: Decimal

    @property
    def pnl(self) -> Decimal:
        """Realised profit or loss after fees."""
        return self.proceeds - self.cost - self.open_fee - self.close_fee


class FifoBook:
    """Open lots of one position, oldest first.

    ``quantity`` (signed) and ``cost`` (money in the open lots, without fees) are kept as sums, so that
    a position of many small lots costs no more to trade than one of few.
    """

    def __init__(self, lots: list[Lot] | None = None) -> None:
        self.lots: deque[Lot] = deque(lots or [])
        self.quantity: Decimal = sum((lot.quantity for lot in self.lots), ZERO)
        self.cost: Decimal = sum((lot.cost for lot in self.lots), ZERO)

    def trade(
        self,
        seq: int,
        ts_ns: int,
        signed: Decimal,
        price: Decimal,
        fee: Decimal = ZERO,
        multiplier: Decimal = Decimal(1),
    ) -> list[Closure]:
        """Add a purchase (positive) or sale (negative); return what it closed.

        What exceeds the open lots of the other side opens a new lot.
        """
        left, fee_left = signed, fee
        out: list[Closure] = []
        while left and self.lots and (self.lots[0].quantity > 0) != (left > 0):
            lot = self.lots[0]
            self.cost -= lot.cost
            closed = min(abs(left), abs(lot.quantity))
            close_fee = _share(fee_left, closed, abs(left))
            out.append(self._close(lot, seq, ts_ns, closed, price, close_fee))
            fee_left -= close_fee
            left += closed if left < 0 else -closed
            self.cost += lot.cost
            if not lot.quantity:
                self.lots.popleft()
        if left:
            self.lots.append(Lot(seq, ts_ns, left, left, price, multiplier, fee_left))
            self.cost += self.lots[-1].cost
        self.quantity += signed
        return out

    def close_all(self, seq: int, ts_ns: int, price: Decimal) -> list[Closure]:
        """Close every lot at `price` without a fee (settlement)."""
        held = self.quantity
        return self.trade(seq, ts_ns, -held, price) if held else []

    @staticmethod
    def _close(
        lot: Lot, seq: int, ts_ns: int, closed: Decimal, price: Decimal, close_fee: Decimal
    ) -> Closure:
        """Take `closed` out of a lot."""
        open_fee = _share(lot.fee, closed, abs(lot.quantity))
        opened = closed * lot.price * lot.multiplier
        ended = closed * price * lot.multiplier
        long = lot.quantity > 0
        lot.quantity += -closed if long else closed
        lot.fee -= open_fee
        return Closure(
            open_seq=lot.open_seq,
            close_seq=seq,
            opened_ns=lot.opened_ns,
            closed_ns=ts_ns,
            quantity=closed,
            open_price=lot.price,
            close_price=price,
            cost=opened if long else ended,
            proceeds=ended if long else opened,
            open_fee=open_fee,
            close_fee=close_fee,
        )


def _share(fee: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return the share of a fee that belongs to `part` of `whole`; all of it for the whole."""
    return fee if part == whole or not fee else half_even_to(fee * part / whole, FEE_STEP)
