"""Buy what is missing in orders that the limits allow: the whole at once, or as much of it as one order may be."""

from __future__ import annotations

from decimal import Decimal

from core.domain.money import ONE, ZERO, floor_to
from core.engine.strategy import BetaStrategy


def part_of(desk: BetaStrategy, iid: str, quantity: Decimal, limit: Decimal) -> Decimal:
    """Return the shares of the next order towards `quantity`, counted as the gate counts; 0 when none can pass.

    What stays behind is enough for an order of its own. Asked first, because a refused order would be
    refused again while the other leg loses.
    """
    market = desk.markets[iid]
    least = max(market.min_size, market.size_step)
    if desk.barred(iid) is not None:
        return ZERO
    part = _affordable(desk, iid, quantity, limit, market.size_step)
    if 0 < quantity - part < least:
        part = quantity - least
    return part if part >= least else ZERO


def _affordable(
    desk: BetaStrategy, iid: str, quantity: Decimal, limit: Decimal, step: Decimal
) -> Decimal:
    """Return the shares up to `quantity` that the limits leave room for."""
    room = desk.room(iid)
    if desk.worst_cost(iid, limit, quantity) <= room:
        return quantity
    part = floor_to(min(quantity, room / desk.worst_cost(iid, limit, ONE)), step)
    while part > 0 and desk.worst_cost(iid, limit, part) > room:
        part -= step  # fees round up: a part can cost a fraction of a cent more than its share
    return part
