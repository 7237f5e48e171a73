"""What a strategy holds from before its run: shares that a node finds at its start, and what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Adopted(NamedTuple):
    """Shares of one outcome from earlier runs.

    Attributes
    ----------
    quantity, cost : Decimal
        Shares, and the dollars paid for them, fees included.
    since_ns : int
        When they began to be held; the start of the node where no fill of ours is known.
    """

    quantity: Decimal
    cost: Decimal
    since_ns: int
