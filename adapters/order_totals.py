"""Fees that round up once per order, not once per fill: a running total for every order."""

from __future__ import annotations

from decimal import Decimal

from core.domain.money import ZERO, ceil_to


class OrderTotals:
    """Running fee of each order, rounded up to `step` as a whole.

    The charge of one fill is the difference between the rounded totals after and before it, so the
    charges of an order always add up to its exact fee rounded up once, however it was filled.

    Parameters
    ----------
    step : Decimal
        Dollars to which the order's total is rounded up.
    """

    __slots__ = ("_raw", "step")

    def __init__(self, step: Decimal) -> None:
        self.step = step
        self._raw: dict[str, Decimal] = {}

    def peek(self, order_id: str, raw: Decimal) -> Decimal:
        """Return what a fill with exact fee `raw` would add to the order's total."""
        before = self._raw.get(order_id, ZERO)
        return ceil_to(before + raw, self.step) - ceil_to(before, self.step)

    def add(self, order_id: str, raw: Decimal) -> Decimal:
        """Add a fill with exact fee `raw` to the order and return its charge."""
        charge = self.peek(order_id, raw)
        self._raw[order_id] = self._raw.get(order_id, ZERO) + raw
        return charge

    def forget(self, order_id: str) -> None:
        """Drop the state of an order that cannot fill any more."""
        self._raw.pop(order_id, None)
