"""Buy what is missing in orders that the limits allow: the whole at once, or as much of it as one order may be."""

from __future__ import annotations

from decimal import Decimal

from core.domain.money import ZERO, floor_to
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
    part = affordable(desk, iid, quantity, limit, market.size_step)
    if 0 < quantity - part < least:
        part = quantity - least
    return part if part >= least else ZERO


def affordable(
    desk: BetaStrategy, iid: str, quantity: Decimal, limit: Decimal, step: Decimal
) -> Decimal:
    """Return the shares up to `quantity` that the limits leave room for, counted as the gate counts."""
    if quantity <= 0:
        return ZERO
    room, cost = desk.room(iid), desk.worst_cost(iid, limit, quantity)
    if cost <= room:
        return quantity
    part = floor_to(quantity * room / cost, step)
    while part > 0 and desk.worst_cost(iid, limit, part) > room:
        part -= step  # fees round up: a part can cost a fraction of a cent more than its share
    return part
