"""Kalshi's money: what resting orders lock, and which shard it lies on. Pure.

A market's YES and NO are one signed position. An order that closes needs no collateral; what it opens needs p dollars
a contract for a bid and 1 - p for an ask. Contracts of a position cover closing orders oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapters.kalshi import schemas
from adapters.kalshi.parsing import dollars
from core.domain.money import ONE, ZERO

CENTS = Decimal(100)


def unit_cost(book_side: str, price: Decimal) -> Decimal:
    """Return dollars a contract of an order that opens; `price` is the YES price."""
    return price if book_side == "bid" else ONE - price


def covered(book_side: str, signed: Decimal) -> Decimal:
    """Return the contracts of a signed position that an order of this side closes."""
    return max(-signed if book_side == "bid" else signed, ZERO)


def locked_by(
    orders: Iterable[schemas.OrderMsg], positions: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """Return the dollars that resting orders lock, by ticker.

    Parameters
    ----------
    positions : mapping of str to Decimal
        Signed contracts by ticker, plus is YES.
    """
    locked: dict[str, Decimal] = {}
    cover: dict[tuple[str, str], Decimal] = {}
    for row in sorted(orders, key=lambda o: (o.created_time or "", o.order_id)):
        key = (row.ticker, row.book_side)
        free = cover.setdefault(key, covered(row.book_side, positions.get(row.ticker, ZERO)))
        left = dollars(row.remaining_count_fp, "remaining")
        closes = min(left, free)
        cover[key] = free - closes
        cost = unit_cost(row.book_side, dollars(row.yes_price_dollars, "price"))
        locked[row.ticker] = locked.get(row.ticker, ZERO) + (left - closes) * cost
    return locked


def free_by_shard(balance: schemas.BalanceMsg) -> dict[int, Decimal]:
    """Return free dollars by shard; a balance without a breakdown is all on shard 0.

    The breakdown is read as dollars where it is text and as cents where it is a number, like the balance itself.
    """
    if not balance.balance_breakdown:
        text = balance.balance_dollars or str(Decimal(balance.balance) / CENTS)
        return {0: dollars(text, "balance")}
    free: dict[int, Decimal] = {}
    for row in balance.balance_breakdown:
        value = dollars(str(row.balance), "balance of a shard")
        if not isinstance(row.balance, str):
            value /= CENTS
        free[row.exchange_index] = free.get(row.exchange_index, ZERO) + value
    return free
