"""What became of a fill: the later sales, merges and the settlement that closed the position it opened.

A row names the rows it came from, so the way back needs no arithmetic. The way on does: a settlement pays a
position, which many fills may have built, and names only the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from core.domain.money import ZERO
from core.ledger.kinds import OrderFilled, PositionsMerged, Settled
from core.ledger.rows import Row


class Move(NamedTuple):
    """A change of one strategy's holding of each of some instruments.

    Attributes
    ----------
    seq : int
        Ledger row.
    strategy_id : str
        Empty: whatever every strategy holds (a venue settles an account).
    quantity : Decimal
        Shares added; negative: taken away.
    """

    seq: int
    strategy_id: str
    instrument_ids: tuple[str, ...]
    quantity: Decimal


@dataclass(slots=True)
class _Position:
    """A holding from flat to flat."""

    quantity: Decimal = ZERO
    closing: list[int] = field(default_factory=list)


def closings(moves: Iterable[Move]) -> dict[int, tuple[int, ...]]:
    """Return, for each row that added shares, the later rows that took shares of that position away.

    Parameters
    ----------
    moves : iterable of Move
        In the order of their rows.
    """
    open_: dict[tuple[str, str], _Position] = {}
    added: dict[int, tuple[_Position, int]] = {}
    for move in moves:
        if not move.strategy_id:
            for key in [k for k in open_ if k[1] in move.instrument_ids]:
                open_.pop(key).closing.append(move.seq)
            continue
        for iid in move.instrument_ids:
            key = (move.strategy_id, iid)
            position = open_.get(key)
            if position is None:
                position = open_[key] = _Position()
            position.quantity += move.quantity
            if move.quantity > 0:
                added[move.seq] = (position, len(position.closing))
            else:
                position.closing.append(move.seq)
            if position.quantity <= 0:
                del open_[key]
    return {seq: tuple(position.closing[since:]) for seq, (position, since) in added.items()}


def moves_of(rows: Iterable[Row]) -> Iterable[Move]:
    """Yield the moves that ledger rows tell of; other rows are passed over."""
    for row in rows:
        match row.decoded():
            case OrderFilled() as fill:
                yield Move(row.seq, fill.strategy_id, (fill.instrument_id,), fill.signed)
            case PositionsMerged() as merge:
                yield Move(row.seq, merge.strategy_id, merge.instrument_ids, -merge.quantity)
            case Settled() as paid:
                yield Move(row.seq, paid.strategy_id, (paid.instrument_id,), -paid.quantity)
            case _:
                pass


#: Kinds of rows that `moves_of` reads.
MOVING = ("order.filled", "position.merged", "settlement")
