"""Pairs of YES and NO that one strategy holds: which of them are free to become dollars, and which are promised.

A pair is free when both legs are final and no sale has promised them. A pair that a call on chain is about to take is
promised like a resting sale of both legs: the gate then lets no sale take it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.risk.gate import Gate
from core.risk.portfolio import add_to
from core.risk.units import nanos_of, shares


def free_pairs(gate: Gate, strategy_id: str, instrument_ids: tuple[str, str]) -> int:
    """Return pairs of a strategy, in gate units, that are final and promised to nobody."""
    rules = [gate.rules.get(iid) for iid in instrument_ids]
    found = [gate.book.sellable(strategy_id, r) if r is not None else 0 for r in rules]
    return max(0, min(found))


def owners_of(gate: Gate, instrument_ids: tuple[str, str]) -> list[str]:
    """Return who holds anything of a pair, by name."""
    return sorted({strategy for strategy, iid in gate.book.holdings if iid in instrument_ids})


def free_by_market(gate: Gate, venue: str) -> dict[str, tuple[tuple[str, str], Decimal]]:
    """Return free pairs of all strategies by market: its instruments, and how many pairs.

    A market that nets by itself, or has been paid out, has none.
    """
    book, out = gate.book, dict[str, tuple[tuple[str, str], Decimal]]()
    for iid in list(book.held):
        rules = gate.rules.get(iid)
        if rules is None or rules.nets_outcomes or rules.venue.code != venue:
            continue
        if rules.market_id in out or rules.opposite_id not in book.held:
            continue
        if iid in book.payouts or rules.opposite_id in book.payouts:
            continue
        first, second = sorted((iid, rules.opposite_id))
        both = first, second
        free = sum(free_pairs(gate, owner, both) for owner in owners_of(gate, both))
        if free > 0:
            out[rules.market_id] = both, shares(free)
    return out


def promise(
    gate: Gate, instrument_ids: tuple[str, str], quantity: Decimal
) -> tuple[tuple[str, int], ...]:
    """Promise free pairs, owners in the order of their names; return what each has promised, in gate units."""
    left, out = nanos_of(quantity) or 0, []
    for owner in owners_of(gate, instrument_ids):
        part = min(left, free_pairs(gate, owner, instrument_ids))
        if part > 0:
            _add(gate, owner, instrument_ids, part)
            out.append((owner, part))
            left -= part
    return tuple(out)


def release(
    gate: Gate, instrument_ids: tuple[str, str], promised: Iterable[tuple[str, int]]
) -> None:
    """Take promises back."""
    for owner, part in promised:
        _add(gate, owner, instrument_ids, -part)


def _add(gate: Gate, strategy_id: str, instrument_ids: tuple[str, str], delta: int) -> None:
    for iid in instrument_ids:
        add_to(gate.book.selling, (strategy_id, iid), delta)
        gate.book.resting(iid).selling += delta
