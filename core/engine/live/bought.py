"""What each strategy paid for what it still holds, from the ledger: a restart gives it back to the strategy.

How many shares are held says the gate, which asked the venue; cost and age are the ledger's, at average cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from core.domain.errors import MissingData
from core.domain.money import ZERO
from core.engine.adopted import Adopted
from core.ledger.kinds import OrderFilled, Settled
from core.ledger.kinds.money import PositionsMerged, PositionsSplit
from core.ledger.kinds.orders import FillVoided
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.gate import Gate
from core.risk.units import dollars

Key = tuple[str, str]
#: Rows that change what is held.
KINDS = ("order.filled", "order.voided", "settlement", "position.merged", "position.split")
NOTHING = Adopted(ZERO, ZERO, 0)


@dataclass(slots=True)
class Bought:
    """What the ledger says was bought and is still there.

    Attributes
    ----------
    held : dict
        (strategy, instrument) to shares, cost and age.
    last : dict
        Instrument to (row, price) of its newest fill.
    """

    held: dict[Key, Adopted] = field(default_factory=dict)
    last: dict[str, tuple[int, Decimal]] = field(default_factory=dict)


def bought(directory: Path) -> Bought:
    """Return what the ledger knows of each (strategy, instrument) that was not paid out."""
    fold = _Fold()
    try:
        reader = LedgerReader(directory)
    except MissingData:
        return Bought()
    for row in reader.rows(Selection(kinds=KINDS)):
        payload = row.decoded()
        fold.take(row.ts_event, payload)
        if isinstance(payload, OrderFilled):
            fold.last[payload.instrument_id] = row.seq, payload.price
    return Bought({key: one for key, one in fold.held.items() if one.quantity > 0}, fold.last)


def adopted(gate: Gate, directory: Path, now_ns: int) -> dict[str, dict[str, Adopted]]:
    """Return by strategy what it holds at the start of a node, by instrument."""
    known = bought(directory).held
    out: dict[str, dict[str, Adopted]] = {}
    for (strategy_id, iid), holding in sorted(gate.book.holdings.items()):
        quantity = gate.position(strategy_id, iid)
        if quantity <= 0:
            continue
        ours = known.get((strategy_id, iid))
        if ours is None:
            one = Adopted(quantity, dollars(holding.cost), now_ns)
        else:
            one = Adopted(quantity, ours.cost * quantity / ours.quantity, ours.since_ns)
        out.setdefault(strategy_id, {})[iid] = one
    return out


class _Fold:
    def __init__(self) -> None:
        self.held: dict[Key, Adopted] = {}
        self.last: dict[str, tuple[int, Decimal]] = {}
        self._fills: dict[str, tuple[Key, Decimal, Decimal]] = {}

    def take(self, ts_ns: int, row: object) -> None:
        """Take one row."""
        if isinstance(row, OrderFilled) and row.trade_id not in self._fills:
            key = row.strategy_id, row.instrument_id
            paid = row.signed * row.price + row.fee
            self._fills[row.trade_id] = key, row.signed, paid
            self._add(key, row.signed, paid, ts_ns)
        elif isinstance(row, FillVoided) and row.trade_id in self._fills:
            key, signed, paid = self._fills[row.trade_id]
            self._add(key, -signed, -paid, ts_ns)
        elif isinstance(row, PositionsMerged | PositionsSplit):
            sign = 1 if isinstance(row, PositionsSplit) else -1
            paid = row.cost / len(row.instrument_ids) if isinstance(row, PositionsSplit) else ZERO
            for iid in row.instrument_ids:
                owners = (k for k in self.held if k[1] == iid and row.strategy_id in ("", k[0]))
                key = next(owners, (row.strategy_id, iid))
                self._add(key, sign * row.quantity, paid, ts_ns)
        elif isinstance(row, Settled):
            for key in [k for k in self.held if k[1] == row.instrument_id]:
                if row.strategy_id in ("", key[0]):
                    del self.held[key]

    def _add(self, key: Key, signed: Decimal, paid: Decimal, ts_ns: int) -> None:
        """Add shares at what was paid; take them away at average cost."""
        quantity, cost, since_ns = self.held.get(key, NOTHING)
        if signed >= 0:
            one = Adopted(quantity + signed, cost + paid, since_ns if quantity > 0 else ts_ns)
        else:
            gone = min(-signed, quantity)
            left = cost - (cost * gone / quantity if quantity > 0 else ZERO)
            one = Adopted(quantity - gone, left, since_ns)
        self.held[key] = one if one.quantity > 0 else NOTHING
